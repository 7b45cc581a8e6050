import { AppError } from '../../kernel/errors.js';

/** Beyond so many that wait, who comes is sent away: a queue of minutes helps nobody. */
const MOST_WAITING = 200;

interface Lane {
  running: number;
  waiting: (() => void)[];
}

/** Lets so many of a key work at once; the others wait for their turn, in order. */
export class Turns {
  private readonly lanes = new Map<string, Lane>();

  /** @throws AppError `too-many-requests` when too many wait already; what `work` throws */
  async run<T>(key: string, atOnce: number, work: () => Promise<T>): Promise<T> {
    await this.enter(key, atOnce);
    try {
      return await work();
    } finally {
      this.leave(key);
    }
  }

  private async enter(key: string, atOnce: number): Promise<void> {
    const lane = this.lanes.get(key) ?? { running: 0, waiting: [] };
    this.lanes.set(key, lane);
    if (lane.running < atOnce) {
      lane.running += 1;
      return;
    }
    if (lane.waiting.length >= MOST_WAITING) throw new AppError('too-many-requests', { retryAfterSeconds: 5 });
    await new Promise<void>((resolve) => lane.waiting.push(resolve));
  }

  /** Whose turn is next takes over the place of who leaves. */
  private leave(key: string): void {
    const lane = this.lanes.get(key);
    if (!lane) return;
    const next = lane.waiting.shift();
    if (next) next();
    else if (--lane.running === 0) this.lanes.delete(key);
  }
}
