import { Inject, Injectable } from '@nestjs/common';
import { LOGGER, type Logger } from '../ops/logger.js';
import { JobHandler, type JobContext } from '../queue/job.js';
import { Repairs } from '../queue/repairs.service.js';
import { ObjectStore } from './object-store.js';
import { OrphansStore } from './orphans.store.js';

const DAY_MS = 86_400_000;
/** Whatever else lies in the store is not ours to remove: blobs lie under an institution. */
const BLOB_KEY = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\//;
const BATCH = 1_000;

/**
 * Bytes that lie there for a day and that no row names, such as a restored backup may leave: the sweep takes them. A crash leaves none, because every blob
 * begins as a tombstone.
 */
@Injectable()
export class OrphanBlobsJob extends JobHandler {
  /** Younger ones may have their row yet to come. Less in tests. */
  static afterMs = DAY_MS;

  constructor(
    private readonly objects: ObjectStore,
    private readonly store: OrphansStore,
    private readonly repairs: Repairs,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    super();
  }

  async handle(_payload: Record<string, never>, { signal, closing }: JobContext): Promise<void> {
    const before = Date.now() - OrphanBlobsJob.afterMs;
    const named = await this.store.named();
    let orphans = 0;
    let suspects: string[] = [];
    for await (const { key, modifiedAt } of this.objects.list('')) {
      if (signal.aborted || closing?.aborted === true) return;
      if (modifiedAt.getTime() > before || !BLOB_KEY.test(key) || named.mayHave(key)) continue;
      suspects.push(key);
      if (suspects.length < BATCH) continue;
      orphans += await this.bury(suspects);
      suspects = [];
    }
    if (suspects.length > 0) orphans += await this.bury(suspects);
    if (orphans > 0) this.logger.warn({ blobs: orphans }, 'blobs that no row names are removed with the next sweep');
  }

  private async bury(suspects: readonly string[]): Promise<number> {
    const orphans = await this.store.bury(suspects);
    this.repairs.count('orphan-blob', orphans);
    return orphans;
  }
}
