import { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import type { DataKey } from '../crypto/data-key.js';
import { KeyVault } from '../crypto/key-vault.js';
import type { BlobDigest, BlobDraft, BlobReader } from './blob.js';
import { EncryptedDraft } from './encrypted-draft.js';
import { EncryptedReader } from './encrypted-reader.js';
import { ObjectStore, type ByteRange } from './object-store.js';

export type { BlobDigest, BlobDraft, BlobReader } from './blob.js';
export type { ByteRange } from './object-store.js';

/**
 * Bytes at rest, encrypted with AES-256-GCM in chunks of 64 KiB, so that any stretch is read without the rest. Every blob has
 * a key of its own, wrapped by a data key whose id stands in its header. @see docs/decisions/0013-encryption-at-rest.md
 */
@Injectable()
export class BlobStore {
  constructor(
    private readonly objects: ObjectStore,
    private readonly vault: KeyVault,
  ) {}

  /** @throws AppError `storage-full`, `storage-unavailable` */
  async begin(): Promise<BlobDraft> {
    return EncryptedDraft.begin(await this.objects.begin());
  }

  /**
   * @param use  `stretch` when the beginning of the blob is not what will be read
   * @throws AppError `blob-missing`, `blob-corrupt`, `key-destroyed`, `storage-unavailable`
   */
  async open(key: string, use: 'all' | 'stretch' = 'all'): Promise<BlobReader> {
    const object = await this.objects.open(key);
    try {
      return await EncryptedReader.open(object, key, this.vault, use === 'all');
    } catch (error) {
      await object.close();
      throw error;
    }
  }

  /** The whole blob or a stretch, in memory. Throws as `open` and `BlobReader.read` do. */
  async read(key: string, range?: ByteRange): Promise<Uint8Array> {
    const reader = await this.open(key, range ? 'stretch' : 'all');
    try {
      return await reader.read(range ?? { offset: 0, length: reader.sizeBytes });
    } finally {
      await reader.close();
    }
  }

  /** Harmless when there is no such blob. */
  delete(key: string): Promise<void> {
    return this.objects.delete(key);
  }

  /** A blob that is already in memory. Throws as `BlobDraft` does. */
  async put(key: string, bytes: Uint8Array, dataKey: DataKey): Promise<BlobDigest> {
    const draft = await this.begin();
    try {
      const digest = await draft.write(Readable.from([bytes]));
      await draft.commit(key, dataKey);
      return digest;
    } finally {
      await draft.abort();
    }
  }
}
