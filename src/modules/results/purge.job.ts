import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../../platform/database/database.js';
import { LOGGER, type Logger } from '../../platform/ops/logger.js';
import { JobHandler } from '../../platform/queue/job.js';
import type { StudyDeleted } from '../images/images.contract.js';
import { ResultsStore } from './results.store.js';

/** Results go with their study. A run that commits later finds the study's row gone and stores nothing, so once is enough. */
@Injectable()
export class PurgeJob extends JobHandler<StudyDeleted> {
  constructor(
    private readonly database: Database,
    private readonly store: ResultsStore,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    super();
  }

  async handle({ institutionId, studyId }: StudyDeleted): Promise<void> {
    const results = await this.database.transaction({ institutionId }, (tx) => this.store.deleteOfStudy(tx, institutionId, studyId));
    if (results > 0) this.logger.info({ studyId, results }, 'results of a deleted study removed');
  }
}
