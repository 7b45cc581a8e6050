import { Gauge, type Registry } from 'prom-client';

const RESOLUTION_MS = 1_000;

/** A gauge of how many different ones were seen in the last while, in this process. Who they are is not told. */
export class RecentlySeen {
  private readonly seen = new Map<string, number>();

  constructor(name: string, help: string, private readonly forMs: number, registry: Registry, private readonly now: () => number = Date.now) {
    const gauge = new Gauge({ name, help, registers: [registry], collect: () => { gauge.set(this.count()); } });
  }

  see(id: string): void {
    const now = this.now();
    if (now - (this.seen.get(id) ?? -Infinity) < RESOLUTION_MS) return;
    // Anew, so that the map stays in the order of time.
    this.seen.delete(id);
    this.seen.set(id, now);
  }

  private count(): number {
    const since = this.now() - this.forMs;
    for (const [id, at] of this.seen) {
      if (at > since) break;
      this.seen.delete(id);
    }
    return this.seen.size;
  }
}
