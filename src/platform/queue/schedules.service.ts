import { getQueueToken } from '@nestjs/bullmq';
import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import type { Queue } from 'bullmq';
import type { JobDefinition } from './job.js';
import { JOB_DEFINITIONS } from './relay.service.js';

/** Registers the timed jobs; the queue runs each once per interval, however many workers there are. */
@Injectable()
export class SchedulesService implements OnApplicationBootstrap {
  constructor(
    private readonly moduleRef: ModuleRef,
    @Inject(JOB_DEFINITIONS) private readonly definitions: readonly JobDefinition[],
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    for (const { queue: name, everyMs } of this.definitions) {
      if (everyMs === undefined) continue;
      const queue = this.moduleRef.get<Queue>(getQueueToken(name), { strict: false });
      await queue.upsertJobScheduler(name, { every: everyMs }, { name, data: {}, opts: { attempts: 1, removeOnComplete: { count: 10 }, removeOnFail: { count: 100 } } });
    }
  }
}
