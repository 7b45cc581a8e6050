import {
  AbortMultipartUploadCommand, CreateBucketCommand, DeleteObjectCommand, HeadBucketCommand, ListMultipartUploadsCommand, ListObjectsV2Command, PutObjectCommand, type S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import type { OnApplicationShutdown } from '@nestjs/common';
import { Readable } from 'node:stream';
import { AppError } from '../../kernel/errors.js';
import type { DiskGuard } from './disk-guard.js';
import { DraftInFile, type DraftFile } from './draft-file.js';
import { DraftFolder } from './draft-folder.js';
import { assertObjectKey, folderOfPrefix, type ListedObject } from './object-key.js';
import { ObjectStore, type ObjectDraft, type ObjectReader } from './object-store.js';
import { isMissingInS3, isNotOffered, s3Error, s3ErrorName } from './s3-error.js';
import { S3Reader } from './s3-reader.js';

/** Up to here an object is one PUT; beyond, it goes in parts of at least this size. */
const PART_BYTES = 8 * 1024 * 1024;
/** How the parts are read from the draft. */
const PIECE_BYTES = 1024 * 1024;
/** Parts on their way at a time: about so many times their size is held in memory. */
const PARTS_AT_ONCE = 3;
/** Of S3. */
const MOST_PARTS = 10_000;
/** No commit takes this long: an upload in parts that is older belongs to a process that died. */
const STALE_UPLOAD_MS = 24 * 3600 * 1000;
/** Readiness is asked for every few seconds; an answer that takes longer is none. */
const PING_MS = 2_500;

/** Objects in a bucket of S3 under their keys; drafts lie in a folder on this machine until they are sent. The bucket is for this installation alone. */
export class S3ObjectStore extends ObjectStore implements OnApplicationShutdown {
  private readonly drafts: DraftFolder;

  /**
   * @param client  is the store's from now on
   * @param draftFolder  absolute
   * @param guard  of the file system that holds the drafts
   */
  constructor(
    private readonly client: S3Client,
    private readonly bucket: string,
    draftFolder: string,
    guard: DiskGuard,
  ) {
    super();
    this.drafts = new DraftFolder(draftFolder, guard);
  }

  async prepare(): Promise<void> {
    await this.drafts.prepare();
    try {
      await this.makeBucket();
    } catch (error) {
      const { code, detail } = s3Error(error);
      throw new AppError(code, { detail: `The bucket ${this.bucket} cannot be used: ${detail ?? s3ErrorName(error)}`, cause: error });
    }
    await this.abortStaleUploads();
  }

  async begin(): Promise<ObjectDraft> {
    return new S3Draft(await this.drafts.begin(), this.client, this.bucket);
  }

  async open(key: string): Promise<ObjectReader> {
    assertObjectKey(key);
    return S3Reader.open(this.client, this.bucket, key);
  }

  async delete(key: string): Promise<void> {
    assertObjectKey(key);
    try {
      await this.client.send(new DeleteObjectCommand({ Bucket: this.bucket, Key: key }));
    } catch (error) {
      // Some servers say so, S3 does not.
      if (!isMissingInS3(error)) throw s3Error(error);
    }
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    folderOfPrefix(prefix);
    let next: string | undefined;
    do {
      const page = await this.client
        .send(new ListObjectsV2Command({ Bucket: this.bucket, ...(prefix !== '' && { Prefix: prefix }), ...(next !== undefined && { ContinuationToken: next }) }))
        .catch((error: unknown) => { throw s3Error(error); });
      for (const { Key, Size, LastModified } of page.Contents ?? []) {
        if (Key !== undefined && Size !== undefined && LastModified) yield { key: Key, sizeBytes: Size, modifiedAt: LastModified };
      }
      next = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (next !== undefined);
  }

  /** The bucket must answer and the folder of drafts take bytes; an object is not written each time, since buckets with versions keep them all. */
  async ping(): Promise<void> {
    await this.drafts.ping();
    try {
      await this.client.send(new HeadBucketCommand({ Bucket: this.bucket }), { abortSignal: AbortSignal.timeout(PING_MS) });
    } catch (error) {
      throw isMissingInS3(error) ? new AppError('storage-unavailable', { detail: 'The bucket is missing (S3_BUCKET).', cause: error }) : s3Error(error);
    }
  }

  /** Lets the connections go. */
  onApplicationShutdown(): void {
    this.client.destroy();
  }

  private async makeBucket(): Promise<void> {
    try {
      await this.client.send(new HeadBucketCommand({ Bucket: this.bucket }));
    } catch (error) {
      if (!isMissingInS3(error)) throw error;
      try {
        await this.client.send(new CreateBucketCommand({ Bucket: this.bucket }));
      } catch (refusal) {
        // Another process of this installation may have been faster; a bucket of somebody else's fails here.
        await this.client.send(new HeadBucketCommand({ Bucket: this.bucket })).catch(() => { throw refusal; });
      }
    }
  }

  /** Parts of uploads that were cut off are invisible, and are paid for. */
  private async abortStaleUploads(): Promise<void> {
    const stale = Date.now() - STALE_UPLOAD_MS;
    try {
      const { Uploads } = await this.client.send(new ListMultipartUploadsCommand({ Bucket: this.bucket }));
      for (const { Key, UploadId, Initiated } of Uploads ?? []) {
        if (Key !== undefined && UploadId !== undefined && Initiated && Initiated.getTime() < stale) {
          await this.client.send(new AbortMultipartUploadCommand({ Bucket: this.bucket, Key, UploadId }));
        }
      }
    } catch (error) {
      // A lifecycle rule of the bucket does the same.
      if (!isNotOffered(error)) throw s3Error(error);
    }
  }
}

class S3Draft extends DraftInFile {
  constructor(
    file: DraftFile,
    private readonly client: S3Client,
    private readonly bucket: string,
  ) {
    super(file);
  }

  async commit(key: string): Promise<void> {
    assertObjectKey(key);
    await this.file.assertKept();
    const target = { Bucket: this.bucket, Key: key, ContentLength: this.file.sizeBytes, ContentType: 'application/octet-stream' };
    try {
      if (this.file.sizeBytes <= PART_BYTES) await this.client.send(new PutObjectCommand({ ...target, Body: await this.piece(0, PART_BYTES) }));
      else await this.sendInParts(target);
    } catch (error) {
      const ours = s3Error(error);
      // Nothing is missing that anybody asked for: the upload in parts was taken from under us.
      throw ours.code === 'blob-missing' ? new AppError('storage-unavailable', { cause: error }) : ours;
    }
    await this.file.discard();
  }

  /** Nothing is to be seen before the last of the requests; when one of them fails, what was sent is dropped. */
  private async sendInParts(target: { Bucket: string; Key: string; ContentLength: number; ContentType: string }): Promise<void> {
    const partSize = Math.max(PART_BYTES, Math.ceil(this.file.sizeBytes / MOST_PARTS));
    await new Upload({ client: this.client, params: { ...target, Body: Readable.from(this.pieces(), { highWaterMark: 2 }) }, partSize, queueSize: PARTS_AT_ONCE }).done();
  }

  private async *pieces(): AsyncGenerator<Uint8Array> {
    for (let offset = 0; offset < this.file.sizeBytes; offset += PIECE_BYTES) yield await this.piece(offset, PIECE_BYTES);
  }

  private async piece(offset: number, length: number): Promise<Uint8Array> {
    const bytes = await this.file.read({ offset, length });
    if (bytes.length !== Math.min(length, this.file.sizeBytes - offset)) throw new AppError('storage-unavailable', { detail: 'A draft has become shorter while it was sent.' });
    return bytes;
  }
}
