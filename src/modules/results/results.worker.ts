import { Module } from '@nestjs/common';
import type { JobDefinition } from '../../platform/queue/job.js';
import { ImagesCoreModule } from '../images/images-core.module.js';
import { STUDY_DELETED } from '../images/images.contract.js';
import { RESULT_COMPARABLE } from './comparison/comparable-event.js';
import { CompareAheadJob } from './comparison/compare-ahead.job.js';
import { DeliverJob } from './destinations/deliver.job.js';
import { DELIVERY_DUE } from './destinations/deliveries.store.js';
import { Hl7Messages } from './destinations/hl7-messages.service.js';
import { OverdueDeliveriesJob } from './destinations/overdue-deliveries.job.js';
import { Sender } from './destinations/sender.service.js';
import { PurgeJob } from './purge.job.js';
import { ResultRetentionJob } from './result-retention.job.js';
import { ReportsModule } from './reports.module.js';
import { ResultsCoreModule } from './results-core.module.js';
import { RESULT_REVIEWED } from './results.contract.js';
import { SignedObjectsJob } from './signed/signed-objects.job.js';
import { SignedObjectsStore } from './signed/signed-objects.store.js';
import { SignedSources } from './signed/signed-source.service.js';

export const resultsJobs: readonly JobDefinition[] = [
  { queue: 'purge-results', handler: PurgeJob, topics: [STUDY_DELETED], concurrency: 2 },
  { queue: 'deliver-results', handler: DeliverJob, topics: [DELIVERY_DUE], concurrency: 4 },
  { queue: 'signed-objects', handler: SignedObjectsJob, topics: [RESULT_REVIEWED], concurrency: 2 },
  { queue: 'compare-results', handler: CompareAheadJob, topics: [RESULT_COMPARABLE], concurrency: 1, attempts: 3 },
  { queue: 'overdue-deliveries', handler: OverdueDeliveriesJob, everyMs: 60_000, concurrency: 1 },
  { queue: 'result-retention', handler: ResultRetentionJob, everyMs: 60_000, concurrency: 1 },
];

@Module({
  imports: [ResultsCoreModule, ReportsModule, ImagesCoreModule],
  providers: [CompareAheadJob, Hl7Messages, Sender, SignedSources, SignedObjectsStore, SignedObjectsJob, DeliverJob, OverdueDeliveriesJob, PurgeJob, ResultRetentionJob],
})
export class ResultsWorkerModule {}
