import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { uuidv7 } from '../../../kernel/uid.js';
import { Database, prismaOf } from '../../../platform/database/database.js';
import { Outbox } from '../../../platform/queue/outbox.js';

/** Outbox topic: mails of notifications are due. */
export const NOTIFICATION_MAILS_DUE = 'notifications.mails-due';
/** Payload of `notifications.mails-due`; who is woken takes what is due anywhere. */
export type NotificationMailsDue = { institutionId: string };

export interface NewMail {
  userId: string;
  digest: boolean;
  /** Not before. */
  nextAt: Date;
}

/** A mail that nobody else sends meanwhile. */
export interface ClaimedMail {
  id: string;
  institutionId: string;
  notificationId: string;
  userId: string;
  step: number;
  attempts: number;
  claimId: string;
  topic: string;
  acknowledged: boolean;
  /** How long ago the notification came in. */
  ageSeconds: number;
  /** By the database's clock. */
  now: Date;
}

export type MailOutcome = { state: 'sent' } | { state: 'skipped' | 'given-up'; failure: string } | { state: 'waiting'; failure: string; againAfterMs: number };

/** Longer than any try lasts. */
const LEASE_SECONDS = 180;
/** Of one digest; what is beyond goes into the next one. */
const MOST_IN_DIGEST = 1_000;

const CLAIM = Prisma.sql`attempts = m.attempts + 1, next_at = now() + make_interval(secs => ${LEASE_SECONDS}::double precision)`;
const CLAIMED = Prisma.raw(`m.id, m.institution_id AS "institutionId", m.notification_id AS "notificationId", m.user_id AS "userId", m.step, m.attempts, m.claim_id AS "claimId",
  n.topic, n.acknowledged_at IS NOT NULL AS acknowledged, extract(epoch FROM now() - n.created_at)::float8 AS "ageSeconds", now() AS now`);

@Injectable()
export class MailsStore {
  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
  ) {}

  async now(tx: Transaction): Promise<Date> {
    const [row] = await prismaOf(tx).$queryRaw<{ now: Date }[]>`SELECT now() AS now`;
    return row?.now ?? new Date();
  }

  /** Once for each person and step, and wakes whoever sends them. */
  async add(tx: Transaction, { institutionId, notificationId, step, now }: { institutionId: string; notificationId: string; step: number; now: Date }, mails: readonly NewMail[]): Promise<void> {
    if (mails.length === 0) return;
    await prismaOf(tx).notificationMail.createMany({ data: mails.map((mail) => ({ ...mail, id: uuidv7(), institutionId, notificationId, step })), skipDuplicates: true });
    if (mails.some(({ nextAt }) => nextAt <= now)) await this.wake(tx, institutionId);
  }

  async wake(tx: Transaction, institutionId: string): Promise<void> {
    await this.outbox.append(tx, { institutionId, topic: NOTIFICATION_MAILS_DUE, payload: { institutionId } satisfies NotificationMailsDue });
  }

  /** What a person waits for as a subscriber, of some topics, goes out otherwise: undefined = not at all. What was tried before stays as it is. */
  async reschedule(tx: Transaction, { institutionId, userId, topics }: { institutionId: string; userId: string; topics: readonly string[] }, plan: Omit<NewMail, 'userId'> | undefined): Promise<void> {
    if (topics.length === 0) return;
    const change = plan === undefined ? Prisma.sql`state = 'skipped', failure = 'not-wanted'` : Prisma.sql`digest = ${plan.digest}::boolean, next_at = ${plan.nextAt}::timestamptz`;
    await prismaOf(tx).$executeRaw`
      UPDATE notification_mails m SET ${change} FROM notifications n
      WHERE n.id = m.notification_id AND n.topic = ANY (${[...topics]}::text[]) AND m.institution_id = ${institutionId}::uuid AND m.user_id = ${userId}::uuid AND m.state = 'waiting' AND m.step = 0 AND m.attempts = 0`;
  }

  /** One that is due and goes out by itself. */
  async claim(): Promise<ClaimedMail | undefined> {
    const { rows } = await this.database.write<ClaimedMail>('system', Prisma.sql`
      UPDATE notification_mails m SET ${CLAIM}, claim_id = ${uuidv7()}::uuid FROM notifications n
      WHERE n.id = m.notification_id AND m.id = (
        SELECT id FROM notification_mails WHERE state = 'waiting' AND next_at <= now() AND NOT digest ORDER BY step = 0, next_at LIMIT 1 FOR UPDATE SKIP LOCKED)
      RETURNING ${CLAIMED}`);
    return rows[0];
  }

  /** All that are due and go out in one mail to one person; empty when somebody else has just taken them, undefined when there are none. */
  async claimDigest(): Promise<ClaimedMail[] | undefined> {
    const claimId = uuidv7();
    return this.database.transaction('system', async (tx) => {
      const client = prismaOf(tx);
      const [head] = await client.$queryRaw<{ user_id: string }[]>`SELECT user_id FROM notification_mails WHERE state = 'waiting' AND next_at <= now() AND digest ORDER BY next_at LIMIT 1`;
      if (!head) return undefined;
      // One person's at a time, or two workers would make two mails of them.
      await client.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`notification-digest ${head.user_id}`}, 0))`;
      return client.$queryRaw<ClaimedMail[]>`
        UPDATE notification_mails m SET ${CLAIM}, claim_id = ${claimId}::uuid FROM notifications n
        WHERE n.id = m.notification_id AND m.id IN (
          SELECT id FROM notification_mails WHERE user_id = ${head.user_id}::uuid AND state = 'waiting' AND next_at <= now() AND digest ORDER BY id LIMIT ${MOST_IN_DIGEST}::int FOR UPDATE)
        RETURNING ${CLAIMED}`;
    });
  }

  /** Says how a try ended, unless somebody has begun anew since. */
  async finish(mails: readonly Pick<ClaimedMail, 'id' | 'claimId'>[], outcome: MailOutcome): Promise<void> {
    const [first] = mails;
    if (!first) return;
    const [failure, againAfterMs] = [outcome.state === 'sent' ? null : outcome.failure, outcome.state === 'waiting' ? outcome.againAfterMs : 0];
    await this.database.write('system', Prisma.sql`
      UPDATE notification_mails SET state = ${outcome.state}, failure = ${failure}, claim_id = NULL, next_at = now() + make_interval(secs => ${againAfterMs / 1000}::double precision), sent_at = CASE WHEN ${outcome.state} = 'sent' THEN now() END
      WHERE id = ANY (${mails.map(({ id }) => id)}::uuid[]) AND claim_id = ${first.claimId}::uuid AND state = 'waiting'`);
  }

  /** Gives tries back that were not made. */
  async postpone(mails: readonly Pick<ClaimedMail, 'id' | 'claimId'>[], until: Date): Promise<void> {
    const [first] = mails;
    if (!first) return;
    await this.database.write('system', Prisma.sql`
      UPDATE notification_mails SET attempts = attempts - 1, claim_id = NULL, next_at = ${until}::timestamptz
      WHERE id = ANY (${mails.map(({ id }) => id)}::uuid[]) AND claim_id = ${first.claimId}::uuid AND state = 'waiting'`);
  }
}
