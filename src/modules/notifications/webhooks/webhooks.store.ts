import { Injectable } from '@nestjs/common';
import { Prisma, type Webhook as Row } from '../../../generated/prisma/client.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { columnsOf } from '../../../platform/database/columns.js';
import { Database, prismaOf } from '../../../platform/database/database.js';
import type { PageQuery } from '../../../platform/http/page.js';
import { WEBHOOK_EVENTS, type DisabledReason, type Webhook, type WebhookDraft } from './webhook.js';

/** Every event makes a delivery to each that wants it. */
export const MOST_WEBHOOKS = 20;

/** Event type → position in the outbox after which it is told of; text, because JSON has no such whole numbers. */
type Since = Record<string, string>;

const COLUMNS = columnsOf(Prisma.WebhookScalarFieldEnum);

@Injectable()
export class WebhooksStore {
  constructor(private readonly database: Database) {}

  /** The page's rows and one more, oldest first. */
  async list(institutionId: string, { limit, cursor }: PageQuery): Promise<Webhook[]> {
    const rows = await this.database.read<Row>({ institutionId }, Prisma.sql`
      SELECT ${COLUMNS} FROM webhooks WHERE institution_id = ${institutionId}::uuid ${cursor === undefined ? Prisma.empty : Prisma.sql`AND id > ${cursor}::uuid`} ORDER BY id LIMIT ${limit + 1}::int`);
    return rows.map(webhookOf);
  }

  async find(institutionId: string, id: string): Promise<Webhook | undefined> {
    const [row] = await this.database.read<Row>({ institutionId }, Prisma.sql`SELECT ${COLUMNS} FROM webhooks WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid`);
    return row && webhookOf(row);
  }

  /** Reads the row and holds it until the transaction ends. */
  async lock(tx: Transaction, institutionId: string, id: string): Promise<Webhook | undefined> {
    const [row] = await prismaOf(tx).$queryRaw<Row[]>`SELECT ${COLUMNS} FROM webhooks WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid FOR UPDATE`;
    return row && webhookOf(row);
  }

  /** @returns undefined when the institution has as many as it may have */
  async create(tx: Transaction, institutionId: string, id: string, { events, sealedSecrets, ...draft }: WebhookDraft): Promise<Webhook | undefined> {
    const client = prismaOf(tx);
    await client.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`webhooks ${institutionId}`}, 0))`;
    if ((await client.webhook.count({ where: { institutionId } })) >= MOST_WEBHOOKS) return undefined;
    return webhookOf(await client.webhook.create({ data: { ...draft, id, institutionId, events: await this.since(tx, {}, events), sealedSecrets: new Uint8Array(sealedSecrets) } }));
  }

  /** The row must be locked. */
  async change(tx: Transaction, id: string, { events, sealedSecrets, enabled, ...rest }: Partial<WebhookDraft>): Promise<Webhook> {
    const client = prismaOf(tx);
    const since = events && await this.since(tx, (await client.webhook.findUniqueOrThrow({ where: { id }, select: { events: true } })).events, events);
    return webhookOf(await client.webhook.update({
      where: { id },
      data: {
        ...rest, ...(since && { events: since }), ...(sealedSecrets && { sealedSecrets: new Uint8Array(sealedSecrets) }),
        ...(enabled !== undefined && { enabled, disabledReason: null, disabledAt: enabled ? null : new Date() }),
      },
    }));
  }

  /** With its deliveries. */
  async delete(tx: Transaction, id: string): Promise<void> {
    await prismaOf(tx).webhook.delete({ where: { id } });
  }

  /**
   * Because of what a delivery met.
   *
   * @param unlessDeliveredSince  something that reached it after this speaks for it
   * @returns false when it is disabled already, or something speaks for it
   */
  async disable(tx: Transaction, institutionId: string, id: string, reason: DisabledReason, unlessDeliveredSince?: Date): Promise<boolean> {
    const disabled = await prismaOf(tx).$executeRaw`
      UPDATE webhooks SET enabled = false, disabled_reason = ${reason}, disabled_at = now(), updated_at = now() WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid AND enabled
        ${unlessDeliveredSince === undefined ? Prisma.empty : Prisma.sql`AND NOT EXISTS (SELECT FROM webhook_deliveries WHERE webhook_id = ${id}::uuid AND delivered_at > ${unlessDeliveredSince}::timestamptz)`}`;
    return disabled > 0;
  }

  /** Types that are new begin with what is appended from now on. */
  private async since(tx: Transaction, before: unknown, events: readonly string[]): Promise<Since> {
    // `create` and `change` are the only writers of the column.
    const known = before as Since;
    const [row] = await prismaOf(tx).$queryRaw<{ position: bigint }[]>`SELECT nextval(pg_get_serial_sequence('outbox', 'position')) AS position`;
    return Object.fromEntries(events.map((event) => [event, known[event] ?? String(row?.position ?? 0)]));
  }
}

function webhookOf({ events, disabledReason, ...row }: Row): Webhook {
  const told = Object.keys(events as unknown as Since);
  return { ...row, events: WEBHOOK_EVENTS.filter((event) => told.includes(event)), disabledReason: disabledReason as DisabledReason | null };
}
