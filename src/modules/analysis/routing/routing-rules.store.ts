import { Injectable } from '@nestjs/common';
import { Prisma, type RoutingRule } from '../../../generated/prisma/client.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { uuidv7 } from '../../../kernel/uid.js';
import { columnsOf } from '../../../platform/database/columns.js';
import { Database, prismaOf } from '../../../platform/database/database.js';
import { conditionsSchema, planSchema, type Rule } from './rule.js';

export interface StoredRule extends Rule {
  position: number;
  createdAt: Date;
  updatedAt: Date;
}

export type RuleDraft = Pick<StoredRule, 'name' | 'enabled' | 'position' | 'conditions' | 'plan' | 'last'>;

const COLUMNS = columnsOf(Prisma.RoutingRuleScalarFieldEnum);

@Injectable()
export class RoutingRulesStore {
  constructor(private readonly database: Database) {}

  /** In the order in which they are looked at. */
  async list(institutionId: string): Promise<StoredRule[]> {
    const rows = await this.database.read<RoutingRule>({ institutionId }, Prisma.sql`SELECT ${COLUMNS} FROM routing_rules WHERE institution_id = ${institutionId}::uuid ORDER BY position, id`);
    return rows.map(ruleOf);
  }

  async find(institutionId: string, id: string): Promise<StoredRule | undefined> {
    const [row] = await this.database.read<RoutingRule>({ institutionId }, Prisma.sql`SELECT ${COLUMNS} FROM routing_rules WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid`);
    return row ? ruleOf(row) : undefined;
  }

  /** Reads the row and holds it until the transaction ends. */
  async lock(tx: Transaction, institutionId: string, id: string): Promise<StoredRule | undefined> {
    const client = prismaOf(tx);
    await client.$queryRaw`SELECT id FROM routing_rules WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid FOR UPDATE`;
    const row = await client.routingRule.findFirst({ where: { id, institutionId } });
    return row ? ruleOf(row) : undefined;
  }

  /**
   * Behind the last one unless the draft has a position. Creations of one institution wait for each other.
   * @returns undefined when there are `most` rules already
   */
  async create(institutionId: string, draft: Omit<RuleDraft, 'position'> & { position?: number | undefined }, most: number): Promise<StoredRule | undefined> {
    return this.database.transaction({ institutionId }, async (tx) => {
      const client = prismaOf(tx);
      await client.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`routing-rules ${institutionId}`}, 0))`;
      const { _count: count, _max: max } = await client.routingRule.aggregate({ where: { institutionId }, _count: true, _max: { position: true } });
      if (count >= most) return undefined;
      return ruleOf(await client.routingRule.create({ data: { ...draft, position: draft.position ?? (max.position ?? 0) + 10, id: uuidv7(), institutionId } }));
    });
  }

  async change(tx: Transaction, id: string, change: Partial<RuleDraft>): Promise<StoredRule> {
    return ruleOf(await prismaOf(tx).routingRule.update({ where: { id }, data: change }));
  }

  async delete(tx: Transaction, id: string): Promise<void> {
    await prismaOf(tx).routingRule.delete({ where: { id } });
  }
}

/** What another version of the product stored and this one cannot read is a rule that does nothing, and is seen as disabled. */
function ruleOf({ id, name, enabled, position, conditions, plan, last, createdAt, updatedAt }: RoutingRule): StoredRule {
  const [read, planned] = [conditionsSchema.safeParse(conditions), planSchema.safeParse(plan)];
  const readable = read.success && planned.success;
  return { id, name, position, last, createdAt, updatedAt, enabled: enabled && readable, conditions: read.success ? read.data : {}, plan: planned.success ? planned.data : [] };
}
