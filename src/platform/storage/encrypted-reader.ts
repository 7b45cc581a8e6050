import type { KeyVault } from '../crypto/key-vault.js';
import { blobContext, CHUNK_BYTES, chunkCount, corrupt, decodeHeader, decryptChunk, HEADER_BYTES, plainSize, STORED_CHUNK_BYTES } from './blob-format.js';
import type { BlobReader } from './blob.js';
import type { ByteRange, ObjectReader } from './object-store.js';

/** Ciphertext of a stream is read in stretches of 16 chunks, about a mebibyte. */
const CHUNKS_AT_ONCE = 16;
/** Comes along with the header: for most images the whole. */
const READ_AHEAD_BYTES = HEADER_BYTES + 12 * STORED_CHUNK_BYTES;

/** Decrypts the chunks that a stretch touches. */
export class EncryptedReader implements BlobReader {
  readonly sizeBytes: number;
  private readonly chunks: number;

  private constructor(
    private readonly object: ObjectReader,
    private readonly key: Uint8Array,
    /** The beginning of the object. */
    private readonly start: Uint8Array,
  ) {
    this.sizeBytes = plainSize(object.sizeBytes);
    this.chunks = chunkCount(this.sizeBytes);
  }

  /** @param readsAll  false for callers that want a stretch of a large blob and not its beginning */
  static async open(object: ObjectReader, key: string, vault: KeyVault, readsAll: boolean): Promise<EncryptedReader> {
    const start = await object.read({ offset: 0, length: readsAll ? READ_AHEAD_BYTES : HEADER_BYTES });
    const { keyId, sealedKey } = decodeHeader(start);
    const dataKey = await vault.keyById(keyId);
    return new EncryptedReader(object, dataKey.open(sealedKey, blobContext(key)), start);
  }

  async read(range: ByteRange): Promise<Uint8Array> {
    const length = Math.max(0, Math.min(range.length, this.sizeBytes - range.offset));
    const out = Buffer.allocUnsafe(length);
    let filled = 0;
    for await (const piece of this.pieces({ offset: range.offset, length })) {
      out.set(piece, filled);
      filled += piece.length;
    }
    return out;
  }

  async *stream(range: ByteRange = { offset: 0, length: this.sizeBytes }): AsyncGenerator<Uint8Array> {
    try {
      yield* this.pieces({ offset: range.offset, length: Math.max(0, Math.min(range.length, this.sizeBytes - range.offset)) });
    } finally {
      await this.close();
    }
  }

  close(): Promise<void> {
    return this.object.close();
  }

  private async *pieces({ offset, length }: ByteRange): AsyncGenerator<Uint8Array> {
    if (length === 0) {
      // Even nothing is proved to be what was written.
      if (this.sizeBytes === 0) this.decrypt(0, await this.stored(0, 1));
      return;
    }
    const end = offset + length;
    const lastChunk = Math.floor((end - 1) / CHUNK_BYTES);
    for (let first = Math.floor(offset / CHUNK_BYTES); first <= lastChunk; first += CHUNKS_AT_ONCE) {
      const count = Math.min(CHUNKS_AT_ONCE, lastChunk - first + 1);
      const stored = await this.stored(first, count);
      for (let index = first; index < first + count; index++) {
        const at = (index - first) * STORED_CHUNK_BYTES;
        const chunk = this.decrypt(index, stored.subarray(at, at + STORED_CHUNK_BYTES));
        const base = index * CHUNK_BYTES;
        yield base >= offset && base + chunk.length <= end ? chunk : chunk.subarray(Math.max(0, offset - base), end - base);
      }
    }
  }

  private async stored(first: number, count: number): Promise<Uint8Array> {
    const offset = HEADER_BYTES + first * STORED_CHUNK_BYTES;
    const length = Math.min(count * STORED_CHUNK_BYTES, this.object.sizeBytes - offset);
    if (offset + length <= this.start.length) return this.start.subarray(offset, offset + length);
    const stored = await this.object.read({ offset, length });
    if (stored.length !== length) throw corrupt('It has been cut off.');
    return stored;
  }

  private decrypt(index: number, stored: Uint8Array): Buffer {
    return decryptChunk(this.key, index, index === this.chunks - 1, stored);
  }
}
