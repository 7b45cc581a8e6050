import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../../../platform/config.js';
import { Database } from '../../../platform/database/database.js';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { JobHandler, type JobContext } from '../../../platform/queue/job.js';
import { Outbox } from '../../../platform/queue/outbox.js';
import { Repairs } from '../../../platform/queue/repairs.service.js';
import { LEASE_MINUTES } from './store-upload.job.js';
import { UPLOAD_WHOLE, type UploadWhole } from './upload-whole.js';
import { UploadsStore } from './uploads.store.js';

const BATCH = 100;
/** A day of trying. */
const MAX_REMINDERS = (24 * 60) / LEASE_MINUTES;

/** Removes uploads that nobody went on with, and reminds of those that are whole and were forgotten, on a timer. */
@Injectable()
export class ExpireUploadsJob extends JobHandler {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly database: Database,
    private readonly store: UploadsStore,
    private readonly outbox: Outbox,
    private readonly repairs: Repairs,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    super();
  }

  async handle(_payload: Record<string, never>, { signal }: JobContext): Promise<void> {
    let expired = 0;
    while (!signal.aborted) {
      const removed = await this.database.transaction('system', (tx) => this.store.removeExpired(tx, BATCH));
      expired += removed;
      if (removed < BATCH) break;
    }
    if (expired > 0) this.logger.info({ uploads: expired }, 'removed uploads that expired');
    const reminded = await this.remind();
    this.repairs.count('upload', reminded);
    if (reminded > 0) this.logger.warn({ uploads: reminded }, 'uploads are whole and still not stored; trying again');
  }

  /** Jobs whose tries are used up, for example because the storage was away for longer. */
  private remind(): Promise<number> {
    return this.database.transaction('system', async (tx) => {
      const forgotten = await this.store.remind(tx, BATCH, LEASE_MINUTES);
      for (const upload of forgotten) {
        const { institutionId, id: uploadId, outcome } = upload;
        if (outcome?.kind === 'reminders' && outcome.count > MAX_REMINDERS) {
          await this.store.finish(tx, upload, 'failed', { kind: 'problem', code: 'internal', detail: 'It could not be stored within a day. Send it again.' }, this.config.UPLOAD_EXPIRY_HOURS);
        } else {
          await this.outbox.append(tx, { institutionId, topic: UPLOAD_WHOLE, payload: { institutionId, uploadId } satisfies UploadWhole });
        }
      }
      return forgotten.length;
    });
  }
}
