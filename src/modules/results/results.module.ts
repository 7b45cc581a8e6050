import { Module } from '@nestjs/common';
import { ThreadsModule } from '../../platform/threads/threads.module.js';
import { ImagesCoreModule } from '../images/images-core.module.js';
import { DeliveriesController } from './destinations/deliveries.controller.js';
import { DestinationsController } from './destinations/destinations.controller.js';
import { PreviewService } from './preview.service.js';
import { ResultObjectsController } from './result-objects.controller.js';
import { ResultRetentionController } from './result-retention.controller.js';
import { ResultsCoreModule } from './results-core.module.js';
import { ResultsController } from './results.controller.js';

/** HTTP. */
@Module({ imports: [ResultsCoreModule, ImagesCoreModule, ThreadsModule], controllers: [ResultsController, ResultObjectsController, ResultRetentionController, DestinationsController, DeliveriesController], providers: [PreviewService] })
export class ResultsModule {}
