import { Injectable } from '@nestjs/common';
import { JobHandler } from '../../../platform/queue/job.js';
import { WebhookClaimsStore } from './webhook-claims.store.js';

/** What a job waits for itself is not overdue. */
const OVERDUE_SECONDS = 5;
const AT_ONCE = 200;

/** Finds endpoints that something is due for, on a timer: long waits that are over, and what the queue has forgotten. */
@Injectable()
export class WakeWebhooksJob extends JobHandler {
  constructor(private readonly claims: WebhookClaimsStore) {
    super();
  }

  async handle(): Promise<void> {
    await this.claims.wakeOverdue(OVERDUE_SECONDS, AT_ONCE);
  }
}
