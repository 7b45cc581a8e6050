import { Module } from '@nestjs/common';
import { NotificationsStore } from './notifications.store.js';

/** What both roles need of this module. */
@Module({ providers: [NotificationsStore], exports: [NotificationsStore] })
export class NotificationsCoreModule {}
