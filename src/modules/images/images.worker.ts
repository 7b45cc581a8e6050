import { Module } from '@nestjs/common';
import type { JobDefinition } from '../../platform/queue/job.js';
import { ImagesCoreModule } from './images-core.module.js';
import { SettleJob } from './settle.job.js';
import { SweepJob } from './sweep.job.js';

export const imagesJobs: readonly JobDefinition[] = [
  { queue: 'settle', handler: SettleJob, everyMs: 1_000, concurrency: 1 },
  { queue: 'sweep', handler: SweepJob, everyMs: 15_000, concurrency: 1 },
];

@Module({ imports: [ImagesCoreModule], providers: [SettleJob, SweepJob] })
export class ImagesWorkerModule {}
