import { Injectable } from '@nestjs/common';
import { EventFilter, type Announced } from '../../../platform/queue/job.js';
import { WebhookPlanningStore } from './webhook-planning.store.js';

/**
 * Most institutions have no webhook, and three jobs of every study would find that out. One that is made in this very moment misses nothing: what the next event of
 * a study plans includes those before, and the upkeep finds the others.
 */
@Injectable()
export class WebhookFilter extends EventFilter {
  constructor(private readonly planning: WebhookPlanningStore) {
    super();
  }

  override async wanted(events: readonly Announced[]): Promise<ReadonlySet<string>> {
    const told = new Set((await this.planning.told([...new Set(events.map(({ institutionId }) => institutionId))])).map(({ institutionId, topic }) => `${institutionId} ${topic}`));
    return new Set(events.filter(({ institutionId, topic }) => told.has(`${institutionId} ${topic}`)).map(({ id }) => id));
  }
}
