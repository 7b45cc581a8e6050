import { Injectable } from '@nestjs/common';
import type { Job, JobType, Queue } from 'bullmq';
import { FAILURE_CLASSES, type FailureClass } from './failure-class.js';
import { QueueConnection } from './connection.js';
import { QueueAccess } from './queue-access.js';

export const JOB_STATES = ['waiting', 'active', 'delayed', 'failed', 'completed'] as const;
export type JobState = (typeof JOB_STATES)[number];

export type JobCounts = Record<JobState, number>;

export interface QueueSummary {
  name: string;
  counts: JobCounts;
  isPaused: boolean;
  /** Of the job that waits longest; null when none waits. */
  oldestWaitingSeconds: number | null;
  /** Processes that take jobs from it. */
  consumers: number;
}

/** A job as operators see it: nothing of what it is about but ids. */
export interface JobView {
  id: string;
  /** The event's topic, or the name of a timed job. */
  topic: string;
  state: JobState;
  /** Whose event it is; null for a timed job, which serves all. */
  institutionId: string | null;
  attempts: number;
  /** Of the last try, of a job that failed. */
  failure: { class: FailureClass; code: string } | null;
  createdAt: Date;
  startedAt: Date | null;
  finishedAt: Date | null;
  /** About when a job that is delayed gets its turn. */
  dueAt: Date | null;
}

/** BullMQ's names; jobs with a priority wait in a list of their own. */
const TYPES: Readonly<Record<JobState, readonly JobType[]>> = { waiting: ['prioritized', 'waiting'], active: ['active'], delayed: ['delayed'], failed: ['failed'], completed: ['completed'] };
/** Where jobs of a paused queue are counted on PostgreSQL; no type of BullMQ's any more. */
const PAUSED = 'paused' as JobType;
/** Of those with a priority the oldest need not be the first. */
const LOOKED_FOR_OLDEST = 100;
const PAGE = 200;
/** Jobs that are looked through for one page of those of one institution. */
const MOST_LOOKED_THROUGH = 2_000;

/** What is in the queues. */
@Injectable()
export class QueueView {
  constructor(
    private readonly access: QueueAccess,
    private readonly connection: QueueConnection,
  ) {}

  /** @throws AppError `queue-unavailable` */
  summaries(): Promise<QueueSummary[]> {
    return Promise.all(this.access.names.map((name) => this.summary(name)));
  }

  /** @throws AppError `queue-not-found`, `queue-unavailable` */
  summary(name: string): Promise<QueueSummary> {
    return this.access.ask(name, async (queue) => {
      const [counts, isPaused, consumers] = await Promise.all([countsOf(queue), queue.isPaused(), this.connection.consumersOf(queue)]);
      return { name, counts, isPaused, consumers, oldestWaitingSeconds: counts.waiting === 0 ? null : await oldestWaiting(queue) };
    });
  }

  /** @throws AppError `queue-not-found`, `queue-unavailable` */
  counts(name: string): Promise<JobCounts> {
    return this.access.ask(name, countsOf);
  }

  /**
   * Up to `limit` jobs, newest first; of those with a priority the least urgent. The list moves while it is read: a job may come twice, or be passed over.
   *
   * @param institutionId  whose jobs; those of everybody, and the timed ones, when omitted
   * @param offset  `next` of the page before
   * @throws AppError `queue-not-found`, `queue-unavailable`
   */
  async jobs(name: string, { state, institutionId, offset, limit }: { state: JobState; institutionId?: string | undefined; offset: number; limit: number }): Promise<{ jobs: JobView[]; next: number | null }> {
    const jobs: JobView[] = [];
    for (let at = offset; at < offset + MOST_LOOKED_THROUGH;) {
      const page = await this.access.ask(name, (queue) => slice(queue, state, at));
      for (const job of page) {
        at++;
        // One that was removed between its id and its data is undefined.
        const view = job && viewOf(job, state);
        if (view && (institutionId === undefined || view.institutionId === institutionId)) jobs.push(view);
        if (jobs.length === limit) return { jobs, next: at };
      }
      if (page.length < PAGE) return { jobs, next: null };
    }
    return { jobs, next: offset + MOST_LOOKED_THROUGH };
  }
}

/** Up to a page from a place on, over all lists of a state, one behind the other. */
async function slice(queue: Queue, state: JobState, from: number): Promise<(Job | undefined)[]> {
  const found: (Job | undefined)[] = [];
  let start = from;
  for (const type of TYPES[state]) {
    const wanted = PAGE - found.length;
    if (wanted > 0) found.push(...(await queue.getJobs([type], start, start + wanted - 1, false)));
    if (TYPES[state].length > 1) start = Math.max(0, start - (await queue.getJobCountByTypes(type)));
  }
  return found;
}

async function countsOf(queue: Queue): Promise<JobCounts> {
  const counts = await queue.getJobCounts(...JOB_STATES.flatMap((state) => TYPES[state]), PAUSED);
  // One entry for each state, as the keys of the record are.
  return Object.fromEntries(JOB_STATES.map((state) => [state, [...TYPES[state], ...(state === 'waiting' ? [PAUSED] : [])].reduce((sum, type) => sum + (counts[type] ?? 0), 0)])) as JobCounts;
}

async function oldestWaiting(queue: Queue): Promise<number | null> {
  // From its end: on PostgreSQL the first of this list in rising order are the newest of all.
  const last = (await queue.getJobCounts('waiting', PAUSED).then((counts) => Object.values(counts).reduce((sum, count) => sum + count, 0))) - 1;
  const jobs = [...(last < 0 ? [] : await queue.getJobs(['waiting'], last, last, false)), ...(await queue.getJobs(['prioritized'], 0, LOOKED_FOR_OLDEST - 1, true))] as (Job | undefined)[];
  const times = jobs.flatMap((job) => job?.timestamp ?? []);
  return times.length === 0 ? null : Math.max(0, (Date.now() - Math.min(...times)) / 1000);
}

export function viewOf(job: Job, state: JobState): JobView {
  const { id = '', name, timestamp, delay, attemptsMade, failedReason, processedOn, finishedOn } = job;
  return {
    id, topic: name, state, institutionId: institutionOf(job), attempts: attemptsMade, failure: failureOf(failedReason),
    createdAt: new Date(timestamp), startedAt: dateOf(processedOn), finishedAt: dateOf(finishedOn), // After a try the wait counts from that.
    dueAt: state === 'delayed' ? new Date(Math.max(timestamp, processedOn ?? 0) + delay) : null,
  };
}

/** Events name whose they are. */
export function institutionOf({ data }: Job): string | null {
  const given = data as { institutionId?: unknown } | null;
  return typeof given?.institutionId === 'string' ? given.institutionId : null;
}

/** As consumers write it, `bug: TypeError`; what BullMQ itself has to say is a lost worker. */
function failureOf(reason: string | undefined | null): JobView['failure'] {
  if (reason === undefined || reason === null || reason === '') return null;
  const [, name = '', code = ''] = /^([a-z-]+): (.*)$/.exec(reason) ?? [];
  const failure = FAILURE_CLASSES.find((one) => one === name);
  if (failure) return { class: failure, code };
  return { class: 'bug', code: reason.includes('stalled') ? 'worker-lost' : 'internal' };
}

function dateOf(ms: number | undefined | null): Date | null {
  return ms === undefined || ms === null || ms === 0 ? null : new Date(ms);
}
