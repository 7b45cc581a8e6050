import { Module } from '@nestjs/common';
import { MailModule } from '../../platform/mail/mail.module.js';
import type { JobDefinition } from '../../platform/queue/job.js';
import { MAIL_REQUESTED } from './links/mail-requested.js';
import { SendMailJob } from './links/send-mail.job.js';
import { UserLinksStore } from './links/user-links.store.js';

export const usersJobs: readonly JobDefinition[] = [
  // A relay that is away for half an hour loses no mail.
  { queue: 'send-mail', handler: SendMailJob, topics: [MAIL_REQUESTED], concurrency: 2, attempts: 12 },
];

@Module({ imports: [MailModule], providers: [UserLinksStore, SendMailJob] })
export class UsersWorkerModule {}
