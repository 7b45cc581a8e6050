import { Injectable } from '@nestjs/common';
import type { DerivedFault } from '../../imaging/report/derived.js';
import { Database } from '../../platform/database/database.js';
import { Outbox } from '../../platform/queue/outbox.js';
import { StudyReader } from '../images/images.contract.js';
import { ClaimsStore } from './claims.store.js';
import { ended } from './run-events.js';
import type { Outcome } from './run-execution.service.js';
import { RunStopped } from './run-lease.js';
import { RunNotices } from './run-notices.service.js';
import { RunOutcomes } from './run-outcomes.service.js';
import type { Ending, RunRow } from './runs.store.js';
import { ComputeShares } from './scheduling/compute-shares.service.js';

/** How runs end: state, result and events in one transaction. */
@Injectable()
export class RunEnding {
  constructor(
    private readonly database: Database,
    private readonly claims: ClaimsStore,
    private readonly studies: StudyReader,
    private readonly outcomes: RunOutcomes,
    private readonly outbox: Outbox,
    private readonly notices: RunNotices,
    private readonly shares: ComputeShares,
  ) {}

  /**
   * Stores what a run found. Nothing is stored when the study is gone or the claim is lost.
   * @throws RunStopped; AppError of the database and the blob store
   */
  async succeed(run: RunRow, { result, timings }: Extract<Outcome, { kind: 'result' }>): Promise<void> {
    const started = performance.now();
    const prepared = await this.outcomes.prepare(run, result);
    const ending: Ending = { status: 'succeeded', ...(prepared.resultId !== undefined && { resultId: prepared.resultId }), timings };
    let faults: readonly DerivedFault[] = [];
    const seconds = await this.database.transaction({ institutionId: run.institutionId }, async (tx) => {
      if (!(await this.studies.lock(tx, run.institutionId, run.studyId))) return undefined;
      ending.timings = { ...timings, store: Math.round((performance.now() - started) * 100) / 100 };
      const took = await this.claims.finish(tx, run, ending);
      if (took === undefined) {
        // Rolls back. Which of the two it was, the caller's next look at the row tells.
        throw new RunStopped((await this.claims.heartbeat(run)).held ? 'cancelled' : 'claim-lost');
      }
      faults = await prepared.store(tx);
      await this.outbox.append(tx, ...ended(run, ending, { critical: result.summary.critical, withheld: faults.length > 0 }));
      return took;
    });
    if (seconds !== undefined && faults.length > 0) this.notices.withheld(run, faults);
    if (seconds !== undefined && result.provenance.outOfDistribution?.strange === true) this.notices.strange(run);
    if (seconds !== undefined) await this.tell(run, ending, seconds);
    else await this.end(run, STUDY_DELETED_ENDING);
  }

  /** false when the claim is lost. */
  async end(run: RunRow, ending: Ending): Promise<boolean> {
    const seconds = await this.database.transaction({ institutionId: run.institutionId }, async (tx) => {
      const took = await this.claims.finish(tx, run, ending);
      if (took !== undefined) await this.outbox.append(tx, ...ended(run, ending));
      return took;
    });
    if (seconds !== undefined) await this.tell(run, ending, seconds);
    return seconds !== undefined;
  }

  private async tell(run: RunRow, ending: Ending, seconds: number): Promise<void> {
    await Promise.all([this.shares.add(run.institutionId, seconds), this.notices.tell(run, ending, seconds)]);
  }
}

export const STUDY_DELETED_ENDING: Ending = { status: 'cancelled', reason: { code: 'study-deleted', detail: 'The study was deleted' } };
