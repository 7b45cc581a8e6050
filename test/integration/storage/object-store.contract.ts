import { randomBytes } from 'node:crypto';
import { readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { presenceName } from '../../../src/platform/database/embedded-presence.js';
import { DiskGuard } from '../../../src/platform/storage/disk-guard.js';
import type { ObjectStore } from '../../../src/platform/storage/object-store.js';

const MiB = 1024 * 1024;

export interface StoreUnderTest {
  /** Prepared, and empty. */
  store: ObjectStore;
  /** Where its drafts lie. */
  draftFolder: string;
  /** Another instance on the same objects and drafts, not prepared yet. */
  again(): ObjectStore;
  close(): Promise<void>;
}

export interface Traits {
  /** An open object stays readable when its key goes. Otherwise what has not been read ahead is missing. */
  survivesDelete: boolean;
}

/** A disk of this many free bytes, which a test can change, with 1000 bytes of reserve. */
export class PretendedDisk {
  freeBytes = 1e12;
  readonly guard = (folder: string): DiskGuard => new DiskGuard(folder, 1000, () => Promise.resolve({ bsize: 1, bavail: this.freeBytes, bfree: this.freeBytes, blocks: this.freeBytes }));
}

export async function putObject(store: ObjectStore, key: string, bytes: Uint8Array): Promise<void> {
  const draft = await store.begin();
  try {
    for (let at = 0; at < bytes.length; at += MiB) await draft.append(bytes.subarray(at, at + MiB));
    await draft.commit(key);
  } finally {
    await draft.abort();
  }
}

export async function readObject(store: ObjectStore, key: string): Promise<Buffer> {
  const reader = await store.open(key);
  try {
    return Buffer.from(await reader.read({ offset: 0, length: reader.sizeBytes }));
  } finally {
    await reader.close();
  }
}

export async function keysOf(store: ObjectStore, prefix = ''): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys.sort();
}

/** What every object store does, whatever it is made of. */
export function objectStoreContract(name: string, { survivesDelete }: Traits, open: (disk: PretendedDisk) => Promise<StoreUnderTest>): void {
  describe(`an object store ${name}`, () => {
    let disk: PretendedDisk;
    let under: StoreUnderTest;
    let store: ObjectStore;
    const drafts = (): string[] => readdirSync(under.draftFolder);

    beforeEach(async () => {
      disk = new PretendedDisk();
      under = await open(disk);
      store = under.store;
    });

    afterEach(async () => {
      await under.close();
    });

    it.each([0, 1, 300_000, MiB + 1, 8 * MiB, 8 * MiB + 1, 19 * MiB + 7])('gives back %i bytes, whole and in stretches', async (size) => {
      const bytes = randomBytes(size);
      await putObject(store, 'a/b/c', bytes);
      expect(drafts()).toEqual([]);
      expect((await readObject(store, 'a/b/c')).equals(bytes)).toBe(true);
      const reader = await store.open('a/b/c');
      expect(reader.sizeBytes).toBe(size);
      for (const [offset, length] of [[10, 5], [size - 1, 50], [MiB - 3, 6], [5 * MiB, 3 * MiB], [0, 7], [7, 9], [16, size], [size, 10], [size + 5, 10]] as const) {
        if (offset >= 0) expect(Buffer.from(await reader.read({ offset, length })).equals(bytes.subarray(offset, offset + length)), `${String(offset)}+${String(length)}`).toBe(true);
      }
      await reader.close();
      await reader.close();
    });

    it('streams a large object from its beginning, from its middle, and by several at once', async () => {
      const bytes = randomBytes(19 * MiB + 7);
      await putObject(store, 'large', bytes);
      const stream = async (from: number, step: number): Promise<void> => {
        const reader = await store.open('large');
        for (let offset = from; offset < bytes.length; offset += step) {
          expect(Buffer.from(await reader.read({ offset, length: step })).equals(bytes.subarray(offset, offset + step)), `at ${String(offset)}`).toBe(true);
        }
        await reader.close();
      };
      await Promise.all([stream(0, MiB + 256), stream(0, 3_000_000), stream(7 * MiB, 700_001)]);
      const reader = await store.open('large');
      const stretches = await Promise.all([0, 9 * MiB, 3, 17 * MiB, 9 * MiB].map((offset) => reader.read({ offset, length: 2 * MiB })));
      expect([0, 9 * MiB, 3, 17 * MiB, 9 * MiB].every((offset, n) => bytes.subarray(offset, offset + 2 * MiB).equals(stretches[n] ?? Buffer.alloc(0)))).toBe(true);
      await reader.close();
    });

    it('shows nothing before the commit, and lets the writer read and change its draft', async () => {
      const draft = await store.begin();
      expect(await draft.read({ offset: 0, length: 10 })).toHaveLength(0);
      await draft.append(Buffer.from('jello '));
      await draft.append(Buffer.from('world'));
      await draft.patch(0, Buffer.from('h'));
      expect(Buffer.from(await draft.read({ offset: 4, length: 100 })).toString()).toBe('o world');
      await expect(draft.patch(10, Buffer.from('xy'))).rejects.toMatchObject({ code: 'internal' });
      await expect(store.open('x/y')).rejects.toMatchObject({ code: 'blob-missing' });
      expect(await keysOf(store)).toEqual([]);
      await draft.commit('x/y');
      expect((await readObject(store, 'x/y')).toString()).toBe('hello world');
      await draft.abort();
      expect((await readObject(under.again(), 'x/y')).toString()).toBe('hello world');
    });

    it('keeps nothing of a draft that is dropped', async () => {
      const draft = await store.begin();
      await draft.append(randomBytes(9 * MiB));
      expect(drafts()).toHaveLength(1);
      await draft.abort();
      await draft.abort();
      expect(drafts()).toEqual([]);
      await expect(draft.append(Buffer.from('late'))).rejects.toMatchObject({ code: 'internal' });
      expect(drafts()).toEqual([]);
      expect(await keysOf(store)).toEqual([]);
    });

    it('commits nothing that the disk did not keep', async () => {
      const draft = await store.begin();
      await draft.append(randomBytes(1000));
      truncateSync(join(under.draftFolder, drafts()[0] ?? ''), 999);
      await expect(draft.commit('a/b')).rejects.toMatchObject({ code: 'storage-full' });
      await draft.abort();
      await expect(store.open('a/b')).rejects.toMatchObject({ code: 'blob-missing' });
      expect(drafts()).toEqual([]);
    });

    it('takes many at once', async () => {
      const bytes = Array.from({ length: 60 }, () => randomBytes(50_000));
      await Promise.all(bytes.map((one, n) => putObject(store, `folder-${String(n % 7)}/${String(n)}`, one)));
      expect(await keysOf(store)).toHaveLength(60);
      const same = await Promise.all(bytes.map(async (one, n) => (await readObject(store, `folder-${String(n % 7)}/${String(n)}`)).equals(one)));
      expect(same.every(Boolean)).toBe(true);
    });

    it('deletes, also what is not there, and takes the same key again', async () => {
      await putObject(store, 'a/k', Buffer.from('1'));
      await store.delete('a/k');
      await store.delete('a/k');
      await store.delete('never/was');
      await expect(store.open('a/k')).rejects.toMatchObject({ code: 'blob-missing' });
      await putObject(store, 'a/k', Buffer.from('2'));
      expect((await readObject(store, 'a/k')).toString()).toBe('2');
    });

    it('never gives bytes of another object, when a key goes or changes hands while it is read', async () => {
      const [before, after] = [randomBytes(11 * MiB), randomBytes(11 * MiB)];
      for (const change of ['delete', 'overwrite'] as const) {
        await putObject(store, 'k/changing', before);
        const reader = await store.open('k/changing');
        await reader.read({ offset: 0, length: 96 });
        if (change === 'delete') await store.delete('k/changing');
        else await putObject(store, 'k/changing', after);
        const rest = reader.read({ offset: 2 * MiB, length: 9 * MiB });
        if (survivesDelete) expect(before.subarray(2 * MiB).equals(await rest)).toBe(true);
        else await expect(rest).rejects.toMatchObject({ code: 'blob-missing' });
        await reader.close();
      }
      expect((await readObject(store, 'k/changing')).equals(after)).toBe(true);
    });

    it('lists what begins with a prefix', async () => {
      const begun = Date.now();
      for (const key of ['a/b/one', 'a/b/two', 'a/bc/three', 'b/four', 'five']) await putObject(store, key, Buffer.from(key));
      expect(await keysOf(store)).toEqual(['a/b/one', 'a/b/two', 'a/bc/three', 'b/four', 'five']);
      expect(await keysOf(store, 'a/b')).toEqual(['a/b/one', 'a/b/two', 'a/bc/three']);
      expect(await keysOf(store, 'a/b/')).toEqual(['a/b/one', 'a/b/two']);
      expect(await keysOf(store, 'a/b/t')).toEqual(['a/b/two']);
      expect(await keysOf(store, 'f')).toEqual(['five']);
      expect(await keysOf(store, 'a/b/one/none')).toEqual([]);
      expect(await keysOf(store, 'z/')).toEqual([]);
      for await (const { sizeBytes, modifiedAt } of store.list('b/four')) {
        expect(sizeBytes).toBe(6);
        // S3 tells whole seconds.
        expect(Math.abs(modifiedAt.getTime() - begun)).toBeLessThan(30_000);
      }
    });

    it.each(['../up', 'a/../../b', '/abs', 'a//b', 'a/', 'a/.hidden', 'nul\0', 'a b', ''])('refuses the key %j', async (key) => {
      await expect(store.open(key)).rejects.toMatchObject({ code: 'internal' });
      await expect(store.delete(key)).rejects.toMatchObject({ code: 'internal' });
      const draft = await store.begin();
      await draft.append(Buffer.from('x'));
      await expect(draft.commit(key)).rejects.toMatchObject({ code: 'internal' });
      await draft.abort();
      if (key !== '' && key !== 'a/') await expect(keysOf(store, key)).rejects.toMatchObject({ code: 'internal' });
    });

    it('takes nothing any more when the reserve is all that is left; it reads, deletes and answers', async () => {
      await putObject(store, 'a/kept', Buffer.from('kept'));
      const draft = await store.begin();
      await draft.append(randomBytes(100));
      disk.freeBytes = 1000;
      // An answer counts for a second.
      await new Promise((resolve) => setTimeout(resolve, 1_050));
      await expect(store.begin()).rejects.toMatchObject({ code: 'storage-full', status: 507 });
      await expect(draft.append(randomBytes(17 * MiB))).rejects.toMatchObject({ code: 'storage-full' });
      await draft.abort();
      expect((await readObject(store, 'a/kept')).toString()).toBe('kept');
      await store.ping();
      await store.delete('a/kept');
      expect(await keysOf(store)).toEqual([]);
      disk.freeBytes = 1001;
      await new Promise((resolve) => setTimeout(resolve, 1_050));
      await (await store.begin()).abort();
    });

    it('sweeps at its start what dead processes left, and nothing of those that live', async () => {
      const mine = await store.begin();
      await mine.append(Buffer.from('still being written'));
      const [pid, startedAt, place] = (await presenceName()).split('.');
      const living = drafts();
      writeFileSync(join(under.draftFolder, `999999999.1.${String(place)}.aaaa.left`), 'x');
      writeFileSync(join(under.draftFolder, `${String(pid)}.${String(Number(startedAt) - 1)}.${String(place)}.aaaa.of-an-earlier-process-with-our-pid`), 'x');
      writeFileSync(join(under.draftFolder, '1.1.elsewhere.bbbb.at-work'), 'x');
      await under.again().prepare();
      expect(drafts().sort()).toEqual([...living, '1.1.elsewhere.bbbb.at-work'].sort());
      await mine.commit('a/mine');
      expect((await readObject(store, 'a/mine')).toString()).toBe('still being written');
    });

    it('answers a ping, and leaves nothing behind by it', async () => {
      await Promise.all([store.ping(), store.ping(), store.ping()]);
      expect(drafts()).toEqual([]);
      expect(await keysOf(store)).toEqual([]);
    });
  });
}
