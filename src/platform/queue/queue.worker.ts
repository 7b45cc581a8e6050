import { Module } from '@nestjs/common';
import type { JobDefinition } from './job.js';
import { ReconcileJob } from './reconcile.job.js';

export const queueJobs: readonly JobDefinition[] = [
  { queue: 'reconcile', handler: ReconcileJob, everyMs: 5_000, concurrency: 1 },
];

@Module({ providers: [ReconcileJob] })
export class QueueWorkerModule {}
