import { Processor, WorkerHost } from '@nestjs/bullmq';
import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap, type Type } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { DelayedError, WaitingError, type Job, type Worker } from 'bullmq';
import { setMaxListeners } from 'node:events';
import { Counter } from 'prom-client';
import { AppError } from '../../kernel/errors.js';
import { isUuid } from '../../kernel/uid.js';
import type { Config } from '../config.js';
import { LOGGER, type Logger } from '../ops/logger.js';
import { Metrics } from '../ops/metrics.js';
import { Acknowledgements } from './acknowledgements.service.js';
import { QueueConnection } from './connection.js';
import { failureClassOf, waitAfter } from './failure-class.js';
import { HandBack, type JobDefinition, type JobHandler, type JobNeed } from './job.js';
import { inJobSpan } from './job-spans.js';

/** A lock is renewed every half of this; a worker that died loses its jobs after it. */
const LOCK_MS = 10_000;
const STALLED_CHECK_MS = 5_000;
/** How long running jobs may finish after the process was asked to stop, before they are handed back. */
const GRACE_MS = 20_000;

/** Option of a job: how long it waits after a failure, and whether there is another try, is decided by what it met. */
export const BACKOFF_BY_CLASS = { type: 'by-class' };
/** What BullMQ takes for: no other try. */
const NO_MORE = -1;

/** What stops when this process stops: shared by all its consumers. */
@Injectable()
export class ConsumerLifecycle implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly abort = new AbortController();
  private readonly close = new AbortController();
  private readonly hosts = new Map<WorkerHost, (() => JobNeed) | undefined>();
  private readonly failures: Counter;

  constructor(
    readonly acknowledgements: Acknowledgements,
    private readonly connection: QueueConnection,
    metrics: Metrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.failures = new Counter({ name: 'healthvision_job_failures_total', help: 'Tries of jobs that failed, by queue and by what they met: transient, out-of-memory, bad-input, bug', labelNames: ['queue', 'class'], registers: [metrics.registry] });
    // Every run that is computed listens to it, and there may be many at a time.
    setMaxListeners(0, this.abort.signal);
  }

  get signal(): AbortSignal {
    return this.abort.signal;
  }

  get closing(): AbortSignal {
    return this.close.signal;
  }

  /** @param need  found when everything is set up */
  adopt(host: WorkerHost, need: (() => JobNeed) | undefined): void {
    this.hosts.set(host, need);
  }

  /** Begins with the jobs: not before everything that a handler needs is set up, which a worker that starts with its module would not wait for. */
  onApplicationBootstrap(): void {
    for (const [{ worker }, need] of this.hosts) {
      if (!need) this.begin(worker);
      else void need().isMet().then((isMet) => { if (isMet) this.begin(worker); else this.logger.warn({ queue: worker.name }, 'this process takes no jobs of a queue: it lacks what they need'); });
    }
  }

  /** Takes no new job, lets the running ones finish, hands back what is still running after the grace. */
  async beforeApplicationShutdown(): Promise<void> {
    this.close.abort();
    const timer = setTimeout(() => { this.abort.abort(); }, GRACE_MS);
    // A start that is given up early has hosts without workers.
    await Promise.allSettled([...this.hosts.keys()].map(async (host) => { await host.worker.close(); }));
    clearTimeout(timer);
    await this.acknowledgements.flush();
  }

  private begin(worker: Worker): void {
    if (this.close.signal.aborted) return;
    this.connection.consume(worker.name);
    worker.on('error', (err) => { this.logger.debug({ err, queue: worker.name }, 'queue connection'); });
    worker.on('failed', (job, err) => { this.report(worker.name, job, err); });
    worker.on('stalled', (jobId) => { this.logger.warn({ queue: worker.name, jobId }, 'job lost its worker and is taken up again'); });
    // Ends with the worker; its troubles come as events.
    worker.run().catch((err: unknown) => { this.logger.debug({ err, queue: worker.name }, 'queue consumer ended'); });
  }

  private report(queue: string, job: Job | undefined, err: Error): void {
    const failure = failureClassOf(err.cause ?? err);
    this.failures.inc({ queue, class: failure });
    const about = { err, queue, jobId: job?.id, attempt: job?.attemptsMade, class: failure };
    if (job?.finishedOn === undefined) this.logger.warn(about, 'job failed and is tried again');
    else if (isUuid(job.id)) this.logger.error(about, 'job is parked');
    else this.logger[failure === 'transient' ? 'warn' : 'error'](about, 'timed job failed; the next one does its work');
  }
}

/** The @nestjs/bullmq processor that feeds one handler. */
export function consumerOf(definition: JobDefinition, config: Config): Type<WorkerHost> {
  const concurrency = definition.concurrency === 'configured' ? config.WORKER_CONCURRENCY : definition.concurrency;

  @Processor({ name: definition.queue }, {
    concurrency, lockDuration: LOCK_MS, stalledInterval: STALLED_CHECK_MS, maxStalledCount: 10, autorun: false,
    settings: { backoffStrategy: (tries, _type, err) => waitAfter(failureClassOf(err?.cause ?? err), tries, definition.attempts) ?? NO_MORE },
  })
  class Consumer extends WorkerHost {
    constructor(
      @Inject(ModuleRef) private readonly moduleRef: ModuleRef,
      @Inject(ConsumerLifecycle) private readonly lifecycle: ConsumerLifecycle,
    ) {
      super();
      const { needs } = definition;
      lifecycle.adopt(this, needs && (() => moduleRef.get(needs, { strict: false })));
    }

    async process(job: Job<never>, token?: string): Promise<void> {
      const handler = this.moduleRef.get<JobHandler<never>>(definition.handler, { strict: false });
      try {
        const context = { jobId: job.id ?? '', topic: job.name, attempt: job.attemptsMade + 1, signal: this.lifecycle.signal, closing: this.lifecycle.closing };
        await inJobSpan(definition, job, () => handler.handle(job.data, context));
        // Now, so that a queue that forgets the job this moment does not have it done twice.
        // A timed job has no event.
        if (definition.topics !== undefined && isUuid(job.id)) this.lifecycle.acknowledgements.done(definition.queue, job.id);
      } catch (error) {
        if (!(error instanceof HandBack)) throw withoutDetails(error);
        if (error.afterMs !== undefined) {
          await job.moveToDelayed(Date.now() + error.afterMs, token);
          throw new DelayedError();
        }
        await job.moveToWait(token);
        throw new WaitingError();
      }
    }
  }
  Object.defineProperty(Consumer, 'name', { value: `${definition.handler.name}Consumer` });
  return Consumer;
}

/** BullMQ stores a failure's message; a library's message may quote a row. Class and code are enough there, `bug: TypeError`; the log has the stack. */
function withoutDetails(error: unknown): Error {
  const code = error instanceof AppError ? error.code : error instanceof Error && 'code' in error ? String(error.code) : undefined;
  const safe = new Error(`${failureClassOf(error)}: ${code ?? (error instanceof Error ? error.name : 'unknown')}`, { cause: error });
  const places = error instanceof Error ? (error.stack ?? '').split('\n').filter((line) => line.trimStart().startsWith('at ')) : [];
  safe.stack = [safe.message, ...places].join('\n');
  return safe;
}
