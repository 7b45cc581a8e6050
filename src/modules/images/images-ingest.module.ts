import { Module } from '@nestjs/common';
import { ThreadsModule } from '../../platform/threads/threads.module.js';
import { ImagePolicyStore } from './image-policy.store.js';
import { ImagesCoreModule } from './images-core.module.js';
import { IngestService } from './ingest.service.js';
import { InstanceCommitter } from './instance-committer.js';
import { InstancesStore } from './instances.store.js';
import { PictureService } from './picture.service.js';
import { UploadArea } from './upload-area.js';
import { UploadService } from './upload.service.js';

/** The way in, for those who bring images by HTTP and for the jobs that store what came piece by piece. */
@Module({
  imports: [ImagesCoreModule, ThreadsModule],
  providers: [ImagePolicyStore, InstancesStore, InstanceCommitter, IngestService, PictureService, UploadArea, UploadService],
  exports: [ImagePolicyStore, IngestService, UploadArea, UploadService],
})
export class ImagesIngestModule {}
