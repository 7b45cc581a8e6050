import { getQueueToken } from '@nestjs/bullmq';
import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import type { Queue } from 'bullmq';
import { Database } from '../database/database.js';
import { LOGGER, type Logger } from '../ops/logger.js';
import { CLOCKS_DIFFER_MS } from './clock-difference.js';
import type { JobDefinition } from './job.js';
import { QueueAccess } from './queue-access.js';
import { JOB_DEFINITIONS } from './relay.service.js';
import { Repairs } from './repairs.service.js';

/** A timed job, as the queue knows it. */
type Timed = JobDefinition & { everyMs: number };

/**
 * Registers the timed jobs; the queue runs each once per interval, however many workers there are. What was registered is looked after by a clock
 * of this process, because a queue that was emptied has lost the jobs that repair it, too.
 */
@Injectable()
export class SchedulesService implements OnApplicationBootstrap, BeforeApplicationShutdown {
  /** So often every worker makes sure that the queue still has them. Oftener in tests. */
  static checkMs = 10_000;

  private timer: NodeJS.Timeout | undefined;
  private checking: Promise<void> | undefined;
  /** Without a next run at the last look, or with one that is too far away: between two runs there may be none for a moment. */
  private readonly suspects = new Set<string>();

  constructor(
    private readonly moduleRef: ModuleRef,
    private readonly access: QueueAccess,
    private readonly database: Database,
    private readonly repairs: Repairs,
    @Inject(JOB_DEFINITIONS) private readonly definitions: readonly JobDefinition[],
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    for (const timed of this.timed()) await register(this.moduleRef.get<Queue>(getQueueToken(timed.queue), { strict: false }), timed);
    this.timer = setInterval(() => { this.checking ??= this.check().finally(() => { this.checking = undefined; }); }, SchedulesService.checkMs);
  }

  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.checking;
  }

  /** Registers anew what the queue has lost. Never throws: a queue that is away is asked again. */
  private async check(): Promise<void> {
    try {
      const nowMs = await this.database.nowMs();
      for (const timed of this.timed()) await this.access.ask(timed.queue, (queue) => this.repair(queue, timed, nowMs));
    } catch (err) {
      this.logger.debug({ err }, 'timed jobs could not be looked after');
    }
  }

  private async repair(queue: Queue, timed: Timed, nowMs: number): Promise<void> {
    const found = await stateOf(queue, timed, nowMs);
    const isSuspected = this.suspects.delete(timed.queue);
    if (found === 'scheduled') return;
    if (found === 'idle' && !isSuspected) {
      this.suspects.add(timed.queue);
      return;
    }
    // One that stands there and leads to no job would be taken for as it should be.
    if (found === 'idle') await queue.removeJobScheduler(timed.queue);
    await register(queue, timed);
    this.repairs.count('schedule');
    this.logger.warn({ queue: timed.queue }, 'the queue had lost a timed job or was to run it far too late; it is registered again');
  }

  private timed(): Timed[] {
    return this.definitions.filter((definition): definition is Timed => definition.everyMs !== undefined);
  }
}

/** `idle`: registered, but no job of it waits or runs, so none will follow; or one does, but whoever made it had a clock that was far ahead, and all would wait for that time. */
async function stateOf(queue: Queue, { queue: name, everyMs }: Timed, nowMs: number): Promise<'scheduled' | 'idle' | 'gone'> {
  const scheduler = await queue.getJobScheduler(name);
  if (!scheduler) return 'gone';
  // The next run is made when the one before begins.
  if (scheduler.every !== everyMs || typeof scheduler.next !== 'number' || scheduler.next > nowMs + everyMs + CLOCKS_DIFFER_MS) return 'idle';
  const next = await queue.getJob(`repeat:${name}:${String(scheduler.next)}`);
  return next && next.finishedOn === undefined ? 'scheduled' : 'idle';
}

/** One that fails leaves nothing to be tried again: the next one does its work. */
async function register(queue: Queue, { queue: name, everyMs }: Timed): Promise<void> {
  await queue.upsertJobScheduler(name, { every: everyMs }, { name, data: {}, opts: { attempts: 1, removeOnComplete: { count: 10 }, removeOnFail: true } });
}
