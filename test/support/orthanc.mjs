// Debian's Orthanc (packages orthanc, orthanc-dicomweb, and for the PostgreSQL index orthanc-postgresql and postgresql) as a peer and as a
// rival: a server of the caller's own on free ports, gone with the caller. Tests and benches share it.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PLUGINS = '/usr/share/orthanc/plugins';
const POSTGRES_VERSIONS = '/usr/lib/postgresql';
const START_MS = 60_000;

/** What is missing on this machine, in words, or undefined when Orthanc can be started. */
export function orthancIsMissing({ postgres = false, dicomWeb = true } = {}) {
  if (orthancBinary() === undefined) return 'Orthanc is not installed (Debian: apt-get install orthanc orthanc-dicomweb)';
  if (dicomWeb && !existsSync(join(PLUGINS, 'libOrthancDicomWeb.so'))) return 'the DICOMweb plugin of Orthanc is not installed (Debian: apt-get install orthanc-dicomweb)';
  if (postgres && !existsSync(join(PLUGINS, 'libOrthancPostgreSQLIndex.so'))) return 'the PostgreSQL plugin of Orthanc is not installed (Debian: apt-get install orthanc-postgresql)';
  if (postgres && postgresBinaries() === undefined) return 'PostgreSQL is not installed (Debian: apt-get install postgresql)';
  return undefined;
}

/**
 * Starts Orthanc with its DICOMweb plugin.
 *
 * @param dicomWeb  false: without the plugin, for who only sends to it
 * @param postgres  index in a PostgreSQL of its own instead of SQLite
 * @param servers  DICOMweb servers that it may call, by name: {url, headers}
 * @param configuration  further options of Orthanc
 */
export async function startOrthanc({ postgres = false, dicomWeb = true, servers = {}, configuration = {} } = {}) {
  const missing = orthancIsMissing({ postgres, dicomWeb });
  if (missing !== undefined) throw new Error(missing);
  const folder = mkdtempSync(join(tmpdir(), 'healthvision-orthanc-'));
  // The account of PostgreSQL passes through.
  chmodSync(folder, 0o711);
  const removeFolder = () => rmSync(folder, { recursive: true, force: true });
  process.on('exit', removeFolder);
  const database = postgres ? await startPostgres(join(folder, 'postgres')) : undefined;
  const [httpPort, dicomPort] = [await freePort(), await freePort()];
  writeFileSync(join(folder, 'orthanc.json'), JSON.stringify({
    Name: 'Peer',
    StorageDirectory: join(folder, 'storage'),
    IndexDirectory: join(folder, 'storage'),
    HttpPort: httpPort,
    DicomPort: dicomPort,
    DicomAet: 'ORTHANC',
    RemoteAccessAllowed: false,
    AuthenticationEnabled: false,
    OverwriteInstances: false,
    SaveJobs: false,
    Plugins: [...(dicomWeb ? [join(PLUGINS, 'libOrthancDicomWeb.so')] : []), ...(database ? [join(PLUGINS, 'libOrthancPostgreSQLIndex.so')] : [])],
    DicomWeb: { Enable: true, Root: '/dicom-web/', Servers: Object.fromEntries(Object.entries(servers).map(([name, { url, headers = {} }]) => [name, { Url: url, HttpHeaders: headers, ChunkedTransfers: true, HasDelete: false }])) },
    ...(database && { PostgreSQL: { EnableIndex: true, EnableStorage: false, Host: '127.0.0.1', Port: database.port, Database: 'postgres', Username: 'postgres', Password: '', Lock: false, IndexConnectionsCount: 8 } }),
    ...configuration,
  }));
  const child = spawn(orthancBinary(), ['--logfile=' + join(folder, 'orthanc.log'), join(folder, 'orthanc.json')], { stdio: 'ignore' });
  const kill = () => child.kill('SIGKILL');
  process.on('exit', kill);
  const url = `http://127.0.0.1:${String(httpPort)}`;
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    process.off('exit', kill);
    await database?.stop();
    removeFolder();
    process.off('exit', removeFolder);
  };
  try {
    await answering(`${url}/system`, child);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, dicomPort, pid: child.pid, databasePid: database?.pid, folder, version: (await (await fetch(`${url}/system`)).json()).Version, stop };
}

async function answering(url, child) {
  for (const deadline = Date.now() + START_MS; ; ) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`Orthanc ended with ${String(child.exitCode ?? child.signalCode)}`);
    if ((await fetch(url).catch(() => undefined))?.ok) return;
    if (Date.now() > deadline) throw new Error(`Orthanc did not answer within ${String(START_MS)} ms`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Debian's PostgreSQL with its defaults, on a free port, trusting this machine. It does not run as root: the account `postgres` does it then. */
async function startPostgres(folder) {
  const binaries = postgresBinaries();
  const account = process.getuid?.() === 0 ? accountOf('postgres') : undefined;
  mkdirSync(folder, { mode: 0o700 });
  if (account) chownSync(folder, account.uid, account.gid);
  const options = { stdio: 'ignore', cwd: '/', env: { PATH: process.env.PATH, LC_ALL: 'C' }, ...account };
  const cluster = join(folder, 'cluster');
  const { status } = spawnSync(join(binaries, 'initdb'), ['-D', cluster, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8'], options);
  if (status !== 0) throw new Error(`initdb ended with ${String(status)}`);
  const port = await freePort();
  const child = spawn(join(binaries, 'postgres'), ['-D', cluster, '-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-c', `unix_socket_directories=${folder}`], options);
  const kill = () => child.kill('SIGQUIT');
  process.on('exit', kill);
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGINT');
      await once(child, 'exit');
    }
    process.off('exit', kill);
  };
  for (const deadline = Date.now() + START_MS; spawnSync(join(binaries, 'pg_isready'), ['-h', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' }).status !== 0; ) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error('PostgreSQL did not start');
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { port, pid: child.pid, stop };
}

function orthancBinary() {
  return ['/usr/sbin/Orthanc', '/usr/local/sbin/Orthanc', '/usr/bin/Orthanc'].find((path) => existsSync(path));
}

/** The newest of Debian's versions. */
function postgresBinaries() {
  const versions = existsSync(POSTGRES_VERSIONS) ? readdirSync(POSTGRES_VERSIONS) : [];
  return versions.sort((a, b) => Number(b) - Number(a)).map((version) => join(POSTGRES_VERSIONS, version, 'bin')).find((path) => existsSync(join(path, 'postgres')) && existsSync(join(path, 'initdb')));
}

function accountOf(name) {
  const number = (flag) => Number(spawnSync('id', [flag, name], { encoding: 'utf8' }).stdout);
  return { uid: number('-u'), gid: number('-g') };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
