import { Inject, Injectable } from '@nestjs/common';
import { Counter } from 'prom-client';
import { AppError } from '../../../kernel/errors.js';
import { AuditWriter } from '../../../platform/audit/audit-writer.js';
import { isDatabaseAway } from '../../../platform/database/database-errors.js';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { Metrics } from '../../../platform/ops/metrics.js';
import { continueTrace } from '../../../platform/ops/tracing.js';
import { HandBack, JobHandler, type JobContext } from '../../../platform/queue/job.js';
import { People } from '../../users/users.contract.js';
import { administratorsOf } from './administrators.js';
import { waitAfter } from './retry-schedule.js';
import { TEST_EVENT, type Webhook, type WebhookDelivery, type WebhookDue } from './webhook.js';
import { WebhookClaimsStore, type AfterFailure } from './webhook-claims.store.js';
import { WebhookDetails } from './webhook-details.service.js';
import { WebhookSender, type Answer } from './webhook-sender.service.js';
import { WebhooksStore } from './webhooks.store.js';

/** How long one endpoint keeps a worker's place while others wait. */
const TURN_MS = 30_000;
/** A next try that is near has this job wait for it; the others are found by the timer. */
const SOON_MS = 60_000;
const DATABASE_PAUSE_MS = 5_000;

/** Sends what is due for one endpoint, several at a time, until nothing is. */
@Injectable()
export class DeliverWebhooksJob extends JobHandler<WebhookDue> {
  private readonly tries: Counter;
  private readonly disabled: Counter;

  constructor(
    private readonly claims: WebhookClaimsStore,
    private readonly webhooks: WebhooksStore,
    private readonly details: WebhookDetails,
    private readonly sender: WebhookSender,
    private readonly people: People,
    private readonly audit: AuditWriter,
    metrics: Metrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    super();
    const { registry } = metrics;
    this.tries = new Counter({ name: 'healthvision_webhook_deliveries_total', help: 'Tries to deliver an event to a webhook, by outcome; given-up counts events beside their last try', labelNames: ['outcome'], registers: [registry] });
    this.disabled = new Counter({ name: 'healthvision_webhooks_disabled_total', help: 'Webhooks that were disabled by the product, by reason', labelNames: ['reason'], registers: [registry] });
  }

  async handle(due: WebhookDue, { signal, closing }: JobContext): Promise<void> {
    const turn = new Turn([signal, ...(closing ? [closing] : [])]);
    await this.lane(due, turn);
    if (turn.isOver) throw new HandBack();
    if (turn.nextAtMs !== undefined) throw new HandBack(Math.max(0, turn.nextAtMs - Date.now()) + 100);
  }

  /** One delivery after the other. Whoever gets one sees whether there is another to be sent beside it: the claim refuses what would be too many. */
  private async lane(due: WebhookDue, turn: Turn): Promise<void> {
    let beside: Promise<void> | undefined;
    try {
      while (!turn.isOver) {
        const delivery = await this.claims.claim(due.institutionId, due.webhookId);
        if (!delivery) break;
        beside ??= this.lane(due, turn);
        // Heard below; until then nobody listens.
        beside.catch(() => undefined);
        await continueTrace(delivery.traceparent, () => this.deliver(delivery, turn));
      }
    } finally {
      await beside;
    }
  }

  private async deliver(delivery: WebhookDelivery, turn: Turn): Promise<void> {
    const { institutionId, webhookId } = delivery;
    let answer: Answer;
    try {
      const webhook = await this.webhooks.find(institutionId, webhookId);
      if (!webhook) return;
      answer = await this.send(webhook, delivery);
    } catch (error) {
      await this.claims.release(delivery).catch(() => undefined);
      if (isDatabaseAway(error) || error instanceof AppError) throw new HandBack(DATABASE_PAUSE_MS);
      throw error;
    }
    if (answer.failure === null) {
      await this.claims.delivered(delivery, answer);
      this.tries.inc({ outcome: 'delivered' });
    } else {
      await this.failed(delivery, answer, turn);
    }
  }

  /** What names a patient goes out on record. */
  private async send(webhook: Webhook, delivery: WebhookDelivery): Promise<Answer> {
    const details = webhook.includePhi ? await this.details.of(delivery) : undefined;
    if (details === undefined) return this.sender.send(webhook, delivery, undefined);
    const about = { institutionId: webhook.institutionId, actorKind: 'job', source: webhook.id, action: 'deliverWebhook', object: delivery.id, studyInstanceUids: delivery.studyInstanceUid === null ? [] : [delivery.studyInstanceUid] } as const;
    await this.audit.write({ ...about, outcome: 'attempted' });
    const answer = await this.sender.send(webhook, delivery, details);
    await this.audit.write({ ...about, outcome: answer.failure === null ? 'succeeded' : 'failed', code: answer.failure }).catch(() => undefined);
    return answer;
  }

  private async failed(delivery: WebhookDelivery, answer: Answer, turn: Turn): Promise<void> {
    const { id: deliveryId, institutionId, webhookId, attempts } = delivery;
    const after = afterFailure(delivery, answer);
    const { failure, status } = answer;
    this.tries.inc({ outcome: failure ?? 'refused' });
    if (after.state === 'given-up') this.tries.inc({ outcome: 'given-up' });
    this.logger.warn({ deliveryId, webhookId, failure, status, attempts, givenUp: after.state === 'given-up' }, 'an event could not be delivered to a webhook');
    const mayDisable = 'disable' in after || after.state === 'given-up';
    const told = mayDisable ? await administratorsOf(this.people, institutionId) : [];
    const reason = await this.claims.failed(delivery, answer, after, told.map(({ id }) => id));
    if (reason !== undefined) {
      this.disabled.inc({ reason });
      this.logger.warn({ webhookId, reason }, 'a webhook was disabled');
      await this.audit.write({ institutionId, actorKind: 'job', source: webhookId, action: 'disableWebhook', object: webhookId, outcome: 'succeeded', details: { reason } }).catch(() => undefined);
    }
    if ('againAfterMs' in after) turn.comeBackAt(Date.now() + after.againAfterMs);
  }
}

/** A test is tried once, and has no consequences. */
function afterFailure({ topic, attempts }: WebhookDelivery, { failure, retryAfterMs }: Answer): AfterFailure {
  if (topic === TEST_EVENT) return { state: 'given-up' };
  if (failure === 'gone') return { state: 'waiting', disable: 'gone' };
  const againAfterMs = waitAfter(attempts, retryAfterMs);
  return againAfterMs === undefined ? { state: 'given-up' } : { state: 'waiting', againAfterMs };
}

/** How long a job goes on, and when it is to come back. */
class Turn {
  nextAtMs: number | undefined;
  private readonly untilMs = Date.now() + TURN_MS;

  constructor(private readonly stops: readonly AbortSignal[]) {}

  /** Its time is up, or this process is asked to stop. */
  get isOver(): boolean {
    return Date.now() >= this.untilMs || this.stops.some(({ aborted }) => aborted);
  }

  comeBackAt(atMs: number): void {
    if (atMs - Date.now() <= SOON_MS) this.nextAtMs = Math.min(this.nextAtMs ?? Number.POSITIVE_INFINITY, atMs);
  }
}
