import { Gauge, Histogram } from 'prom-client';
import { newTally } from '../../kernel/cache-tally.js';
import type { Metrics } from '../ops/metrics.js';
import type { Loaded, Resident } from './compute-protocol.js';

/** What the compute threads of this process load and hold. */
export class ComputeMetrics {
  /** Of runs and batches, by whether a thread held the network that they needed. */
  readonly sessions = newTally();
  private readonly loads: Histogram;
  private readonly held = new Map<number, Resident>();

  /** @param providers  that may be used */
  constructor({ registry, caches }: Metrics, providers: readonly string[]) {
    caches.watch('model-session', this.sessions);
    this.loads = new Histogram({
      name: 'healthvision_model_load_seconds', help: 'Time to load one network of a model, from its files to a session that computes',
      labelNames: ['model', 'provider'], buckets: [0.01, 0.05, 0.1, 0.5, 1, 2, 5, 15, 60, 300], registers: [registry],
    });
    const gauge = new Gauge({
      name: 'healthvision_models_resident', help: 'Networks that compute threads of this process hold in memory, by execution provider', labelNames: ['provider'], registers: [registry],
      collect: () => {
        const threads = [...this.held.values()];
        for (const provider of providers) gauge.set({ provider }, threads.reduce((sum, resident) => sum + (resident[provider as keyof Resident] ?? 0), 0));
      },
    });
  }

  loaded({ model, provider, seconds }: Loaded): void {
    this.loads.observe({ model, provider }, seconds);
  }

  holds(threadId: number, resident: Resident): void {
    this.held.set(threadId, resident);
  }

  /** What it held is given back. */
  threadEnded(threadId: number): void {
    this.held.delete(threadId);
  }
}
