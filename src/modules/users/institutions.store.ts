import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import type { Transaction } from '../../kernel/transaction.js';
import { uuidv7 } from '../../kernel/uid.js';
import { columnsOf } from '../../platform/database/columns.js';
import { Database, prismaOf } from '../../platform/database/database.js';
import type { PageQuery } from '../../platform/http/page.js';

export interface Institution {
  id: string;
  name: string;
  /** `active` or `suspended`. */
  state: string;
  requireSecondFactor: boolean;
  /** null = as long as their study. */
  resultRetentionDays: number | null;
  createdAt: Date;
}

export type InstitutionChange = Partial<Pick<Institution, 'name' | 'requireSecondFactor' | 'resultRetentionDays'> & { state: 'active' | 'suspended' }>;

const COLUMNS = columnsOf(Prisma.InstitutionScalarFieldEnum);

/** What tells of patients, and of work on what is theirs: an institution that has any of it stays. */
const HOLDINGS = ['studies', 'instances', 'patients', 'uploads', 'results', 'analysis_runs'] as const;
/** What an institution without patients may still have; people and their keys go by cascade. Its record of what was done stays. */
const BELONGINGS = ['users', 'oauth_clients', 'client_assertions', 'dimse_callers', 'image_policies', 'notifications', 'notification_read_marks', 'escalation_chains', 'break_glass_grants', 'study_keys', 'institution_keys'] as const;

@Injectable()
export class InstitutionsStore {
  constructor(private readonly database: Database) {}

  async find(id: string): Promise<Institution | undefined> {
    const [row] = await this.database.read<Institution>({ institutionId: id }, Prisma.sql`SELECT ${COLUMNS} FROM institutions WHERE id = ${id}::uuid`);
    return row;
  }

  /** All of the installation. The page's rows and one more, oldest first. */
  async listAll({ limit, cursor }: PageQuery): Promise<Institution[]> {
    return this.database.read<Institution>('system', Prisma.sql`
      SELECT ${COLUMNS} FROM institutions ${cursor === undefined ? Prisma.empty : Prisma.sql`WHERE id > ${cursor}::uuid`} ORDER BY id LIMIT ${limit + 1}::int`);
  }

  async create(tx: Transaction, name: string): Promise<Institution> {
    return prismaOf(tx).institution.create({ data: { id: uuidv7(), name } });
  }

  /** Reads the row and holds it until the transaction ends. */
  async lock(tx: Transaction, id: string): Promise<Institution | undefined> {
    const client = prismaOf(tx);
    await client.$queryRaw`SELECT id FROM institutions WHERE id = ${id}::uuid FOR UPDATE`;
    return (await client.institution.findUnique({ where: { id } })) ?? undefined;
  }

  async change(tx: Transaction, id: string, change: InstitutionChange): Promise<Institution> {
    return prismaOf(tx).institution.update({ where: { id }, data: change });
  }

  /** Whether anything of a patient is there. */
  async holdsAnything(tx: Transaction, id: string): Promise<boolean> {
    for (const table of HOLDINGS) {
      const rows = await prismaOf(tx).$queryRaw<unknown[]>`SELECT 1 FROM ${Prisma.raw(table)} WHERE institution_id = ${id}::uuid LIMIT 1`;
      if (rows.length > 0) return true;
    }
    return false;
  }

  /** Removes the institution with its people, systems, settings and keys. */
  async remove(tx: Transaction, id: string): Promise<void> {
    for (const table of BELONGINGS) await prismaOf(tx).$executeRaw`DELETE FROM ${Prisma.raw(table)} WHERE institution_id = ${id}::uuid`;
    await prismaOf(tx).$executeRaw`DELETE FROM institutions WHERE id = ${id}::uuid`;
  }

  /** The first institution, made under this name when there is none. One caller at a time, until the transaction ends. */
  async ensureFirst(tx: Transaction, name: string): Promise<Institution> {
    const client = prismaOf(tx);
    await client.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended('healthvision:bootstrap', 0))`;
    return (await client.institution.findFirst({ orderBy: { id: 'asc' } })) ?? client.institution.create({ data: { id: uuidv7(), name } });
  }
}
