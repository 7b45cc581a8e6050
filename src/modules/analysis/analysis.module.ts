import { Module } from '@nestjs/common';
import { ImagesCoreModule } from '../images/images-core.module.js';
import { ResultsCoreModule } from '../results/results-core.module.js';
import { AnalysisCoreModule } from './analysis-core.module.js';
import { ModelChangesController } from './models/model-changes.controller.js';
import { ModelChoicesController } from './models/model-choices.controller.js';
import { ModelPerformanceController } from './models/model-performance.controller.js';
import { ModelStatesModule } from './models/model-states.module.js';
import { ModelsController } from './models/models.controller.js';
import { PackUploads } from './models/pack-uploads.service.js';
import { ModelPerformance } from './models/performance.service.js';
import { ModelPerformanceMetrics } from './models/performance-metrics.service.js';
import { PerformanceStore } from './models/performance.store.js';
import { PatientErasureService } from './patients/patient-erasure.service.js';
import { PatientExportService } from './patients/patient-export.service.js';
import { PatientRightsController } from './patients/patient-rights.controller.js';
import { Reproductions } from './reproduce/reproductions.service.js';
import { ReproductionsController } from './reproduce/reproductions.controller.js';
import { CriticalRulesController } from './critical/critical-rules.controller.js';
import { RoutingRulesController } from './routing/routing-rules.controller.js';
import { RunExistsGuard } from './run-exists.guard.js';
import { RunFeed } from './run-feed.service.js';
import { RunsController } from './runs.controller.js';
import { WorklistController } from './worklist/worklist.controller.js';
import { WorklistStore } from './worklist/worklist.store.js';

/** Runs and models over HTTP, and what concerns all that is kept of a patient. */
@Module({
  imports: [AnalysisCoreModule, ModelStatesModule, ImagesCoreModule, ResultsCoreModule],
  controllers: [RunsController, WorklistController, ModelsController, ModelChangesController, ModelChoicesController, ModelPerformanceController, RoutingRulesController, CriticalRulesController, PatientRightsController, ReproductionsController],
  providers: [WorklistStore, PackUploads, PerformanceStore, ModelPerformance, ModelPerformanceMetrics, RunFeed, RunExistsGuard, PatientExportService, PatientErasureService, Reproductions],
})
export class AnalysisModule {}
