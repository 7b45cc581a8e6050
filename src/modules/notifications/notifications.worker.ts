import { Module } from '@nestjs/common';
import { MailModule } from '../../platform/mail/mail.module.js';
import type { JobDefinition } from '../../platform/queue/job.js';
import { STUDY_DELETED } from '../images/images.contract.js';
import { ResultsCoreModule } from '../results/results-core.module.js';
import { RESULT_REMOVED } from '../results/results.contract.js';
import { ClimbEscalationsJob } from './escalation/climb-escalations.job.js';
import { ESCALATION_DUE } from './escalation/escalations.store.js';
import { Recipients } from './escalation/recipients.service.js';
import { FanOutJob } from './fan-out.job.js';
import { ForgetNotificationsJob } from './forget.job.js';
import { NOTIFICATION_MAILS_DUE } from './mail/mails.store.js';
import { SendNotificationMailsJob } from './mail/send-notification-mails.job.js';
import { NotificationsCoreModule } from './notifications-core.module.js';
import { NOTIFIED_TOPICS } from './topics.js';
import { webhooksJobs, WebhooksWorkerModule } from './webhooks/webhooks.worker.js';

export const notificationsJobs: readonly JobDefinition[] = [
  { queue: 'fan-out', handler: FanOutJob, topics: NOTIFIED_TOPICS, concurrency: 4 },
  // By the database's clock: what wakes them besides is a hint.
  { queue: 'notification-mails', handler: SendNotificationMailsJob, topics: [NOTIFICATION_MAILS_DUE], everyMs: 10_000, concurrency: 2 },
  { queue: 'climb-escalations', handler: ClimbEscalationsJob, topics: [ESCALATION_DUE], everyMs: 5_000, concurrency: 1 },
  { queue: 'forget-notifications', handler: ForgetNotificationsJob, topics: [STUDY_DELETED, RESULT_REMOVED], concurrency: 2 },
  ...webhooksJobs,
];

@Module({
  imports: [NotificationsCoreModule, ResultsCoreModule, MailModule, WebhooksWorkerModule],
  providers: [FanOutJob, ForgetNotificationsJob, SendNotificationMailsJob, Recipients, ClimbEscalationsJob],
})
export class NotificationsWorkerModule {}
