import { Module } from '@nestjs/common';
import { ThreadsModule } from '../../platform/threads/threads.module.js';
import { ImagesCoreModule } from '../images/images-core.module.js';
import { ComparisonController } from './comparison/comparison.controller.js';
import { fhirControllers } from './fhir/fhir-resource.controller.js';
import { FhirController } from './fhir/fhir.controller.js';
import { FhirResultsStore } from './fhir/fhir-results.store.js';
import { FhirService } from './fhir/fhir.service.js';
import { ImagingStudyResources, PatientResources } from './fhir/image-resources.js';
import { ResultFhirController } from './fhir/result-fhir.controller.js';
import { DeviceResources, ResultResources } from './fhir/result-resources.js';
import { DeliveriesController } from './destinations/deliveries.controller.js';
import { DestinationsController } from './destinations/destinations.controller.js';
import { ResultObjectsController } from './result-objects.controller.js';
import { ResultRetentionController } from './result-retention.controller.js';
import { ReportsModule } from './reports.module.js';
import { ResultsCoreModule } from './results-core.module.js';
import { ResultExportController } from './export/result-export.controller.js';
import { ResultExportStore } from './export/result-export.store.js';
import { ReportController } from './report/report.controller.js';
import { ResultsController } from './results.controller.js';
import { UsersModule } from '../users/users.module.js';
import { ProvenanceController } from './provenance/provenance.controller.js';
import { ReviewService } from './review/review.service.js';
import { ReviewsController } from './review/reviews.controller.js';

/** HTTP. */
@Module({
  imports: [ResultsCoreModule, ReportsModule, ImagesCoreModule, ThreadsModule, UsersModule],
  controllers: [
    ResultsController, ResultExportController, ReportController, ResultObjectsController, ReviewsController, ProvenanceController, ComparisonController, ResultRetentionController, DestinationsController, DeliveriesController,
    ResultFhirController, ...fhirControllers, FhirController,
  ],
  providers: [
    ResultExportStore, ReviewService,
    FhirService, FhirResultsStore, PatientResources, ImagingStudyResources, ResultResources, DeviceResources,
  ],
})
export class ResultsModule {}
