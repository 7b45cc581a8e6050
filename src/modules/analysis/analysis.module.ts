import { Module } from '@nestjs/common';
import { AnalysisCoreModule } from './analysis-core.module.js';
import { ModelsController } from './models.controller.js';
import { RunExistsGuard } from './run-exists.guard.js';
import { RunFeed } from './run-feed.service.js';
import { RunsController } from './runs.controller.js';

/** Runs and models over HTTP. */
@Module({ imports: [AnalysisCoreModule], controllers: [RunsController, ModelsController], providers: [RunFeed, RunExistsGuard] })
export class AnalysisModule {}
