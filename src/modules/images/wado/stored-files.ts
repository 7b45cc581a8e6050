import { Injectable } from '@nestjs/common';
import { readFileHead } from '../../../imaging/dicom/transcode.js';
import { AppError } from '../../../kernel/errors.js';
import { BlobStore, type BlobReader } from '../../../platform/storage/blob-store.js';
import type { Stretch } from './byte-range.js';
import { driven } from './instance-opener.js';
import type { Chunks } from './multipart-body.js';
import type { RetrievedInstance } from './retrieval.store.js';
import type { PreparedFile } from './transcoding.service.js';

const PREAMBLE_BYTES = 128;
/** What goes to the socket at once, about: pieces of the encryption, not put together. */
const BATCH_BYTES = 512 * 1024;

/** Stored instances as they are. */
@Injectable()
export class StoredFiles {
  constructor(private readonly blobs: BlobStore) {}

  /**
   * Opens an instance and reads its first bytes. Data sets that came without preamble or meta information get them, unless
   * the caller has announced how many bytes there are; else the bytes are those that were sent.
   *
   * @throws AppError `blob-missing`, `blob-corrupt`, `key-destroyed`, `storage-unavailable`
   */
  async prepare(row: RetrievedInstance, { asAnnounced = false } = {}): Promise<PreparedFile> {
    const reader = await this.blobs.open(row.blobKey);
    const pieces = reader.stream();
    try {
      if (reader.sizeBytes !== row.sizeBytes) throw new AppError('blob-corrupt', { detail: 'The object has another size than when it was stored.' });
      const first = await pieces.next();
      const { transferSyntaxUid } = row;
      if (first.done === true || asAnnounced || isPart10(first.value)) {
        const start = first.done === true ? [] : [first.value];
        return { transferSyntaxUid, sizeBytes: reader.sizeBytes, chunks: () => batches(start, pieces), close: () => closed(reader, pieces) };
      }
      const { head, dataSetStart } = await driven(reader, readFileHead(reader.sizeBytes, row));
      const start = [head, first.value.subarray(dataSetStart)];
      return { transferSyntaxUid, sizeBytes: head.length + reader.sizeBytes - dataSetStart, chunks: () => batches(start, pieces), close: () => closed(reader, pieces) };
    } catch (error) {
      await closed(reader, pieces);
      throw error;
    }
  }

  /** A stretch of the bytes as they are stored. Throws as `prepare` does. */
  async stretch(row: RetrievedInstance, stretch: Stretch): Promise<AsyncGenerator<Chunks>> {
    const reader = await this.blobs.open(row.blobKey, 'stretch');
    return batches([], reader.stream(stretch));
  }

  /** Whether the stored bytes are sent without anything in front. Throws as `prepare` does. */
  async isPart10(row: RetrievedInstance): Promise<boolean> {
    return isPart10(await this.blobs.read(row.blobKey, { offset: 0, length: PREAMBLE_BYTES + 4 }));
  }
}

async function closed(reader: BlobReader, pieces: AsyncGenerator<Uint8Array>): Promise<void> {
  await pieces.return(undefined);
  await reader.close();
}

function isPart10(start: Uint8Array): boolean {
  return start.length >= PREAMBLE_BYTES + 4 && Buffer.from(start.buffer, start.byteOffset + PREAMBLE_BYTES, 4).toString('latin1') === 'DICM';
}

async function* batches(start: readonly Uint8Array[], pieces: AsyncGenerator<Uint8Array>): AsyncGenerator<Chunks> {
  let held = [...start];
  let bytes = held.reduce((sum, { length }) => sum + length, 0);
  for await (const piece of pieces) {
    held.push(piece);
    bytes += piece.length;
    if (bytes < BATCH_BYTES) continue;
    yield held;
    held = [];
    bytes = 0;
  }
  if (held.length > 0) yield held;
}
