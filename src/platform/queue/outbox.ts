import { Inject, Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import type { Transaction } from '../../kernel/transaction.js';
import { uuidv7 } from '../../kernel/uid.js';
import { Database, prismaOf } from '../database/database.js';
import { LIVE_CHANNEL } from '../database/live-channel.js';

/** A fact that was committed with the change it tells of. The payload holds ids only, never PHI. */
export interface DomainEvent {
  institutionId: string;
  topic: string;
  payload: Record<string, string | number | boolean | null>;
  /** BullMQ's scale: 1 is the most urgent, 0 means none given. */
  priority?: number;
}

export interface OutboxEntry extends DomainEvent {
  id: string;
  priority: number;
}

export const OUTBOX_TOPIC = 'outbox';

/** Events wait here, in the transaction of the change, until the relay has handed them to the queue. */
@Injectable()
export class Outbox {
  constructor(@Inject(Database) private readonly database: Database) {}

  /** Appends in the caller's transaction, in this order, and wakes the relay when that commits; one statement, however many they are. */
  async append(tx: Transaction, ...events: DomainEvent[]): Promise<void> {
    if (events.length === 0) return;
    const rows = events.map(({ institutionId, topic, payload, priority = 0 }) => (
      { id: uuidv7(), institution_id: institutionId, topic, payload, priority, study_instance_uid: typeof payload.studyInstanceUid === 'string' ? payload.studyInstanceUid : null }));
    await prismaOf(tx).$executeRaw`
      WITH appended AS (
        INSERT INTO outbox (id, institution_id, topic, payload, priority, study_instance_uid)
        SELECT id, institution_id, topic, payload, priority, study_instance_uid
        FROM ROWS FROM (jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS (id uuid, institution_id uuid, topic text, payload jsonb, priority int, study_instance_uid text)) WITH ORDINALITY
          AS event (id, institution_id, topic, payload, priority, study_instance_uid, place)
        ORDER BY place)
      SELECT pg_notify(${LIVE_CHANNEL}, ${`${OUTBOX_TOPIC} new`})`;
  }

  /**
   * Takes up to `limit` events that nobody has dispatched, hands them to `deliver`, and marks them in the same transaction.
   * Two relays never take the same row; a crash before the commit delivers again with the same ids.
   */
  async drain(limit: number, deliver: (events: OutboxEntry[]) => Promise<void>): Promise<number> {
    return this.database.transaction('system', async (tx) => {
      const client = prismaOf(tx);
      const rows = await client.$queryRaw<OutboxRow[]>`
        SELECT id, institution_id, topic, payload, priority FROM outbox
        WHERE dispatched_at IS NULL ORDER BY id LIMIT ${limit} FOR UPDATE SKIP LOCKED`;
      if (rows.length === 0) return 0;
      await deliver(rows.map(({ institution_id, ...row }) => ({ ...row, institutionId: institution_id })));
      await client.outboxEvent.updateMany({ where: { id: { in: rows.map(({ id }) => id) } }, data: { dispatchedAt: new Date() } });
      return rows.length;
    });
  }

  /** Forgets events that were dispatched before `before`. */
  async prune(before: Date): Promise<void> {
    await this.database.write('system', Prisma.sql`DELETE FROM outbox WHERE dispatched_at < ${before}::timestamptz`);
  }

  async pending(): Promise<number> {
    const [row] = await this.database.read<{ total: number }>('system', Prisma.sql`SELECT count(*)::int AS total FROM outbox WHERE dispatched_at IS NULL`);
    return row?.total ?? 0;
  }
}

type OutboxRow = { id: string; institution_id: string; topic: string; payload: DomainEvent['payload']; priority: number };
