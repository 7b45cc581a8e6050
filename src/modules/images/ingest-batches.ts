import type { Fate, Refusal } from './fate.js';
import type { IngestService, StagedInstance } from './ingest.service.js';

/** Instances that are made durable and visible together: one transaction for all of them, and their beginnings in memory. */
const BATCH = 16;

/** Instances of one request, stored in batches: one while the next arrives. */
export class IngestBatches {
  private readonly fates: (Fate | undefined)[] = [];
  private waiting: { place: number; staged: StagedInstance }[] = [];
  private storing: Promise<void> = Promise.resolve();

  constructor(private readonly ingest: IngestService) {}

  /** @returns the place of its fate */
  async add(part: StagedInstance | Refusal): Promise<number> {
    const place = this.fates.push(undefined) - 1;
    if ('status' in part) this.fates[place] = part;
    else this.waiting.push({ place, staged: part });
    if (this.waiting.length >= BATCH) await this.flush();
    return place;
  }

  /** @returns all fates, in the order of `add`. Throws as `IngestService.store` does */
  async finish(): Promise<Fate[]> {
    await this.flush();
    await this.storing;
    return this.fates.filter((fate) => fate !== undefined);
  }

  /** After an error: whole parts stay, however the request ended. @returns the fates that are known */
  async giveUp(): Promise<Fate[]> {
    await this.finish().catch(() => undefined);
    await Promise.all(this.waiting.map(({ staged }) => staged.draft.abort()));
    return this.fates.filter((fate) => fate !== undefined);
  }

  private async flush(): Promise<void> {
    await this.storing;
    const batch = this.waiting;
    this.waiting = [];
    if (batch.length === 0) return;
    this.storing = this.ingest.store(batch.map(({ staged }) => staged)).then((fates) => {
      for (const [index, fate] of fates.entries()) this.fates[batch[index]?.place ?? 0] = fate;
    });
    // Its failure is met by the next flush or by `finish`, whichever comes.
    this.storing.catch(() => undefined);
  }
}
