import { Module } from '@nestjs/common';
import type { JobDefinition } from '../queue/job.js';
import { OrphanBlobsJob } from './orphan-blobs.job.js';
import { OrphansStore } from './orphans.store.js';

export const storageJobs: readonly JobDefinition[] = [
  { queue: 'orphan-blobs', handler: OrphanBlobsJob, everyMs: 86_400_000, concurrency: 1 },
];

@Module({ providers: [OrphansStore, OrphanBlobsJob] })
export class StorageWorkerModule {}
