import { Injectable } from '@nestjs/common';
import { JobHandler } from '../../../platform/queue/job.js';
import type { StudyDeleted } from '../../images/images.contract.js';
import type { ResultRemoved } from '../../results/results.contract.js';
import { WebhookDeliveriesStore } from './webhook-deliveries.store.js';

/** Deliveries say nothing more of a result that retention took, nor of a study whose patient was erased; what waits is not sent. */
@Injectable()
export class ForgetWebhookDeliveriesJob extends JobHandler<StudyDeleted | ResultRemoved> {
  constructor(private readonly deliveries: WebhookDeliveriesStore) {
    super();
  }

  async handle(event: StudyDeleted | ResultRemoved): Promise<void> {
    const { institutionId } = event;
    if ('resultId' in event) await this.deliveries.forgetResult(institutionId, event.resultId);
    else if (event.erased) await this.deliveries.forgetStudy(institutionId, event.studyInstanceUid);
  }
}
