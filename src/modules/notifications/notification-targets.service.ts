import { Injectable } from '@nestjs/common';
import { NotificationTargets } from './notifications.contract.js';
import { NotificationsStore } from './notifications.store.js';
import { hiddenTopics } from './topics.js';

/** For the page that mails lead to. */
@Injectable()
export class StoredNotificationTargets extends NotificationTargets {
  constructor(private readonly store: NotificationsStore) {
    super();
  }

  async studyOf(institutionId: string, notificationId: string, permissions: ReadonlySet<string>): Promise<string | null | undefined> {
    if (!permissions.has('notifications:read')) return undefined;
    const found = await this.store.find(institutionId, notificationId);
    if (!found || hiddenTopics(permissions).includes(found.topic)) return undefined;
    return 'studyInstanceUid' in found.subject ? found.subject.studyInstanceUid : null;
  }
}
