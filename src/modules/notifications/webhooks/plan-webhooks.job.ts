import { Injectable } from '@nestjs/common';
import { JobHandler, type JobContext } from '../../../platform/queue/job.js';
import { WebhookPlanner } from './webhook-planner.service.js';
import { WebhookPlanningStore, type StudyEvent } from './webhook-planning.store.js';

type Payload = StudyEvent['payload'] & { institutionId: string };

/** Makes the deliveries of one event, one for each endpoint that is told of it; again it makes none. */
@Injectable()
export class PlanWebhooksJob extends JobHandler<Payload> {
  constructor(
    private readonly planning: WebhookPlanningStore,
    private readonly planner: WebhookPlanner,
  ) {
    super();
  }

  async handle(payload: Payload, { jobId, topic }: JobContext): Promise<void> {
    const { institutionId } = payload;
    if (await this.planning.isWanted(institutionId, topic, jobId)) await this.planner.plan({ id: jobId, institutionId, topic, payload });
  }
}
