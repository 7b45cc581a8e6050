import { Module } from '@nestjs/common';
import type { JobDefinition } from '../../platform/queue/job.js';
import { ImagesCoreModule } from './images-core.module.js';
import { ImagesIngestModule } from './images-ingest.module.js';
import { STUDY_DELETED } from './images.contract.js';
import { RetentionJob } from './retention.job.js';
import { RetentionService } from './retention.service.js';
import { RetentionStore } from './retention.store.js';
import { SettleJob } from './settle.job.js';
import { SweepJob } from './sweep.job.js';
import { ExpireUploadsJob } from './uploads/expire-uploads.job.js';
import { ForgetUploadsJob } from './uploads/forget-uploads.job.js';
import { StoreUploadJob } from './uploads/store-upload.job.js';
import { UPLOAD_WHOLE } from './uploads/upload-whole.js';
import { UploadsModule } from './uploads/uploads.module.js';

export const imagesJobs: readonly JobDefinition[] = [
  { queue: 'settle', handler: SettleJob, everyMs: 1_000, concurrency: 1 },
  { queue: 'sweep', handler: SweepJob, everyMs: 15_000, concurrency: 1 },
  { queue: 'retention', handler: RetentionJob, everyMs: 60_000, concurrency: 1 },
  { queue: 'store-uploads', handler: StoreUploadJob, topics: [UPLOAD_WHOLE], concurrency: 2 },
  { queue: 'expire-uploads', handler: ExpireUploadsJob, everyMs: 15_000, concurrency: 1 },
  { queue: 'forget-uploads', handler: ForgetUploadsJob, topics: [STUDY_DELETED], concurrency: 1 },
];

@Module({ imports: [ImagesCoreModule, ImagesIngestModule, UploadsModule], providers: [SettleJob, SweepJob, RetentionStore, RetentionService, RetentionJob, StoreUploadJob, ExpireUploadsJob, ForgetUploadsJob] })
export class ImagesWorkerModule {}
