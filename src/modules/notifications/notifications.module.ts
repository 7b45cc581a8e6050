import { Module } from '@nestjs/common';
import { ChainController } from './escalation/chain.controller.js';
import { ChainStore } from './escalation/chain.store.js';
import { EscalationReportController } from './escalation/escalation-report.controller.js';
import { EscalationReportStore } from './escalation/escalation-report.store.js';
import { EscalationController } from './escalation/escalation.controller.js';
import { EventFeed } from './event-feed.service.js';
import { EventsController } from './events.controller.js';
import { StoredNotificationTargets } from './notification-targets.service.js';
import { NotificationsCoreModule } from './notifications-core.module.js';
import { NotificationTargets } from './notifications.contract.js';
import { NotificationsController } from './notifications.controller.js';
import { PreferencesController } from './preferences/preferences.controller.js';
import { InboxStore } from './reading/inbox.store.js';
import { WebhooksModule } from './webhooks/webhooks.module.js';

/** HTTP. */
@Module({
  imports: [NotificationsCoreModule, WebhooksModule],
  controllers: [NotificationsController, EventsController, PreferencesController, ChainController, EscalationController, EscalationReportController],
  providers: [EventFeed, InboxStore, ChainStore, EscalationReportStore, { provide: NotificationTargets, useClass: StoredNotificationTargets }],
  exports: [NotificationTargets],
})
export class NotificationsModule {}
