import { Module } from '@nestjs/common';
import type { JobDefinition } from '../../platform/queue/job.js';
import { ThreadsModule } from '../../platform/threads/threads.module.js';
import { ImagesCoreModule } from '../images/images-core.module.js';
import { STUDY_DELETED } from '../images/images.contract.js';
import { AlignmentService } from './comparison/alignment.service.js';
import { AlignmentStore } from './comparison/alignment.store.js';
import { RESULT_COMPARABLE } from './comparison/comparable-event.js';
import { CompareAheadJob } from './comparison/compare-ahead.job.js';
import { ComparisonService } from './comparison/comparison.service.js';
import { TrendService } from './comparison/trend.service.js';
import { DeliverJob } from './destinations/deliver.job.js';
import { DELIVERY_DUE } from './destinations/deliveries.store.js';
import { Hl7Messages } from './destinations/hl7-messages.service.js';
import { OverdueDeliveriesJob } from './destinations/overdue-deliveries.job.js';
import { Sender } from './destinations/sender.service.js';
import { PreviewService } from './preview.service.js';
import { PurgeJob } from './purge.job.js';
import { ResultRetentionJob } from './result-retention.job.js';
import { ReportComparisonService } from './report/report-comparison.service.js';
import { ReportService } from './report/report.service.js';
import { ReportStore } from './report/report.store.js';
import { ResultsCoreModule } from './results-core.module.js';
import { RESULT_REVIEWED } from './results.contract.js';
import { SignedObjectsJob } from './signed/signed-objects.job.js';
import { SignedObjectsStore } from './signed/signed-objects.store.js';
import { SignedSources } from './signed/signed-source.service.js';
import { VolumeSectionsReader } from './volume-sections.js';

export const resultsJobs: readonly JobDefinition[] = [
  { queue: 'purge-results', handler: PurgeJob, topics: [STUDY_DELETED], concurrency: 2 },
  { queue: 'deliver-results', handler: DeliverJob, topics: [DELIVERY_DUE], concurrency: 4 },
  { queue: 'signed-objects', handler: SignedObjectsJob, topics: [RESULT_REVIEWED], concurrency: 2 },
  { queue: 'compare-results', handler: CompareAheadJob, topics: [RESULT_COMPARABLE], concurrency: 1, attempts: 3 },
  { queue: 'overdue-deliveries', handler: OverdueDeliveriesJob, everyMs: 60_000, concurrency: 1 },
  { queue: 'result-retention', handler: ResultRetentionJob, everyMs: 60_000, concurrency: 1 },
];

/** What it takes to draw a report. */
const REPORTS = [AlignmentStore, AlignmentService, ComparisonService, TrendService, VolumeSectionsReader, PreviewService, ReportStore, ReportComparisonService, ReportService];

@Module({
  imports: [ResultsCoreModule, ImagesCoreModule, ThreadsModule],
  providers: [...REPORTS, CompareAheadJob, Hl7Messages, Sender, SignedSources, SignedObjectsStore, SignedObjectsJob, DeliverJob, OverdueDeliveriesJob, PurgeJob, ResultRetentionJob],
})
export class ResultsWorkerModule {}
