/** Writes together what comes while a write is on its way. A write that hangs keeps back the next one for `patienceMs` and no longer. */
export class Gathering<T> {
  private waiting: T[] = [];
  private written: Promise<void> = Promise.resolve();

  constructor(
    private readonly write: (items: readonly T[]) => Promise<void>,
    private readonly patienceMs: number,
  ) {}

  /** Settles with the write that takes the item along. @throws what that write throws */
  add(item: T): Promise<void> {
    if (this.waiting.length === 0) this.written = settledWithin(this.written, this.patienceMs).then(() => this.write(this.waiting.splice(0)));
    this.waiting.push(item);
    return this.written;
  }
}

/** Waits until `work` has settled, but no longer than `ms`; never throws. */
export async function settledWithin(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => { timer = setTimeout(resolve, ms); });
  await Promise.race([work.then(() => undefined, () => undefined), late]);
  clearTimeout(timer);
}
