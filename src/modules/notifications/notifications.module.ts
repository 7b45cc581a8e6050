import { Module } from '@nestjs/common';
import { EventFeed } from './event-feed.service.js';
import { EventsController } from './events.controller.js';
import { NotificationsCoreModule } from './notifications-core.module.js';
import { NotificationsController } from './notifications.controller.js';
import { WebhooksModule } from './webhooks/webhooks.module.js';

/** HTTP. */
@Module({ imports: [NotificationsCoreModule, WebhooksModule], controllers: [NotificationsController, EventsController], providers: [EventFeed] })
export class NotificationsModule {}
