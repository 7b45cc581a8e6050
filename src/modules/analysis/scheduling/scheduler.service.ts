import { Inject, Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { Gauge } from 'prom-client';
import { hostname } from 'node:os';
import { CONFIG, type Config } from '../../../platform/config.js';
import { batchLimit } from '../../../platform/compute/batching.js';
import { computeDevice } from '../../../platform/compute/device.js';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { Metrics } from '../../../platform/ops/metrics.js';
import { ModelsService } from '../models/models.service.js';
import type { RunRow } from '../runs.store.js';
import { MemoryMeter } from './memory-meter.js';
import { QueueStore, type Claimant } from './queue.store.js';

export const WORKER_ID = `${hostname()}/${String(process.pid)}/${randomUUID().slice(0, 8)}`;

/** A worker without a model's files that took its runs again and again would keep them from the one that has them. */
const LACKING_MS = 60_000;

/** A claim: runs that are computed side by side. */
export interface Work {
  runs: RunRow[];
  /** Others were left that this process could not take. */
  waiting: boolean;
  /** Small ones, so the next may be taken before these are stored; what needs much memory gives it back first, or it would keep out what is more urgent. */
  overlaps: boolean;
}

/** What this process computes next. */
@Injectable()
export class Scheduler {
  private readonly claimant: Omit<Claimant, 'lacking'>;
  /** Digests of models whose files this process lacks, and until when it leaves their runs to others, in milliseconds since 1970. */
  private readonly lacking = new Map<string, number>();
  /** MiB by model, as this process has seen it: only more is worth a write. */
  private readonly known = new Map<string, number>();
  /** The same by the model's name, with what packs say. */
  private readonly told = new Map<string, number>();
  private readonly memory: Gauge;

  constructor(
    private readonly queue: QueueStore,
    private readonly models: ModelsService,
    private readonly meter: MemoryMeter,
    private readonly metrics: Metrics,
    @Inject(CONFIG) config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.memory = new Gauge({ name: 'healthvision_model_memory_bytes', help: 'Memory that a run of the model takes on the device of this worker, as its pack says or as was measured here, whichever is more', labelNames: ['model'], registers: [metrics.registry] });
    const device = computeDevice(config);
    this.claimant = { workerId: WORKER_ID, device, agingSeconds: config.PRIORITY_AGING_MINUTES * 60 };
    this.logger.info({ device: device.name, budgetMb: device.budgetMb }, 'memory for analyses');
  }

  /** Takes the best run that waits, and with an X-ray those that its network can take in the same batch. */
  async next(): Promise<Work> {
    const { run, waiting } = await this.queue.claim(this.asking());
    if (!run) return { runs: [], waiting, overlaps: false };
    const model = await this.models.find(run.modelDigest).catch(() => undefined);
    this.tellMemory(run.modelName, model?.manifest.resources?.peakMemoryMb);
    // When the model cannot be read now, its run will say so.
    const limit = model ? batchLimit(model.manifest) : 1;
    const runs = [run, ...(waiting && limit > 1 ? await this.alike(run, limit - 1) : [])];
    for (const { priority, queuedAt } of runs) this.metrics.runWait.observe({ priority }, Math.max(0, Date.now() - queuedAt.getTime()) / 1000);
    return { runs, waiting, overlaps: limit > 1 };
  }

  /** Somebody may bring the files meanwhile, so it is tried again after a while. */
  lacks(modelDigest: string): void {
    this.lacking.set(modelDigest, Date.now() + LACKING_MS);
  }

  private asking(): Claimant {
    for (const [digest, until] of this.lacking) if (until <= Date.now()) this.lacking.delete(digest);
    return { ...this.claimant, lacking: [...this.lacking.keys()] };
  }

  /** None when anything fails: the run that was taken must not wait for its companions. */
  private async alike(run: RunRow, limit: number): Promise<RunRow[]> {
    try {
      return await this.queue.claimAlike(this.asking(), run, limit);
    } catch (err) {
      this.logger.debug({ err, analysisId: run.id }, 'no runs were taken beside this one');
      return [];
    }
  }

  /** Runs `work` and remembers the memory that it took, when it can be told. */
  async measured<T>({ modelDigest, modelName }: RunRow, work: () => Promise<T>): Promise<T> {
    const stop = this.meter.start();
    try {
      return await work();
    } finally {
      const peakMb = stop();
      if (this.claimant.device.kind === 'cpu') this.tellMemory(modelName, peakMb);
      await this.learn(modelDigest, peakMb);
    }
  }

  /** Versions of a model share a name, and the larger figure. */
  private tellMemory(model: string, mb: number | undefined): void {
    if (mb === undefined || mb <= (this.told.get(model) ?? 0)) return;
    this.told.set(model, mb);
    this.memory.set({ model }, mb * 2 ** 20);
  }

  private async learn(modelDigest: string, peakMb: number | undefined): Promise<void> {
    if (peakMb === undefined || this.claimant.device.kind !== 'cpu' || peakMb <= (this.known.get(modelDigest) ?? 0)) return;
    try {
      await this.queue.learn(modelDigest, 'cpu', peakMb);
      this.known.set(modelDigest, peakMb);
    } catch (err) {
      this.logger.debug({ err }, 'memory of a run not recorded');
    }
  }
}
