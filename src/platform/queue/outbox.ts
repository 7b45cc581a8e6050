import { Inject, Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import type { Transaction } from '../../kernel/transaction.js';
import { uuidv7 } from '../../kernel/uid.js';
import { Database, prismaOf, sendAlong } from '../database/database.js';
import { LIVE_CHANNEL } from '../database/live-channel.js';
import { currentTraceparent } from '../ops/tracing.js';

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
  /** Queues that have yet to acknowledge it, when it was handed over before; empty the first time. */
  pending: string[];
  /** The span that it was appended in. */
  traceparent: string | null;
}

/** An event that was handed over, and the queues that have not said that they are done with it. */
export interface Unacknowledged {
  id: string;
  pending: string[];
}

export const OUTBOX_TOPIC = 'outbox';

/** Events wait here, in the transaction of the change, until the relay has handed them to the queue, and after that until every queue has acknowledged them. */
@Injectable()
export class Outbox {
  constructor(@Inject(Database) private readonly database: Database) {}

  /**
   * Appends in the caller's transaction, in this order, and wakes the relay when that commits; one statement, however many they are. Nobody waits for its answer: what
   * PostgreSQL says against it, the transaction ends with.
   */
  append(tx: Transaction, ...events: DomainEvent[]): Promise<void> {
    if (events.length > 0) sendAlong(tx, appending(events));
    return Promise.resolve();
  }

  /**
   * Takes up to `limit` events that nobody has dispatched, hands them to `deliver`, and marks them in the same transaction.
   * Two relays never take the same row; a crash before the commit delivers again with the same ids.
   *
   * @param deliver  gives back, by the ids of the events, who has to acknowledge each
   */
  async drain(limit: number, deliver: (events: OutboxEntry[]) => Promise<ReadonlyMap<string, readonly string[]>>): Promise<number> {
    return this.database.transaction('system', async (tx) => {
      const client = prismaOf(tx);
      const rows = await client.$queryRaw<OutboxRow[]>`
        SELECT id, institution_id, topic, payload, priority, coalesce(pending, '{}') AS pending, traceparent FROM outbox
        WHERE dispatched_at IS NULL ORDER BY id LIMIT ${limit} FOR UPDATE SKIP LOCKED`;
      if (rows.length === 0) return 0;
      const events = rows.map(({ institution_id, ...row }) => ({ ...row, institutionId: institution_id }));
      const queuesOf = await deliver(events);
      const queues = events.map(({ id }) => JSON.stringify(queuesOf.get(id) ?? []));
      await client.$executeRaw`
        UPDATE outbox SET dispatched_at = now(), looked_at = now(), pending = ARRAY(SELECT jsonb_array_elements_text(given.queues::jsonb))
        FROM unnest(${rows.map(({ id }) => id)}::uuid[], ${queues}::text[]) AS given (id, queues) WHERE outbox.id = given.id`;
      return rows.length;
    });
  }

  /** A queue is done with these events, however often it is said. */
  async acknowledge(queue: string, ids: readonly string[]): Promise<void> {
    // Whatever the rows look like now: the relay that dispatches them may not have committed yet, and is waited for. One order of locks for all.
    // One that was to be handed over again, and that the last queue is done with meanwhile, would be taken for new.
    await this.database.write('system', Prisma.sql`
      UPDATE outbox SET pending = array_remove(pending, ${queue}),
        dispatched_at = CASE WHEN pending = ARRAY[${queue}] THEN coalesce(dispatched_at, now()) ELSE dispatched_at END
      WHERE id IN (SELECT id FROM outbox WHERE id = ANY (${[...ids]}::uuid[]) ORDER BY id FOR UPDATE)`);
  }

  /** The queue has the event to do after all. */
  async reopen(queue: string, id: string): Promise<void> {
    await this.database.write('system', Prisma.sql`UPDATE outbox SET pending = array_append(array_remove(pending, ${queue}), ${queue}), looked_at = now() WHERE id = ${id}::uuid`);
  }

  /** Up to `limit` events that nobody looked at for so long and that some queue has yet to acknowledge; marked, so that each comes once in that time. */
  async unacknowledged(seconds: number, limit: number): Promise<Unacknowledged[]> {
    const { rows } = await this.database.write<Unacknowledged>('system', Prisma.sql`
      UPDATE outbox SET looked_at = now() WHERE id IN (
        SELECT id FROM outbox WHERE pending <> '{}' AND dispatched_at IS NOT NULL AND looked_at < now() - make_interval(secs => ${seconds}::double precision)
        ORDER BY looked_at LIMIT ${limit}::int FOR UPDATE SKIP LOCKED)
      RETURNING id, pending`);
    return rows;
  }

  /** Has the relay hand over again what is not acknowledged; whoever has the job still is not given a second one. */
  async dispatchAgain(ids: readonly string[]): Promise<number> {
    const { count } = await this.database.write('system', Prisma.sql`UPDATE outbox SET dispatched_at = NULL WHERE id = ANY (${[...ids]}::uuid[]) AND pending <> '{}'`);
    return count;
  }

  /** Forgets events that were dispatched before `before` and acknowledged by all. */
  async prune(before: Date): Promise<void> {
    await this.database.write('system', Prisma.sql`DELETE FROM outbox WHERE dispatched_at < ${before}::timestamptz AND (pending = '{}' OR pending IS NULL)`);
  }

  async pending(): Promise<number> {
    const [row] = await this.database.read<{ total: number }>('system', Prisma.sql`SELECT count(*)::int AS total FROM outbox WHERE dispatched_at IS NULL`);
    return row?.total ?? 0;
  }
}

type OutboxRow = Omit<OutboxEntry, 'institutionId'> & { institution_id: string };

function appending(events: readonly DomainEvent[]): Prisma.Sql {
  const traceparent = currentTraceparent() ?? null;
  const rows = events.map(({ institutionId, topic, payload, priority = 0 }) => (
    { id: uuidv7(), institution_id: institutionId, topic, payload, priority, study_instance_uid: typeof payload.studyInstanceUid === 'string' ? payload.studyInstanceUid : null, traceparent }));
  return Prisma.sql`
    WITH appended AS (
      INSERT INTO outbox (id, institution_id, topic, payload, priority, study_instance_uid, traceparent)
      SELECT id, institution_id, topic, payload, priority, study_instance_uid, traceparent
      FROM ROWS FROM (jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS (id uuid, institution_id uuid, topic text, payload jsonb, priority int, study_instance_uid text, traceparent text)) WITH ORDINALITY
        AS event (id, institution_id, topic, payload, priority, study_instance_uid, traceparent, place)
      ORDER BY place)
    SELECT pg_notify(${LIVE_CHANNEL}, ${`${OUTBOX_TOPIC} new`})`;
}
