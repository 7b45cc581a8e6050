import { Inject, Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { AppError, type ErrorCode } from '../../kernel/errors.js';
import { isDatabaseAway } from '../../platform/database/database.js';
import { AuditWriter } from '../../platform/audit/audit-writer.js';
import { LiveChannel } from '../../platform/database/live-channel.js';
import { LOGGER, type Logger } from '../../platform/ops/logger.js';
import { Metrics } from '../../platform/ops/metrics.js';
import { HandBack, JobHandler, type JobContext } from '../../platform/queue/job.js';
import type { AnalysisRequested } from './analysis.contract.js';
import { ClaimsStore } from './claims.store.js';
import { RunEnding, STUDY_DELETED_ENDING } from './run-ending.service.js';
import { RunExecution } from './run-execution.service.js';
import { RunLease, RunStopped } from './run-lease.js';
import type { RunRow } from './runs.store.js';

/** Claims of one run, after which it is given up. */
export const MAX_ATTEMPTS = 3;
/** Tries of BullMQ, for faults of the surroundings that pass. */
export const RUN_JOB_ATTEMPTS = 8;

/** Faults of the surroundings: waiting helps, and the run is not to blame. */
const SURROUNDINGS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['database-unavailable', 'audit-unavailable', 'queue-unavailable', 'storage-unavailable', 'storage-full']);
/** Faults of a thread: tried again, but counted. */
const THREAD_FAULTS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['thread-lost', 'out-of-memory', 'overloaded']);

const WORKER_ID = `${hostname()}/${String(process.pid)}/${randomUUID().slice(0, 8)}`;

/** Computes one run. The row decides: a second job for the same run finds it taken or done and stops quietly. */
@Injectable()
export class RunJob extends JobHandler<AnalysisRequested> {
  constructor(
    private readonly claims: ClaimsStore,
    private readonly execution: RunExecution,
    private readonly ending: RunEnding,
    private readonly live: LiveChannel,
    private readonly audit: AuditWriter,
    private readonly metrics: Metrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    super();
  }

  async handle({ institutionId, analysisId }: AnalysisRequested, context: JobContext): Promise<void> {
    const run = await this.claims.claim(institutionId, analysisId, WORKER_ID);
    if (!run) return;
    if (run.attempts > MAX_ATTEMPTS) {
      await this.ending.end(run, { status: 'failed', reason: { code: 'worker-lost', detail: `${String(MAX_ATTEMPTS)} workers were lost while they computed this run` } });
      return;
    }
    const lease = new RunLease(run, { claims: this.claims, live: this.live, logger: this.logger }, context.signal);
    this.metrics.activeRuns.inc();
    try {
      await this.compute(run, lease);
    } catch (error) {
      // A stopped run may surface as any error of the code that was interrupted.
      await this.settle(run, lease.signal.aborted ? lease.signal.reason : error, context);
    } finally {
      this.metrics.activeRuns.dec();
      await lease.close();
    }
  }

  private async compute(run: RunRow, lease: RunLease): Promise<void> {
    const about = { institutionId: run.institutionId, actorKind: 'job', source: WORKER_ID, action: 'runAnalysis', object: run.id, studyInstanceUids: [run.studyInstanceUid], purpose: run.purpose, details: { analysis: run.analysis } } as const;
    await this.audit.write({ ...about, outcome: 'attempted' });
    const outcome = await this.execution.execute(run, lease).catch(async (error: unknown) => {
      // What went wrong goes first, whatever becomes of its record.
      await this.audit.write({ ...about, outcome: 'failed', code: error instanceof AppError ? error.code : 'internal' }).catch(() => undefined);
      throw error;
    });
    await this.audit.write({ ...about, outcome: 'succeeded' });
    lease.signal.throwIfAborted();
    if (outcome.kind === 'not-analysable') {
      await this.ending.end(run, { status: 'not-analysable', reason: { code: outcome.code, detail: outcome.detail }, timings: outcome.timings });
      return;
    }
    lease.progress('store', 0.98);
    await this.ending.succeed(run, outcome);
  }

  /** Decides what an error means for the run. @throws HandBack, or the error for BullMQ to try again */
  private async settle(run: RunRow, error: unknown, context: JobContext): Promise<void> {
    if (error instanceof RunStopped) return this.settleStop(run, error);
    const code: ErrorCode = error instanceof AppError ? error.code : isDatabaseAway(error) ? 'database-unavailable' : 'internal';
    if (code === 'shutting-down') return this.handBack(run);
    if (code === 'study-deleted') {
      await this.ending.end(run, STUDY_DELETED_ENDING);
      return;
    }
    const again = SURROUNDINGS.has(code) ? context.attempt < RUN_JOB_ATTEMPTS : THREAD_FAULTS.has(code) && run.attempts < (code === 'out-of-memory' ? 2 : MAX_ATTEMPTS);
    if (again) {
      await this.claims.requeue(run, !SURROUNDINGS.has(code));
      throw error;
    }
    this.logger.error({ err: error, analysisId: run.id, code }, 'analysis failed');
    await this.ending.end(run, { status: 'failed', reason: { code: code === 'thread-lost' ? 'worker-lost' : code, detail: error instanceof AppError ? error.message : 'An unexpected error occurred' } });
  }

  private async settleStop(run: RunRow, { why }: RunStopped): Promise<void> {
    if (why === 'shutdown') return this.handBack(run);
    if (why === 'cancelled') await this.ending.end(run, { status: 'cancelled' });
    else this.logger.warn({ analysisId: run.id }, 'another worker took the run over');
  }

  private async handBack(run: RunRow): Promise<never> {
    await this.claims.requeue(run, false);
    throw new HandBack();
  }
}
