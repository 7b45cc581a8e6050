import { Counter, type Registry } from 'prom-client';
import type { CacheTally } from '../../kernel/cache-tally.js';

/** How often caches had what they were asked for. They count by themselves, in the course of every request; here the counts are read when somebody looks. */
export class CacheRequests {
  private readonly watched = new Map<string, CacheTally[]>();

  constructor(registry: Registry) {
    const counter = new Counter({
      name: 'healthvision_cache_requests_total', help: 'What caches of this process were asked for, by whether they had it: hit, miss', labelNames: ['cache', 'outcome'], registers: [registry],
      collect: () => {
        counter.reset();
        for (const [cache, tallies] of this.watched) {
          for (const { hits, misses } of tallies) {
            counter.inc({ cache, outcome: 'hit' }, hits);
            counter.inc({ cache, outcome: 'miss' }, misses);
          }
        }
      },
    });
  }

  /** @param cache  a fixed name; tallies of one name are added up */
  watch(cache: string, ...tallies: readonly CacheTally[]): void {
    this.watched.set(cache, [...(this.watched.get(cache) ?? []), ...tallies]);
  }
}
