import { Inject, Injectable } from '@nestjs/common';
import { AppError, type ErrorCode } from '../../kernel/errors.js';
import { isDatabaseAway } from '../../platform/database/database-errors.js';
import { AuditWriter } from '../../platform/audit/audit-writer.js';
import { LiveChannel } from '../../platform/database/live-channel.js';
import { LOGGER, type Logger } from '../../platform/ops/logger.js';
import { Metrics } from '../../platform/ops/metrics.js';
import { continueTrace, noteOnSpan, SpanKind, withSpan } from '../../platform/ops/tracing.js';
import { HandBack, JobHandler, type JobContext } from '../../platform/queue/job.js';
import type { AnalysisRequested } from './analysis.contract.js';
import { ClaimsStore } from './claims.store.js';
import { RunEnding, STUDY_DELETED_ENDING } from './run-ending.service.js';
import { RunExecution } from './run-execution.service.js';
import { RunLease, RunStopped } from './run-lease.js';
import { RunProgress } from './run-progress.service.js';
import type { RunRow } from './runs.store.js';
import { Scheduler, WORKER_ID } from './scheduling/scheduler.service.js';

/** Claims of one run, after which it is given up. */
export const MAX_ATTEMPTS = 3;
/** Faults of the surroundings that a run may meet before it fails: with the waits between them about an hour. */
const MAX_FAULTS = 24;
/** Wrong bytes may have become so on their way; those that lie there so stay so, and after a minute or two somebody is told. */
const MAX_CORRUPT_READS = 8;
/** When runs wait that this process has no room for, or that are not ready, it looks again after so long. */
const LOOK_AGAIN_MS = 1_000;

/** Faults of the surroundings: waiting helps, and the run is not to blame. Another worker may have the files that this one lacks. */
const SURROUNDINGS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['database-unavailable', 'audit-unavailable', 'queue-unavailable', 'storage-unavailable', 'storage-full', 'model-files-missing']);
/** Faults of a thread: tried again, but counted. */
const THREAD_FAULTS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['thread-lost', 'out-of-memory', 'overloaded']);

/**
 * A job wakes a worker, which computes what the queue's rows say is best until nothing is left that it could take. So a job whose run was
 * cancelled or taken, or a second one for the same run, finds other work or stops quietly. X-rays that were computed are stored while the next ones are computed.
 */
@Injectable()
export class RunJob extends JobHandler<AnalysisRequested> {
  private lookingAgain = false;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly claims: ClaimsStore,
    private readonly progress: RunProgress,
    private readonly execution: RunExecution,
    private readonly ending: RunEnding,
    private readonly live: LiveChannel,
    private readonly audit: AuditWriter,
    private readonly metrics: Metrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    super();
  }

  async handle(_event: AnalysisRequested, context: JobContext): Promise<void> {
    let storing: Promise<PromiseSettledResult<void>[]> | undefined;
    const failures: unknown[] = [];
    const stored = async (): Promise<void> => {
      for (const outcome of (await storing) ?? []) if (outcome.status === 'rejected') failures.push(outcome.reason);
      storing = undefined;
    };
    try {
      while (context.closing?.aborted !== true && failures.length === 0) {
        const { runs, waiting, overlaps } = await this.scheduler.next();
        if (runs.length === 0) {
          if (storing === undefined) {
            if (waiting) this.lookAgain();
            return;
          }
          // What is not stored yet still holds its memory.
          await stored();
          continue;
        }
        const served = runs.map((run) => this.serve(run, context, runs.length));
        const ended = Promise.allSettled(served.map((one) => one.ended));
        await Promise.all(served.map(({ computed }) => computed));
        await stored();
        storing = ended;
        if (!overlaps) await stored();
      }
    } finally {
      await stored();
    }
    if (failures.length > 0) throw failures[0] as Error; // of this product's own code or a library: an Error
    // Runs may wait for which this was the wake-up.
    throw new HandBack();
  }

  /** One job of each process comes back after a while; the others end, so that a long queue does not keep every worker asking. */
  private lookAgain(): void {
    if (this.lookingAgain) return;
    this.lookingAgain = true;
    setTimeout(() => { this.lookingAgain = false; }, LOOK_AGAIN_MS).unref();
    throw new HandBack(LOOK_AGAIN_MS);
  }

  /**
   * `computed` when the run needs no compute thread any more, `ended` when what became of it is stored. Each run is a span in the trace that asked for it, not in that of the job, which
   * may have been for another; those that are computed together do not share one.
   */
  private serve(run: RunRow, context: JobContext, together: number): { computed: Promise<void>; ended: Promise<void> } {
    let isComputed: () => void = () => undefined;
    const computed = new Promise<void>((resolve) => { isComputed = resolve; });
    const ended = continueTrace(run.traceparent, () => withSpan(`analyse ${run.analysis}`, spanAttributes(run, together), () => this.serveToEnd(run, context, isComputed), SpanKind.CONSUMER));
    return { computed, ended: ended.finally(isComputed) };
  }

  private async serveToEnd(run: RunRow, context: JobContext, isComputed: () => void): Promise<void> {
    if (run.attempts > MAX_ATTEMPTS) {
      await this.ending.end(run, { status: 'failed', reason: { code: 'worker-lost', detail: `${String(MAX_ATTEMPTS)} workers were lost while they computed this run` } });
      return;
    }
    const lease = new RunLease(run, { claims: this.claims, progress: this.progress, live: this.live, logger: this.logger }, context.signal);
    this.metrics.activeRuns.inc();
    try {
      await this.compute(run, lease, isComputed);
    } catch (error) {
      // A stopped run may surface as any error of the code that was interrupted.
      await this.settle(run, lease.signal.aborted ? lease.signal.reason : error);
    } finally {
      this.metrics.activeRuns.dec();
      lease.close();
    }
  }

  private async compute(run: RunRow, lease: RunLease, isComputed: () => void): Promise<void> {
    const about = { institutionId: run.institutionId, actorKind: 'job', source: WORKER_ID, action: 'runAnalysis', object: run.id, studyInstanceUids: [run.studyInstanceUid], purpose: run.purpose, details: { analysis: run.analysis } } as const;
    await this.audit.write({ ...about, outcome: 'attempted' });
    const outcome = await this.scheduler.measured(run, () => this.execution.execute(run, lease)).catch(async (error: unknown) => {
      // What went wrong goes first, whatever becomes of its record.
      await this.audit.write({ ...about, outcome: 'failed', code: error instanceof AppError ? error.code : 'internal' }).catch(() => undefined);
      throw error;
    });
    isComputed();
    await this.audit.write({ ...about, outcome: 'succeeded' });
    lease.signal.throwIfAborted();
    if (outcome.kind === 'not-analysable') {
      await this.ending.end(run, { status: 'not-analysable', reason: { code: outcome.code, detail: outcome.detail }, timings: outcome.timings });
      return;
    }
    lease.progress('store', 0.98);
    await this.ending.succeed(run, outcome);
  }

  /** Decides what an error means for the run. */
  private async settle(run: RunRow, error: unknown): Promise<void> {
    if (error instanceof RunStopped) return this.settleStop(run, error);
    const code: ErrorCode = error instanceof AppError ? error.code : isDatabaseAway(error) ? 'database-unavailable' : 'internal';
    if (code === 'shutting-down') return this.handBack(run);
    if (code === 'model-files-missing') this.scheduler.lacks(run.modelDigest);
    if (code === 'study-deleted') {
      await this.ending.end(run, STUDY_DELETED_ENDING);
      return;
    }
    const why = whyAgain(run, code);
    if (why !== undefined) {
      this.logger.warn({ err: error, analysisId: run.id, code }, 'analysis is tried again');
      noteOnSpan({ 'healthvision.outcome': 'tried-again' }, code);
      await this.requeue(run, why);
      return;
    }
    this.logger.error({ err: error, analysisId: run.id, code }, 'analysis failed');
    noteOnSpan({}, code);
    await this.ending.end(run, { status: 'failed', reason: { code: code === 'thread-lost' ? 'worker-lost' : code, detail: error instanceof AppError ? error.message : 'An unexpected error occurred' } });
  }

  private async settleStop(run: RunRow, { why }: RunStopped): Promise<void> {
    if (why === 'shutdown') return this.handBack(run);
    if (why === 'cancelled') await this.ending.end(run, { status: 'cancelled' });
    else this.logger.warn({ analysisId: run.id }, 'another worker took the run over');
  }

  private async handBack(run: RunRow): Promise<void> {
    await this.requeue(run, 'handed-back');
  }

  /** A run whose end was asked for meanwhile ends here; one that another worker has is not touched. */
  private async requeue(run: RunRow, why: Parameters<ClaimsStore['requeue']>[1]): Promise<void> {
    if (!(await this.claims.requeue(run, why))) await this.ending.end(run, { status: 'cancelled' });
  }
}

function spanAttributes({ id, analysis, modelName, modelVersion, priority, purpose, attempts, queuedAt }: RunRow, together: number): Record<string, string | number> {
  return {
    'healthvision.analysis': analysis, 'healthvision.analysis.id': id, 'healthvision.model': `${modelName}@${modelVersion}`, 'healthvision.priority': priority, 'healthvision.purpose': purpose.split(':')[0] ?? purpose,
    'healthvision.attempt': attempts, 'healthvision.wait_ms': Math.max(0, Date.now() - queuedAt.getTime()), 'healthvision.computed_together': together,
  };
}

/** As what a run that met this is tried again; undefined when it is not. */
function whyAgain({ faults, corruptReads, attempts }: RunRow, code: ErrorCode): 'surroundings' | 'corrupt' | 'counted' | undefined {
  if (SURROUNDINGS.has(code)) return faults < MAX_FAULTS - 1 ? 'surroundings' : undefined;
  if (code === 'blob-corrupt') return corruptReads < MAX_CORRUPT_READS - 1 ? 'corrupt' : undefined;
  return THREAD_FAULTS.has(code) && attempts < (code === 'out-of-memory' ? 2 : MAX_ATTEMPTS) ? 'counted' : undefined;
}
