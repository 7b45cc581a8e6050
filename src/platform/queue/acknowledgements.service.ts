import { Inject, Injectable } from '@nestjs/common';
import { LOGGER, type Logger } from '../ops/logger.js';
import { Outbox } from './outbox.js';

/** So long they gather, so that many jobs cost one statement. */
const GATHER_MS = 100;

/**
 * Tells the outbox which events a queue is done with. One that is lost with the process costs nothing: the reconciler finds the job
 * completed, or the job runs once more and finds its work done.
 */
@Injectable()
export class Acknowledgements {
  private waiting = new Map<string, string[]>();
  private timer: NodeJS.Timeout | undefined;
  private writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly outbox: Outbox,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Never waits and never throws. */
  done(queue: string, eventId: string): void {
    const ids = this.waiting.get(queue);
    if (ids) ids.push(eventId);
    else this.waiting.set(queue, [eventId]);
    this.timer ??= setTimeout(() => { void this.flush(); }, GATHER_MS).unref();
  }

  /** Resolves when all that was told until now is written, or given up. */
  flush(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    const gathered = this.waiting;
    this.waiting = new Map();
    this.writing = this.writing.then(() => this.write(gathered));
    return this.writing;
  }

  private async write(gathered: ReadonlyMap<string, readonly string[]>): Promise<void> {
    for (const [queue, ids] of gathered) {
      await this.outbox.acknowledge(queue, ids).catch((err: unknown) => { this.logger.debug({ err, queue, events: ids.length }, 'acknowledgements not written; the reconciler finds them'); });
    }
  }
}
