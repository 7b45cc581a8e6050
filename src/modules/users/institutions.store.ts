import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import type { Transaction } from '../../kernel/transaction.js';
import { uuidv7 } from '../../kernel/uid.js';
import { columnsOf } from '../../platform/database/columns.js';
import { Database, prismaOf } from '../../platform/database/database.js';

export interface Institution {
  id: string;
  name: string;
  createdAt: Date;
}

const COLUMNS = columnsOf(Prisma.InstitutionScalarFieldEnum);

@Injectable()
export class InstitutionsStore {
  constructor(private readonly database: Database) {}

  async find(id: string): Promise<Institution | undefined> {
    const [row] = await this.database.read<Institution>({ institutionId: id }, Prisma.sql`SELECT ${COLUMNS} FROM institutions WHERE id = ${id}::uuid`);
    return row;
  }

  /** Reads the row and holds it until the transaction ends. */
  async lock(tx: Transaction, id: string): Promise<Institution | undefined> {
    const client = prismaOf(tx);
    await client.$queryRaw`SELECT id FROM institutions WHERE id = ${id}::uuid FOR UPDATE`;
    return (await client.institution.findUnique({ where: { id } })) ?? undefined;
  }

  async rename(tx: Transaction, id: string, name: string): Promise<Institution> {
    return prismaOf(tx).institution.update({ where: { id }, data: { name } });
  }

  /** The first institution, made under this name when there is none. One caller at a time, until the transaction ends. */
  async ensureFirst(tx: Transaction, name: string): Promise<Institution> {
    const client = prismaOf(tx);
    await client.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended('healthvision:bootstrap', 0))`;
    return (await client.institution.findFirst({ orderBy: { id: 'asc' } })) ?? client.institution.create({ data: { id: uuidv7(), name } });
  }
}
