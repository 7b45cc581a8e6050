import { Inject, Injectable } from '@nestjs/common';
import { Rounds } from '../../../kernel/rounds.js';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { soon } from '../../../platform/ops/soon.js';
import { QueueStore } from './queue.store.js';
import { LONGEST_SHARE_SECONDS } from './shares.js';

/** Whoever asks for work next should see what the last run cost, but need not. */
const PATIENCE_MS = 2_000;

type Share = readonly [institutionId: string, seconds: number];

/**
 * What computing has cost each institution of late. Written after runs have ended and not with them: all runs of an institution share one row, and who holds that lets the
 * others wait until they have stored what they found. A process that is killed between the two forgets what those runs cost, which takes nothing from anybody.
 */
@Injectable()
export class ComputeShares {
  private readonly rounds = new Rounds<Share, void>(async (shares) => {
    await soon(this.write(shares), PATIENCE_MS);
    return [];
  }, { atOnce: 1, items: Infinity });

  constructor(
    private readonly store: QueueStore,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Never throws. @param seconds  from the first claim to the end */
  async add(institutionId: string, seconds: number): Promise<void> {
    await this.rounds.take([[institutionId, Math.min(seconds, LONGEST_SHARE_SECONDS)]]);
  }

  private async write(shares: readonly Share[]): Promise<void> {
    const sums = new Map<string, number>();
    for (const [institutionId, seconds] of shares) sums.set(institutionId, (sums.get(institutionId) ?? 0) + seconds);
    await this.store.addShares([...sums]).catch((err: unknown) => { this.logger.warn({ err, institutions: sums.size }, 'what runs cost their institutions is not known'); });
  }
}
