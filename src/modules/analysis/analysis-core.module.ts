import { Module } from '@nestjs/common';
import { ImagesCoreModule } from '../images/images-core.module.js';
import { ModelsService } from './models/models.service.js';
import { ModelsStore } from './models/models.store.js';
import { RunsService } from './runs.service.js';
import { RunsStore } from './runs.store.js';

/** What both roles need of this module. */
@Module({
  imports: [ImagesCoreModule],
  providers: [ModelsStore, ModelsService, RunsStore, RunsService],
  exports: [ModelsStore, ModelsService, RunsStore, RunsService],
})
export class AnalysisCoreModule {}
