import { Inject, Injectable } from '@nestjs/common';
import { LiveChannel } from '../../platform/database/live-channel.js';
import { LOGGER, type Logger } from '../../platform/ops/logger.js';
import { JobHandler, type JobContext } from '../../platform/queue/job.js';
import { RESULT_CRITICAL, type AnalysisEnded, type ResultReady } from '../analysis/analysis.contract.js';
import { NotificationsStore } from './notifications.store.js';
import { NOTIFICATIONS_LIVE } from './topics.js';

/**
 * Makes one notification of one event, and tells whoever watches. The notification has the event's own id, so that a job which
 * runs twice makes no second one.
 */
@Injectable()
export class FanOutJob extends JobHandler<AnalysisEnded | ResultReady> {
  constructor(
    private readonly store: NotificationsStore,
    private readonly live: LiveChannel,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    super();
  }

  async handle({ institutionId, analysis, analysisId, resultId, studyInstanceUid }: AnalysisEnded | ResultReady, { jobId, topic }: JobContext): Promise<void> {
    const made = await this.store.insert({ id: jobId, institutionId, topic, subject: { analysis, analysisId, resultId, studyInstanceUid }, critical: topic === RESULT_CRITICAL });
    if (!made) this.logger.debug({ notificationId: jobId }, 'notification was made before');
    // Told again too: the first try may have ended between the row and the signal.
    await this.live.publish({ topic: NOTIFICATIONS_LIVE, key: `${institutionId}/${jobId}` });
  }
}
