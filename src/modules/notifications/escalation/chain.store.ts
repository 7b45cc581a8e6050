import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { Database, prismaOf } from '../../../platform/database/database.js';
import { chainOf, type ChainStep } from './chain.js';

export interface StoredChain {
  steps: readonly ChainStep[];
  /** 0 while the institution has none. */
  version: number;
  updatedAt: Date | null;
}

@Injectable()
export class ChainStore {
  constructor(private readonly database: Database) {}

  async find(institutionId: string): Promise<StoredChain> {
    const [row] = await this.database.read<{ steps: unknown; version: number; updatedAt: Date }>({ institutionId }, Prisma.sql`SELECT steps, version, updated_at AS "updatedAt" FROM escalation_chains WHERE institution_id = ${institutionId}::uuid`);
    return stored(row);
  }

  /** As `find`; changes of one institution wait for each other. */
  async lock(tx: Transaction, institutionId: string): Promise<StoredChain> {
    const client = prismaOf(tx);
    await client.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`escalation-chain ${institutionId}`}, 0))`;
    return stored((await client.escalationChain.findUnique({ where: { institutionId } })) ?? undefined);
  }

  async save(tx: Transaction, institutionId: string, steps: readonly ChainStep[]): Promise<StoredChain> {
    const data = { steps: [...steps] };
    return stored(await prismaOf(tx).escalationChain.upsert({ where: { institutionId }, create: { institutionId, ...data }, update: { ...data, version: { increment: 1 } } }));
  }
}

function stored(row: { steps: unknown; version: number; updatedAt: Date } | undefined): StoredChain {
  return row ? { steps: chainOf(row.steps), version: row.version, updatedAt: row.updatedAt } : { steps: [], version: 0, updatedAt: null };
}
