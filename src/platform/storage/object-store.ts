/** A stretch of an object, in bytes. */
export interface ByteRange {
  offset: number;
  length: number;
}

/**
 * An object in the making: begin → write → commit. Nobody sees it before `commit` returned, and after that it survives a
 * crash. A draft that is neither committed nor aborted is swept at the next start.
 */
export interface ObjectDraft {
  /** Appends one after the other. @throws AppError `storage-full`, `storage-unavailable` */
  append(...chunks: Uint8Array[]): Promise<void>;
  /** Overwrites bytes that were appended before. @throws AppError `storage-full`, `storage-unavailable` */
  patch(offset: number, bytes: Uint8Array): Promise<void>;
  /** Bytes that were appended, fewer at the end. */
  read(range: ByteRange): Promise<Uint8Array>;
  /**
   * Makes the bytes durable under `key`: on disk by fsync, rename and fsync of the folder, on S3 by its acknowledgement.
   * @throws AppError `storage-full`, `storage-unavailable`
   */
  commit(key: string): Promise<void>;
  /** Drops the bytes. Harmless after `commit` or a second time. */
  abort(): Promise<void>;
}

/** An object that is being read: any number of stretches of the same bytes, whatever happens to its key meanwhile. */
export interface ObjectReader {
  readonly sizeBytes: number;
  /**
   * Fewer bytes at the end of the object.
   *
   * @param into  of at least that length; a store may put the bytes there and answer with the filled part
   * @throws AppError `blob-missing`, `storage-unavailable`
   */
  read(range: ByteRange, into?: Uint8Array): Promise<Uint8Array>;
  close(): Promise<void>;
}

/**
 * Where bytes lie as they are, disk or S3; what is in them was encrypted before (`BlobStore`). Keys are `a/b/c` of
 * `[A-Za-z0-9._-]`, made by us and free of PHI.
 */
export abstract class ObjectStore {
  /** Makes what is missing and sweeps what dead processes left. @throws AppError `storage-unavailable` */
  abstract prepare(): Promise<void>;
  /** @throws AppError `storage-full` when the reserve is all that is left, `storage-unavailable` */
  abstract begin(): Promise<ObjectDraft>;
  /** @throws AppError `blob-missing`, `storage-unavailable` */
  abstract open(key: string): Promise<ObjectReader>;
  /** Harmless when there is no such object. */
  abstract delete(key: string): Promise<void>;
  /** Every key that begins with `prefix`, in no order; for sweeps and backups. */
  abstract list(prefix: string): AsyncIterable<{ key: string; sizeBytes: number; modifiedAt: Date }>;
  /** @throws AppError `storage-unavailable` when nothing can be written */
  abstract ping(): Promise<void>;
}

/** Keys are paths of the store: nothing may leave its folder or need escaping. */
export const OBJECT_KEY = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;

