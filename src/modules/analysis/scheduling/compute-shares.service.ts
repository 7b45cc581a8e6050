import { Inject, Injectable } from '@nestjs/common';
import { Gathering, settledWithin } from '../../../kernel/gathering.js';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { QueueStore } from './queue.store.js';
import { LONGEST_SHARE_SECONDS } from './shares.js';

/** Whoever asks for work next should see what the last run cost, but need not. */
const PATIENCE_MS = 2_000;

/**
 * What computing has cost each institution of late. Written after runs have ended and not with them: all runs of an institution share one row, and who holds that lets the
 * others wait until they have stored what they found. A process that is killed between the two forgets what those runs cost, which takes nothing from anybody.
 */
@Injectable()
export class ComputeShares {
  private readonly gathering = new Gathering<readonly [institutionId: string, seconds: number]>((shares) => this.write(shares), PATIENCE_MS);

  constructor(
    private readonly store: QueueStore,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Never throws. @param seconds  from the first claim to the end */
  add(institutionId: string, seconds: number): Promise<void> {
    return settledWithin(this.gathering.add([institutionId, Math.min(seconds, LONGEST_SHARE_SECONDS)]), PATIENCE_MS);
  }

  private async write(shares: readonly (readonly [string, number])[]): Promise<void> {
    const sums = new Map<string, number>();
    for (const [institutionId, seconds] of shares) sums.set(institutionId, (sums.get(institutionId) ?? 0) + seconds);
    await this.store.addShares([...sums]).catch((err: unknown) => { this.logger.warn({ err, institutions: sums.size }, 'what runs cost their institutions is not known'); });
  }
}
