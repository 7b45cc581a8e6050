import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DiskGuard } from '../../../src/platform/storage/disk-guard.js';
import { DiskObjectStore } from '../../../src/platform/storage/disk-object-store.js';
import { ROOT, temporaryDirectory } from '../../support/product.js';
import { keysOf, objectStoreContract, PretendedDisk, putObject, readObject } from './object-store.contract.js';

objectStoreContract('on disk', { survivesDelete: true }, async (disk) => {
  const root = temporaryDirectory();
  const again = (): DiskObjectStore => new DiskObjectStore(root, disk.guard(root));
  const store = again();
  await store.prepare();
  return { store, again, draftFolder: join(root, 'drafts'), close: () => { rmSync(root, { recursive: true, force: true }); return Promise.resolve(); } };
});

describe('the object store on disk', () => {
  let root: string;
  let store: DiskObjectStore;

  beforeEach(async () => {
    root = temporaryDirectory();
    store = new DiskObjectStore(root, new PretendedDisk().guard(root));
    await store.prepare();
  });

  afterEach(() => { rmSync(root, { recursive: true, force: true }); });

  it('keeps files and folders to its own account', async () => {
    await putObject(store, 'a/b', Buffer.from('x'));
    expect(statSync(join(root, 'objects', 'a', 'b')).mode & 0o777).toBe(0o600);
    for (const folder of ['objects', 'drafts', 'objects/a']) expect(statSync(join(root, folder)).mode & 0o777).toBe(0o700);
  });

  it('writes no file for a draft into which nothing is written', async () => {
    const draft = await store.begin();
    expect(readdirSync(join(root, 'drafts'))).toEqual([]);
    await draft.abort();
  });

  it('removes a folder with its last object, while others are put there', async () => {
    await putObject(store, 'i/study/one', Buffer.from('1'));
    await store.delete('i/study/one');
    expect(existsSync(join(root, 'objects', 'i', 'study'))).toBe(false);
    const other = new DiskObjectStore(root, new PretendedDisk().guard(root));
    await Promise.all(Array.from({ length: 100 }, async (_, n) => {
      const [mine, theirs] = n % 2 === 0 ? [store, other] : [other, store];
      await putObject(mine, `i/study/${String(n)}`, Buffer.from(String(n)));
      if (n % 5 !== 0) await theirs.delete(`i/study/${String(n)}`);
    }));
    expect(await keysOf(store)).toEqual(Array.from({ length: 20 }, (_, n) => `i/study/${String(n * 5)}`).sort());
    expect((await readObject(store, 'i/study/95')).toString()).toBe('95');
  });

  it('makes a folder again that somebody took away', async () => {
    await putObject(store, 'i/study/one', Buffer.from('1'));
    rmSync(join(root, 'objects', 'i'), { recursive: true });
    await putObject(store, 'i/study/two', Buffer.from('2'));
    expect(await keysOf(store)).toEqual(['i/study/two']);
  });

  it('lists no file that it did not make', async () => {
    await putObject(store, 'a/b', Buffer.from('x'));
    mkdirSync(join(root, 'objects', 'lost+found'));
    writeFileSync(join(root, 'objects', 'a', '.nfs0001'), 'x');
    expect(await keysOf(store)).toEqual(['a/b']);
  });

  it('sweeps drafts of other machines once nobody has written to them for an hour', async () => {
    for (const name of ['1.1.elsewhere.aaaa.quiet', '1.1.elsewhere.aaaa.at-work']) writeFileSync(join(root, 'drafts', name), 'x');
    const longAgo = new Date(Date.now() - 3_700_000);
    utimesSync(join(root, 'drafts', '1.1.elsewhere.aaaa.quiet'), longAgo, longAgo);
    await store.prepare();
    expect(readdirSync(join(root, 'drafts'))).toEqual(['1.1.elsewhere.aaaa.at-work']);
  });

  it('is unavailable when its folder cannot be had', async () => {
    const file = join(root, 'file');
    writeFileSync(file, 'x');
    await expect(new DiskObjectStore(join(file, 'below'), new DiskGuard(root, 0)).prepare()).rejects.toMatchObject({ code: 'storage-unavailable' });
    await expect(new DiskObjectStore(root, new DiskGuard(join(root, 'nowhere'), 0)).begin()).rejects.toMatchObject({ code: 'storage-unavailable' });
    rmSync(join(root, 'drafts'), { recursive: true });
    await expect(store.ping()).rejects.toMatchObject({ code: 'storage-unavailable' });
    const draft = await store.begin();
    await expect(draft.append(Buffer.from('x'))).rejects.toMatchObject({ code: 'storage-unavailable' });
  });

  it('has, after 12 killed writers, whatever was acknowledged and nothing that is not whole', async () => {
    const acknowledged: string[] = [];
    for (let run = 0; run < 12; run++) {
      const child = spawn(process.execPath, [join(import.meta.dirname, 'writer.mjs'), join(ROOT, 'dist'), root, `run-${String(run)}`], { stdio: ['ignore', 'pipe', 'inherit'] });
      const ended = once(child, 'close');
      const lines = createInterface({ input: child.stdout });
      lines.on('line', (line) => { acknowledged.push(line); });
      await once(lines, 'line');
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 100));
      child.kill('SIGKILL');
      await ended;
    }
    expect(readdirSync(join(root, 'drafts')).length).toBeGreaterThan(0);
    await store.prepare();
    expect(readdirSync(join(root, 'drafts'))).toEqual([]);
    const keys = await keysOf(store);
    expect(acknowledged.length).toBeGreaterThan(12);
    expect(acknowledged.filter((key) => !keys.includes(key))).toEqual([]);
    for (const key of keys) {
      const bytes = await readObject(store, key);
      expect([bytes.length, bytes.subarray(0, 4).equals(bytes.subarray(-4))], key).toEqual([200_008, true]);
    }
  });
});

describe('a disk of 12 MiB', () => {
  let mounted: string | undefined;

  beforeEach(() => {
    const folder = temporaryDirectory();
    const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=12m,mode=0700', 'tmpfs', folder], { stdio: 'ignore' });
    mounted = status === 0 ? folder : undefined;
    if (status !== 0) console.warn('SKIPPED: no file system can be mounted here; a disk that is really full is not tested');
  });

  afterEach(() => {
    if (mounted === undefined) return;
    spawnSync('umount', [mounted]);
    rmSync(mounted, { recursive: true, force: true });
  });

  it('is left its reserve: 507 comes before the disk is full, and what is stored is read and deleted', async ({ skip }) => {
    if (mounted === undefined) {
      skip();
      return;
    }
    const store = new DiskObjectStore(mounted, new DiskGuard(mounted, 6 * 1024 * 1024));
    await store.prepare();
    const bytes = randomBytes(2 * 1024 * 1024);
    let stored = 0;
    const fill = async (): Promise<void> => {
      for (;;) {
        await putObject(store, `a/${String(stored)}`, bytes);
        stored++;
        await new Promise((resolve) => setTimeout(resolve, 1_010));
      }
    };
    await expect(fill()).rejects.toMatchObject({ code: 'storage-full' });
    expect(stored).toBeGreaterThanOrEqual(2);
    expect((await new DiskGuard(mounted, 0).room()).freeBytes).toBeGreaterThan(3 * 1024 * 1024);
    for (let n = 0; n < stored; n++) expect((await readObject(store, `a/${String(n)}`)).equals(bytes)).toBe(true);
    await store.delete('a/0');
    await new Promise((resolve) => setTimeout(resolve, 1_010));
    await putObject(store, 'a/0', bytes);
  });

  it('without a reserve is full in the middle of a draft: coded, nothing is left, reads and pings go on', async ({ skip }) => {
    if (mounted === undefined) {
      skip();
      return;
    }
    const store = new DiskObjectStore(mounted, new DiskGuard(mounted, 0));
    await store.prepare();
    const kept = randomBytes(1024 * 1024);
    await putObject(store, 'a/kept', kept);
    const draft = await store.begin();
    const fill = async (): Promise<void> => {
      for (;;) await draft.append(kept);
    };
    await expect(fill()).rejects.toMatchObject({ code: 'storage-full' });
    await store.ping();
    expect((await readObject(store, 'a/kept')).equals(kept)).toBe(true);
    await draft.abort();
    expect(readdirSync(join(mounted, 'drafts'))).toEqual([]);
    await putObject(store, 'a/next', kept);
    expect(await keysOf(store)).toEqual(['a/kept', 'a/next']);
  });
});
