/** Callers that are remembered; beyond, the one that came first is forgotten, and recorded once more. */
const MOST_CALLERS = 100_000;

/** Whether something is the first of its kind in a while. */
export class FirstOfWindow {
  /** Ends of windows, by the monotonic clock; the oldest come first, as all windows are alike. */
  private readonly ends = new Map<string, number>();

  constructor(
    private readonly windowMs: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Begins a window of the key, where there is none. */
  isFirst(key: string): boolean {
    const now = this.now();
    for (const [known, end] of this.ends) {
      if (end > now && this.ends.size < MOST_CALLERS) break;
      this.ends.delete(known);
    }
    if (this.ends.has(key)) return false;
    this.ends.set(key, now + this.windowMs);
    return true;
  }

  /** The first did not happen after all. */
  forget(key: string): void {
    this.ends.delete(key);
  }
}
