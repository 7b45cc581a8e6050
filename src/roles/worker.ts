import type { DynamicModule } from '@nestjs/common';
import { analysisJobs, AnalysisWorkerModule } from '../modules/analysis/analysis.worker.js';
import { imagesJobs, ImagesWorkerModule } from '../modules/images/images.worker.js';
import { notificationsJobs, NotificationsWorkerModule } from '../modules/notifications/notifications.worker.js';
import { resultsJobs, ResultsWorkerModule } from '../modules/results/results.worker.js';
import { usersJobs, UsersWorkerModule } from '../modules/users/users.worker.js';
import type { Config } from '../platform/config.js';
import type { JobDefinition } from '../platform/queue/job.js';
import { QueueModule } from '../platform/queue/queue.module.js';
import { queueJobs, QueueWorkerModule } from '../platform/queue/queue.worker.js';
import { storageJobs, StorageWorkerModule } from '../platform/storage/storage.worker.js';

export const WORKER_MODULES = [UsersWorkerModule, ImagesWorkerModule, ResultsWorkerModule, AnalysisWorkerModule, NotificationsWorkerModule, QueueWorkerModule, StorageWorkerModule];
export const JOBS: readonly JobDefinition[] = [...usersJobs, ...imagesJobs, ...resultsJobs, ...analysisJobs, ...notificationsJobs, ...queueJobs, ...storageJobs];

class WorkerRole {}

/** What runs jobs; serves health and metrics only. */
export function workerRole(config: Config): DynamicModule {
  return { module: WorkerRole, imports: [QueueModule.forWorkers(config, JOBS), ...WORKER_MODULES] };
}
