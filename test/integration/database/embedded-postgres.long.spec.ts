import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, readFile, readdir, realpath, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { withProcessLock } from '../../../src/platform/database/embedded-lock.js';
import { discardEmbeddedPostgres, openEmbeddedPostgres } from '../../../src/platform/database/embedded-postgres.js';
import type { EmbeddedPostgres } from '../../../src/platform/database/embedded-postgres.js';
import { FOREIGN_GRACE_MS, isPresent, presenceName } from '../../../src/platform/database/embedded-presence.js';
import { runningServer } from '../../../src/platform/database/embedded-server.js';
import { compileDatabase } from './compile.js';
import { eventually, postmasterPid, query, readState, startMember } from './processes.js';
import type { MemberProcess } from './processes.js';

const isRoot = process.getuid?.() === 0;
const folders: string[] = [];
const members: MemberProcess[] = [];
const opened: EmbeddedPostgres[] = [];
let compiled: Awaited<ReturnType<typeof compileDatabase>>;
/** Used by most tests, because creating a cluster takes seconds. */
let dataDir: string;

async function newDataDir(mode = 0o755): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'healthvision-database-')));
  await chmod(folder, mode);
  folders.push(folder);
  return folder;
}

async function member(directory: string, account?: { uid: number; gid: number }): Promise<MemberProcess> {
  const started = await startMember(compiled.folder, directory, account);
  members.push(started);
  return started;
}

async function open(directory: string, logs: string[] = []): Promise<EmbeddedPostgres> {
  const postgres = await openEmbeddedPostgres({ dataDir: directory, log: (level, message) => logs.push(`${level}: ${message}`) });
  opened.push(postgres);
  return postgres;
}

beforeAll(async () => {
  compiled = await compileDatabase();
  dataDir = await newDataDir();
});

afterEach(async () => {
  await Promise.all([...opened.splice(0).map((postgres) => postgres.close()), ...members.splice(0).map((process) => process.kill())]);
});

afterAll(async () => {
  for (const folder of folders) {
    await eventually(() => discardEmbeddedPostgres(folder));
    await rm(folder, { recursive: true, force: true });
  }
  await compiled.remove();
});

describe('the embedded PostgreSQL', () => {
  it('starts on an empty data directory, on the loopback address alone, with durable settings', async () => {
    const logs: string[] = [];
    const postgres = await open(dataDir, logs);
    expect(postgres.url).toMatch(/^postgresql:\/\/healthvision:[0-9a-f]{48}@127\.0\.0\.1:\d+\/healthvision$/);
    const [row] = await query<Record<string, string>>(
      postgres.url,
      `SELECT current_setting('listen_addresses') AS addresses, current_setting('unix_socket_directories') AS sockets, current_setting('fsync') AS fsync,
        current_setting('max_connections') AS connections, current_setting('server_encoding') AS encoding, current_setting('password_encryption') AS passwords`,
    );
    expect(row).toEqual({ addresses: '127.0.0.1', sockets: '', fsync: 'on', connections: '200', encoding: 'UTF8', passwords: 'scram-sha-256' });
    expect((await stat(join(dataDir, 'postgres.json'))).mode & 0o777).toBe(0o600);
    expect(logs).toEqual([]);
    await expect(query(postgres.url.replace(/:[0-9a-f]{48}@/, ':wrong@'), 'SELECT 1')).rejects.toThrow(/password authentication failed/);
  });

  it('starts again within seconds, on its port, with its data', async () => {
    const first = await open(dataDir);
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await first.close();
    const begun = performance.now();
    const second = await open(dataDir);
    expect(performance.now() - begun).toBeLessThan(5_000);
    expect(second.url).toBe(first.url);
    expect(await query(second.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  });

  it('is shared by processes and stops with the last of them', async () => {
    const first = await member(dataDir);
    const pid = await postmasterPid(dataDir);
    const second = await member(dataDir);
    expect(second.url).toBe(first.url);
    expect(await postmasterPid(dataDir)).toBe(pid);
    await first.close();
    expect(await query(second.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await second.close();
    expect(await postmasterPid(dataDir)).toBeNull();
    expect(await readdir(join(dataDir, 'postgres.leases'))).toEqual([]);
    expect(await readdir(join(dataDir, 'postgres.lock'))).toEqual([]);
  });

  it('comes back on the same port with its data within seconds after it was killed', async () => {
    const logs: string[] = [];
    const postgres = await open(dataDir, logs);
    const other = await member(dataDir);
    const killed = await postmasterPid(dataDir);
    await query(postgres.url, 'CREATE TABLE IF NOT EXISTS survivors AS SELECT 7 AS answer');
    process.kill(Number(killed), 'SIGKILL');
    const begun = performance.now();
    await expect(eventually(() => query(postgres.url, 'SELECT answer FROM survivors'))).resolves.toEqual([{ answer: 7 }]);
    expect(performance.now() - begun).toBeLessThan(15_000);
    expect(await postmasterPid(dataDir)).not.toBe(killed);
    expect(other.url).toBe(postgres.url);
    await sleep(600);
    // Exactly one of the two started it.
    expect([...logs, ...other.logs].filter((line) => line.endsWith('has ended; it is being started again.'))).toHaveLength(1);
    await other.close();
  });

  it('comes back when somebody asks it to stop while sessions are open', async () => {
    const postgres = await open(dataDir);
    const session = new pg.Client({ connectionString: postgres.url });
    session.on('error', () => undefined);
    await session.connect();
    const asked = await postmasterPid(dataDir);
    process.kill(Number(asked), 'SIGTERM');
    await eventually(async () => expect(await postmasterPid(dataDir)).not.toBe(asked));
    await expect(eventually(() => query(postgres.url, 'SELECT 1 AS one'))).resolves.toEqual([{ one: 1 }]);
    await session.end().catch(() => undefined);
  });

  it('outlives processes that are killed, and the next one joins it', async () => {
    const first = await member(dataDir);
    const pid = await postmasterPid(dataDir);
    await first.kill();
    const second = await member(dataDir);
    expect(await postmasterPid(dataDir)).toBe(pid);
    await second.close();
    expect(await postmasterPid(dataDir)).toBeNull();
  });

  it('does not count the leases of dead processes, nor of living ones that took over their pid', async () => {
    const [pid, startedAt, place] = (await presenceName()).split('.');
    const leases = join(dataDir, 'postgres.leases');
    for (const name of [`4194000.1.${place ?? ''}.aaaaaaaa`, `${pid ?? ''}.${startedAt ?? ''}1.${place ?? ''}.bbbbbbbb`]) await writeFile(join(leases, name), 'joined');
    await (await open(dataDir)).close();
    expect(await postmasterPid(dataDir)).toBeNull();
    expect(await readdir(leases)).toEqual([]);
  });

  it('waits until another container that was killed is surely gone', async () => {
    const lease = join(dataDir, 'postgres.leases', '12.34567.0123456789.cccccccc');
    await writeFile(lease, 'joined');
    const nearlyGone = new Date(Date.now() - FOREIGN_GRACE_MS + 1_500);
    await utimes(lease, nearlyGone, nearlyGone);
    const logs: string[] = [];
    const begun = performance.now();
    await open(dataDir, logs);
    expect(performance.now() - begun).toBeGreaterThan(1_000);
    expect(logs).toEqual([expect.stringContaining('Another machine or container')]);
    expect(existsSync(lease)).toBe(false);
  });

  it('starts over a postmaster.pid that names a living process which is no PostgreSQL', async () => {
    const { location } = await readState(dataDir);
    await writeFile(join(location, 'postmaster.pid'), `${String(process.pid)}\n${location}\n1\n1\n\n127.0.0.1\n\nready\n`);
    const postgres = await open(dataDir);
    expect(await query(postgres.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('takes another port when a stranger has its own', async () => {
    const { port } = await readState(dataDir);
    const stranger = createServer();
    await new Promise<void>((resolve) => stranger.listen(port, '127.0.0.1', resolve));
    try {
      const postgres = await open(dataDir);
      expect(new URL(postgres.url).port).not.toBe(String(port));
      expect(await query(postgres.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    } finally {
      stranger.close();
    }
  });

  it('keeps the data when postgres.json was lost', async () => {
    const before = await readState(dataDir);
    if (before.location !== join(dataDir, 'postgres')) throw new Error('this test needs the cluster inside its data directory');
    await rm(join(dataDir, 'postgres.json'));
    const logs: string[] = [];
    const postgres = await open(dataDir, logs);
    expect(await query(postgres.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
    expect((await readState(dataDir)).password).not.toBe(before.password);
    expect(logs).toEqual(['warn: postgres.json was missing; the database of this data directory was given a new password.']);
  });

  it('refuses a cluster of another major version in one line', async () => {
    const file = join((await readState(dataDir)).location, 'PG_VERSION');
    const version = await readFile(file, 'utf8');
    await writeFile(file, '15\n');
    try {
      await expect(open(dataDir)).rejects.toMatchObject({ code: 'configuration-invalid', message: expect.stringMatching(/made by PostgreSQL 15, and this HealthVision brings 18/) as string });
    } finally {
      await writeFile(file, version);
    }
  });

  it("hands on PostgreSQL's own words when it cannot start", async () => {
    const { location } = await readState(dataDir);
    const file = join(location, 'postgresql.auto.conf');
    const before = await readFile(file, 'utf8');
    await writeFile(file, "shared_buffers = 'a lot'\n");
    try {
      await expect(open(dataDir)).rejects.toMatchObject({ code: 'database-unavailable', message: expect.stringMatching(/invalid value for parameter "shared_buffers": "a lot"/) as string });
    } finally {
      await writeFile(file, before);
    }
  });

  it('is one server for three processes that start at the same moment on an empty directory', async () => {
    const fresh = await newDataDir();
    const three = await Promise.all([member(fresh), member(fresh), member(fresh)]);
    expect(new Set(three.map(({ url }) => url)).size).toBe(1);
    const pids = await Promise.all(three.map(({ url }) => query<{ started: Date }>(url, 'SELECT pg_postmaster_start_time() AS started')));
    expect(new Set(pids.map(([row]) => row?.started.getTime())).size).toBe(1);
    await Promise.all(three.map((one) => one.close()));
    expect(await postmasterPid(fresh)).toBeNull();
  });

  const asRoot = isRoot ? it : it.skip;
  if (!isRoot) console.warn('Not run as root: the tests of closed folders and of other accounts are skipped.');

  asRoot('works as root in a folder that PostgreSQL cannot enter, says where its files are, and removes them on demand', async () => {
    const closed = await newDataDir(0o700);
    const first = await member(closed);
    const { location } = await readState(closed);
    expect(location).toMatch(/^\/var\/lib\/healthvision\/[0-9a-f]{12}\/postgres$/);
    expect(first.logs).toEqual([expect.stringContaining(`keeps its files in ${location}`)]);
    await first.close();
    const second = await member(closed);
    expect(second.url).toBe(first.url);
    expect(second.logs).toEqual([]);
    await expect(discardEmbeddedPostgres(closed)).rejects.toMatchObject({ code: 'database-unavailable' });
    await second.close();
    await discardEmbeddedPostgres(closed);
    expect(existsSync(location)).toBe(false);
    expect(await readdir(closed)).toEqual([]);
  });

  asRoot('serves an ordinary user, and root after it, as that user', async () => {
    const own = await newDataDir(0o700);
    const account = { uid: 65534, gid: 65534 };
    await chown(own, account.uid, account.gid);
    const { status } = spawnSync(process.execPath, ['--input-type=module', '-e', `await import('${compiled.folder}/src/kernel/errors.js')`], { ...account, cwd: '/' });
    if (status !== 0) {
      console.warn('The repository lies in a folder that other accounts cannot enter: the test of an ordinary user is skipped.');
      return;
    }
    const user = await member(own, account);
    const { location } = await readState(own);
    expect(location).toBe(join(own, 'postgres'));
    expect((await stat(join(location, 'PG_VERSION'))).uid).toBe(account.uid);
    const root = await member(own);
    expect(root.url).toBe(user.url);
    await user.close();
    await root.close();
    const again = await member(own, account);
    expect(await query(again.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await again.close();
    expect(await runningServer(location)).toBeNull();
  });

  asRoot('says that the disk is full', async () => {
    const small = join(await newDataDir(), 'small');
    await mkdir(small);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=12m,mode=0755', 'tmpfs', small]);
    if (mounted.status !== 0) {
      console.warn('No file system can be mounted here: the test of a full disk is skipped.');
      return;
    }
    try {
      await expect(open(small)).rejects.toMatchObject({ code: 'storage-full', message: expect.stringMatching(/No space left on device|No room is left/) as string });
      expect((await readdir(small)).filter((name) => name.startsWith('postgres.draft'))).toEqual([]);
    } finally {
      spawnSync('umount', [small]);
    }
  });
});

describe('the lock of a data directory', () => {
  it('lets one at a time in, and is not held by the dead', async () => {
    const folder = await newDataDir();
    const directory = join(folder, 'lock');
    const [, , place] = (await presenceName()).split('.');
    await mkdir(directory);
    await writeFile(join(directory, `ticket-1-4194000.1.${place ?? ''}.aaaaaaaa`), '');
    await writeFile(join(directory, `choosing-4194000.1.${place ?? ''}.bbbbbbbb`), '');
    let inside = 0;
    let most = 0;
    const turns = Array.from({ length: 12 }, () =>
      withProcessLock(directory, async () => {
        most = Math.max(most, ++inside);
        await sleep(5);
        inside--;
      }),
    );
    await Promise.all(turns);
    expect(most).toBe(1);
    expect(await readdir(directory)).toEqual([]);
  });

  it('is given back when the work fails, and is not waited for without end', async () => {
    const directory = join(await newDataDir(), 'lock');
    await expect(withProcessLock(directory, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await withProcessLock(directory, async () => {
      await expect(withProcessLock(directory, () => Promise.resolve(), 100)).rejects.toMatchObject({ code: 'database-unavailable' });
    });
  });

  it('trusts the heartbeat of a process in another container', async () => {
    const directory = await newDataDir();
    const foreign = '12.34567.0123456789.cccccccc';
    await writeFile(join(directory, foreign), '');
    expect(await isPresent(directory, foreign)).toBe(true);
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(join(directory, foreign), longAgo, longAgo);
    expect(await isPresent(directory, foreign)).toBe(false);
  });
});
