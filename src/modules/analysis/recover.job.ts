import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../../platform/database/database.js';
import { LOGGER, type Logger } from '../../platform/ops/logger.js';
import { continueTrace } from '../../platform/ops/tracing.js';
import { JobHandler } from '../../platform/queue/job.js';
import { Outbox } from '../../platform/queue/outbox.js';
import { Repairs } from '../../platform/queue/repairs.service.js';
import { ClaimsStore } from './claims.store.js';
import { RunNotices } from './run-notices.service.js';
import { ended, requested } from './run-events.js';
import { MAX_ATTEMPTS } from './run.job.js';
import type { Ending, RunRow } from './runs.store.js';
import { ComputeShares } from './scheduling/compute-shares.service.js';

const BATCH = 100;
/** When nobody took a run for so long, a worker is woken: one more wake-up does no harm, and a worker that is awake looks for more by itself. */
const FORGOTTEN_SECONDS = 30;
const WAKE_UPS = 4;

/** Takes up runs whose worker died, and wakes workers for runs that wait. */
@Injectable()
export class RecoverJob extends JobHandler {
  constructor(
    private readonly database: Database,
    private readonly claims: ClaimsStore,
    private readonly outbox: Outbox,
    private readonly notices: RunNotices,
    private readonly shares: ComputeShares,
    private readonly repairs: Repairs,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    super();
  }

  async handle(): Promise<void> {
    const { settled, woken } = await this.database.transaction('system', async (tx) => {
      const endings: { run: RunRow; ending: Ending | undefined; seconds: number }[] = [];
      for (const run of await this.claims.silent(tx, BATCH)) {
        const ending = endingOf(run);
        // The row is locked, so it ends here.
        const seconds = ending && (await this.claims.finish(tx, run, ending));
        endings.push({ run, ending, seconds: seconds ?? 0 });
        if (ending) {
          await continueTrace(run.traceparent, () => this.outbox.append(tx, ...ended(run, ending)));
        } else {
          await this.claims.release(tx, run.id);
          await continueTrace(run.traceparent, () => this.outbox.append(tx, requested(run)));
        }
      }
      const forgotten = await this.claims.forgotten(tx, FORGOTTEN_SECONDS, WAKE_UPS);
      for (const run of forgotten) await this.outbox.append(tx, requested(run));
      return { settled: endings, woken: forgotten.length };
    });
    this.repairs.count('silent-run', settled.length);
    this.repairs.count('waiting-run', woken);
    await Promise.all(settled.filter(({ ending }) => ending).map(({ run, seconds }) => this.shares.add(run.institutionId, seconds)));
    for (const { run, ending, seconds } of settled) {
      this.logger.warn({ analysisId: run.id, attempts: run.attempts, outcome: ending?.status ?? 'queued' }, 'the worker of a run fell silent');
      await (ending ? this.notices.tell(run, ending, seconds) : this.notices.changed(run.id));
    }
  }
}

/** undefined when the run is to be tried again. */
function endingOf({ cancelRequestedAt, attempts }: RunRow): Ending | undefined {
  if (cancelRequestedAt) return { status: 'cancelled' };
  if (attempts >= MAX_ATTEMPTS) return { status: 'failed', reason: { code: 'worker-lost', detail: `${String(attempts)} workers were lost while they computed this run` } };
  return undefined;
}
