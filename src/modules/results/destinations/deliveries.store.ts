import { Injectable } from '@nestjs/common';
import { Prisma, type Delivery as Row } from '../../../generated/prisma/client.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { uuidv7 } from '../../../kernel/uid.js';
import { columnsOf } from '../../../platform/database/columns.js';
import { Database, prismaOf } from '../../../platform/database/database.js';
import { Outbox } from '../../../platform/queue/outbox.js';
import type { SendFailure } from './destination.js';
import { MOST_DESTINATIONS } from './destinations.store.js';

/** Outbox topic: something is to be sent. */
export const DELIVERY_DUE = 'delivery.due';
/** Payload of `delivery.due`. */
export type DeliveryDue = { institutionId: string; deliveryId: string };

export const DELIVERY_STATES = ['waiting', 'delivered', 'given-up'] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

/** One version of a result on its way to one destination. */
export interface Delivery extends Omit<Row, 'failure' | 'state'> {
  state: DeliveryState;
  /** What the last try met. */
  failure: Pick<SendFailure, 'code' | 'detail'> | null;
}

/** What is to be sent, and to whom: SEG and SR to PACS, messages to RIS. */
export interface Shipment {
  what: readonly ('objects' | 'message')[];
  institutionId: string;
  resultId: string;
  version: number;
  studyInstanceUid: string;
  /** Somebody stands for it. */
  signed: boolean;
}

/** Longer than any try lasts. */
const LEASE_SECONDS = 600;

const COLUMNS = columnsOf(Prisma.DeliveryScalarFieldEnum);

@Injectable()
export class DeliveriesStore {
  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
  ) {}

  /** To every destination that wants it, in the transaction of what makes it ready; once each. */
  async plan(tx: Transaction, { what, institutionId, resultId, version, studyInstanceUid, signed }: Shipment): Promise<void> {
    const ids = Array.from({ length: MOST_DESTINATIONS }, () => uuidv7());
    const planned = await prismaOf(tx).$queryRaw<{ id: string }[]>`
      INSERT INTO deliveries (id, institution_id, destination_id, result_id, version, study_instance_uid)
      SELECT (${ids}::uuid[])[row_number() OVER (ORDER BY d.id)], d.institution_id, d.id, ${resultId}::uuid, ${version}::int, ${studyInstanceUid}
      FROM destinations d WHERE d.institution_id = ${institutionId}::uuid AND d.enabled AND (d.kind = 'hl7') = ANY (${what.map((one) => one === 'message')}::boolean[]) AND (d.results = 'all' OR ${signed}::boolean)
      ORDER BY d.id LIMIT ${MOST_DESTINATIONS}::int
      ON CONFLICT (destination_id, result_id, version) DO NOTHING RETURNING id`;
    if (planned.length > 0) await this.outbox.append(tx, ...planned.map(({ id }) => due(institutionId, id)));
  }

  /** Newest first; one row more than `limit` when there are more. */
  async list(institutionId: string, destinationId: string, { state, limit, cursor }: { state?: DeliveryState | undefined; limit: number; cursor?: string | undefined }): Promise<Delivery[]> {
    const rows = await this.database.read<Row>({ institutionId }, Prisma.sql`
      SELECT ${COLUMNS} FROM deliveries WHERE institution_id = ${institutionId}::uuid AND destination_id = ${destinationId}::uuid
        ${state === undefined ? Prisma.empty : Prisma.sql`AND state = ${state}`} ${cursor === undefined ? Prisma.empty : Prisma.sql`AND id < ${cursor}::uuid`}
      ORDER BY id DESC LIMIT ${limit + 1}::int`);
    return rows.map(deliveryOf);
  }

  /** Sends again, whatever became of it; undefined when there is no such delivery. */
  async restart(institutionId: string, destinationId: string, id: string): Promise<Delivery | undefined> {
    return this.database.transaction({ institutionId }, async (tx) => {
      const [row] = await prismaOf(tx).$queryRaw<Row[]>`
        UPDATE deliveries SET state = 'waiting', attempts = 0, next_at = now(), failure = NULL, delivered_at = NULL, updated_at = now()
        WHERE id = ${id}::uuid AND destination_id = ${destinationId}::uuid AND institution_id = ${institutionId}::uuid RETURNING ${COLUMNS}`;
      if (!row) return undefined;
      await this.outbox.append(tx, due(institutionId, id));
      return deliveryOf(row);
    });
  }

  /**
   * Takes it, so that nobody else does meanwhile: until `nextAt`, which tells this try from every other. undefined when it is sent, gone or not due. Until its end
   * is known nothing was met.
   */
  async claim(institutionId: string, id: string): Promise<Delivery | undefined> {
    const { rows } = await this.database.write<Row>({ institutionId }, Prisma.sql`
      UPDATE deliveries SET attempts = attempts + 1, failure = NULL, next_at = now() + make_interval(secs => ${LEASE_SECONDS}::double precision), updated_at = now()
      WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid AND state = 'waiting' AND next_at <= now() RETURNING ${COLUMNS}`);
    return rows[0] && deliveryOf(rows[0]);
  }

  /** Whether an earlier version is being sent there right now: the later one must not overtake it. */
  async isOlderOnItsWay({ institutionId, destinationId, resultId, version }: Delivery): Promise<boolean> {
    const rows = await this.database.read<Pick<Row, 'id'>>({ institutionId }, Prisma.sql`
      SELECT id FROM deliveries WHERE institution_id = ${institutionId}::uuid AND destination_id = ${destinationId}::uuid AND result_id = ${resultId}::uuid AND version < ${version}::int
        AND state = 'waiting' AND attempts > 0 AND failure IS NULL AND next_at > now() LIMIT 1`);
    return rows.length > 0;
  }

  /** Says how a try ended, unless somebody has begun anew since. */
  async finish({ institutionId, id, nextAt }: Delivery, outcome: { state: DeliveryState; failure?: Delivery['failure']; againAfterMs?: number }): Promise<void> {
    const { state, failure = null, againAfterMs = 0 } = outcome;
    await this.database.write({ institutionId }, Prisma.sql`
      UPDATE deliveries SET state = ${state}, failure = ${failure === null ? null : JSON.stringify(failure)}::jsonb, next_at = now() + make_interval(secs => ${againAfterMs / 1000}::double precision),
        delivered_at = CASE WHEN ${state} = 'delivered' THEN now() END, updated_at = now()
      WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid AND state = 'waiting' AND next_at = ${nextAt}::timestamptz`);
  }

  /** Gives a try back that was not made. */
  async release({ institutionId, id, nextAt }: Delivery): Promise<void> {
    await this.database.write({ institutionId }, Prisma.sql`
      UPDATE deliveries SET attempts = attempts - 1, next_at = now(), updated_at = now() WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid AND state = 'waiting' AND next_at = ${nextAt}::timestamptz`);
  }

  /** Wakes a worker for those that are overdue: what would have woken one may be lost. @returns how many */
  async wakeOverdue(seconds: number, limit: number): Promise<number> {
    return this.database.transaction('system', async (tx) => {
      const rows = await prismaOf(tx).$queryRaw<{ id: string; institution_id: string }[]>`
        UPDATE deliveries SET next_at = now() WHERE id IN (
          SELECT id FROM deliveries WHERE state = 'waiting' AND next_at < now() - make_interval(secs => ${seconds}::double precision) ORDER BY next_at LIMIT ${limit}::int FOR UPDATE SKIP LOCKED)
        RETURNING id, institution_id`;
      if (rows.length > 0) await this.outbox.append(tx, ...rows.map(({ id, institution_id }) => due(institution_id, id)));
      return rows.length;
    });
  }
}

function due(institutionId: string, deliveryId: string): { institutionId: string; topic: string; payload: DeliveryDue } {
  return { institutionId, topic: DELIVERY_DUE, payload: { institutionId, deliveryId } };
}

function deliveryOf({ state, failure, ...row }: Row): Delivery {
  // The methods above are the only writers of these columns.
  return { ...row, state: state as DeliveryState, failure: failure as unknown as Delivery['failure'] };
}
