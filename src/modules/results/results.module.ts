import { Module } from '@nestjs/common';
import { ThreadsModule } from '../../platform/threads/threads.module.js';
import { ImagesCoreModule } from '../images/images-core.module.js';
import { PreviewService } from './preview.service.js';
import { ResultRetentionController } from './result-retention.controller.js';
import { ResultsCoreModule } from './results-core.module.js';
import { ResultsController } from './results.controller.js';
import { UsersModule } from '../users/users.module.js';
import { ProvenanceController } from './provenance/provenance.controller.js';
import { ReviewService } from './review/review.service.js';
import { ReviewsController } from './review/reviews.controller.js';

/** HTTP. */
@Module({
  imports: [ResultsCoreModule, ImagesCoreModule, ThreadsModule, UsersModule],
  controllers: [ResultsController, ReviewsController, ProvenanceController, ResultRetentionController],
  providers: [PreviewService, ReviewService],
})
export class ResultsModule {}
