import { Inject, Injectable } from '@nestjs/common';
import { createHash, randomUUID } from 'node:crypto';
import { AppError } from '../../../kernel/errors.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { uuidv7 } from '../../../kernel/uid.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { KeyVault } from '../../../platform/crypto/key-vault.js';
import { Database } from '../../../platform/database/database.js';
import { Outbox } from '../../../platform/queue/outbox.js';
import { BlobStore, type BlobDraft } from '../../../platform/storage/blob-store.js';
import type { ByteSource } from '../byte-source.js';
import type { FileFate } from '../fate.js';
import { openJson } from '../sealed-json.js';
import { TombstonesStore } from '../tombstones.store.js';
import { BodyCutter, type Cut } from './body-cutter.js';
import { parseMetadata, type Checksum } from './tus-headers.js';
import { UPLOAD_WHOLE, type UploadWhole } from './upload-whole.js';
import { UploadsStore, type Segment, type Upload } from './uploads.store.js';

/** What a broken connection may cost at most. */
const CUT: Cut = { bytes: 64 * 2 ** 20, milliseconds: 30_000 };
/** Enough for every client that means it: MAX_UPLOAD_BYTES in pieces of some hundred kilobytes. */
const MAX_SEGMENTS = 10_000;

/** What one request adds to an upload. */
export interface Piece {
  offsetBytes: number;
  /** For an upload whose length was not known. */
  lengthBytes?: number | undefined;
  /** undefined when the client does not say how much it sends. */
  contentLength?: number | undefined;
  checksum?: Checksum | undefined;
  body: ByteSource;
}

export const uploadContext = {
  metadata: (id: string) => `uploads/${id}/metadata`,
  outcome: (id: string) => `uploads/${id}/outcome`,
} as const;

/**
 * Uploads that go on where they broke off. What came is durable, encrypted blob by blob; the row counts only what is. Any process
 * may take any piece: of two that continue at the same offset, the second to store its bytes is refused.
 */
@Injectable()
export class ResumableUploads {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly database: Database,
    private readonly store: UploadsStore,
    private readonly blobs: BlobStore,
    private readonly vault: KeyVault,
    private readonly tombstones: TombstonesStore,
    private readonly outbox: Outbox,
  ) {}

  /**
   * @param lengthBytes  null when the client does not know it yet
   * @param metadata  Upload-Metadata as it came
   * @throws AppError `bad-request` for malformed metadata, `payload-too-large`
   */
  async create({ institutionId, userId }: { institutionId: string; userId: string }, lengthBytes: number | null, metadata: string | undefined): Promise<Upload> {
    this.requireRoom(lengthBytes ?? 0);
    parseMetadata(metadata);
    const id = uuidv7();
    const sealedMetadata = metadata === undefined ? null : (await this.vault.keyOfInstitution(institutionId)).seal(Buffer.from(metadata), uploadContext.metadata(id));
    return this.database.transaction({ institutionId }, async (tx) => this.announceIfWhole(tx, await this.store.create(tx, { id, institutionId, userId, lengthBytes, sealedMetadata }, this.config.UPLOAD_EXPIRY_HOURS)));
  }

  /** @throws AppError `upload-not-found`, `upload-expired` */
  async find(institutionId: string, id: string): Promise<Upload> {
    const upload = await this.store.find(institutionId, id);
    if (!upload) throw new AppError('upload-not-found');
    if (upload.state !== 'storing' && upload.expiresAt.getTime() < Date.now()) throw new AppError('upload-expired');
    return upload;
  }

  /** Upload-Metadata as it came. */
  async metadataOf({ id, institutionId, sealedMetadata }: Upload): Promise<string | undefined> {
    return sealedMetadata === null ? undefined : (await this.vault.keyOfInstitution(institutionId)).open(sealedMetadata, uploadContext.metadata(id)).toString('utf8');
  }

  /** What became of its files; undefined while it is not done. */
  async fatesOf({ id, institutionId, outcome }: Upload): Promise<FileFate[] | undefined> {
    if (outcome?.kind !== 'fates') return undefined;
    // Sealed by the job that stored it.
    return JSON.parse(openJson(await this.vault.keyOfInstitution(institutionId), Buffer.from(outcome.sealed, 'base64'), uploadContext.outcome(id))) as FileFate[];
  }

  /**
   * Adds bytes. When the body breaks off, what came is kept, unless it came with a checksum, which only the whole can be tried by.
   *
   * @returns the upload as it is then; `storing` when it is whole
   * @throws AppError `upload-not-found`, `upload-expired`, `upload-offset-conflict`, `upload-checksum-mismatch`, `payload-too-large`, `bad-request`;
   * as `BlobDraft` does; what the body broke off with
   */
  async append(institutionId: string, id: string, { offsetBytes, lengthBytes, contentLength = 0, checksum, body }: Piece): Promise<Upload> {
    let upload = await this.find(institutionId, id);
    if (upload.offsetBytes !== offsetBytes) throw conflict(upload);
    if (lengthBytes !== undefined) upload = await this.announceLength(upload, lengthBytes);
    const room = (upload.lengthBytes ?? this.config.MAX_UPLOAD_BYTES) - upload.offsetBytes;
    if (contentLength > room) throw new AppError('payload-too-large', { detail: `The upload has room for ${String(room)} more bytes.` });
    const cutter = new BodyCutter(body, room, checksum ? undefined : CUT);
    do upload = await this.takePiece(upload, cutter, checksum); while (!cutter.ended);
    if (cutter.broken !== undefined) throw cutter.broken;
    return upload;
  }

  /** @throws AppError `upload-not-found`, `conflict` while it is being stored */
  async terminate(institutionId: string, id: string): Promise<void> {
    if (await this.database.transaction({ institutionId }, (tx) => this.store.remove(tx, institutionId, id))) return;
    if (await this.store.find(institutionId, id)) throw new AppError('conflict', { detail: 'The upload is whole and being stored.' });
    throw new AppError('upload-not-found');
  }

  private async takePiece(upload: Upload, cutter: BodyCutter, checksum: Checksum | undefined): Promise<Upload> {
    if (upload.segments.length >= MAX_SEGMENTS) throw new AppError('payload-too-large', { detail: `An upload comes in at most ${String(MAX_SEGMENTS)} pieces.` });
    const draft = await this.blobs.begin();
    try {
      const { sizeBytes } = await draft.write(checksum ? checked(cutter, checksum) : cutter.piece());
      return sizeBytes === 0 ? upload : await this.keep(upload, draft, sizeBytes);
    } finally {
      await draft.abort();
    }
  }

  /** Bytes first, then the row; a crash in between leaves bytes that the sweep knows of. */
  private async keep(upload: Upload, draft: BlobDraft, sizeBytes: number): Promise<Upload> {
    const { id, institutionId } = upload;
    // Two requests may continue at the same offset, so no number of the piece could name it.
    const blobKey = `${institutionId}/uploads/${id}/${randomUUID()}`;
    await this.tombstones.reserve(institutionId, [blobKey]);
    let kept: Upload | undefined;
    try {
      await draft.commit(blobKey, await this.vault.keyOfInstitution(institutionId));
      kept = await this.appendSegment(upload, { blobKey, sizeBytes });
    } finally {
      // Whether a failed commit reached the database is not known; the tombstone is, so the sweep decides, not we.
      if (!kept) await this.tombstones.release(institutionId, [blobKey]).catch(() => undefined);
    }
    if (!kept) throw conflict(await this.find(institutionId, id));
    return kept;
  }

  /** @returns undefined when another request was faster */
  private appendSegment(upload: Upload, segment: Segment): Promise<Upload | undefined> {
    return this.database.transaction({ institutionId: upload.institutionId }, async (tx) => {
      const appended = await this.store.append(tx, upload, segment, this.config.UPLOAD_EXPIRY_HOURS);
      if (!appended) return undefined;
      if (!(await this.tombstones.claim(tx, [segment.blobKey]))) throw new AppError('storage-unavailable', { detail: 'Storing took too long.' });
      return this.announceIfWhole(tx, appended);
    });
  }

  /** @throws AppError `bad-request` when another length was announced or more has come, `payload-too-large` */
  private async announceLength(upload: Upload, lengthBytes: number): Promise<Upload> {
    if (upload.lengthBytes === lengthBytes) return upload;
    this.requireRoom(lengthBytes);
    return this.database.transaction({ institutionId: upload.institutionId }, async (tx) => {
      const announced = await this.store.announceLength(tx, upload, lengthBytes);
      if (!announced) throw new AppError('bad-request', { detail: 'Upload-Length is known already, or less than what has come.' });
      return this.announceIfWhole(tx, announced);
    });
  }

  private async announceIfWhole(tx: Transaction, upload: Upload): Promise<Upload> {
    const { institutionId, id: uploadId, state } = upload;
    if (state === 'storing') await this.outbox.append(tx, { institutionId, topic: UPLOAD_WHOLE, payload: { institutionId, uploadId } satisfies UploadWhole });
    return upload;
  }

  private requireRoom(lengthBytes: number): void {
    const most = this.config.MAX_UPLOAD_BYTES;
    if (lengthBytes > most) throw new AppError('payload-too-large', { detail: `An upload may have ${String(most)} bytes.` });
  }
}

function conflict({ offsetBytes }: Upload): AppError {
  return new AppError('upload-offset-conflict', { detail: `The upload stands at ${String(offsetBytes)}.` });
}

/** One piece, whole and as it should be. @throws AppError `upload-checksum-mismatch`; what the body broke off with */
async function* checked(cutter: BodyCutter, { algorithm, digest }: Checksum): AsyncGenerator<Uint8Array> {
  const hash = createHash(algorithm);
  for await (const chunk of cutter.piece()) {
    hash.update(chunk);
    yield chunk;
  }
  if (cutter.broken) throw cutter.broken;
  if (!hash.digest().equals(digest)) throw new AppError('upload-checksum-mismatch');
}
