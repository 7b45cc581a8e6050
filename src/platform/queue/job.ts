import type { Type } from '@nestjs/common';

/** What a handler gets beside its payload. */
export interface JobContext {
  /** The outbox id, or the schedule's name. */
  jobId: string;
  /** The event's topic, or the schedule's name. */
  topic: string;
  /** 1 for the first try. */
  attempt: number;
  /** Aborts when this process is asked to stop and its grace is over: hand the work back with `HandBack`. */
  signal: AbortSignal;
  /** Aborts as soon as this process is asked to stop: a handler that does one piece of work after another begins none. */
  closing?: AbortSignal;
}

/** Thrown by a handler that gives its job back unfinished; it is queued again and no try is counted. */
export class HandBack extends Error {
  override readonly name = 'HandBack';

  /** @param afterMs  how long it waits before somebody gets it; at once without */
  constructor(readonly afterMs?: number) {
    super();
  }
}

/**
 * One job's handler. It re-reads the database, does nothing when the work is done or gone, and may run twice.
 * Wire it in the module's `.worker.ts`.
 */
// The parameter ties a handler to its payload, where it is implemented.
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters
export abstract class JobHandler<Payload = Record<string, never>> {
  abstract handle(payload: Payload, context: JobContext): Promise<void>;
}

/** An event, before it becomes jobs. */
export interface Announced {
  id: string;
  institutionId: string;
  topic: string;
}

/** Which events become jobs, where most of them would find nothing to do. Asked for many events at once. */
export abstract class EventFilter {
  /** @returns ids of those that somebody waits for */
  abstract wanted(events: readonly Announced[]): Promise<ReadonlySet<string>>;
}

/** What a process must have to do a kind of job at all. */
export abstract class JobNeed {
  /** Asked once, before the process takes the first of these jobs. */
  abstract isMet(): Promise<boolean>;
}

/** How a job is fed and run. */
export interface JobDefinition {
  /** BullMQ queue; one handler each. Lower case and dashes. */
  queue: string;
  handler: Type<JobHandler<never>>;
  /** Outbox topics that become jobs of this queue. */
  topics?: readonly string[];
  /** Which of them do; all without it. */
  filter?: Type<EventFilter>;
  /** What a process lacks that leaves these jobs to others. */
  needs?: Type<JobNeed>;
  /** Runs on a timer, once per interval for the whole installation. */
  everyMs?: number;
  /** Jobs at a time in one process; `configured` = WORKER_CONCURRENCY. */
  concurrency: number | 'configured';
  /** Its jobs only wake a worker, which takes whatever work there is: each piece has a span in a trace of its own, and the job has none. */
  beginsSpans?: true;
  /** Tries before the job is parked as failed, while what it meets may pass; anything else is tried less often (`failure-class`). */
  attempts?: number;
}
