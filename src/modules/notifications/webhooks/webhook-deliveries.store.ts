import { Injectable } from '@nestjs/common';
import { Prisma, type WebhookDelivery as Row } from '../../../generated/prisma/client.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { uuidv7 } from '../../../kernel/uid.js';
import { columnsOf } from '../../../platform/database/columns.js';
import { Database, prismaOf } from '../../../platform/database/database.js';
import { currentTraceparent } from '../../../platform/ops/tracing.js';
import { Outbox } from '../../../platform/queue/outbox.js';
import { TEST_EVENT, type DeliveryFailure, type DeliveryState, type EventData, type WebhookDelivery } from './webhook.js';
import { dueEvent, lockStudy } from './webhook-planning.store.js';

export const DELIVERY_COLUMNS = columnsOf(Prisma.WebhookDeliveryScalarFieldEnum);

/** Deliveries older than this are forgotten. */
const KEEP_DAYS = 30;
const PRUNED_AT_ONCE = 5_000;

/** What of an endpoint's log is sent again. Times are those of the events. */
export interface RedeliveryRange {
  from: Date;
  to: Date;
  events?: readonly string[] | undefined;
  state?: 'delivered' | 'given-up' | undefined;
}

const ANEW = Prisma.sql`state = 'waiting', attempts = 0, claims = claims + 1, claimed_until = NULL, next_at = now(), first_tried_at = NULL, failure = NULL, answer = NULL, last_status = NULL, last_duration_ms = NULL, delivered_at = NULL`;

/** The log of deliveries. */
@Injectable()
export class WebhookDeliveriesStore {
  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
  ) {}

  /** Newest first; one row more than `limit` when there are more. */
  async list(institutionId: string, webhookId: string, { state, event, limit, cursor }: { state?: DeliveryState | undefined; event?: string | undefined; limit: number; cursor?: string | undefined }): Promise<WebhookDelivery[]> {
    const rows = await this.database.read<Row>({ institutionId }, Prisma.sql`
      SELECT ${DELIVERY_COLUMNS} FROM webhook_deliveries WHERE institution_id = ${institutionId}::uuid AND webhook_id = ${webhookId}::uuid
        ${state === undefined ? Prisma.empty : Prisma.sql`AND state = ${state}`} ${event === undefined ? Prisma.empty : Prisma.sql`AND topic = ${event}`} ${cursor === undefined ? Prisma.empty : Prisma.sql`AND id < ${cursor}::uuid`}
      ORDER BY id DESC LIMIT ${limit + 1}::int`);
    return rows.map(deliveryOf);
  }

  async find(institutionId: string, webhookId: string, id: string): Promise<WebhookDelivery | undefined> {
    const [row] = await this.database.read<Row>({ institutionId }, Prisma.sql`
      SELECT ${DELIVERY_COLUMNS} FROM webhook_deliveries WHERE id = ${id}::uuid AND webhook_id = ${webhookId}::uuid AND institution_id = ${institutionId}::uuid`);
    return row && deliveryOf(row);
  }

  /** An event of no study, for the endpoint alone. */
  async addTest(tx: Transaction, institutionId: string, webhookId: string): Promise<WebhookDelivery> {
    const id = uuidv7();
    const [row] = await prismaOf(tx).$queryRaw<Row[]>`
      INSERT INTO webhook_deliveries (id, institution_id, webhook_id, event_id, topic, position, data, occurred_at, traceparent)
      VALUES (${id}::uuid, ${institutionId}::uuid, ${webhookId}::uuid, ${id}::uuid, ${TEST_EVENT}, nextval(pg_get_serial_sequence('outbox', 'position')), ${JSON.stringify({ webhookId })}::jsonb, now(), ${currentTraceparent() ?? null}) RETURNING ${DELIVERY_COLUMNS}`;
    await this.outbox.append(tx, dueEvent(institutionId, webhookId));
    // INSERT gives back what it has inserted.
    return deliveryOf(row as Row);
  }

  /** Sends again, whatever became of it; undefined when there is no such delivery, or what it was about was erased. */
  async restart(institutionId: string, webhookId: string, id: string): Promise<WebhookDelivery | undefined> {
    return this.database.transaction({ institutionId }, async (tx) => {
      const [row] = await prismaOf(tx).$queryRaw<Row[]>`
        UPDATE webhook_deliveries SET ${ANEW} WHERE id = ${id}::uuid AND webhook_id = ${webhookId}::uuid AND institution_id = ${institutionId}::uuid AND state <> 'erased' RETURNING ${DELIVERY_COLUMNS}`;
      if (!row) return undefined;
      await this.outbox.append(tx, dueEvent(institutionId, webhookId));
      return deliveryOf(row);
    });
  }

  /** @returns how many are sent again; undefined when they are more than `most`, and then none is */
  async restartRange(tx: Transaction, institutionId: string, webhookId: string, { from, to, events, state }: RedeliveryRange, most: number): Promise<number | undefined> {
    const wanted = Prisma.sql`institution_id = ${institutionId}::uuid AND webhook_id = ${webhookId}::uuid AND occurred_at >= ${from}::timestamptz AND occurred_at < ${to}::timestamptz AND topic <> ${TEST_EVENT}
      AND ${state === undefined ? Prisma.sql`state IN ('delivered', 'given-up')` : Prisma.sql`state = ${state}`} ${events === undefined ? Prisma.empty : Prisma.sql`AND topic = ANY (${[...events]}::text[])`}`;
    const [counted] = await prismaOf(tx).$queryRaw<{ total: number }[]>`SELECT count(*)::int AS total FROM (SELECT FROM webhook_deliveries WHERE ${wanted} LIMIT ${most + 1}::int) found`;
    if ((counted?.total ?? 0) > most) return undefined;
    const restarted = await prismaOf(tx).$executeRaw`UPDATE webhook_deliveries SET ${ANEW} WHERE ${wanted}`;
    if (restarted > 0) await this.outbox.append(tx, dueEvent(institutionId, webhookId));
    return restarted;
  }

  /** What waits is due at once and has all its tries again: the endpoint is another one now, or is enabled again. */
  async renew(tx: Transaction, institutionId: string, webhookId: string): Promise<void> {
    await prismaOf(tx).$executeRaw`
      UPDATE webhook_deliveries SET attempts = 0, next_at = now(), first_tried_at = NULL WHERE webhook_id = ${webhookId}::uuid AND institution_id = ${institutionId}::uuid AND state = 'waiting' AND claimed_until IS NULL`;
    await this.outbox.append(tx, dueEvent(institutionId, webhookId));
  }

  /** Nothing names the study any more. That there was an event stays, so that it is not told of after all. */
  async forgetStudy(institutionId: string, studyInstanceUid: string): Promise<number> {
    return this.database.transaction({ institutionId }, async (tx) => {
      await lockStudy(tx, institutionId, studyInstanceUid);
      return prismaOf(tx).$executeRaw`${ERASE} WHERE institution_id = ${institutionId}::uuid AND study_instance_uid = ${studyInstanceUid}`;
    });
  }

  /** As `forgetStudy`, of one result. */
  async forgetResult(institutionId: string, resultId: string): Promise<number> {
    const { count } = await this.database.write({ institutionId }, Prisma.sql`${ERASE} WHERE institution_id = ${institutionId}::uuid AND result_id = ${resultId}::uuid`);
    return count;
  }

  /** Removes what is older than a month. @returns how many */
  async prune(): Promise<number> {
    let removed = 0;
    for (;;) {
      const { count } = await this.database.write('system', Prisma.sql`
        DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries WHERE created_at < now() - make_interval(days => ${KEEP_DAYS}::int) ORDER BY created_at LIMIT ${PRUNED_AT_ONCE}::int)`);
      removed += count;
      if (count < PRUNED_AT_ONCE) return removed;
    }
  }
}

const ERASE = Prisma.sql`UPDATE webhook_deliveries SET state = 'erased', data = '{}', study_instance_uid = NULL, result_id = NULL, answer = NULL, failure = NULL, claimed_until = NULL`;

export function deliveryOf({ state, failure, data, ...row }: Row): WebhookDelivery {
  // The stores of this folder are the only writers of these columns.
  return { ...row, state: state as DeliveryState, failure: failure as DeliveryFailure | null, data: data as EventData };
}
