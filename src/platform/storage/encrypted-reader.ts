import type { KeyVault } from '../crypto/key-vault.js';
import { BufferPool } from './buffer-pool.js';
import { blobContext, CHUNK_BYTES, chunkCount, corrupt, decodeHeader, decryptChunk, HEADER_BYTES, plainSize, STORED_CHUNK_BYTES } from './blob-format.js';
import type { BlobReader } from './blob.js';
import type { ByteRange, ObjectReader } from './object-store.js';

/** Ciphertext of a stream is read in stretches of 15 chunks: with the header just below a mebibyte, which S3 gives in its first answer. */
const CHUNKS_AT_ONCE = 15;
/** The first stretch comes along with the header: for most images the whole. */
const READ_AHEAD_BYTES = HEADER_BYTES + CHUNKS_AT_ONCE * STORED_CHUNK_BYTES;
/** Ciphertext is dropped as soon as it is decrypted. */
const CIPHERTEXT = new BufferPool(READ_AHEAD_BYTES, 8);
/** Below this a buffer of its own costs less than the room that a pooled one holds. */
const LEAST_POOLED_BYTES = 128 * 1024;

/** Decrypts the chunks that a stretch touches. */
export class EncryptedReader implements BlobReader {
  readonly sizeBytes: number;
  private readonly chunks: number;
  /** Stretches that are being decrypted. */
  private active = 0;

  private constructor(
    private readonly object: ObjectReader,
    private readonly key: Uint8Array,
    /** The beginning of the object. */
    private start: Uint8Array,
    /** Where it lies, when that is to be given back. */
    private pooled: Buffer | undefined,
  ) {
    this.sizeBytes = plainSize(object.sizeBytes);
    this.chunks = chunkCount(this.sizeBytes);
  }

  /** @param readsAll  false for callers that want a stretch of a large blob and not its beginning */
  static async open(object: ObjectReader, key: string, vault: KeyVault, readsAll: boolean): Promise<EncryptedReader> {
    const pooled = readsAll && object.sizeBytes >= LEAST_POOLED_BYTES ? CIPHERTEXT.take() : undefined;
    const start = await object.read({ offset: 0, length: readsAll ? READ_AHEAD_BYTES : HEADER_BYTES }, pooled);
    const { keyId, sealedKey } = decodeHeader(start);
    const dataKey = await vault.keyById(keyId);
    return new EncryptedReader(object, dataKey.open(sealedKey, blobContext(key)), start, pooled);
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
    if (this.pooled && this.active === 0) {
      CIPHERTEXT.giveBack(this.pooled);
      this.pooled = undefined;
      this.start = this.start.subarray(0, 0);
    }
    return this.object.close();
  }

  private async *pieces(range: ByteRange): AsyncGenerator<Uint8Array> {
    this.active++;
    try {
      yield* this.decrypted(range);
    } finally {
      this.active--;
    }
  }

  private async *decrypted({ offset, length }: ByteRange): AsyncGenerator<Uint8Array> {
    if (length === 0) {
      // Even nothing is proved to be what was written.
      if (this.sizeBytes === 0) this.decrypt(0, (await this.stored(0, 1)).bytes);
      return;
    }
    const end = offset + length;
    const lastChunk = Math.floor((end - 1) / CHUNK_BYTES);
    for (let first = Math.floor(offset / CHUNK_BYTES); first <= lastChunk; first += CHUNKS_AT_ONCE) {
      const count = Math.min(CHUNKS_AT_ONCE, lastChunk - first + 1);
      const { bytes, pooled } = await this.stored(first, count);
      for (let index = first; index < first + count; index++) {
        const at = (index - first) * STORED_CHUNK_BYTES;
        const chunk = this.decrypt(index, bytes.subarray(at, at + STORED_CHUNK_BYTES));
        const base = index * CHUNK_BYTES;
        yield base >= offset && base + chunk.length <= end ? chunk : chunk.subarray(Math.max(0, offset - base), end - base);
      }
      if (pooled) CIPHERTEXT.giveBack(pooled);
    }
  }

  /** @returns ciphertext of chunks, and the buffer that is to be given back behind it */
  private async stored(first: number, count: number): Promise<{ bytes: Uint8Array; pooled?: Buffer }> {
    const offset = HEADER_BYTES + first * STORED_CHUNK_BYTES;
    const length = Math.min(count * STORED_CHUNK_BYTES, this.object.sizeBytes - offset);
    if (offset + length <= this.start.length) return { bytes: this.start.subarray(offset, offset + length) };
    const pooled = length >= LEAST_POOLED_BYTES ? CIPHERTEXT.take() : undefined;
    const bytes = await this.object.read({ offset, length }, pooled);
    if (bytes.length !== length) throw corrupt('It has been cut off.');
    return { bytes, ...(pooled && { pooled }) };
  }

  private decrypt(index: number, stored: Uint8Array): Buffer {
    return decryptChunk(this.key, index, index === this.chunks - 1, stored);
  }
}
