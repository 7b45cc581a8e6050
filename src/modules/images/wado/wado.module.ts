import { Module } from '@nestjs/common';
import { ThreadsModule } from '../../../platform/threads/threads.module.js';
import { BulkDataController } from './bulk-data.controller.js';
import { BulkDataService } from './bulk-data.service.js';
import { InstanceDamage } from './instance-damage.js';
import { InstanceOpener } from './instance-opener.js';
import { MetadataController } from './metadata.controller.js';
import { MetadataService } from './metadata.service.js';
import { RenderedController } from './rendered.controller.js';
import { RenderingService } from './rendering.service.js';
import { RetrievalStore } from './retrieval.store.js';
import { RetrieveController } from './retrieve.controller.js';
import { RetrieveService } from './retrieve.service.js';
import { StoredFiles } from './stored-files.js';
import { TranscodingService } from './transcoding.service.js';

/** WADO-RS: whatever of a stored study a client wants back. */
@Module({
  imports: [ThreadsModule],
  controllers: [RetrieveController, MetadataController, BulkDataController, RenderedController],
  providers: [RetrievalStore, InstanceDamage, InstanceOpener, StoredFiles, TranscodingService, RetrieveService, MetadataService, BulkDataService, RenderingService],
})
export class WadoModule {}
