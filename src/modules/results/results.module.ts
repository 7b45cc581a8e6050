import { Module } from '@nestjs/common';
import { ThreadsModule } from '../../platform/threads/threads.module.js';
import { ImagesCoreModule } from '../images/images-core.module.js';
import { PreviewService } from './preview.service.js';
import { ResultObjectsController } from './result-objects.controller.js';
import { ResultRetentionController } from './result-retention.controller.js';
import { ResultsCoreModule } from './results-core.module.js';
import { ResultsController } from './results.controller.js';

/** HTTP. */
@Module({ imports: [ResultsCoreModule, ImagesCoreModule, ThreadsModule], controllers: [ResultsController, ResultObjectsController, ResultRetentionController], providers: [PreviewService] })
export class ResultsModule {}
