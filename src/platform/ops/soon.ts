import { withinTime } from '../../kernel/within-time.js';

/** Of everything that a scrape asks: a scraper that gets nothing within its own patience loses all other metrics too, when they are wanted most. */
const PATIENCE_MS = 1_000;

/** What `work` gives; undefined when it fails, or takes longer than somebody waits: by default, a scrape. */
export async function soon<T>(work: Promise<T>, patienceMs = PATIENCE_MS): Promise<T | undefined> {
  return withinTime<T | undefined>(work, patienceMs, () => new Error('late')).catch(() => undefined);
}
