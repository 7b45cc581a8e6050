import { Module } from '@nestjs/common';
import { ThreadsModule } from '../../platform/threads/threads.module.js';
import { ImagesCoreModule } from '../images/images-core.module.js';
import { AlignmentService } from './comparison/alignment.service.js';
import { AlignmentStore } from './comparison/alignment.store.js';
import { ComparisonService } from './comparison/comparison.service.js';
import { TrendService } from './comparison/trend.service.js';
import { PreviewService } from './preview.service.js';
import { ReportComparisonService } from './report/report-comparison.service.js';
import { ReportService } from './report/report.service.js';
import { ReportStore } from './report/report.store.js';
import { ResultsCoreModule } from './results-core.module.js';
import { VolumeSectionsReader } from './volume-sections.js';

const providers = [AlignmentStore, AlignmentService, ComparisonService, TrendService, VolumeSectionsReader, PreviewService, ReportStore, ReportComparisonService, ReportService];

/** What it takes to compare results and to draw reports: once in a process, with its caches and its limits. */
@Module({ imports: [ResultsCoreModule, ImagesCoreModule, ThreadsModule], providers, exports: providers })
export class ReportsModule {}
