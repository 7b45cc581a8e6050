import type { DynamicModule } from '@nestjs/common';
import type { Config } from '../platform/config.js';
import { QueueModule } from '../platform/queue/queue.module.js';
import { API_MODULES } from './api.js';
import { JOBS, WORKER_MODULES } from './worker.js';

class AllRole {}

/** API and worker in one process: the default. */
export function allRole(config: Config): DynamicModule {
  return { module: AllRole, imports: [QueueModule.forWorkers(config, JOBS), ...API_MODULES, ...WORKER_MODULES] };
}
