import { Injectable } from '@nestjs/common';
import { Prisma, type Notification } from '../../generated/prisma/client.js';
import { columnsOf } from '../../platform/database/columns.js';
import { Database } from '../../platform/database/database.js';

/** What a notification is about: ids only. */
export interface NotificationSubject {
  analysis: string;
  analysisId: string;
  resultId: string | null;
  studyInstanceUid: string;
}

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
  async insert({ id, institutionId, topic, subject, critical }: NewNotification): Promise<boolean> {
    const { count } = await this.database.write({ institutionId }, Prisma.sql`
      INSERT INTO notifications (id, institution_id, topic, subject, critical)
      VALUES (${id}::uuid, ${institutionId}::uuid, ${topic}, ${JSON.stringify(subject)}::jsonb, ${critical}) ON CONFLICT DO NOTHING`);
    return count > 0;
  }

  async find(institutionId: string, id: string): Promise<NotificationRecord | null> {
    const [row] = await this.database.read<Notification>({ institutionId }, Prisma.sql`SELECT ${COLUMNS} FROM notifications WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid`);
    return row ? recordOf(row) : null;
  }

  /** Newest first; `cursor` is the last id of the page before. */
  async list(institutionId: string, filter: { acknowledged?: boolean | undefined; topic?: string | undefined }, limit: number, cursor: string | undefined): Promise<NotificationRecord[]> {
    const { acknowledged, topic } = filter;
    const conditions = [
      Prisma.sql`institution_id = ${institutionId}::uuid`,
      ...(cursor === undefined ? [] : [Prisma.sql`id < ${cursor}::uuid`]),
      ...(acknowledged === undefined ? [] : [acknowledged ? Prisma.sql`acknowledged_at IS NOT NULL` : Prisma.sql`acknowledged_at IS NULL`]),
      ...(topic === undefined ? [] : [Prisma.sql`topic = ${topic}`]),
    ];
    const rows = await this.database.read<Notification>({ institutionId }, Prisma.sql`SELECT ${COLUMNS} FROM notifications WHERE ${Prisma.join(conditions, ' AND ')} ORDER BY id DESC LIMIT ${limit}::int`);
    return rows.map(recordOf);
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

  /** The first acknowledgement stays. */
  async acknowledge(institutionId: string, id: string, userId: string, at: Date): Promise<void> {
    await this.database.write({ institutionId }, Prisma.sql`
      UPDATE notifications SET acknowledged_at = ${at}::timestamptz, acknowledged_by = ${userId}::uuid WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid AND acknowledged_at IS NULL`);
  }
}

function recordOf({ id, topic, subject, critical, createdAt, acknowledgedAt, acknowledgedBy }: Notification): NotificationRecord {
  // `insert` above is the only writer of the column.
  const { analysis, analysisId, resultId, studyInstanceUid } = subject as unknown as NotificationSubject;
  return { id, topic, subject: { analysis, analysisId, resultId, studyInstanceUid }, critical, createdAt, acknowledgedAt, acknowledgedBy };
}
