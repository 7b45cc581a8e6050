import { Injectable } from '@nestjs/common';
import { Prisma, type WebhookDelivery as Row } from '../../../generated/prisma/client.js';
import { Database, prismaOf } from '../../../platform/database/database.js';
import { Outbox } from '../../../platform/queue/outbox.js';
import { TEST_EVENT, WEBHOOK_DISABLED, WEBHOOK_DISABLED_MAIL, type DeliveryFailure, type DisabledReason, type WebhookDelivery, type WebhookDisabled, type WebhookDisabledMail } from './webhook.js';
import { DELIVERY_COLUMNS, deliveryOf } from './webhook-deliveries.store.js';
import { dueEvent } from './webhook-planning.store.js';
import { WebhooksStore } from './webhooks.store.js';

/** Longer than any try lasts. */
const LEASE_SECONDS = 60;

/** What a try met. */
export interface Try {
  status: number | null;
  durationMs: number;
  failure: DeliveryFailure | null;
  answer: string | null;
}

/** What becomes of a delivery after a try that failed. */
export type AfterFailure =
  | { state: 'waiting'; againAfterMs: number }
  | { state: 'given-up' }
  /** It waits until a person enables the endpoint again. */
  | { state: 'waiting'; disable: DisabledReason };

/**
 * Who sends what now. The rows decide, not the queue: an event waits for the earlier ones of its study, and an endpoint gets no more at a time than it takes.
 */
@Injectable()
export class WebhookClaimsStore {
  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
    private readonly webhooks: WebhooksStore,
  ) {}

  /** Takes what is due first, so that nobody else does meanwhile; undefined when nothing may be sent now. */
  async claim(institutionId: string, webhookId: string): Promise<WebhookDelivery | undefined> {
    // One after the other for each endpoint: the second statement begins when the first holds the row, and sees what the claim before has changed.
    const [, rows] = await this.database.writeAll({ institutionId }, [
      Prisma.sql`SELECT id FROM webhooks WHERE id = ${webhookId}::uuid AND institution_id = ${institutionId}::uuid FOR NO KEY UPDATE`,
      Prisma.sql`
        UPDATE webhook_deliveries SET attempts = attempts + 1, claims = claims + 1, claimed_until = clock_timestamp() + make_interval(secs => ${LEASE_SECONDS}::double precision),
          first_tried_at = coalesce(first_tried_at, clock_timestamp()), last_tried_at = clock_timestamp()
        WHERE id = (
          SELECT d.id FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id
          WHERE d.webhook_id = ${webhookId}::uuid AND d.institution_id = ${institutionId}::uuid AND d.state = 'waiting' AND d.next_at <= clock_timestamp()
            AND (d.claimed_until IS NULL OR d.claimed_until <= clock_timestamp()) AND (w.enabled OR d.topic = ${TEST_EVENT})
            AND w.concurrency > (SELECT count(*) FROM webhook_deliveries c WHERE c.webhook_id = ${webhookId}::uuid AND c.claimed_until > clock_timestamp())
            AND NOT EXISTS (SELECT FROM webhook_deliveries e WHERE e.webhook_id = d.webhook_id AND e.study_instance_uid = d.study_instance_uid AND e.state = 'waiting' AND e.position < d.position)
          ORDER BY d.next_at, d.position LIMIT 1)
        RETURNING ${DELIVERY_COLUMNS}`,
    ]);
    // The statement says which columns come.
    const [row] = (rows ?? []) as unknown as Row[];
    return row && deliveryOf(row);
  }

  async delivered(delivery: WebhookDelivery, { status, durationMs, answer }: Try): Promise<void> {
    await this.database.write({ institutionId: delivery.institutionId }, Prisma.sql`
      UPDATE webhook_deliveries SET state = 'delivered', delivered_at = clock_timestamp(), claimed_until = NULL, failure = NULL, answer = ${answer}, last_status = ${status}::int, last_duration_ms = ${durationMs}::int
      WHERE ${isClaimOf(delivery)}`);
  }

  /**
   * Says how a try failed, unless somebody has begun anew since, and disables the endpoint where that follows: when it said so, or when nothing has reached it since the
   * first try of an event that is given up now.
   *
   * @param administratorIds  who is told of it
   * @returns why the endpoint was disabled, if it was
   */
  async failed(delivery: WebhookDelivery, { status, durationMs, failure, answer }: Try, after: AfterFailure, administratorIds: readonly string[]): Promise<DisabledReason | undefined> {
    const { institutionId, webhookId, firstTriedAt, topic } = delivery;
    const againAfterMs = 'againAfterMs' in after ? after.againAfterMs : 0;
    return this.database.transaction({ institutionId }, async (tx) => {
      const changed = await prismaOf(tx).$executeRaw`
        UPDATE webhook_deliveries SET state = ${after.state}, next_at = clock_timestamp() + make_interval(secs => ${againAfterMs / 1000}::double precision), claimed_until = NULL,
          failure = ${failure}, answer = ${answer}, last_status = ${status}::int, last_duration_ms = ${durationMs}::int
        WHERE ${isClaimOf(delivery)}`;
      const reason = 'disable' in after ? after.disable : after.state === 'given-up' && topic !== TEST_EVENT ? 'failing' : undefined;
      if (changed === 0 || reason === undefined) return undefined;
      if (!(await this.webhooks.disable(tx, institutionId, webhookId, reason, reason === 'failing' ? (firstTriedAt ?? undefined) : undefined))) return undefined;
      const told: WebhookDisabled = { institutionId, webhookId, reason };
      await this.outbox.append(tx, { institutionId, topic: WEBHOOK_DISABLED, payload: told },
        ...administratorIds.map((userId) => ({ institutionId, topic: WEBHOOK_DISABLED_MAIL, payload: { ...told, userId } satisfies WebhookDisabledMail })));
      return reason;
    });
  }

  /** Gives a try back that was not made. */
  async release(delivery: WebhookDelivery): Promise<void> {
    await this.database.write({ institutionId: delivery.institutionId }, Prisma.sql`UPDATE webhook_deliveries SET attempts = attempts - 1, claimed_until = NULL WHERE ${isClaimOf(delivery)}`);
  }

  /** Wakes a worker for every endpoint that something is overdue for: what would have woken one may be lost, or was a long wait. @returns how many */
  async wakeOverdue(seconds: number, limit: number): Promise<number> {
    return this.database.transaction('system', async (tx) => {
      const rows = await prismaOf(tx).$queryRaw<{ id: string; institution_id: string }[]>`
        SELECT w.id, w.institution_id FROM webhooks w WHERE w.enabled AND EXISTS (
          SELECT FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.state = 'waiting' AND d.next_at < now() - make_interval(secs => ${seconds}::double precision) AND (d.claimed_until IS NULL OR d.claimed_until < now()))
        ORDER BY random() LIMIT ${limit}::int`;
      if (rows.length > 0) await this.outbox.append(tx, ...rows.map(({ id, institution_id }) => dueEvent(institution_id, id)));
      return rows.length;
    });
  }
}

/** That nobody has claimed it since, or asked for it again. */
function isClaimOf({ id, institutionId, claims }: WebhookDelivery): Prisma.Sql {
  return Prisma.sql`id = ${id}::uuid AND institution_id = ${institutionId}::uuid AND state = 'waiting' AND claims = ${claims}::int`;
}
