import { Injectable } from '@nestjs/common';
import type { Transaction } from '../../../kernel/transaction.js';
import { uuidv7 } from '../../../kernel/uid.js';
import { Prisma } from '../../../generated/prisma/client.js';
import { isUniqueViolation } from '../../../platform/database/database-errors.js';
import { Database, prismaOf } from '../../../platform/database/database.js';
import type { PageQuery } from '../../../platform/http/page.js';

/** A modality or PACS that may send by DIMSE. */
export interface DimseCaller {
  id: string;
  institutionId: string;
  aeTitle: string;
  /** CIDR; none = any. */
  addresses: string[];
  description: string | null;
  createdAt: Date;
  updatedAt: Date;
}

/** A caller, and whether its institution may do anything at all. */
export type FoundCaller = DimseCaller & { institutionState: string };

export interface DimseCallerDraft {
  aeTitle: string;
  addresses: string[];
  description: string | null;
}

@Injectable()
export class DimseCallersStore {
  constructor(private readonly database: Database) {}

  /** Whatever the institution: the association learns it from the row. @throws AppError `database-unavailable` */
  async findByAeTitle(aeTitle: string): Promise<FoundCaller | undefined> {
    const [row] = await this.database.read<DimseCallerRow>('system', Prisma.sql`
      SELECT c.id, c.institution_id, c.ae_title, c.addresses, c.description, c.created_at, c.updated_at, i.state AS institution_state
      FROM dimse_callers c JOIN institutions i ON i.id = c.institution_id WHERE c.ae_title = ${aeTitle}`);
    return row && {
      id: row.id, institutionId: row.institution_id, aeTitle: row.ae_title, addresses: row.addresses ?? [], description: row.description, createdAt: row.created_at, updatedAt: row.updated_at,
      institutionState: row.institution_state,
    };
  }

  /** The page's rows and one more, oldest first. */
  async list(institutionId: string, { limit, cursor }: PageQuery): Promise<DimseCaller[]> {
    return this.database.transaction({ institutionId }, (tx) => prismaOf(tx).dimseCaller.findMany({
      where: { institutionId, ...(cursor !== undefined && { id: { gt: cursor } }) }, orderBy: { id: 'asc' }, take: limit + 1,
    }));
  }

  async find(institutionId: string, id: string): Promise<DimseCaller | undefined> {
    return this.database.transaction({ institutionId }, async (tx) => (await prismaOf(tx).dimseCaller.findFirst({ where: { id, institutionId } })) ?? undefined);
  }

  /** Reads the row and holds it until the transaction ends. */
  async lock(tx: Transaction, institutionId: string, id: string): Promise<DimseCaller | undefined> {
    const client = prismaOf(tx);
    await client.$queryRaw`SELECT id FROM dimse_callers WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid FOR UPDATE`;
    return (await client.dimseCaller.findFirst({ where: { id, institutionId } })) ?? undefined;
  }

  /** @returns undefined when the AE title is taken, here or in another institution */
  async create(institutionId: string, draft: DimseCallerDraft): Promise<DimseCaller | undefined> {
    return untaken(this.database.transaction({ institutionId }, (tx) => prismaOf(tx).dimseCaller.create({ data: { ...draft, id: uuidv7(), institutionId } })));
  }

  async change(tx: Transaction, id: string, change: Partial<DimseCallerDraft>): Promise<DimseCaller> {
    return prismaOf(tx).dimseCaller.update({ where: { id }, data: change });
  }

  async delete(tx: Transaction, id: string): Promise<void> {
    await prismaOf(tx).dimseCaller.delete({ where: { id } });
  }
}

/** @returns undefined when the write fails because of the unique AE title */
export async function untaken(write: Promise<DimseCaller>): Promise<DimseCaller | undefined> {
  try {
    return await write;
  } catch (error) {
    if (isUniqueViolation(error)) return undefined;
    throw error;
  }
}

/** As PostgreSQL names the columns. An array column that Prisma filled may hold null. */
interface DimseCallerRow {
  id: string;
  institution_id: string;
  ae_title: string;
  addresses: string[] | null;
  description: string | null;
  created_at: Date;
  updated_at: Date;
  institution_state: string;
}
