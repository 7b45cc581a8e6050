import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../../platform/database/database.js';
import { LOGGER, type Logger } from '../../platform/ops/logger.js';
import { JobHandler, type JobContext } from '../../platform/queue/job.js';
import { BlobStore } from '../../platform/storage/blob-store.js';
import { TombstonesStore } from './tombstones.store.js';

const BATCH = 200;

/** Removes the bytes that no row names any more, on a timer. */
@Injectable()
export class SweepJob extends JobHandler {
  constructor(
    private readonly database: Database,
    private readonly tombstones: TombstonesStore,
    private readonly blobs: BlobStore,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    super();
  }

  async handle(_payload: Record<string, never>, { signal }: JobContext): Promise<void> {
    let swept = 0;
    while (!signal.aborted) {
      const removed = await this.sweepBatch();
      swept += removed;
      if (removed < BATCH) break;
    }
    if (swept > 0) this.logger.info({ blobs: swept }, 'swept blobs');
  }

  /** The rows stay locked while the bytes go, so that no late transaction can claim a blob that is being removed. */
  private sweepBatch(): Promise<number> {
    return this.database.transaction('system', async (tx) => {
      const keys = await this.tombstones.due(tx, BATCH);
      for (const key of keys) await this.blobs.delete(key);
      await this.tombstones.forget(tx, keys);
      return keys.length;
    });
  }
}
