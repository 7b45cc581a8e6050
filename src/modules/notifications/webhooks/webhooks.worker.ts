import { Module } from '@nestjs/common';
import { MailModule } from '../../../platform/mail/mail.module.js';
import type { JobDefinition } from '../../../platform/queue/job.js';
import { ImagesCoreModule } from '../../images/images-core.module.js';
import { STUDY_DELETED } from '../../images/images.contract.js';
import { RESULT_REMOVED } from '../../results/results.contract.js';
import { PeopleModule } from '../../users/people.module.js';
import { DeliverWebhooksJob } from './deliver-webhooks.job.js';
import { ForgetWebhookDeliveriesJob } from './forget-webhook-deliveries.job.js';
import { MailWebhookDisabledJob } from './mail-webhook-disabled.job.js';
import { PlanWebhooksJob } from './plan-webhooks.job.js';
import { WakeWebhooksJob } from './wake-webhooks.job.js';
import { WEBHOOK_DISABLED_MAIL, WEBHOOK_DUE, WEBHOOK_EVENTS } from './webhook.js';
import { WebhookClaimsStore } from './webhook-claims.store.js';
import { WebhookFilter } from './webhook-filter.js';
import { WebhookPlanner } from './webhook-planner.service.js';
import { WebhookPlanningStore } from './webhook-planning.store.js';
import { WebhookSender } from './webhook-sender.service.js';
import { WebhookUpkeepJob } from './webhook-upkeep.job.js';
import { WebhooksCoreModule } from './webhooks-core.module.js';

export const webhooksJobs: readonly JobDefinition[] = [
  { queue: 'plan-webhooks', handler: PlanWebhooksJob, topics: WEBHOOK_EVENTS, filter: WebhookFilter, concurrency: 4 },
  // It waits for others most of the time.
  { queue: 'deliver-webhooks', handler: DeliverWebhooksJob, topics: [WEBHOOK_DUE], concurrency: 16, beginsSpans: true },
  { queue: 'wake-webhooks', handler: WakeWebhooksJob, everyMs: 15_000, concurrency: 1 },
  { queue: 'webhook-upkeep', handler: WebhookUpkeepJob, everyMs: 60_000, concurrency: 1 },
  { queue: 'forget-webhook-deliveries', handler: ForgetWebhookDeliveriesJob, topics: [STUDY_DELETED, RESULT_REMOVED], concurrency: 2 },
  // A relay that is away for half an hour loses no mail.
  { queue: 'mail-webhook-disabled', handler: MailWebhookDisabledJob, topics: [WEBHOOK_DISABLED_MAIL], concurrency: 1, attempts: 12 },
];

@Module({
  imports: [WebhooksCoreModule, ImagesCoreModule, PeopleModule, MailModule],
  providers: [WebhookPlanningStore, WebhookFilter, WebhookPlanner, WebhookClaimsStore, WebhookSender, PlanWebhooksJob, DeliverWebhooksJob, WakeWebhooksJob, WebhookUpkeepJob, ForgetWebhookDeliveriesJob, MailWebhookDisabledJob],
})
export class WebhooksWorkerModule {}
