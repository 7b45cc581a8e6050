import { Injectable } from '@nestjs/common';
import { Prisma, type Destination as Row } from '../../../generated/prisma/client.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { uuidv7 } from '../../../kernel/uid.js';
import { Database, prismaOf } from '../../../platform/database/database.js';
import type { PageQuery } from '../../../platform/http/page.js';
import type { Destination, DestinationDraft, DestinationTarget } from './destination.js';

/** Every result makes a delivery to each. */
export const MOST_DESTINATIONS = 20;

@Injectable()
export class DestinationsStore {
  constructor(private readonly database: Database) {}

  /** The page's rows and one more, oldest first. */
  async list(institutionId: string, { limit, cursor }: PageQuery): Promise<Destination[]> {
    return this.database.transaction({ institutionId }, async (tx) => (await prismaOf(tx).destination.findMany({
      where: { institutionId, ...(cursor !== undefined && { id: { gt: cursor } }) }, orderBy: { id: 'asc' }, take: limit + 1,
    })).map(destinationOf));
  }

  async find(institutionId: string, id: string): Promise<Destination | undefined> {
    return this.database.transaction({ institutionId }, async (tx) => {
      const row = await prismaOf(tx).destination.findFirst({ where: { id, institutionId } });
      return row ? destinationOf(row) : undefined;
    });
  }

  /** Reads the row and holds it until the transaction ends. */
  async lock(tx: Transaction, institutionId: string, id: string): Promise<Destination | undefined> {
    const client = prismaOf(tx);
    await client.$queryRaw`SELECT id FROM destinations WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid FOR UPDATE`;
    const row = await client.destination.findFirst({ where: { id, institutionId } });
    return row ? destinationOf(row) : undefined;
  }

  /** @returns undefined when the institution has as many as it may have */
  async create(tx: Transaction, institutionId: string, draft: DestinationDraft, id = uuidv7()): Promise<Destination | undefined> {
    const client = prismaOf(tx);
    await client.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`destinations ${institutionId}`}, 0))`;
    if ((await client.destination.count({ where: { institutionId } })) >= MOST_DESTINATIONS) return undefined;
    const { target: { kind, ...target }, sealedAuthorization, ...rest } = draft;
    return destinationOf(await client.destination.create({ data: { ...rest, id, institutionId, kind, target, sealedAuthorization: bytes(sealedAuthorization) } }));
  }

  async change(tx: Transaction, id: string, { target, sealedAuthorization, ...rest }: Partial<DestinationDraft>): Promise<Destination> {
    const { kind, ...place } = target ?? { kind: undefined };
    return destinationOf(await prismaOf(tx).destination.update({
      where: { id }, data: { ...rest, ...(kind !== undefined && { kind, target: place }), ...(sealedAuthorization !== undefined && { sealedAuthorization: bytes(sealedAuthorization) }) },
    }));
  }

  /** With its deliveries. */
  async delete(tx: Transaction, id: string): Promise<void> {
    await prismaOf(tx).destination.delete({ where: { id } });
  }
}

function destinationOf({ id, institutionId, name, kind, target, sealedAuthorization, enabled, results, createdAt, updatedAt }: Row): Destination {
  return {
    id, institutionId, name, enabled, createdAt, updatedAt, sealedAuthorization,
    // The methods above are the only writers of these columns.
    target: { kind, ...(target as Prisma.JsonObject) } as DestinationTarget,
    results: results as Destination['results'],
  };
}

function bytes(value: Uint8Array | null): Uint8Array<ArrayBuffer> | null {
  return value && new Uint8Array(value);
}
