import { Inject, Injectable } from '@nestjs/common';
import type { RowCondition } from '../../kernel/transaction.js';
import { Database } from '../../platform/database/database.js';
import { LiveChannel } from '../../platform/database/live-channel.js';
import { LOGGER, type Logger } from '../../platform/ops/logger.js';
import { JobHandler, type JobContext } from '../../platform/queue/job.js';
import type { AnalysisEnded, ResultReady } from '../analysis/analysis.contract.js';
import { StudyResults, type ResultReviewed } from '../results/results.contract.js';
import type { BreakGlassTaken } from '../users/users.contract.js';
import { Announcements, type Subscriber } from './mail/announcements.service.js';
import { NotificationsStore, type NewNotification, type NotificationSubject } from './notifications.store.js';
import { CRITICAL_TOPICS, NOTIFICATIONS_LIVE, type NotifiedTopic } from './topics.js';
import type { WebhookDisabled } from './webhooks/webhook.js';

type Told = AnalysisEnded | ResultReady | ResultReviewed | BreakGlassTaken | WebhookDisabled;

/**
 * Makes one notification of one event, and tells whoever watches. The notification has the event's own id, so that a job which
 * runs twice makes no second one.
 */
@Injectable()
export class FanOutJob extends JobHandler<Told> {
  constructor(
    private readonly database: Database,
    private readonly store: NotificationsStore,
    private readonly results: StudyResults,
    private readonly announcements: Announcements,
    private readonly live: LiveChannel,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    super();
  }

  async handle(event: Told, { jobId, topic: told }: JobContext): Promise<void> {
    const { institutionId } = event;
    // The relay feeds it with these topics alone.
    const topic = told as NotifiedTopic;
    const subject = subjectOf(event);
    const notification = { id: jobId, institutionId, topic, subject, critical: CRITICAL_TOPICS.includes(topic) };
    const subscribers = await this.announcements.subscribers(institutionId, topic);
    const isMade = subscribers.length === 0 && !notification.critical ? await this.store.insertAlone(notification, this.conditionOf(notification)) : await this.announced(notification, subscribers);
    if (!isMade) this.logger.debug({ notificationId: jobId }, 'notification was made before, or its result is gone');
    // Told again too: the first try may have ended between the row and the signal.
    await this.live.publish({ topic: NOTIFICATIONS_LIVE, key: `${institutionId}/${jobId}` });
  }

  /** With what tells of it beyond its list. */
  private announced(notification: NewNotification & { topic: NotifiedTopic }, subscribers: readonly Subscriber[]): Promise<boolean> {
    const { institutionId, subject } = notification;
    return this.database.transaction({ institutionId }, async (tx) => {
      if ('resultId' in subject && subject.resultId !== null && !(await this.results.lock(tx, institutionId, subject.resultId))) return false;
      if (!(await this.store.insert(tx, notification))) return false;
      await this.announcements.announce(tx, notification, subscribers);
      return true;
    });
  }

  /** A result that was erased meanwhile is not told of: nothing is to stay that names it. */
  private conditionOf({ institutionId, subject }: NewNotification): RowCondition | undefined {
    return 'resultId' in subject && subject.resultId !== null ? this.results.whileKept(institutionId, subject.resultId) : undefined;
  }
}

function subjectOf(event: Told): NotificationSubject {
  if ('breakGlassId' in event) return { breakGlassId: event.breakGlassId, userId: event.userId };
  if ('webhookId' in event) return { webhookId: event.webhookId };
  const { analysis, analysisId, resultId, studyInstanceUid } = event;
  return { analysis, analysisId, resultId, studyInstanceUid };
}
