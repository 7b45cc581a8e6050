import { Module } from '@nestjs/common';
import { ImagesCoreModule } from '../images/images-core.module.js';
import { ModelCache } from './models/model-cache.service.js';
import { ModelChoicesStore } from './models/model-choices.store.js';
import { ModelFilesStore } from './models/model-files.store.js';
import { ModelsService } from './models/models.service.js';
import { ModelsStore } from './models/models.store.js';
import { CriticalRulesStore } from './critical/critical-rules.store.js';
import { ReproductionsStore } from './reproduce/reproductions.store.js';
import { Planner } from './routing/planner.service.js';
import { RoutingRulesStore } from './routing/routing-rules.store.js';
import { RunsService } from './runs.service.js';
import { RunsStore } from './runs.store.js';

/** What both roles need of this module. */
@Module({
  imports: [ImagesCoreModule],
  providers: [ModelsStore, ModelChoicesStore, ModelFilesStore, ModelCache, ModelsService, RoutingRulesStore, Planner, CriticalRulesStore, RunsStore, RunsService, ReproductionsStore],
  exports: [ModelsStore, ModelChoicesStore, ModelFilesStore, ModelCache, ModelsService, RoutingRulesStore, Planner, CriticalRulesStore, RunsStore, RunsService, ReproductionsStore],
})
export class AnalysisCoreModule {}
