import { Injectable } from '@nestjs/common';
import { criticalRulesSchema, DEFAULT_CRITICAL_RULES, type CriticalRule } from '../../../imaging/report/critical.js';
import { Prisma } from '../../../generated/prisma/client.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { Database, prismaOf } from '../../../platform/database/database.js';

export interface StoredCriticalRules {
  rules: readonly CriticalRule[];
  /** 0 for the product's own. */
  version: number;
  updatedAt: Date | null;
}

@Injectable()
export class CriticalRulesStore {
  constructor(private readonly database: Database) {}

  /** The institution's, else the product's. */
  async find(institutionId: string): Promise<StoredCriticalRules> {
    const [row] = await this.database.read<{ rules: unknown; version: number; updated_at: Date }>({ institutionId }, Prisma.sql`SELECT rules, version, updated_at FROM critical_rules WHERE institution_id = ${institutionId}::uuid`);
    return stored(row && { rules: row.rules, version: row.version, updatedAt: row.updated_at });
  }

  /** As `find`; changes of one institution wait for each other. */
  async lock(tx: Transaction, institutionId: string): Promise<StoredCriticalRules> {
    const client = prismaOf(tx);
    await client.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`critical-rules ${institutionId}`}, 0))`;
    return stored((await client.criticalRules.findUnique({ where: { institutionId } })) ?? undefined);
  }

  async save(tx: Transaction, institutionId: string, rules: readonly CriticalRule[]): Promise<StoredCriticalRules> {
    const data = { rules: [...rules] };
    return stored(await prismaOf(tx).criticalRules.upsert({ where: { institutionId }, create: { institutionId, ...data }, update: { ...data, version: { increment: 1 } } }));
  }

  /** Back to the product's own. */
  async remove(tx: Transaction, institutionId: string): Promise<void> {
    await prismaOf(tx).criticalRules.deleteMany({ where: { institutionId } });
  }
}

/** Rules that another version stored and this one cannot read give way to the product's: none at all would keep silent. */
function stored(row: { rules: unknown; version: number; updatedAt: Date } | undefined): StoredCriticalRules {
  const read = criticalRulesSchema.safeParse(row?.rules);
  return row && read.success ? { rules: read.data, version: row.version, updatedAt: row.updatedAt } : { rules: DEFAULT_CRITICAL_RULES, version: 0, updatedAt: null };
}
