import { Injectable } from '@nestjs/common';
import { Prisma, type Notification } from '../../generated/prisma/client.js';
import type { Transaction } from '../../kernel/transaction.js';
import { columnsOf } from '../../platform/database/columns.js';
import { Database, prismaOf } from '../../platform/database/database.js';

/** What a notification is about: ids only. */
export type NotificationSubject =
  | { analysis: string; analysisId: string; resultId: string | null; studyInstanceUid: string }
  | { breakGlassId: string; userId: string };

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

const COLUMNS = columnsOf(Prisma.NotificationScalarFieldEnum);

@Injectable()
export class NotificationsStore {
  constructor(private readonly database: Database) {}

  /** Does nothing when there is one with this id; false then. */
  async insert(tx: Transaction, { id, institutionId, topic, subject, critical }: NewNotification): Promise<boolean> {
    const { count } = await prismaOf(tx).notification.createMany({ data: [{ id, institutionId, topic, subject: { ...subject }, critical }], skipDuplicates: true });
    return count > 0;
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
  const { analysis, analysisId, resultId, studyInstanceUid } = subject;
  return { analysis, analysisId, resultId, studyInstanceUid };
}
