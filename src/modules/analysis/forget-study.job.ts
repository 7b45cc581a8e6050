import { Injectable } from '@nestjs/common';
import { Database } from '../../platform/database/database.js';
import { JobHandler } from '../../platform/queue/job.js';
import type { StudyDeleted } from '../images/images.contract.js';
import { RunNotices } from './run-notices.service.js';
import { RunsStore } from './runs.store.js';

/** A study was deleted: its runs that are not over end as cancelled. */
@Injectable()
export class ForgetStudyJob extends JobHandler<StudyDeleted> {
  constructor(
    private readonly database: Database,
    private readonly runs: RunsStore,
    private readonly notices: RunNotices,
  ) {
    super();
  }

  async handle({ institutionId, studyId }: StudyDeleted): Promise<void> {
    const ids = await this.database.transaction({ institutionId }, (tx) => this.runs.cancelOfStudy(tx, institutionId, studyId));
    for (const id of ids) await this.notices.stopped(id);
  }
}
