import { InjectQueue } from '@nestjs/bullmq';
import { Injectable } from '@nestjs/common';
import type { Queue } from 'bullmq';
import { AppError } from '../../kernel/errors.js';

export const PROBE_QUEUE = 'probe';

/** Asks the queue's backend whether it answers. */
@Injectable()
export class QueueProbe {
  constructor(@InjectQueue(PROBE_QUEUE) private readonly queue: Queue) {}

  /** @throws AppError `queue-unavailable` after `timeoutMs` or on an error */
  async ping(timeoutMs = 2_000): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => { timer = setTimeout(() => { reject(new AppError('queue-unavailable')); }, timeoutMs); });
    try {
      await Promise.race([this.queue.getJobCounts('waiting'), late]);
    } catch (error) {
      throw new AppError('queue-unavailable', { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }
}
