import { Injectable } from '@nestjs/common';
import { BlobStore, type ByteRange } from '../../platform/storage/blob-store.js';
import type { ByteSource } from './byte-source.js';

/** A file of a request that has to wait, or that is read back and forth. */
export interface SpooledFile {
  sizeBytes: number;
  /** Fewer bytes at the end. @throws AppError `blob-corrupt`, `storage-unavailable` */
  read(range: ByteRange): Promise<Uint8Array>;
  /** Harmless a second time. */
  remove(): Promise<void>;
}

/** Archives and pictures while their request lasts: drafts of the blob store that are never committed, so encrypted under a key that is in memory only. */
@Injectable()
export class UploadArea {
  constructor(private readonly blobs: BlobStore) {}

  /** Writes `source` to a file; nothing stays behind when that fails. @throws AppError `storage-full`, `storage-unavailable`; what `source` throws */
  async spool(source: ByteSource): Promise<SpooledFile> {
    const draft = await this.blobs.begin();
    try {
      const { sizeBytes } = await draft.write(source);
      return { sizeBytes, read: (range) => draft.read(range), remove: () => draft.abort() };
    } catch (error) {
      await draft.abort();
      throw error;
    }
  }
}
