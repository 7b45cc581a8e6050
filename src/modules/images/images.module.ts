import { Module } from '@nestjs/common';
import { ThreadsModule } from '../../platform/threads/threads.module.js';
import { DeidentifiedExportsController } from './deidentified-exports.controller.js';
import { DeidentifiedExportsService } from './deidentified-exports.service.js';
import { DimseCallersController } from './dimse/dimse-callers.controller.js';
import { DimseCallersStore } from './dimse/dimse-callers.store.js';
import { DimseServer } from './dimse/dimse-server.js';
import { ImagePolicyController } from './image-policy.controller.js';
import { ImagesController } from './images.controller.js';
import { ImagesCoreModule } from './images-core.module.js';
import { ImagesIngestModule } from './images-ingest.module.js';
import { PatientsController } from './patients/patients.controller.js';
import { CapabilitiesController } from './qido/capabilities.controller.js';
import { SearchController } from './qido/search.controller.js';
import { SearchService } from './qido/search.service.js';
import { SearchStore } from './qido/search.store.js';
import { SealedAttributesReader } from './qido/stored-attributes.js';
import { RetentionStore } from './retention.store.js';
import { StowController } from './stow.controller.js';
import { StowMetadataService } from './stow-metadata.service.js';
import { StowService } from './stow.service.js';
import { StudiesController } from './studies.controller.js';
import { TusWire } from './uploads/tus-wire.js';
import { UploadsController } from './uploads/uploads.controller.js';
import { UploadsModule } from './uploads/uploads.module.js';
import { WadoModule } from './wado/wado.module.js';

@Module({
  imports: [ImagesCoreModule, ImagesIngestModule, UploadsModule, WadoModule, ThreadsModule],
  controllers: [ImagesController, StowController, StudiesController, PatientsController, ImagePolicyController, UploadsController, DeidentifiedExportsController, DimseCallersController, SearchController, CapabilitiesController],
  providers: [StowService, StowMetadataService, RetentionStore, TusWire, DeidentifiedExportsService, DimseCallersStore, DimseServer, SearchService, SearchStore, SealedAttributesReader],
  exports: [ImagesCoreModule, ImagesIngestModule],
})
export class ImagesModule {}
