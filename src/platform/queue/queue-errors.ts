import { getQueueToken } from '@nestjs/bullmq';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import type { Queue } from 'bullmq';
import { LOGGER, type Logger } from '../ops/logger.js';

/** Dependency-injection token: the names of the queues that this process holds. */
export const QUEUE_NAMES = Symbol('string[]');

/** Takes the connection errors of every queue: unheard, BullMQ would print them. The callers of a queue see their own failures. */
@Injectable()
export class QueueErrors implements OnModuleInit {
  constructor(
    private readonly moduleRef: ModuleRef,
    @Inject(QUEUE_NAMES) private readonly names: readonly string[],
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    for (const name of this.names) {
      this.moduleRef.get<Queue>(getQueueToken(name), { strict: false }).on('error', (err) => { this.logger.debug({ err, queue: name }, 'queue connection'); });
    }
  }
}
