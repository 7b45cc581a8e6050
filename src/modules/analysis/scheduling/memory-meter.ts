import { Injectable } from '@nestjs/common';

const SAMPLE_MS = 50;

/**
 * How much memory this process grew by while a run was computed. Of runs that overlap nobody can tell which took what, so only one that was
 * alone from its start to its end is told. Memory of a GPU is not seen.
 */
@Injectable()
export class MemoryMeter {
  private running = 0;
  private overlaps = 0;
  private peak = 0;
  private timer: NodeJS.Timeout | undefined;

  /** @returns ends the measurement; gives MiB, undefined when others ran meanwhile */
  start(): () => number | undefined {
    this.running++;
    if (this.running > 1) this.overlaps++;
    const before = process.memoryUsage.rss();
    const overlaps = this.overlaps;
    const alone = this.running === 1;
    if (alone) this.peak = before;
    this.timer ??= setInterval(() => { this.sample(); }, SAMPLE_MS).unref();
    return () => {
      this.sample();
      this.running--;
      if (this.running === 0) {
        clearInterval(this.timer);
        this.timer = undefined;
      }
      return alone && overlaps === this.overlaps ? Math.max(1, Math.ceil((this.peak - before) / 2 ** 20)) : undefined;
    };
  }

  private sample(): void {
    this.peak = Math.max(this.peak, process.memoryUsage.rss());
  }
}
