import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { getQueueToken } from '@nestjs/bullmq';
import type { Queue } from 'bullmq';
import type { Subscription } from 'rxjs';
import { AppError } from '../../kernel/errors.js';
import { withinTime } from '../../kernel/within-time.js';
import { LiveChannel } from '../database/live-channel.js';
import { LOGGER, type Logger } from '../ops/logger.js';
import { BACKOFF_BY_CLASS } from './consumers.js';
import { mostTries } from './failure-class.js';
import type { EventFilter, JobDefinition } from './job.js';
import { remembering, sending } from './job-spans.js';
import { Outbox, OUTBOX_TOPIC, type OutboxEntry } from './outbox.js';

/** Dependency-injection token: every job of the installation, those that this process does not consume included. */
export const JOB_DEFINITIONS = Symbol('JobDefinition[]');

const BATCH = 100;
const POLL_MS = 1_000;
const PRUNE_EVERY_MS = 10 * 60_000;
/** Beyond it events wait better in the outbox; handing over twice is harmless (same job id). */
const HAND_OVER_MS = 5_000;
/** Dispatched events and finished jobs are kept this long, so that a second dispatch meets the first one's job id. */
export const KEEP_SECONDS = 3_600;

/** Hands committed events to BullMQ. Any number of processes may run one. */
@Injectable()
export class RelayService implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private stopped = false;
  private running: Promise<void> = Promise.resolve();
  private wake: () => void = () => undefined;
  private subscription: Subscription | undefined;
  private prunedAt = Date.now();

  constructor(
    private readonly outbox: Outbox,
    private readonly live: LiveChannel,
    private readonly moduleRef: ModuleRef,
    @Inject(JOB_DEFINITIONS) private readonly definitions: readonly JobDefinition[],
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.subscription = this.live.watch(OUTBOX_TOPIC).subscribe(() => { this.wake(); });
    this.running = this.run();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopped = true;
    this.subscription?.unsubscribe();
    this.wake();
    await this.running;
  }

  private async run(): Promise<void> {
    let failures = 0;
    while (!this.stopped) {
      try {
        const handed = await this.outbox.drain(BATCH, (events) => this.dispatch(events));
        failures = 0;
        if (handed === BATCH) continue;
        await this.pruneSometimes();
      } catch (err) {
        failures++;
        this.logger[failures === 1 ? 'warn' : 'debug']({ err, failures }, 'relay could not hand over events; trying again');
      }
      await this.pause(Math.min(POLL_MS * 2 ** Math.min(failures, 3), 8_000));
    }
  }

  /** @returns by the ids of the events, the queues that got them */
  private async dispatch(events: OutboxEntry[]): Promise<ReadonlyMap<string, readonly string[]>> {
    const known = new Set(this.definitions.map(({ queue }) => queue));
    // Queues that only a newer version has go on waiting for that one.
    const queues = new Map(events.map(({ id, pending }) => [id, pending.filter((queue) => !known.has(queue))]));
    for (const definition of this.definitions) {
      const mine = await this.eventsFor(definition, events);
      if (mine.length === 0) continue;
      for (const { id } of mine) queues.get(id)?.push(definition.queue);
      const queue = this.moduleRef.get<Queue>(getQueueToken(definition.queue), { strict: false });
      await sending(definition.queue, mine, (traceparents) => withinTime(queue.addBulk(
        mine.map((event, index) => ({
          name: event.topic,
          data: event.payload,
          opts: {
            jobId: event.id,
            attempts: mostTries(definition.attempts),
            backoff: BACKOFF_BY_CLASS,
            removeOnComplete: { age: KEEP_SECONDS },
            ...(event.priority > 0 && { priority: event.priority }),
            ...remembering(traceparents[index]),
          },
        })),
      ), HAND_OVER_MS, () => new AppError('queue-unavailable')));
    }
    return queues;
  }

  /** One that comes again is for those alone that have yet to acknowledge it. */
  private async eventsFor({ queue, topics, filter }: JobDefinition, events: readonly OutboxEntry[]): Promise<OutboxEntry[]> {
    const mine = events.filter(({ topic, pending }) => (pending.length > 0 ? pending.includes(queue) : topics?.includes(topic)));
    if (filter === undefined || mine.length === 0) return mine;
    const wanted = await this.moduleRef.get<EventFilter>(filter, { strict: false }).wanted(mine);
    return mine.filter(({ id, pending }) => pending.length > 0 || wanted.has(id));
  }

  private async pruneSometimes(): Promise<void> {
    if (Date.now() - this.prunedAt < PRUNE_EVERY_MS) return;
    this.prunedAt = Date.now();
    await this.outbox.prune(new Date(Date.now() - KEEP_SECONDS * 1_000));
  }

  private pause(ms: number): Promise<void> {
    if (this.stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => { clearTimeout(timer); resolve(); };
    });
  }
}
