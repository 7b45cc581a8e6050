import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { CONFIG, type Config } from '../config.js';
import { LOGGER, type Logger } from '../ops/logger.js';
import { Metrics } from '../ops/metrics.js';
import { Readiness } from '../ops/readiness.js';
import { JobNeed } from '../queue/job.js';
import { ComputePool } from './compute-pool.js';
import type { ExecutionProvider } from './onnx-session.js';

/**
 * Which of EXECUTION_PROVIDERS this worker can have, asked once at its start. One that has none it may use is not ready and takes no runs, which it would
 * only spoil: others may have their GPU. A driver that comes later is found by the next start.
 */
@Injectable()
export class ExecutionProviders extends JobNeed implements OnApplicationBootstrap {
  private readonly gauge: Gauge;
  private asked: Promise<boolean> | undefined;

  constructor(
    private readonly pool: ComputePool,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
    readiness: Readiness,
    metrics: Metrics,
  ) {
    super();
    this.gauge = new Gauge({ name: 'healthvision_execution_provider_available', help: '1 for an execution provider of EXECUTION_PROVIDERS that this worker can have, 0 for one that it cannot', labelNames: ['provider'], registers: [metrics.registry] });
    readiness.require('execution-provider', async () => { if (!(await this.isMet())) throw new Error('no execution provider that may be used'); });
  }

  onApplicationBootstrap(): void {
    void this.isMet();
  }

  /** Whether one is there that networks may be computed with: with EXECUTION_PROVIDERS_STRICT only the first will do. */
  isMet(): Promise<boolean> {
    this.asked ??= this.ask();
    return this.asked;
  }

  private async ask(): Promise<boolean> {
    const { EXECUTION_PROVIDERS: wanted, EXECUTION_PROVIDERS_STRICT: strict } = this.config;
    const missing = await this.missing(wanted);
    for (const provider of wanted) this.gauge.set({ provider }, missing.has(provider) ? 0 : 1);
    const used = (strict ? wanted.slice(0, 1) : wanted).find((provider) => !missing.has(provider));
    for (const [provider, why] of missing) this.logger.warn({ provider, why, strict, used: used ?? 'none' }, 'execution provider not available');
    if (used === undefined) this.logger.error({ wanted, strict }, 'this worker cannot compute as EXECUTION_PROVIDERS wants it, and takes no analyses');
    return used !== undefined;
  }

  /** With the reason. The CPU is part of every ONNX Runtime, and needs no thread to be started for the question. */
  private async missing(wanted: readonly ExecutionProvider[]): Promise<ReadonlyMap<ExecutionProvider, string>> {
    const doubtful = wanted.filter((provider) => provider !== 'cpu');
    if (doubtful.length === 0) return new Map();
    try {
      return new Map(Object.entries(await this.pool.probe(doubtful)) as [ExecutionProvider, string][]); // its keys are those that it was asked for
    } catch (err) {
      const why = err instanceof Error ? err.message : '';
      return new Map(doubtful.map((provider) => [provider, why]));
    }
  }
}
