import { Inject, Injectable } from '@nestjs/common';
import { AuditWriter } from '../../../platform/audit/audit-writer.js';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { JobHandler, type JobContext } from '../../../platform/queue/job.js';
import type { Told } from './chain.js';
import { EscalationMetrics } from './escalation-metrics.js';
import { EscalationsStore, type ClaimedStep, type EscalationDue } from './escalations.store.js';
import { Recipients } from './recipients.service.js';

/** Tells the next ones of critical results that nobody acknowledges, when the database's clock says so: on a timer, and when a step is due at once. */
@Injectable()
export class ClimbEscalationsJob extends JobHandler<EscalationDue> {
  constructor(
    private readonly escalations: EscalationsStore,
    private readonly recipients: Recipients,
    private readonly audit: AuditWriter,
    private readonly metrics: EscalationMetrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    super();
  }

  async handle(_: EscalationDue, { closing, signal }: Pick<JobContext, 'closing' | 'signal'>): Promise<void> {
    const errors: unknown[] = [];
    while (closing?.aborted !== true && !signal.aborted) {
      const claimed = await this.escalations.claim();
      if (!claimed) break;
      // What is wrong with one does not keep the others waiting.
      await this.climb(claimed).catch((error: unknown) => { errors.push(error); });
    }
    if (errors.length > 0) throw errors[0];
  }

  /** What fails here is taken up again once the claim is over. */
  private async climb(claimed: ClaimedStep): Promise<void> {
    const { institutionId, notificationId, studyInstanceUid, steps, nextStep, topic } = claimed;
    const step = steps[nextStep];
    // Of a chain that this version cannot read nothing is known but that it is over.
    const told = step ? await this.recipients.of(institutionId, step, topic) : [];
    const about = { institutionId, actorKind: 'job', source: 'escalation', action: 'escalateNotification', object: notificationId, studyInstanceUids: studyInstanceUid === null ? [] : [studyInstanceUid], details: detailsOf(nextStep, told) } as const;
    await this.audit.write({ ...about, outcome: 'attempted' });
    const taken = await this.escalations.take(claimed, told);
    if (taken) {
      this.metrics.steps.inc();
      if (nextStep + 1 >= steps.length) this.metrics.outcomes.inc({ outcome: 'exhausted' });
      this.logger.warn({ notificationId, institutionId, step: nextStep + 1, of: steps.length }, 'a critical result was escalated');
    }
    // The step stands; that it was begun is on record.
    await this.audit.write({ ...about, outcome: taken ? 'succeeded' : 'refused', ...(!taken && { code: 'acknowledged' }) }).catch((err: unknown) => { this.logger.error({ err, notificationId }, 'a step of an escalation was taken, but its end is not on record'); });
  }
}

function detailsOf(nextStep: number, told: readonly Told[]): Record<string, string | number> {
  const [reached, skipped] = [told.filter((one) => 'channels' in one), told.filter((one) => 'skipped' in one)];
  return { step: nextStep + 1, told: reached.length, skipped: skipped.length, toldUserIds: reached.map((one) => ('userId' in one ? one.userId : '')).join(' ') };
}
