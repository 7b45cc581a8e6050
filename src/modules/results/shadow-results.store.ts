import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import type { Transaction } from '../../kernel/transaction.js';
import { Database, prismaOf } from '../../platform/database/database.js';
import { ShadowResults, type ComparableResult, type NewShadowResult } from './results.contract.js';

type Row = ComparableResult & { analysisId: string };

/** Results of models in the shadow, in a table of their own: nothing that lists, shows, exports or tells of results can come upon them. */
@Injectable()
export class StoredShadowResults extends ShadowResults {
  constructor(private readonly database: Database) {
    super();
  }

  async add(tx: Transaction, { summary, findings, labels, segments, ...names }: NewShadowResult): Promise<void> {
    // Plain data of our own types.
    const json = (value: object): Prisma.InputJsonValue => value;
    await prismaOf(tx).shadowResult.create({ data: { ...names, summary: json(summary), findings: json(findings), labels: json(labels), segments: json(segments) } });
  }

  async compared(scope: { institutionId: string } | 'system', analysisIds: readonly string[]): Promise<ReadonlyMap<string, ComparableResult>> {
    if (analysisIds.length === 0) return new Map();
    const ids = Prisma.sql`ANY (${[...analysisIds]}::uuid[])`;
    const rows = await this.database.read<Row>(scope, Prisma.sql`
      SELECT analysis_id AS "analysisId", findings, labels, segments FROM results WHERE analysis_id = ${ids} AND status <> 'withheld'
      UNION ALL SELECT analysis_id, findings, labels, segments FROM shadow_results WHERE analysis_id = ${ids}`);
    return new Map(rows.map(({ analysisId, findings, labels, segments }) => [analysisId, { findings, labels, segments }]));
  }
}
