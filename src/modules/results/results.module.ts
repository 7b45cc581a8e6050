import { Module } from '@nestjs/common';
import { ThreadsModule } from '../../platform/threads/threads.module.js';
import { ImagesCoreModule } from '../images/images-core.module.js';
import { PreviewService } from './preview.service.js';
import { ResultRetentionController } from './result-retention.controller.js';
import { ResultsCoreModule } from './results-core.module.js';
import { ResultExportController } from './export/result-export.controller.js';
import { ResultExportStore } from './export/result-export.store.js';
import { ReportController } from './report/report.controller.js';
import { ReportService } from './report/report.service.js';
import { ReportStore } from './report/report.store.js';
import { ResultsController } from './results.controller.js';
import { VolumeSectionsReader } from './volume-sections.js';

/** HTTP. */
@Module({ imports: [ResultsCoreModule, ImagesCoreModule, ThreadsModule], controllers: [ResultsController, ResultExportController, ReportController, ResultRetentionController], providers: [PreviewService, VolumeSectionsReader, ReportService, ReportStore, ResultExportStore] })
export class ResultsModule {}
