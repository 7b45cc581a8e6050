import { Injectable } from '@nestjs/common';
import { Catalogue } from '../../images/images.contract.js';
import { WebhookPlanningStore, type StudyEvent } from './webhook-planning.store.js';

/** Plans events, however late they come. */
@Injectable()
export class WebhookPlanner {
  constructor(
    private readonly planning: WebhookPlanningStore,
    private readonly catalogue: Catalogue,
  ) {}

  /** @returns how many deliveries there are to make */
  async plan(event: StudyEvent): Promise<number> {
    const { institutionId, payload: { studyInstanceUid } } = event;
    return this.planning.plan(event, async () => (await this.catalogue.studies(institutionId, { studyInstanceUids: [[studyInstanceUid]] }, { limit: 1 })).length > 0);
  }
}
