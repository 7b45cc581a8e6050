import { Injectable } from '@nestjs/common';
import { Prisma, type Notification } from '../../../generated/prisma/client.js';
import { columnsOf } from '../../../platform/database/columns.js';
import { Database } from '../../../platform/database/database.js';
import { recordOf, type NotificationRecord } from '../notifications.store.js';

/** Who reads. */
export interface Reader {
  institutionId: string;
  userId: string;
  /** Topics that they are not shown. */
  hidden: readonly string[];
}

/** A notification as one person sees it. */
export interface InboxRecord extends NotificationRecord {
  /** null while they have yet to read it, again after the escalation chain has called for them. */
  readAt: Date | null;
  /** When the escalation chain called for them last. */
  calledAt: Date | null;
}

export interface InboxFilter {
  acknowledged?: boolean | undefined;
  topic?: string | undefined;
  read?: boolean | undefined;
}

/** Rows become visible a little out of the order of their times: what is younger than this is marked one by one. */
const OVERLAP_SECONDS = 5;
/** More than this are not counted. */
export const MOST_UNREAD = 1_000;

const COLUMNS = columnsOf(Prisma.NotificationScalarFieldEnum, 'n');
/** When it was read, by itself or with all others. */
const READ_AT = Prisma.raw('greatest(s.read_at, CASE WHEN n.created_at <= m.up_to THEN m.up_to END)');
const IS_READ = Prisma.sql`(${READ_AT} IS NOT NULL AND (s.called_at IS NULL OR ${READ_AT} >= s.called_at))`;

/** Notifications as one person sees them: what they have read is theirs alone. */
@Injectable()
export class InboxStore {
  constructor(private readonly database: Database) {}

  /** Newest first; `cursor` is the last id of the page before. */
  async list(reader: Reader, { acknowledged, topic, read }: InboxFilter, limit: number, cursor: string | undefined): Promise<InboxRecord[]> {
    return this.read(reader, [
      ...(cursor === undefined ? [] : [Prisma.sql`n.id < ${cursor}::uuid`]),
      ...(acknowledged === undefined ? [] : [acknowledged ? Prisma.sql`n.acknowledged_at IS NOT NULL` : Prisma.sql`n.acknowledged_at IS NULL`]),
      ...(topic === undefined ? [] : [Prisma.sql`n.topic = ${topic}`]),
      ...(read === undefined ? [] : await this.conditionsOf(reader, read)),
    ], limit);
  }

  /** With those that narrow the search: of years of notifications a few are unread, or a few are read. */
  private async conditionsOf({ institutionId, userId }: Reader, read: boolean): Promise<Prisma.Sql[]> {
    const [mark] = await this.database.read<{ upTo: string }>({ institutionId }, Prisma.sql`SELECT up_to::text AS "upTo" FROM notification_read_marks WHERE institution_id = ${institutionId}::uuid AND user_id = ${userId}::uuid`);
    const own = Prisma.sql`SELECT notification_id FROM notification_states WHERE user_id = ${userId}::uuid`;
    if (read) return [IS_READ, ...(mark ? [] : [Prisma.sql`n.id IN (${own} AND read_at IS NOT NULL)`])];
    const after = mark && Prisma.sql`n.id IN (SELECT id FROM notifications WHERE institution_id = ${institutionId}::uuid AND created_at > ${mark.upTo}::timestamptz UNION ${own} AND called_at IS NOT NULL)`;
    return [Prisma.sql`NOT ${IS_READ}`, ...(after ? [after] : [])];
  }

  async find(reader: Reader, id: string): Promise<InboxRecord | undefined> {
    return (await this.read(reader, [Prisma.sql`n.id = ${id}::uuid`], 1))[0];
  }

  /** Does nothing to what is not there. */
  async markRead({ institutionId, userId }: Reader, id: string): Promise<void> {
    await this.database.write({ institutionId }, Prisma.sql`
      INSERT INTO notification_states AS s (notification_id, user_id, institution_id, read_at)
      SELECT n.id, ${userId}::uuid, n.institution_id, now() FROM notifications n WHERE n.id = ${id}::uuid AND n.institution_id = ${institutionId}::uuid
      ON CONFLICT (notification_id, user_id) DO UPDATE SET read_at = excluded.read_at WHERE s.read_at IS NULL OR s.read_at < s.called_at`);
  }

  /** Everything that is there now. */
  async markAllRead({ institutionId, userId }: Reader): Promise<void> {
    const since = Prisma.sql`now() - make_interval(secs => ${OVERLAP_SECONDS}::double precision)`;
    await this.database.writeAll({ institutionId }, [
      Prisma.sql`
        INSERT INTO notification_states AS s (notification_id, user_id, institution_id, read_at)
        SELECT n.id, ${userId}::uuid, n.institution_id, now() FROM notifications n WHERE n.institution_id = ${institutionId}::uuid AND n.created_at > ${since}
        ON CONFLICT (notification_id, user_id) DO UPDATE SET read_at = excluded.read_at WHERE s.read_at IS NULL OR s.read_at < s.called_at`,
      Prisma.sql`UPDATE notification_states SET read_at = now() WHERE user_id = ${userId}::uuid AND institution_id = ${institutionId}::uuid AND called_at IS NOT NULL AND (read_at IS NULL OR read_at < called_at)`,
      Prisma.sql`
        INSERT INTO notification_read_marks AS m (institution_id, user_id, up_to) VALUES (${institutionId}::uuid, ${userId}::uuid, ${since})
        ON CONFLICT (institution_id, user_id) DO UPDATE SET up_to = greatest(m.up_to, excluded.up_to)`,
    ]);
  }

  /** How many are unread, and how many of those are critical and open; at most `MOST_UNREAD`. */
  async unread({ institutionId, userId, hidden }: Reader): Promise<{ unread: number; critical: number }> {
    const shown = Prisma.sql`n.institution_id = ${institutionId}::uuid ${isShown(hidden)}`;
    const states = Prisma.sql`LEFT JOIN notification_states s ON s.notification_id = n.id AND s.user_id = ${userId}::uuid`;
    const most = Prisma.sql`LIMIT ${MOST_UNREAD}::int`;
    const [row] = await this.database.read<{ unread: number; critical: number }>({ institutionId }, Prisma.sql`
      WITH m AS (SELECT coalesce(max(up_to), '-infinity') AS up_to FROM notification_read_marks WHERE institution_id = ${institutionId}::uuid AND user_id = ${userId}::uuid),
      unread AS (
        (SELECT n.id FROM notifications n ${states} WHERE ${shown} AND n.created_at > (SELECT up_to FROM m) AND (s.read_at IS NULL OR s.read_at < s.called_at) ${most})
        UNION
        (SELECT n.id FROM notification_states s JOIN notifications n ON n.id = s.notification_id CROSS JOIN m WHERE s.user_id = ${userId}::uuid AND s.called_at IS NOT NULL AND ${shown} AND NOT ${IS_READ} ${most})),
      critical AS (SELECT n.id FROM notifications n ${states} CROSS JOIN m WHERE ${shown} AND n.critical AND n.acknowledged_at IS NULL AND NOT ${IS_READ} ${most})
      SELECT least((SELECT count(*) FROM unread), ${MOST_UNREAD})::int AS unread, (SELECT count(*) FROM critical)::int AS critical`);
    return row ?? { unread: 0, critical: 0 };
  }

  private async read({ institutionId, userId, hidden }: Reader, conditions: readonly Prisma.Sql[], limit: number): Promise<InboxRecord[]> {
    const rows = await this.database.read<Notification & Pick<InboxRecord, 'readAt' | 'calledAt'>>({ institutionId }, Prisma.sql`
      SELECT ${COLUMNS}, CASE WHEN ${IS_READ} THEN ${READ_AT} END AS "readAt", s.called_at AS "calledAt" FROM notifications n
      LEFT JOIN notification_states s ON s.notification_id = n.id AND s.user_id = ${userId}::uuid
      LEFT JOIN notification_read_marks m ON m.institution_id = n.institution_id AND m.user_id = ${userId}::uuid
      WHERE ${Prisma.join([Prisma.sql`n.institution_id = ${institutionId}::uuid ${isShown(hidden)}`, ...conditions], ' AND ')} ORDER BY n.id DESC LIMIT ${limit}::int`);
    return rows.map((row) => ({ ...recordOf(row), readAt: row.readAt, calledAt: row.calledAt }));
  }
}

function isShown(hidden: readonly string[]): Prisma.Sql {
  return hidden.length === 0 ? Prisma.empty : Prisma.sql`AND NOT n.topic = ANY (${[...hidden]}::text[])`;
}
