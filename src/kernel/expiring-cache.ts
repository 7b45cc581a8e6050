import { newTally } from './cache-tally.js';

interface Entry<Value> {
  value: Promise<Value | undefined>;
  until: number;
}

/** Remembers what a load gave for a short while. Callers that come during a load share it; failures and absences are not kept. */
export class ExpiringCache<Value> {
  readonly tally = newTally();
  private readonly entries = new Map<string, Entry<Value>>();

  constructor(
    private readonly lifetimeMs: number,
    private readonly capacity: number,
    private readonly now: () => number = Date.now,
  ) {}

  get(key: string, load: (key: string) => Promise<Value | undefined>): Promise<Value | undefined> {
    const known = this.entries.get(key);
    if (known && known.until > this.now()) {
      this.tally.hits++;
      return known.value;
    }
    this.tally.misses++;
    const entry: Entry<Value> = { value: load(key), until: this.now() + this.lifetimeMs };
    this.entries.delete(key);
    this.entries.set(key, entry);
    const [oldest] = this.entries.keys();
    if (this.entries.size > this.capacity && oldest !== undefined) this.entries.delete(oldest);
    const drop = (): void => { if (this.entries.get(key) === entry) this.entries.delete(key); };
    entry.value.then((value) => { if (value === undefined) drop(); }, drop);
    return entry.value;
  }

  has(key: string): boolean {
    return (this.entries.get(key)?.until ?? 0) > this.now();
  }

  forget(key: string): void {
    this.entries.delete(key);
  }

  clear(): void {
    this.entries.clear();
  }
}
