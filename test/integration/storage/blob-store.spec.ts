import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { beforeEach, describe, expect, it } from 'vitest';
import { DiskBlobStore } from '../../../src/platform/storage/disk-blob-store.js';
import { temporaryDirectory } from '../../support/product.js';

let root: string;
let store: DiskBlobStore;

beforeEach(async () => {
  root = temporaryDirectory();
  store = new DiskBlobStore(root);
  await store.prepare();
});

describe('the blob store on disk', () => {
  it('gives back what was put, whole, as a stream and in ranges', async () => {
    const bytes = randomBytes(300_000);
    const digest = await store.put('a/b/c', bytes);
    expect(digest).toEqual({ sizeBytes: 300_000, sha256: createHash('sha256').update(bytes).digest('hex') });
    expect(Buffer.from(await store.read('a/b/c')).equals(bytes)).toBe(true);
    expect((await buffer(await store.open('a/b/c'))).equals(bytes)).toBe(true);
    expect((await buffer(await store.open('a/b/c', { offset: 10, length: 5 }))).equals(bytes.subarray(10, 15))).toBe(true);
    expect(Buffer.from(await store.read('a/b/c', { offset: 299_999, length: 50 })).equals(bytes.subarray(299_999))).toBe(true);
  });

  it('shows nothing before the commit, and lets the writer read its draft', async () => {
    const draft = await store.begin();
    await draft.write(Readable.from([Buffer.from('hello '), Buffer.from('world')]));
    expect(Buffer.from(await draft.read({ offset: 6, length: 100 })).toString()).toBe('world');
    await expect(store.read('x/y')).rejects.toMatchObject({ code: 'blob-missing' });
    await draft.commit('x/y');
    expect(Buffer.from(await store.read('x/y')).toString()).toBe('hello world');
  });

  it('commits nothing that the disk did not keep', async () => {
    const draft = await store.begin();
    await draft.write(Readable.from([randomBytes(1000)]));
    truncateSync(join(root, 'drafts', readdirSync(join(root, 'drafts'))[0] ?? ''), 999);
    await expect(draft.commit('a/b')).rejects.toMatchObject({ code: 'storage-full' });
    await draft.abort();
    await expect(store.read('a/b')).rejects.toMatchObject({ code: 'blob-missing' });
    expect(readdirSync(join(root, 'drafts'))).toEqual([]);
  });

  it('leaves nothing behind when a source breaks', async () => {
    const draft = await store.begin();
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(Buffer.from('half'));
      throw new Error('cut');
    }
    await expect(draft.write(broken())).rejects.toThrow('cut');
    await draft.abort();
    expect(readdirSync(join(root, 'drafts'))).toEqual([]);
  });

  it('sweeps the drafts of this host’s processes that are gone', async () => {
    const here = hostname().replaceAll(/[^A-Za-z0-9.-]/g, '-');
    writeFileSync(join(root, 'drafts', `${here}~999999999~left`), 'x');
    writeFileSync(join(root, 'drafts', 'another-host~1~at-work'), 'x');
    await new DiskBlobStore(root).prepare();
    expect(readdirSync(join(root, 'drafts'))).toEqual(['another-host~1~at-work']);
  });

  it.each(['../up', 'a/../../b', '/abs', 'a//b', 'a/.hidden', 'nul\0'])('refuses the key %j', async (key) => {
    await expect(store.read(key)).rejects.toMatchObject({ code: 'internal' });
  });

  it('deletes, also what is not there', async () => {
    await store.put('k', Buffer.from('1'));
    await store.delete('k');
    await store.delete('k');
    await expect(store.open('k')).rejects.toMatchObject({ code: 'blob-missing' });
  });
});
