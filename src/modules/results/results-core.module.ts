import { Module } from '@nestjs/common';
import { AuditKeysModule } from '../../platform/audit/audit-keys.module.js';
import { StatementSigner } from './provenance/statement-signer.js';
import { ThreadsModule } from '../../platform/threads/threads.module.js';
import { ImagesCoreModule } from '../images/images-core.module.js';
import { DerivedObjects } from './derived-objects.service.js';
import { DeliveriesStore } from './destinations/deliveries.store.js';
import { DestinationsStore } from './destinations/destinations.store.js';
import { ResultRetentionStore } from './result-retention.store.js';
import { StoredResultWriter } from './result-writer.js';
import { ResultWriter, ReviewedResults, ShadowResults, StudyResults } from './results.contract.js';
import { ResultsStore } from './results.store.js';
import { StoredReviewedResults } from './review/review-facts.store.js';
import { ResultVersionsStore } from './review/versions.store.js';
import { ReviewWords } from './review/words.service.js';
import { StoredShadowResults } from './shadow-results.store.js';
import { StoredStudyResults } from './study-results.js';

/** What both roles need of this module. */
@Module({
  imports: [AuditKeysModule, ImagesCoreModule, ThreadsModule],
  providers: [
    DerivedObjects, DestinationsStore, DeliveriesStore, ResultsStore, ResultVersionsStore, ReviewWords, StatementSigner, ResultRetentionStore,
    { provide: ResultWriter, useClass: StoredResultWriter }, { provide: StudyResults, useClass: StoredStudyResults }, { provide: ShadowResults, useClass: StoredShadowResults }, { provide: ReviewedResults, useClass: StoredReviewedResults },
  ],
  exports: [DerivedObjects, DestinationsStore, DeliveriesStore, ResultsStore, ResultVersionsStore, ReviewWords, StatementSigner, ResultRetentionStore, ResultWriter, StudyResults, ShadowResults, ReviewedResults],
})
export class ResultsCoreModule {}
