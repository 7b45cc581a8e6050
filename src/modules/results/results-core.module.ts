import { Module } from '@nestjs/common';
import { ThreadsModule } from '../../platform/threads/threads.module.js';
import { ImagesCoreModule } from '../images/images-core.module.js';
import { DerivedObjects } from './derived-objects.service.js';
import { DeliveriesStore } from './destinations/deliveries.store.js';
import { DestinationsStore } from './destinations/destinations.store.js';
import { ResultRetentionStore } from './result-retention.store.js';
import { StoredResultWriter } from './result-writer.js';
import { ResultWriter, ShadowResults, StudyResults } from './results.contract.js';
import { ResultsStore } from './results.store.js';
import { StoredShadowResults } from './shadow-results.store.js';
import { StoredStudyResults } from './study-results.js';

/** What both roles need of this module. */
@Module({
  imports: [ImagesCoreModule, ThreadsModule],
  providers: [DerivedObjects, DestinationsStore, DeliveriesStore, ResultsStore, ResultRetentionStore, { provide: ResultWriter, useClass: StoredResultWriter }, { provide: StudyResults, useClass: StoredStudyResults }, { provide: ShadowResults, useClass: StoredShadowResults }],
  exports: [DerivedObjects, DestinationsStore, DeliveriesStore, ResultsStore, ResultRetentionStore, ResultWriter, StudyResults, ShadowResults],
})
export class ResultsCoreModule {}
