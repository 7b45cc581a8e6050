import { Inject, Injectable } from '@nestjs/common';
import { Counter } from 'prom-client';
import { Database } from '../../platform/database/database.js';
import { LOGGER, type Logger } from '../../platform/ops/logger.js';
import { Metrics } from '../../platform/ops/metrics.js';
import { JobHandler, type JobContext } from '../../platform/queue/job.js';
import { Outbox } from '../../platform/queue/outbox.js';
import { DerivedInstances } from '../images/images.contract.js';
import { ResultRetentionStore, type ExpiredResult } from './result-retention.store.js';
import { RESULT_REMOVED, type ResultRemoved } from './results.contract.js';

const REMOVED_AT_ONCE = 100;

/** Removes results that are older than their institution wants to keep them, on a timer, and tells of each. */
@Injectable()
export class ResultRetentionJob extends JobHandler {
  private readonly removed: Counter;

  constructor(
    private readonly database: Database,
    private readonly store: ResultRetentionStore,
    private readonly instances: DerivedInstances,
    private readonly outbox: Outbox,
    metrics: Metrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    super();
    this.removed = new Counter({ name: 'healthvision_retention_removed_results_total', help: 'Results that retention has removed', registers: [metrics.registry] });
  }

  async handle(_payload: Record<string, never>, { signal }: JobContext): Promise<void> {
    while (!signal.aborted) {
      const gone = await this.removeSome();
      for (const { id: resultId, institutionId } of gone) this.logger.info({ institutionId, resultId }, 'a result was removed by retention');
      this.removed.inc(gone.length);
      if (gone.length < REMOVED_AT_ONCE) return;
    }
  }

  private removeSome(): Promise<ExpiredResult[]> {
    return this.database.transaction('system', async (tx) => {
      const expired = await this.store.removeExpired(tx, REMOVED_AT_ONCE);
      for (const { institutionId, sopInstanceUids } of expired) await this.instances.remove(tx, institutionId, sopInstanceUids);
      await this.outbox.append(tx, ...expired.map(({ id: resultId, institutionId, analysisId }) => (
        { institutionId, topic: RESULT_REMOVED, payload: { institutionId, resultId, analysisId } satisfies ResultRemoved })));
      return expired;
    });
  }
}
