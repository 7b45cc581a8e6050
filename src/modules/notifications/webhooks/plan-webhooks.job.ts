import { Injectable } from '@nestjs/common';
import { JobHandler, type JobContext } from '../../../platform/queue/job.js';
import { Catalogue } from '../../images/images.contract.js';
import type { EventData } from './webhook.js';
import { WebhookPlanningStore } from './webhook-planning.store.js';

/** Makes the deliveries of one event, one for each endpoint that is told of it; again it makes none. */
@Injectable()
export class PlanWebhooksJob extends JobHandler<EventData & { institutionId: string; studyInstanceUid: string }> {
  constructor(
    private readonly planning: WebhookPlanningStore,
    private readonly catalogue: Catalogue,
  ) {
    super();
  }

  async handle(payload: EventData & { institutionId: string; studyInstanceUid: string }, { jobId, topic }: JobContext): Promise<void> {
    const { institutionId, studyInstanceUid } = payload;
    if (!(await this.planning.isWanted(institutionId, topic))) return;
    // So late that the outbox cannot say whether the study was erased meanwhile: nothing is to be told of one that is gone.
    if (!(await this.planning.isKept(institutionId, jobId)) && (await this.catalogue.studies(institutionId, { studyInstanceUids: [[studyInstanceUid]] }, { limit: 1 })).length === 0) return;
    await this.planning.plan({ id: jobId, institutionId, topic, payload });
  }
}
