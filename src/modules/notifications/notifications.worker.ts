import { Module } from '@nestjs/common';
import type { JobDefinition } from '../../platform/queue/job.js';
import { FanOutJob } from './fan-out.job.js';
import { NotificationsCoreModule } from './notifications-core.module.js';
import { NOTIFIED_TOPICS } from './topics.js';

export const notificationsJobs: readonly JobDefinition[] = [
  { queue: 'fan-out', handler: FanOutJob, topics: NOTIFIED_TOPICS, concurrency: 4 },
];

@Module({ imports: [NotificationsCoreModule], providers: [FanOutJob] })
export class NotificationsWorkerModule {}
