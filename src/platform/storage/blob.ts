import type { DataKey } from '../crypto/data-key.js';
import type { ByteRange } from './object-store.js';

/** What is known of a blob once all its bytes were written. */
export interface BlobDigest {
  /** Of the bytes as they were given, before encryption. */
  sizeBytes: number;
  /** Hex, of the same bytes. */
  sha256: string;
}

/** A blob in the making. See `ObjectDraft`; offsets and sizes are those of the bytes before encryption. */
export interface BlobDraft {
  /**
   * Appends `source`, with backpressure. May be called more than once, before the first `read`.
   * @throws AppError `storage-full`, `storage-unavailable`; whatever `source` throws
   */
  write(source: AsyncIterable<Uint8Array>): Promise<BlobDigest>;
  /** Bytes that were written, fewer at the end. */
  read(range: ByteRange): Promise<Uint8Array>;
  /**
   * Makes the bytes durable under `key`, readable with `dataKey` alone.
   * @throws AppError `storage-full`, `storage-unavailable`
   */
  commit(key: string, dataKey: DataKey): Promise<void>;
  /** Drops the bytes. Harmless after `commit` or a second time. */
  abort(): Promise<void>;
}

/** A blob that is being read; close it. */
export interface BlobReader {
  readonly sizeBytes: number;
  /** @throws AppError `blob-corrupt` when a bit of the stretch is not what was written, `storage-unavailable` */
  read(range: ByteRange): Promise<Uint8Array>;
  /** The stretch, or all, piece by piece. Closes the blob at its end. */
  stream(range?: ByteRange): AsyncGenerator<Uint8Array>;
  close(): Promise<void>;
}
