import { Module } from '@nestjs/common';
import { ThreadsModule } from '../../platform/threads/threads.module.js';
import { ImagesController } from './images.controller.js';
import { ImagesCoreModule } from './images-core.module.js';
import { IngestService } from './ingest.service.js';
import { InstancesStore } from './instances.store.js';
import { PictureService } from './picture.service.js';
import { StowController } from './stow.controller.js';
import { StowService } from './stow.service.js';
import { StudiesController } from './studies.controller.js';
import { UploadArea } from './upload-area.js';
import { UploadService } from './upload.service.js';

@Module({
  imports: [ImagesCoreModule, ThreadsModule],
  controllers: [ImagesController, StowController, StudiesController],
  providers: [InstancesStore, IngestService, PictureService, UploadArea, UploadService, StowService],
  exports: [ImagesCoreModule, IngestService, UploadService],
})
export class ImagesModule {}
