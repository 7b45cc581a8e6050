import { Injectable } from '@nestjs/common';
import type { Job, Queue } from 'bullmq';
import { AppError } from '../../kernel/errors.js';
import { isUuid } from '../../kernel/uid.js';
import { Outbox } from './outbox.js';
import { QueueAccess } from './queue-access.js';
import { institutionOf, JOB_STATES, viewOf, type JobState, type JobView } from './queue-view.js';

/** What operators do with queues and jobs. */
@Injectable()
export class QueueControl {
  constructor(
    private readonly access: QueueAccess,
    private readonly outbox: Outbox,
  ) {}

  /**
   * Gives a job that was given up its tries again.
   *
   * @param institutionId  whose it must be; any, when omitted
   * @throws AppError `queue-not-found`, `job-not-found`, `job-not-parked`, `queue-unavailable`
   */
  retry(name: string, id: string, institutionId?: string): Promise<JobView> {
    return this.access.ask(name, async (queue) => {
      const { job, state } = await found(queue, id, institutionId);
      if (state !== 'failed') throw new AppError('job-not-parked');
      await job.retry('failed', { resetAttemptsMade: true, resetAttemptsStarted: true });
      return viewOf(await queue.getJob(id) ?? job, 'waiting');
    });
  }

  /**
   * Removes a job for good: what it was to do is not done. A timed one that waits stays, or there would be no other.
   * @throws AppError `queue-not-found`, `job-not-found`, `job-not-removable`, `queue-unavailable`
   */
  remove(name: string, id: string, institutionId?: string): Promise<void> {
    return this.access.ask(name, async (queue) => {
      const { state } = await found(queue, id, institutionId);
      if (state === 'active') throw new AppError('job-not-removable', { detail: 'A worker has it. What takes long, such as an analysis, is cancelled where it was asked for.' });
      if (!isUuid(id) && state !== 'failed' && state !== 'completed') throw new AppError('job-not-removable', { detail: 'It is the next run of a timed job.' });
      // First, or the reconciler would take the job for lost.
      if (isUuid(id)) await this.outbox.acknowledge(name, [id]);
      try {
        await queue.remove(id);
        if (await queue.getJob(id)) throw new AppError('job-not-removable', { detail: 'A worker took it meanwhile.' });
      } catch (error) {
        if (isUuid(id)) await this.outbox.reopen(name, id);
        throw error instanceof AppError ? error : new AppError('job-not-removable', { detail: 'A worker took it meanwhile.', cause: error });
      }
    });
  }

  /** No consumer takes a job of it any more; those that run are finished. @throws AppError `queue-not-found`, `queue-unavailable` */
  pause(name: string): Promise<void> {
    return this.access.ask(name, (queue) => queue.pause());
  }

  /** @throws AppError `queue-not-found`, `queue-unavailable` */
  resume(name: string): Promise<void> {
    return this.access.ask(name, (queue) => queue.resume());
  }
}

/** A job of another institution is as one that is not there. */
async function found(queue: Queue, id: string, institutionId: string | undefined): Promise<{ job: Job; state: JobState }> {
  const job = await queue.getJob(id) as Job | undefined;
  if (!job || (institutionId !== undefined && institutionOf(job) !== institutionId)) throw new AppError('job-not-found');
  const state = await queue.getJobState(id);
  return { job, state: JOB_STATES.find((one) => one === state) ?? 'waiting' };
}
