import type { Readable } from 'node:stream';

/** A stretch of a blob, in bytes. */
export interface ByteRange {
  offset: number;
  length: number;
}

/** What is known of a blob once all its bytes were written. */
export interface BlobDigest {
  sizeBytes: number;
  /** Hex. */
  sha256: string;
}

/**
 * A blob in the making: begin → write → commit. Nobody sees it before `commit` returned, and after that it survives a crash.
 * A draft that is neither committed nor aborted is swept at the next start.
 */
export interface BlobDraft {
  /**
   * Appends `source`, with backpressure. May be called more than once.
   * @throws AppError `storage-full`, `storage-unavailable`; whatever `source` throws
   */
  write(source: AsyncIterable<Uint8Array>): Promise<BlobDigest>;
  /** Bytes that were written, fewer at the end. */
  read(range: ByteRange): Promise<Uint8Array>;
  /** Makes the bytes durable under `key` (temp file, fsync, rename, fsync of the folder). @throws AppError `storage-full` */
  commit(key: string): Promise<void>;
  /** Drops the bytes. Harmless after `commit` or a second time. */
  abort(): Promise<void>;
}

/** Where bytes live: disk or S3. Keys are `a/b/c` of `[A-Za-z0-9._-]`, made by us and free of PHI. */
export abstract class BlobStore {
  abstract begin(): Promise<BlobDraft>;
  /** @throws AppError `blob-missing` */
  abstract open(key: string, range?: ByteRange): Promise<Readable>;
  /** The whole blob or a stretch, in memory. @throws AppError `blob-missing` */
  abstract read(key: string, range?: ByteRange): Promise<Uint8Array>;
  /** Harmless when there is no such blob. */
  abstract delete(key: string): Promise<void>;
  /** @throws AppError `storage-unavailable` when nothing can be written */
  abstract ping(): Promise<void>;

  /** A blob that is already in memory. */
  async put(key: string, bytes: Uint8Array): Promise<BlobDigest> {
    const draft = await this.begin();
    try {
      const digest = await draft.write([bytes] as unknown as AsyncIterable<Uint8Array>);
      await draft.commit(key);
      return digest;
    } finally {
      await draft.abort();
    }
  }
}
