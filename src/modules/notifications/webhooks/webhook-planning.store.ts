import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { derivedUuidv7 } from '../../../kernel/uid.js';
import { Database, prismaOf } from '../../../platform/database/database.js';
import { currentTraceparent } from '../../../platform/ops/tracing.js';
import { Outbox } from '../../../platform/queue/outbox.js';
import { RESULT_CRITICAL } from '../../analysis/analysis.contract.js';
import { STUDY_DELETED } from '../../images/images.contract.js';
import { WEBHOOK_DUE, WEBHOOK_EVENTS, type EventData, type WebhookDue } from './webhook.js';

/** An event of a study, as the outbox hands it over. */
export interface StudyEvent {
  /** Of the outbox. */
  id: string;
  institutionId: string;
  topic: string;
  payload: EventData & { studyInstanceUid: string };
}

interface PlannableEvent {
  id: string;
  topic: string;
  payload: EventData;
  position: bigint;
  createdAt: Date;
  traceparent: string | null;
}

/** An event whose job has not come within this time has lost it. */
const LOST_AFTER_SECONDS = 120;
/** As long as the outbox keeps what was handed over. */
const REACH_SECONDS = 3_600;

/** Makes deliveries of events. */
@Injectable()
export class WebhookPlanningStore {
  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
  ) {}

  /** Of these institutions, what some endpoint is told of. */
  async told(institutionIds: readonly string[]): Promise<{ institutionId: string; topic: string }[]> {
    return this.database.read('system', Prisma.sql`
      SELECT DISTINCT w.institution_id AS "institutionId", jsonb_object_keys(w.events) AS topic FROM webhooks w WHERE w.institution_id = ANY (${[...institutionIds]}::uuid[])`);
  }

  /** Whether some endpoint of the institution is told of such events, and this one is not planned for it yet. */
  async isWanted(institutionId: string, topic: string, eventId: string): Promise<boolean> {
    const rows = await this.database.read({ institutionId }, Prisma.sql`
      SELECT 1 AS one FROM webhooks w WHERE w.institution_id = ${institutionId}::uuid AND jsonb_exists(w.events, ${topic})
        AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.event_id = ${eventId}::uuid) LIMIT 1`);
    return rows.length > 0;
  }

  /**
   * Plans the event, and whatever of the same study was committed before and is not planned yet: jobs come in any order, and nobody is to be told of the later one first.
   * Nothing is planned that an erasure came after.
   *
   * @param isStudyThere  asked of an event that came so late that the outbox has forgotten it, and with it whether the study was erased
   * @returns how many deliveries there are to make
   */
  async plan(event: StudyEvent, isStudyThere: () => Promise<boolean>): Promise<number> {
    const { institutionId, payload: { studyInstanceUid } } = event;
    return this.database.transaction({ institutionId }, async (tx) => {
      await lockStudy(tx, institutionId, studyInstanceUid);
      const events = await this.eventsOf(tx, event, isStudyThere);
      const webhooks = await prismaOf(tx).$queryRaw<{ id: string; events: Record<string, string> }[]>`SELECT id, events FROM webhooks WHERE institution_id = ${institutionId}::uuid FOR KEY SHARE`;
      const wanted = webhooks.flatMap((webhook) => events.filter(({ topic, position }) => isAfter(position, webhook.events[topic])).map((one) => ({ webhookId: webhook.id, event: one })));
      if (wanted.length === 0) return 0;
      const known = await prismaOf(tx).webhookDelivery.findMany({ where: { webhookId: { in: webhooks.map(({ id }) => id) }, eventId: { in: events.map(({ id }) => id) } }, select: { webhookId: true, eventId: true } });
      const fresh = wanted.filter(({ webhookId, event: { id } }) => !known.some((one) => one.webhookId === webhookId && one.eventId === id));
      if (fresh.length === 0) return 0;
      await prismaOf(tx).webhookDelivery.createMany({
        skipDuplicates: true,
        data: fresh.map(({ webhookId, event: { id, topic, payload, position, createdAt, traceparent } }) => (
          { id: derivedUuidv7(id, webhookId), institutionId, webhookId, eventId: id, topic, studyInstanceUid, resultId: resultIdOf(payload), position, data: { ...payload }, occurredAt: createdAt, traceparent })),
      });
      const urgent = new Set(fresh.filter(({ event: { topic } }) => topic === RESULT_CRITICAL).map(({ webhookId }) => webhookId));
      await this.outbox.append(tx, ...[...new Set(fresh.map(({ webhookId }) => webhookId))].map((webhookId) => dueEvent(institutionId, webhookId, urgent.has(webhookId))));
      return fresh.length;
    });
  }

  /** Events of the last hour that no job has planned, one for each study: the queue has lost their jobs. */
  async lost(limit: number): Promise<StudyEvent[]> {
    const rows = await this.database.read<{ id: string; institutionId: string; topic: string; payload: StudyEvent['payload'] }>('system', Prisma.sql`
      SELECT DISTINCT ON (o.institution_id, o.study_instance_uid) o.id, o.institution_id AS "institutionId", o.topic, o.payload
      FROM outbox o JOIN webhooks w ON w.institution_id = o.institution_id AND (w.events ->> o.topic)::bigint < o.position
      WHERE o.dispatched_at BETWEEN now() - make_interval(secs => ${REACH_SECONDS}::double precision) AND now() - make_interval(secs => ${LOST_AFTER_SECONDS}::double precision)
        AND o.study_instance_uid IS NOT NULL AND o.topic = ANY (${[...WEBHOOK_EVENTS]}::text[])
        AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.event_id = o.id)
        AND NOT EXISTS (SELECT FROM outbox e WHERE e.institution_id = o.institution_id AND e.study_instance_uid = o.study_instance_uid AND e.topic = ${STUDY_DELETED} AND e.payload -> 'erased' = 'true' AND e.position > o.position)
      LIMIT ${limit}::int`);
    return rows;
  }

  /** In the order in which they were appended. One that the outbox has forgotten counts as the newest. */
  private async eventsOf(tx: Transaction, { id, institutionId, topic, payload }: StudyEvent, isStudyThere: () => Promise<boolean>): Promise<PlannableEvent[]> {
    const client = prismaOf(tx);
    const rows = await client.$queryRaw<PlannableEvent[]>`
      SELECT id, topic, payload, position, created_at AS "createdAt", traceparent FROM outbox
      WHERE institution_id = ${institutionId}::uuid AND study_instance_uid = ${payload.studyInstanceUid} AND topic = ANY (${[...WEBHOOK_EVENTS, STUDY_DELETED]}::text[]) ORDER BY position`;
    if (!rows.some((row) => row.id === id) && (await isStudyThere())) {
      const [next] = await client.$queryRaw<{ position: bigint; now: Date }[]>`SELECT nextval(pg_get_serial_sequence('outbox', 'position')) AS position, now() AS now`;
      if (next) rows.push({ id, topic, payload, position: next.position, createdAt: next.now, traceparent: currentTraceparent() ?? null });
    }
    const erasure = rows.findLastIndex((row) => row.topic === STUDY_DELETED && row.payload.erased === true);
    return rows.slice(erasure + 1).filter((row) => row.topic !== STUDY_DELETED);
  }
}

/** Whoever plans deliveries of a study, or removes what names it, does so alone. */
export async function lockStudy(tx: Transaction, institutionId: string, studyInstanceUid: string): Promise<void> {
  await prismaOf(tx).$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`webhook events ${institutionId} ${studyInstanceUid}`}, 0))`;
}

export function dueEvent(institutionId: string, webhookId: string, urgent = false): { institutionId: string; topic: string; payload: WebhookDue; priority?: number } {
  return { institutionId, topic: WEBHOOK_DUE, payload: { institutionId, webhookId }, ...(urgent && { priority: 1 }) };
}

function resultIdOf({ resultId }: EventData): string | null {
  return typeof resultId === 'string' ? resultId : null;
}

function isAfter(position: bigint, since: string | undefined): boolean {
  return since !== undefined && position > BigInt(since);
}
