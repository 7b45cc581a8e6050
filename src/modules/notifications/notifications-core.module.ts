import { Module } from '@nestjs/common';
import { PeopleModule } from '../users/people.module.js';
import { EscalationMetrics } from './escalation/escalation-metrics.js';
import { EscalationsStore } from './escalation/escalations.store.js';
import { Announcements } from './mail/announcements.service.js';
import { MailsStore } from './mail/mails.store.js';
import { NotificationsStore } from './notifications.store.js';
import { PreferencesStore } from './preferences/preferences.store.js';

/** What both roles need of this module. */
@Module({
  imports: [PeopleModule],
  providers: [NotificationsStore, PreferencesStore, MailsStore, Announcements, EscalationsStore, EscalationMetrics],
  exports: [PeopleModule, NotificationsStore, PreferencesStore, MailsStore, Announcements, EscalationsStore, EscalationMetrics],
})
export class NotificationsCoreModule {}
