import { Injectable } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { Metrics } from '../ops/metrics.js';
import { soon } from '../ops/soon.js';
import { readGpus, type GpuState } from './nvidia-smi.js';

/** Several scrapers make do with one answer. */
const FRESH_MS = 2_000;
/** The tool wakes a driver that sleeps; a scrape does not wait for it, the next one has what it says. */
const TOOL_MS = 10_000;
/** An answer is worth something for as long as a scrape that came too early for its own. */
const WORTH_MS = 60_000;
/** Where there is no such tool there will be none soon. */
const ABSENT_MS = 60_000;

/** Memory and use of the machine's GPUs, as NVIDIA's tool sees them at a scrape; nothing where there is none. */
@Injectable()
export class GpuMetrics {
  private asked: { until: number; done: Promise<void> } | undefined;
  private known: { at: number; gpus: GpuState[] } | undefined;

  constructor({ registry }: Metrics) {
    const show = (name: string, help: string, valueOf: (state: GpuState) => number | undefined): void => {
      const gauge = new Gauge({
        name, help, labelNames: ['gpu'], registers: [registry],
        collect: async () => {
          await soon(this.refresh(), 900);
          gauge.reset();
          for (const state of this.current()) {
            const value = valueOf(state);
            if (value !== undefined) gauge.set({ gpu: state.gpu }, value);
          }
        },
      });
    };
    show('healthvision_gpu_memory_used_bytes', 'Memory in use on a GPU of this machine, by all its processes', ({ usedBytes }) => usedBytes);
    show('healthvision_gpu_memory_size_bytes', 'Memory of a GPU of this machine', ({ sizeBytes }) => sizeBytes);
    show('healthvision_gpu_utilization_ratio', 'Share of time in which a GPU of this machine computed, of late, 0–1; missing where it is divided by MIG', ({ utilization }) => utilization);
  }

  /** One question at a time: a tool that hangs is not asked again beside. */
  private refresh(): Promise<void> {
    if (this.asked && this.asked.until > Date.now()) return this.asked.done;
    const asked = { until: Infinity, done: readGpus(TOOL_MS).then((gpus) => {
      this.known = gpus && { at: Date.now(), gpus };
      asked.until = Date.now() + (gpus ? FRESH_MS : ABSENT_MS);
    }) };
    this.asked = asked;
    return asked.done;
  }

  private current(): readonly GpuState[] {
    return this.known && Date.now() - this.known.at < WORTH_MS ? this.known.gpus : [];
  }
}
