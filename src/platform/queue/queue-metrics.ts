import { Inject, Injectable } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { Metrics } from '../ops/metrics.js';
import type { JobDefinition } from './job.js';
import { JOB_STATES, QueueView, type JobCounts } from './queue-view.js';
import { JOB_DEFINITIONS } from './relay.service.js';

/** Two gauges and several scrapers make do with one count. */
const FRESH_MS = 500;

/** How long the queues are, asked for at every scrape. Every worker tells the same; while the queue is away they tell nothing. */
@Injectable()
export class QueueMetrics {
  private counted: { at: number; counts: Promise<ReadonlyMap<string, JobCounts>> } | undefined;

  constructor(
    private readonly view: QueueView,
    @Inject(JOB_DEFINITIONS) private readonly definitions: readonly JobDefinition[],
    metrics: Metrics,
  ) {
    const count = async (gauge: Gauge, tell: (queue: string, counts: JobCounts) => void): Promise<void> => {
      gauge.reset();
      for (const [queue, counts] of await this.counts().catch(() => new Map<string, JobCounts>())) tell(queue, counts);
    };
    new Gauge({
      name: 'healthvision_queue_jobs', help: 'Jobs by queue and state, over the whole installation', labelNames: ['queue', 'state'], registers: [metrics.registry],
      collect(): Promise<void> { return count(this, (queue, counts) => { for (const state of JOB_STATES) this.set({ queue, state }, counts[state]); }); },
    });
    const ofEvents = new Set(definitions.filter(({ topics }) => topics !== undefined).map(({ queue }) => queue));
    new Gauge({
      name: 'healthvision_poison_jobs', help: 'Jobs that were given up after all their tries and wait for somebody, by queue, over the whole installation; runs of timed jobs that failed are none', labelNames: ['queue'], registers: [metrics.registry],
      collect(): Promise<void> { return count(this, (queue, { failed }) => { if (ofEvents.has(queue)) this.set({ queue }, failed); }); },
    });
  }

  private counts(): Promise<ReadonlyMap<string, JobCounts>> {
    if (!this.counted || Date.now() - this.counted.at > FRESH_MS) {
      const names = this.definitions.map(({ queue }) => queue);
      this.counted = { at: Date.now(), counts: Promise.all(names.map((name) => this.view.counts(name))).then((counts) => new Map(names.flatMap((name, index) => { const one = counts[index]; return one ? [[name, one] as const] : []; }))) };
    }
    return this.counted.counts;
  }
}
