import { Inject, Injectable } from '@nestjs/common';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { QueueStore } from './queue.store.js';
import { LONGEST_SHARE_SECONDS } from './shares.js';

/**
 * What computing has cost each institution of late. Written after a run has ended and not with it: all runs of an institution share one row, and who holds that lets the
 * others wait until they have stored what they found. A process that is killed between the two forgets what one run cost, which takes nothing from anybody.
 */
@Injectable()
export class ComputeShares {
  private waiting: Map<string, number> | undefined;
  private written: Promise<void> = Promise.resolve();

  constructor(
    private readonly store: QueueStore,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Never throws. What ends while a write is on its way goes with the next. @param seconds  from the first claim to the end */
  add(institutionId: string, seconds: number): Promise<void> {
    if (!this.waiting) {
      this.waiting = new Map();
      this.written = this.written.then(() => this.write());
    }
    this.waiting.set(institutionId, (this.waiting.get(institutionId) ?? 0) + Math.min(seconds, LONGEST_SHARE_SECONDS));
    return this.written;
  }

  private async write(): Promise<void> {
    const shares = [...(this.waiting ?? [])];
    this.waiting = undefined;
    await this.store.addShares(shares).catch((err: unknown) => { this.logger.warn({ err, institutions: shares.length }, 'what runs cost their institutions is not known'); });
  }
}
