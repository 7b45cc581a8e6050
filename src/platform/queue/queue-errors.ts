import { getQueueToken } from '@nestjs/bullmq';
import type { FactoryProvider } from '@nestjs/common';
import type { Queue } from 'bullmq';
import { LOGGER, type Logger } from '../ops/logger.js';

const QUEUE_ERRORS = Symbol('QueueErrors');

/**
 * Takes the connection errors of every queue from the moment it is made, so also in a start that fails later: unheard, BullMQ would
 * print them over what the start has to say. The callers of a queue see their own failures.
 */
export function queueErrors(names: readonly string[]): FactoryProvider {
  return {
    provide: QUEUE_ERRORS,
    inject: [LOGGER, ...names.map((name) => getQueueToken(name))],
    useFactory: (logger: Logger, ...queues: Queue[]) => {
      for (const queue of queues) queue.on('error', (err) => { logger.debug({ err, queue: queue.name }, 'queue connection'); });
      return queues.length;
    },
  };
}
