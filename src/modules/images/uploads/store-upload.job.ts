import { Inject, Injectable } from '@nestjs/common';
import { hostname } from 'node:os';
import { Readable } from 'node:stream';
import { AppError, type ErrorCode } from '../../../kernel/errors.js';
import { AuditWriter } from '../../../platform/audit/audit-writer.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { KeyVault } from '../../../platform/crypto/key-vault.js';
import { Database } from '../../../platform/database/database.js';
import { HandBack, JobHandler, type JobContext } from '../../../platform/queue/job.js';
import { BlobStore } from '../../../platform/storage/blob-store.js';
import type { FileFate } from '../fate.js';
import { sealJson } from '../sealed-json.js';
import { UploadService } from '../upload.service.js';
import { ResumableUploads, uploadContext } from './resumable-uploads.service.js';
import { formOf, parseMetadata } from './tus-headers.js';
import type { UploadWhole } from './upload-whole.js';
import { UploadsStore, type Upload, type UploadOutcome } from './uploads.store.js';

/** An upload that is being stored is given up for lost by the reminders after this time without a sign of life. */
export const LEASE_MINUTES = 10;
const SIGN_OF_LIFE_MS = 60_000;

/** Ours, and yet no later try meets anything else. */
const LASTING: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['blob-missing', 'blob-corrupt', 'key-destroyed']);

/**
 * Takes a whole upload apart as if it had come as a form. May run twice, even at once: what is stored already is a duplicate then,
 * and the first to finish tells the outcome.
 */
@Injectable()
export class StoreUploadJob extends JobHandler<UploadWhole> {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly database: Database,
    private readonly store: UploadsStore,
    private readonly resumable: ResumableUploads,
    private readonly uploads: UploadService,
    private readonly blobs: BlobStore,
    private readonly vault: KeyVault,
    private readonly audit: AuditWriter,
  ) {
    super();
  }

  async handle({ institutionId, uploadId }: UploadWhole, { signal }: JobContext): Promise<void> {
    const hold = (): Promise<Upload | undefined> => this.database.transaction({ institutionId }, (tx) => this.store.hold(tx, uploadId, LEASE_MINUTES));
    const upload = await hold();
    if (!upload) return;
    // A sign of life that fails is no harm: the next one comes long before the lease is over.
    const about = { institutionId, actorKind: 'job', source: hostname(), action: 'storeUpload', object: uploadId } as const;
    const signs = setInterval(() => { hold().catch(() => undefined); }, SIGN_OF_LIFE_MS);
    try {
      await this.audit.write({ ...about, outcome: 'attempted' });
      const metadata = parseMetadata(await this.resumable.metadataOf(upload));
      const fates = await this.uploads.receive(Readable.from(formOf(metadata, this.content(upload, signal))), institutionId);
      await this.audit.write({ ...about, outcome: 'succeeded', studyInstanceUids: fates.flatMap(({ studyInstanceUid }) => studyInstanceUid ?? []), details: { files: fates.length } });
      await this.finish(upload, fates);
    } catch (error) {
      // Somebody else has finished, and the bytes are gone.
      if ((await hold()) === undefined) return;
      if (!(error instanceof AppError) || (error.status >= 500 && !LASTING.has(error.code))) throw error;
      await this.audit.write({ ...about, outcome: 'failed', code: error.code });
      await this.end(upload, 'failed', { kind: 'problem', code: error.code, ...(error.detail !== undefined && { detail: error.detail }) });
    } finally {
      clearInterval(signs);
    }
  }

  /** @throws HandBack when this process stops; as `BlobStore.open` and `BlobReader.read` do */
  private async *content({ segments }: Upload, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    for (const { blobKey } of segments) {
      const reader = await this.blobs.open(blobKey);
      for await (const chunk of reader.stream()) {
        if (signal.aborted) throw new HandBack();
        yield chunk;
      }
    }
  }

  private async finish(upload: Upload, fates: readonly FileFate[]): Promise<void> {
    const key = await this.vault.keyOfInstitution(upload.institutionId);
    await this.end(upload, 'done', { kind: 'fates', sealed: sealJson(key, JSON.stringify(fates), uploadContext.outcome(upload.id)).toString('base64') });
  }

  private async end(upload: Upload, state: 'done' | 'failed', outcome: UploadOutcome): Promise<void> {
    await this.database.transaction({ institutionId: upload.institutionId }, (tx) => this.store.finish(tx, upload, state, outcome, this.config.UPLOAD_EXPIRY_HOURS));
  }
}
