import { InjectQueue } from '@nestjs/bullmq';
import { Injectable } from '@nestjs/common';
import type { Queue } from 'bullmq';
import { AppError } from '../../kernel/errors.js';
import { withinTime } from '../../kernel/within-time.js';

export const PROBE_QUEUE = 'probe';

/** Asks the queue's backend whether it answers. */
@Injectable()
export class QueueProbe {
  constructor(@InjectQueue(PROBE_QUEUE) private readonly queue: Queue) {}

  /** @throws AppError `queue-unavailable` after `timeoutMs` or on an error */
  async ping(timeoutMs = 2_000): Promise<void> {
    try {
      await withinTime(this.queue.getJobCounts('waiting'), timeoutMs, () => new AppError('queue-unavailable'));
    } catch (error) {
      throw new AppError('queue-unavailable', { cause: error });
    }
  }
}
