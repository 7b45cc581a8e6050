import { newTally } from '../../kernel/cache-tally.js';

/** Recently drawn previews, or what they are drawn from, by key, oldest use out first. Callers that come during a drawing share it; failures are not kept. */
export class PreviewCache<T extends { readonly byteLength: number } = Uint8Array> {
  readonly tally = newTally();
  private readonly entries = new Map<string, { drawing: Promise<T>; sizeBytes: number }>();
  private usedBytes = 0;

  /** @param capacityBytes  of all previews together; one that is larger is handed out and forgotten */
  constructor(private readonly capacityBytes: number) {}

  get(key: string, draw: () => Promise<T>): Promise<T> {
    const known = this.entries.get(key);
    if (known) {
      this.tally.hits++;
      this.entries.delete(key);
      this.entries.set(key, known);
      return known.drawing;
    }
    this.tally.misses++;
    const entry = { drawing: draw(), sizeBytes: 0 };
    this.entries.set(key, entry);
    entry.drawing.then(
      ({ byteLength }) => {
        if (this.entries.get(key) !== entry) return;
        entry.sizeBytes = byteLength;
        this.usedBytes += byteLength;
        this.evict();
      },
      () => { if (this.entries.get(key) === entry) this.entries.delete(key); },
    );
    return entry.drawing;
  }

  private evict(): void {
    for (const [key, { sizeBytes }] of this.entries) {
      if (this.usedBytes <= this.capacityBytes) return;
      // Size 0 is a drawing under way.
      if (sizeBytes === 0) continue;
      this.entries.delete(key);
      this.usedBytes -= sizeBytes;
    }
  }
}
