import { Inject, Injectable } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { CONFIG, type Config } from '../config.js';
import { VERSION } from '../version.js';
import { cpuLimitCores, memoryLimit } from './machine-limits.js';
import { Metrics } from './metrics.js';

/** What runs here, and within what limits: what prom-client's own `process_…` are to be compared with. */
@Injectable()
export class ProcessMetrics {
  constructor(@Inject(CONFIG) { APP_ROLE: role }: Config, { registry }: Metrics) {
    new Gauge({ name: 'healthvision_build_info', help: '1; its labels say which version runs in which role', labelNames: ['version', 'role'], registers: [registry] }).set({ version: VERSION, role }, 1);
    new Gauge({
      name: 'healthvision_cpu_limit_cores', help: 'Cores that this process may use: the quota of its container, else those of the machine', registers: [registry],
      collect() { this.set(cpuLimitCores()); },
    });
    new Gauge({
      name: 'healthvision_memory_used_bytes', help: 'What counts towards healthvision_memory_limit_bytes: the working set of the container, else what is used of the machine', registers: [registry],
      collect() { this.set(memoryLimit().usedBytes); },
    });
    new Gauge({
      name: 'healthvision_memory_limit_bytes', help: 'Memory limit of the container, else the memory of the machine', registers: [registry],
      collect() { this.set(memoryLimit().limitBytes); },
    });
  }
}
