import { Module } from '@nestjs/common';
import { ImagesCoreModule } from '../images/images-core.module.js';
import { ResultsCoreModule } from '../results/results-core.module.js';
import { AnalysisCoreModule } from './analysis-core.module.js';
import { ModelsController } from './models/models.controller.js';
import { PatientErasureService } from './patients/patient-erasure.service.js';
import { PatientExportService } from './patients/patient-export.service.js';
import { PatientRightsController } from './patients/patient-rights.controller.js';
import { RunExistsGuard } from './run-exists.guard.js';
import { RunFeed } from './run-feed.service.js';
import { RunsController } from './runs.controller.js';

/** Runs and models over HTTP, and what concerns all that is kept of a patient. */
@Module({
  imports: [AnalysisCoreModule, ImagesCoreModule, ResultsCoreModule],
  controllers: [RunsController, ModelsController, PatientRightsController],
  providers: [RunFeed, RunExistsGuard, PatientExportService, PatientErasureService],
})
export class AnalysisModule {}
