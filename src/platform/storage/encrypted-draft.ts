import { createHash, randomBytes } from 'node:crypto';
import { KEY_BYTES, type DataKey } from '../crypto/data-key.js';
import { blobContext, CHUNK_BYTES, decryptChunk, encodeHeader, encryptChunk, HEADER_BYTES, STORED_CHUNK_BYTES } from './blob-format.js';
import type { BlobDigest, BlobDraft } from './blob.js';
import type { ByteRange, ObjectDraft } from './object-store.js';

/** What is encrypted goes to the store in stretches of about this size: fewer calls, and no more memory. */
const FLUSH_BYTES = 8 * STORED_CHUNK_BYTES;
/** Read back in stretches of a mebibyte. */
const CHUNKS_AT_ONCE = 16;

/**
 * Encrypts what is written into it. The first chunk, which is where a reader of headers looks, and the last, which is sealed at
 * the commit only, are held in memory.
 */
export class EncryptedDraft implements BlobDraft {
  private readonly key = randomBytes(KEY_BYTES);
  private readonly hash = createHash('sha256');
  private sizeBytes = 0;
  /** Plaintext of the chunk that is being filled. */
  private pending = Buffer.allocUnsafe(CHUNK_BYTES);
  private pendingBytes = 0;
  /** Plaintext of the first chunk, once it is full. */
  private head: Buffer | undefined;
  private sealedChunks = 0;
  /** Ciphertext that the store has not got yet. */
  private unwritten: Buffer[] = [];
  private unwrittenBytes = 0;
  private writtenBytes = 0;

  private constructor(private readonly object: ObjectDraft) {}

  static begin(object: ObjectDraft): EncryptedDraft {
    const draft = new EncryptedDraft(object);
    // Room for the header, which is known at the commit.
    draft.queue(Buffer.alloc(HEADER_BYTES));
    return draft;
  }

  async write(source: AsyncIterable<Uint8Array>): Promise<BlobDigest> {
    for await (const chunk of source) {
      this.hash.update(chunk);
      this.sizeBytes += chunk.byteLength;
      for (let at = 0; at < chunk.byteLength;) {
        if (this.pendingBytes === CHUNK_BYTES) this.sealPending(false);
        const taken = Math.min(CHUNK_BYTES - this.pendingBytes, chunk.byteLength - at);
        this.pending.set(chunk.subarray(at, at + taken), this.pendingBytes);
        this.pendingBytes += taken;
        at += taken;
        if (this.unwrittenBytes >= FLUSH_BYTES) await this.flush();
      }
    }
    return { sizeBytes: this.sizeBytes, sha256: this.hash.copy().digest('hex') };
  }

  async read({ offset, length }: ByteRange): Promise<Uint8Array> {
    const end = Math.min(offset + length, this.sizeBytes);
    if (offset >= end) return new Uint8Array(0);
    const pendingFrom = this.sizeBytes - this.pendingBytes;
    if (offset >= pendingFrom) return this.pending.subarray(offset - pendingFrom, end - pendingFrom);
    if (this.head && end <= CHUNK_BYTES) return this.head.subarray(offset, end);
    await this.flush();
    const pieces: Uint8Array[] = [];
    const last = Math.floor((end - 1) / CHUNK_BYTES);
    for (let first = Math.floor(offset / CHUNK_BYTES); first <= last; first += CHUNKS_AT_ONCE) {
      for (const [n, chunk] of (await this.chunks(first, Math.min(CHUNKS_AT_ONCE, last - first + 1))).entries()) {
        const base = (first + n) * CHUNK_BYTES;
        pieces.push(chunk.subarray(Math.max(0, offset - base), end - base));
      }
    }
    return pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces);
  }

  async commit(key: string, dataKey: DataKey): Promise<void> {
    this.sealPending(true);
    const header = encodeHeader({ keyId: dataKey.id, sealedKey: dataKey.seal(this.key, blobContext(key)) });
    // Small blobs are still whole in memory: one write, header and all.
    if (this.writtenBytes === 0) this.unwritten[0] = header;
    else await this.object.patch(0, header);
    await this.flush();
    await this.object.commit(key);
  }

  async abort(): Promise<void> {
    this.unwritten = [];
    await this.object.abort();
  }

  private async chunks(first: number, count: number): Promise<Uint8Array[]> {
    const sealed = Math.min(count, this.sealedChunks - first);
    const stored = sealed > 0 ? await this.object.read({ offset: HEADER_BYTES + first * STORED_CHUNK_BYTES, length: sealed * STORED_CHUNK_BYTES }) : new Uint8Array(0);
    const chunks: Uint8Array[] = Array.from({ length: Math.max(0, sealed) }, (_, n) => decryptChunk(this.key, first + n, false, stored.subarray(n * STORED_CHUNK_BYTES, (n + 1) * STORED_CHUNK_BYTES)));
    return sealed < count ? [...chunks, this.pending.subarray(0, this.pendingBytes)] : chunks;
  }

  private sealPending(isLast: boolean): void {
    const plaintext = this.pending.subarray(0, this.pendingBytes);
    for (const part of encryptChunk(this.key, this.sealedChunks, isLast, plaintext)) this.queue(part);
    if (this.sealedChunks === 0 && !isLast) {
      this.head = this.pending;
      this.pending = Buffer.allocUnsafe(CHUNK_BYTES);
    }
    this.sealedChunks++;
    this.pendingBytes = 0;
  }

  private queue(bytes: Buffer): void {
    this.unwritten.push(bytes);
    this.unwrittenBytes += bytes.length;
  }

  private async flush(): Promise<void> {
    if (this.unwrittenBytes === 0) return;
    const [chunks, bytes] = [this.unwritten, this.unwrittenBytes];
    this.unwritten = [];
    this.unwrittenBytes = 0;
    await this.object.append(...chunks);
    this.writtenBytes += bytes;
  }
}
