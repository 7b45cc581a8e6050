import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../kernel/errors.js';
import { DataKey, type KeyVault } from '../crypto/key-vault.js';
import { BlobStore } from './blob-store.js';
import { ObjectStore, type ByteRange, type ObjectDraft, type ObjectReader } from './object-store.js';

const dataKey = new DataKey('0198c0de-0000-7000-8000-000000000001', randomBytes(32));
// The blobs ask the vault for keys by id and for nothing else.
const vault = { keyById: (id: string) => (id === dataKey.id ? Promise.resolve(dataKey) : Promise.reject(new AppError('key-destroyed'))) } as unknown as KeyVault;

/** What the store holds, open to tampering. */
class MemoryObjects extends ObjectStore {
  readonly objects = new Map<string, Buffer>();
  appends = 0;

  prepare(): Promise<void> { return Promise.resolve(); }
  ping(): Promise<void> { return Promise.resolve(); }
  delete(key: string): Promise<void> { this.objects.delete(key); return Promise.resolve(); }
  async *list(): AsyncGenerator<never> { /* nothing here lists */ }

  begin(): Promise<ObjectDraft> {
    let bytes = Buffer.alloc(0);
    return Promise.resolve({
      append: (...chunks) => { this.appends++; bytes = Buffer.concat([bytes, ...chunks]); return Promise.resolve(); },
      patch: (offset, patch) => { bytes.set(patch, offset); return Promise.resolve(); },
      read: ({ offset, length }) => Promise.resolve(bytes.subarray(offset, offset + length)),
      commit: (key) => { this.objects.set(key, bytes); return Promise.resolve(); },
      abort: () => Promise.resolve(),
    });
  }

  open(key: string): Promise<ObjectReader> {
    const bytes = this.objects.get(key);
    if (!bytes) return Promise.reject(new AppError('blob-missing'));
    return Promise.resolve({ sizeBytes: bytes.length, read: ({ offset, length }: ByteRange) => Promise.resolve(bytes.subarray(offset, offset + length)), close: () => Promise.resolve() });
  }
}

async function stored(bytes: Buffer, pieceBytes = 70_001): Promise<{ objects: MemoryObjects; blobs: BlobStore }> {
  const objects = new MemoryObjects();
  const blobs = new BlobStore(objects, vault);
  const draft = await blobs.begin();
  const pieces = Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, n) => bytes.subarray(n * pieceBytes, (n + 1) * pieceBytes));
  expect(await draft.write(Readable.from(pieces))).toEqual({ sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') });
  await draft.commit('a/b', dataKey);
  return { objects, blobs };
}

describe('blobs at rest', () => {
  it.each([0, 1, 65_535, 65_536, 65_537, 131_072, 3_000_000])('give back %i bytes whole, in stretches and as a stream', async (size) => {
    const bytes = randomBytes(size);
    const { objects, blobs } = await stored(bytes);
    expect(Buffer.from(await blobs.read('a/b')).equals(bytes)).toBe(true);
    for (const [offset, length] of [[0, 10], [65_530, 12], [size - 1, 100], [100_000, 1_700_000], [size, 5]] as const) {
      if (offset >= 0) expect(Buffer.from(await blobs.read('a/b', { offset, length })).equals(bytes.subarray(offset, offset + length))).toBe(true);
    }
    const pieces: Uint8Array[] = [];
    for await (const piece of (await blobs.open('a/b')).stream()) pieces.push(piece);
    expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
    if (size > 16) expect(objects.objects.get('a/b')?.includes(bytes.subarray(0, 16))).toBe(false);
  });

  it('let their writer read anything before the commit', async () => {
    const bytes = randomBytes(2_000_000);
    const draft = await new BlobStore(new MemoryObjects(), vault).begin();
    await draft.write(Readable.from([bytes]));
    for (const [offset, length] of [[0, 100], [65_500, 100], [1_999_000, 5_000], [200_000, 1_000_000], [0, 2_000_000]] as const) {
      expect(Buffer.from(await draft.read({ offset, length })).equals(bytes.subarray(offset, offset + length))).toBe(true);
    }
  });

  it('go to the store in one piece when they are small', async () => {
    const { objects } = await stored(randomBytes(100_000));
    expect(objects.appends).toBe(1);
  });

  it('are never served with a flipped bit, wherever it is', async () => {
    const { objects, blobs } = await stored(randomBytes(200_000));
    const good = objects.objects.get('a/b') ?? Buffer.alloc(0);
    for (const at of [0, 4, 10, 30, 60, 80, 96, 70_000, good.length - 1]) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] ?? 0) ^ 1;
      objects.objects.set('a/b', bad);
      await expect(blobs.read('a/b')).rejects.toMatchObject({ code: at === 10 ? 'key-destroyed' : 'blob-corrupt' });
    }
  });

  it('are never served cut off, reordered or under another name', async () => {
    const { objects, blobs } = await stored(randomBytes(65_536 * 3));
    const good = objects.objects.get('a/b') ?? Buffer.alloc(0);
    const chunk = 65_552;
    for (const bad of [good.subarray(0, good.length - 1), good.subarray(0, 96 + 2 * chunk), good.subarray(0, 96), good.subarray(0, 5),
      Buffer.concat([good.subarray(0, 96), good.subarray(96 + chunk, 96 + 2 * chunk), good.subarray(96, 96 + chunk), good.subarray(96 + 2 * chunk)])]) {
      objects.objects.set('a/b', bad);
      await expect(blobs.read('a/b')).rejects.toMatchObject({ code: 'blob-corrupt' });
    }
    objects.objects.set('x/y', good);
    await expect(blobs.read('x/y')).rejects.toMatchObject({ code: 'blob-corrupt' });
  });
});
