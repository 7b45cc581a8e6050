import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { uuidv7 } from '../../../kernel/uid.js';
import { Database, prismaOf } from '../../../platform/database/database.js';
import { Outbox } from '../../../platform/queue/outbox.js';
import { MailsStore } from '../mail/mails.store.js';
import { chainOf, type ChainStep, type Told } from './chain.js';

/** Outbox topic: a step of an escalation is due at once. */
export const ESCALATION_DUE = 'notifications.escalation-due';
/** Payload of `notifications.escalation-due`; who is woken takes what is due anywhere. */
export type EscalationDue = { institutionId: string };

export const ESCALATION_STATES = ['climbing', 'exhausted', 'acknowledged'] as const;
export type EscalationState = (typeof ESCALATION_STATES)[number];

/** A step that nobody else takes meanwhile. */
export interface ClaimedStep {
  notificationId: string;
  institutionId: string;
  topic: string;
  studyInstanceUid: string | null;
  steps: readonly ChainStep[];
  /** Index. */
  nextStep: number;
  claimId: string;
}

/** Longer than it takes to tell everybody of a step. */
const LEASE_SECONDS = 30;

@Injectable()
export class EscalationsStore {
  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
    private readonly mails: MailsStore,
  ) {}

  /** In the transaction of the notification: the chain as it is now begins. */
  async start(tx: Transaction, institutionId: string, notificationId: string): Promise<void> {
    const rows = await prismaOf(tx).$queryRaw<{ due: boolean | null }[]>`
      INSERT INTO escalations (notification_id, institution_id, steps, state, next_at)
      SELECT ${notificationId}::uuid, ${institutionId}::uuid, c.steps, CASE WHEN jsonb_array_length(c.steps) > 0 THEN 'climbing' ELSE 'exhausted' END, now() + make_interval(mins => (c.steps->0->>'afterMinutes')::int)
      FROM (SELECT coalesce((SELECT steps FROM escalation_chains WHERE institution_id = ${institutionId}::uuid), '[]'::jsonb) AS steps) c
      ON CONFLICT (notification_id) DO NOTHING RETURNING next_at <= now() AS due`;
    if (rows[0]?.due === true) await this.outbox.append(tx, { institutionId, topic: ESCALATION_DUE, payload: { institutionId } satisfies EscalationDue });
  }

  /** The step that has been due for longest, of those that nobody is taking. */
  async claim(): Promise<ClaimedStep | undefined> {
    const { rows } = await this.database.write<Omit<ClaimedStep, 'steps'> & { steps: unknown }>('system', Prisma.sql`
      UPDATE escalations e SET claim_id = ${uuidv7()}::uuid, next_at = now() + make_interval(secs => ${LEASE_SECONDS}::double precision) FROM notifications n
      WHERE n.id = e.notification_id AND e.notification_id = (SELECT notification_id FROM escalations WHERE state = 'climbing' AND next_at <= now() ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED)
      RETURNING e.notification_id AS "notificationId", e.institution_id AS "institutionId", n.topic, n.subject->>'studyInstanceUid' AS "studyInstanceUid", e.steps, e.next_step AS "nextStep", e.claim_id AS "claimId"`);
    return rows[0] && { ...rows[0], steps: chainOf(rows[0].steps) };
  }

  /**
   * Takes the claimed step: who is told, their mails and calls, and when the next one is due stand after it, or nothing does.
   *
   * @returns false when it was acknowledged meanwhile, or somebody else has taken it
   */
  async take({ notificationId, institutionId, steps, nextStep, claimId }: ClaimedStep, told: readonly Told[]): Promise<boolean> {
    return this.database.transaction({ institutionId }, async (tx) => {
      const client = prismaOf(tx);
      const following = steps[nextStep + 1];
      const taken = await client.$executeRaw`
        UPDATE escalations e SET next_step = next_step + 1, claim_id = NULL, state = ${following ? 'climbing' : 'exhausted'}, next_at = started_at + make_interval(mins => ${following?.afterMinutes ?? null}::int)
        WHERE e.notification_id = ${notificationId}::uuid AND e.claim_id = ${claimId}::uuid AND e.state = 'climbing'
          AND EXISTS (SELECT FROM notifications n WHERE n.id = e.notification_id AND n.acknowledged_at IS NULL)`;
      if (taken === 0) return false;
      const step = nextStep + 1;
      await client.$executeRaw`INSERT INTO escalation_steps (notification_id, step, institution_id, told) VALUES (${notificationId}::uuid, ${step}::int, ${institutionId}::uuid, ${JSON.stringify(told)}::jsonb)`;
      const by = (channel: string): string[] => told.flatMap((one) => ('channels' in one && (one.channels as readonly string[]).includes(channel) ? [one.userId] : []));
      const [called, mailed] = [by('in-app'), by('email')];
      if (called.length > 0) {
        await client.$executeRaw`
          INSERT INTO notification_states (notification_id, user_id, institution_id, called_at) SELECT ${notificationId}::uuid, u, ${institutionId}::uuid, now() FROM unnest(${called}::uuid[]) u
          ON CONFLICT (notification_id, user_id) DO UPDATE SET called_at = excluded.called_at`;
      }
      const now = await this.mails.now(tx);
      await this.mails.add(tx, { institutionId, notificationId, step, now }, mailed.map((userId) => ({ userId, digest: false, nextAt: now })));
      return true;
    });
  }

  /** Says that somebody has seen the notification; the first one stays, and nobody is told from then on. @returns whether an escalation stopped */
  async acknowledge(institutionId: string, notificationId: string, userId: string): Promise<boolean> {
    const { count } = await this.database.write({ institutionId }, Prisma.sql`
      WITH done AS (
        UPDATE notifications SET acknowledged_at = now(), acknowledged_by = ${userId}::uuid WHERE id = ${notificationId}::uuid AND institution_id = ${institutionId}::uuid AND acknowledged_at IS NULL RETURNING id)
      UPDATE escalations e SET state = 'acknowledged', next_at = NULL, claim_id = NULL FROM done WHERE e.notification_id = done.id`);
    return count > 0;
  }

  /** Escalations that nobody has ended by an acknowledgement. */
  async countOpen(): Promise<number> {
    const [row] = await this.database.read<{ open: number }>('system', Prisma.sql`SELECT count(*)::int AS open FROM escalations WHERE state IN ('climbing', 'exhausted')`);
    return row?.open ?? 0;
  }
}
