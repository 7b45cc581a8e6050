interface Caller<Item, Result> {
  items: readonly Item[];
  resolve: (results: readonly Result[]) => void;
  reject: (error: unknown) => void;
}

/** How many rounds run at once, and when a round takes no more callers. */
export interface RoundLimits {
  atOnce: number;
  items: number;
}

/**
 * Does the work of several callers together: what comes while rounds run waits, and the next round takes all of it. For work
 * that costs about the same for one item as for many, such as a commit.
 */
export class Rounds<Item, Result> {
  private running = 0;
  private readonly waiting: Caller<Item, Result>[] = [];

  /** @param work  gives a result for every item, in their order; its failure is the failure of all who took part */
  constructor(
    private readonly work: (items: readonly Item[]) => Promise<readonly Result[]>,
    private readonly limits: RoundLimits,
  ) {}

  get isIdle(): boolean {
    return this.running === 0;
  }

  /** @returns the results of these items, in their order. Throws as the work does */
  take(items: readonly Item[]): Promise<readonly Result[]> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ items, resolve, reject });
      this.next();
    });
  }

  private next(): void {
    if (this.running >= this.limits.atOnce) return;
    const callers = this.callers();
    if (callers.length === 0) return;
    this.running++;
    void this.run(callers);
  }

  /** Who takes part in the next round: the first who waits, however much it brings, and those behind for whom there is room. */
  private callers(): Caller<Item, Result>[] {
    let items = 0;
    let count = 0;
    for (const caller of this.waiting) {
      if (count > 0 && items + caller.items.length > this.limits.items) break;
      items += caller.items.length;
      count++;
    }
    return this.waiting.splice(0, count);
  }

  private async run(callers: readonly Caller<Item, Result>[]): Promise<void> {
    const answer = await this.work(callers.flatMap(({ items }) => items)).then(
      (results) => () => {
        let from = 0;
        for (const { items, resolve } of callers) resolve(results.slice(from, (from += items.length)));
      },
      (error: unknown) => () => { for (const { reject } of callers) reject(error); },
    );
    this.running--;
    answer();
    this.next();
  }
}
