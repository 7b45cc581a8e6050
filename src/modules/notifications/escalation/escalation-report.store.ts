import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import { Database } from '../../../platform/database/database.js';
import { chainOf, type ChainStep, type Told } from './chain.js';
import type { EscalationState } from './escalations.store.js';

export interface Escalation {
  notificationId: string;
  state: EscalationState;
  steps: readonly ChainStep[];
  nextStep: number;
  startedAt: Date;
  acknowledgedAt: Date | null;
  acknowledgedBy: string | null;
  /** Since it came in. */
  seconds: number | null;
}

export interface TakenStep {
  /** From 1. */
  step: number;
  at: Date;
  told: readonly Told[];
}

export interface MailState {
  userId: string;
  step: number;
  state: string;
  sentAt: Date | null;
}

export interface Period {
  from: Date;
  /** Exclusive. */
  to: Date;
}

/** How fast critical results were acknowledged. */
export interface AcknowledgementTimes {
  count: number;
  acknowledged: number;
  medianSeconds: number | null;
  p95Seconds: number | null;
}

const SECONDS = Prisma.raw('extract(epoch FROM n.acknowledged_at - e.started_at)::float8');
const COLUMNS = Prisma.sql`e.notification_id AS "notificationId", e.state, e.steps, e.next_step AS "nextStep", e.started_at AS "startedAt", n.acknowledged_at AS "acknowledgedAt", n.acknowledged_by AS "acknowledgedBy", ${SECONDS} AS seconds`;

/** Between the two nearest, to the millisecond. */
const percentile = (part: number): Prisma.Sql => Prisma.sql`round((percentile_cont(${part}::float8) WITHIN GROUP (ORDER BY ${SECONDS}))::numeric, 3)::float8`;

/** Reads what became of escalations. */
@Injectable()
export class EscalationReportStore {
  constructor(private readonly database: Database) {}

  async find(institutionId: string, notificationId: string): Promise<{ escalation: Escalation; taken: TakenStep[]; mails: MailState[] } | undefined> {
    const of = Prisma.sql`notification_id = ${notificationId}::uuid AND institution_id = ${institutionId}::uuid`;
    const [[row], taken, mails] = await Promise.all([
      this.read(institutionId, Prisma.sql`e.notification_id = ${notificationId}::uuid`, 1),
      this.database.read<TakenStep>({ institutionId }, Prisma.sql`SELECT step, at, told FROM escalation_steps WHERE ${of} ORDER BY step`),
      this.database.read<MailState>({ institutionId }, Prisma.sql`SELECT user_id AS "userId", step, state, sent_at AS "sentAt" FROM notification_mails WHERE ${of} AND step > 0`),
    ]);
    return row && { escalation: row, taken, mails };
  }

  /** Of notifications that came in within a period, in the order of their ids; one more than `limit` where there is one. */
  async list(institutionId: string, { from, to }: Period, { limit, cursor }: { limit: number; cursor: string | undefined }): Promise<Escalation[]> {
    return this.read(institutionId, Prisma.sql`e.started_at >= ${from.toISOString()}::timestamptz AND e.started_at < ${to.toISOString()}::timestamptz ${cursor === undefined ? Prisma.empty : Prisma.sql`AND e.notification_id > ${cursor}::uuid`}`, limit + 1);
  }

  async times(institutionId: string, { from, to }: Period): Promise<AcknowledgementTimes> {
    const [row] = await this.database.read<AcknowledgementTimes>({ institutionId }, Prisma.sql`
      SELECT count(*)::int AS count, count(n.acknowledged_at)::int AS acknowledged,
        ${percentile(0.5)} AS "medianSeconds", ${percentile(0.95)} AS "p95Seconds"
      FROM escalations e JOIN notifications n ON n.id = e.notification_id
      WHERE e.institution_id = ${institutionId}::uuid AND e.started_at >= ${from.toISOString()}::timestamptz AND e.started_at < ${to.toISOString()}::timestamptz`);
    return row ?? { count: 0, acknowledged: 0, medianSeconds: null, p95Seconds: null };
  }

  private async read(institutionId: string, condition: Prisma.Sql, limit: number): Promise<Escalation[]> {
    const rows = await this.database.read<Omit<Escalation, 'steps'> & { steps: unknown }>({ institutionId }, Prisma.sql`
      SELECT ${COLUMNS} FROM escalations e JOIN notifications n ON n.id = e.notification_id WHERE e.institution_id = ${institutionId}::uuid AND ${condition} ORDER BY e.notification_id LIMIT ${limit}::int`);
    return rows.map((row) => ({ ...row, steps: chainOf(row.steps) }));
  }
}
