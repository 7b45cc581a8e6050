import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../../platform/database/database.js';
import { LOGGER, type Logger } from '../../platform/ops/logger.js';
import { JobHandler, type JobContext } from '../../platform/queue/job.js';
import { BlobStore } from '../../platform/storage/blob-store.js';
import { TombstonesStore } from './tombstones.store.js';

const BATCH = 20;
/** A transaction that lasts longer loses its locks, and with them the right to remove anything. */
const MOST_MS = 20_000;

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
    for (let removed = BATCH; removed > 0 && !signal.aborted; swept += removed) removed = await this.sweepBatch();
    if (swept > 0) this.logger.info({ blobs: swept }, 'swept blobs');
  }

  /** The rows stay locked while the bytes go, so that no late transaction can claim a blob that is being removed. */
  private sweepBatch(): Promise<number> {
    return this.database.transaction('system', async (tx) => {
      const until = Date.now() + MOST_MS;
      const gone: string[] = [];
      for (const key of await this.tombstones.due(tx, BATCH)) {
        if (Date.now() > until) break;
        await this.blobs.delete(key);
        gone.push(key);
      }
      await this.tombstones.forget(tx, gone);
      return gone.length;
    });
  }
}
