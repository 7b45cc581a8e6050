import { Module } from '@nestjs/common';
import type { JobDefinition } from '../../platform/queue/job.js';
import { STUDY_DELETED } from '../images/images.contract.js';
import { ResultsCoreModule } from '../results/results-core.module.js';
import { RESULT_REMOVED } from '../results/results.contract.js';
import { FanOutJob } from './fan-out.job.js';
import { ForgetNotificationsJob } from './forget.job.js';
import { NotificationsCoreModule } from './notifications-core.module.js';
import { NOTIFIED_TOPICS } from './topics.js';
import { webhooksJobs, WebhooksWorkerModule } from './webhooks/webhooks.worker.js';

export const notificationsJobs: readonly JobDefinition[] = [
  { queue: 'fan-out', handler: FanOutJob, topics: NOTIFIED_TOPICS, concurrency: 4 },
  { queue: 'forget-notifications', handler: ForgetNotificationsJob, topics: [STUDY_DELETED, RESULT_REMOVED], concurrency: 2 },
  ...webhooksJobs,
];

@Module({ imports: [NotificationsCoreModule, ResultsCoreModule, WebhooksWorkerModule], providers: [FanOutJob, ForgetNotificationsJob] })
export class NotificationsWorkerModule {}
