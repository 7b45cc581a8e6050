import { Injectable } from '@nestjs/common';
import { Database } from '../../platform/database/database.js';
import { JobHandler } from '../../platform/queue/job.js';
import type { StudyDeleted } from '../images/images.contract.js';
import type { ResultRemoved } from '../results/results.contract.js';
import { NotificationsStore } from './notifications.store.js';

/** Notifications about a result go with it, and those about a study when its patient was erased. */
@Injectable()
export class ForgetNotificationsJob extends JobHandler<StudyDeleted | ResultRemoved> {
  constructor(
    private readonly database: Database,
    private readonly store: NotificationsStore,
  ) {
    super();
  }

  async handle(event: StudyDeleted | ResultRemoved): Promise<void> {
    const { institutionId } = event;
    if ('studyInstanceUid' in event && !event.erased) return;
    const subject = 'studyInstanceUid' in event ? { studyInstanceUid: event.studyInstanceUid } : { resultId: event.resultId };
    await this.database.transaction({ institutionId }, (tx) => this.store.removeAbout(tx, institutionId, subject));
  }
}
