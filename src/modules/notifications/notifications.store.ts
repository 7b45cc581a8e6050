import { Injectable } from '@nestjs/common';
import { Prisma, type Notification } from '../../generated/prisma/client.js';
import type { RowCondition, Transaction } from '../../kernel/transaction.js';
import { columnsOf } from '../../platform/database/columns.js';
import { Database, prismaOf, sqlOf } from '../../platform/database/database.js';

/** What a notification is about: ids only. */
export type NotificationSubject =
  | { analysis: string; analysisId: string; resultId: string | null; studyInstanceUid: string }
  | { breakGlassId: string; userId: string }
  | { webhookId: string };

export interface NotificationRecord {
  id: string;
  topic: string;
  subject: NotificationSubject;
  critical: boolean;
  createdAt: Date;
  acknowledgedAt: Date | null;
  acknowledgedBy: string | null;
}

export type NewNotification = Pick<NotificationRecord, 'id' | 'topic' | 'subject' | 'critical'> & { institutionId: string };

/** The place of a notification in the order in which they came in. */
export interface Position {
  createdAt: Date;
  id: string;
}

/** For a transaction that holds the order of notifications and does not go on. */
const PATIENCE = '5s';

const COLUMNS = columnsOf(Prisma.NotificationScalarFieldEnum);

/** The transaction is the only one of its institution that goes on to `insertion`. A process that hangs between the two must not hold up the others. */
function inOrder(institutionId: string): Prisma.Sql {
  return Prisma.sql`SELECT set_config('idle_in_transaction_session_timeout', ${PATIENCE}, true), pg_advisory_xact_lock(hashtextextended(${`notifications ${institutionId}`}, 0))::text`;
}

function insertion({ id, institutionId, topic, subject, critical }: NewNotification, condition: Prisma.Sql = Prisma.sql`SELECT 1`): Prisma.Sql {
  return Prisma.sql`
    INSERT INTO notifications (id, institution_id, topic, subject, critical, created_at)
    SELECT ${id}::uuid, ${institutionId}::uuid, ${topic}, ${JSON.stringify(subject)}::jsonb, ${critical}::boolean,
      greatest(clock_timestamp(), (SELECT max(created_at) + interval '1 millisecond' FROM notifications WHERE institution_id = ${institutionId}::uuid))
    FROM (${condition}) AS stands
    ON CONFLICT (id) DO NOTHING`;
}

@Injectable()
export class NotificationsStore {
  constructor(private readonly database: Database) {}

  /**
   * Does nothing when there is one with this id; false then. Rows of an institution become visible in the order of their times, whatever clocks do and
   * however long the transaction has been at work, so that whoever follows them misses none. For the end of a transaction: the next one waits for its commit.
   */
  async insert(tx: Transaction, notification: NewNotification): Promise<boolean> {
    const client = prismaOf(tx);
    await client.$queryRaw(inOrder(notification.institutionId));
    return (await client.$executeRaw(insertion(notification))) > 0;
  }

  /**
   * As `insert`, where nothing else is to be written with it: in one round trip.
   *
   * @param condition  nothing is written when it does not hold
   */
  async insertAlone(notification: NewNotification, condition: RowCondition | undefined): Promise<boolean> {
    const { institutionId } = notification;
    const query = condition && sqlOf(condition);
    // The rows of the condition first: whoever holds the order waits for nothing but its own commit.
    const [made] = (await this.database.writeAll({ institutionId }, [...(query ? [query] : []), inOrder(institutionId), Prisma.sql`${insertion(notification, query)} RETURNING id`])).slice(-1);
    return made !== undefined && made.length > 0;
  }

  async find(institutionId: string, id: string): Promise<NotificationRecord | null> {
    const [row] = await this.database.read<Notification>({ institutionId }, Prisma.sql`SELECT ${COLUMNS} FROM notifications WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid`);
    return row ? recordOf(row) : null;
  }

  async newest(institutionId: string): Promise<NotificationRecord | null> {
    const [row] = await this.database.read<Notification>({ institutionId }, Prisma.sql`
      SELECT ${COLUMNS} FROM notifications WHERE institution_id = ${institutionId}::uuid ORDER BY created_at DESC, id DESC LIMIT 1`);
    return row ? recordOf(row) : null;
  }

  /** In the order in which they came in, from `since` on. Ids follow the events, which may be told late, so they do not give that order. */
  async after(institutionId: string, since: Date, limit: number, position?: Position): Promise<NotificationRecord[]> {
    const rows = await this.database.read<Notification>({ institutionId }, Prisma.sql`
      SELECT ${COLUMNS} FROM notifications WHERE institution_id = ${institutionId}::uuid AND created_at >= ${since}::timestamptz
        ${position ? Prisma.sql`AND (created_at, id) > (${position.createdAt}::timestamptz, ${position.id}::uuid)` : Prisma.empty}
      ORDER BY created_at, id LIMIT ${limit}::int`);
    return rows.map(recordOf);
  }

  /** @param subject  members of what they are about */
  async removeAbout(tx: Transaction, institutionId: string, subject: { studyInstanceUid: string } | { resultId: string }): Promise<void> {
    await prismaOf(tx).$executeRaw`DELETE FROM notifications WHERE institution_id = ${institutionId}::uuid AND subject @> ${JSON.stringify(subject)}::jsonb`;
  }
}

export function recordOf({ id, topic, subject, critical, createdAt, acknowledgedAt, acknowledgedBy }: Notification): NotificationRecord {
  return { id, topic, subject: subjectOf(subject), critical, createdAt, acknowledgedAt, acknowledgedBy };
}

/** In the order of the documentation: PostgreSQL keeps JSON in its own. */
function subjectOf(json: unknown): NotificationSubject {
  // `insert` above is the only writer of the column.
  const subject = json as NotificationSubject;
  if ('breakGlassId' in subject) return { breakGlassId: subject.breakGlassId, userId: subject.userId };
  if ('webhookId' in subject) return { webhookId: subject.webhookId };
  const { analysis, analysisId, resultId, studyInstanceUid } = subject;
  return { analysis, analysisId, resultId, studyInstanceUid };
}
