import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import type { Comparison } from '../../../imaging/report/reproduction.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { Database, prismaOf } from '../../../platform/database/database.js';
import { RUN_COLUMNS, type RunRow, type RunStatus } from '../runs.store.js';

/** A reproduction with what became of its run. */
export interface ReproductionRecord {
  /** Of the run. */
  analysisId: string;
  resultId: string;
  requestedBy: string;
  status: RunStatus;
  reasonCode: string | null;
  reasonDetail: string | null;
  outcome: 'identical' | 'different' | null;
  comparison: Comparison | null;
  createdAt: Date;
  comparedAt: Date | null;
}

const SELECT = Prisma.sql`
  SELECT p.analysis_id AS "analysisId", p.result_id AS "resultId", p.requested_by AS "requestedBy", r.status, r.reason_code AS "reasonCode", r.reason_detail AS "reasonDetail",
    p.outcome, p.comparison, p.created_at AS "createdAt", p.compared_at AS "comparedAt"
  FROM reproductions p JOIN analysis_runs r ON r.id = p.analysis_id`;

@Injectable()
export class ReproductionsStore {
  constructor(private readonly database: Database) {}

  /** The result must be locked. */
  async insert(tx: Transaction, reproduction: { analysisId: string; institutionId: string; resultId: string; requestedBy: string }): Promise<void> {
    await prismaOf(tx).reproduction.create({ data: reproduction });
  }

  /** The run of a reproduction that has not ended. Requests for one result wait for each other until the transaction ends. */
  async open(tx: Transaction, institutionId: string, resultId: string): Promise<RunRow | undefined> {
    const client = prismaOf(tx);
    await client.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`reproduce ${resultId}`}, 0))`;
    const [row] = await client.$queryRaw<RunRow[]>`
      SELECT ${RUN_COLUMNS} FROM analysis_runs WHERE status IN ('queued', 'running')
        AND id IN (SELECT analysis_id FROM reproductions WHERE institution_id = ${institutionId}::uuid AND result_id = ${resultId}::uuid) LIMIT 1`;
    return row;
  }

  /** The result that a run computes again; undefined when it is gone. */
  async resultOf(institutionId: string, analysisId: string): Promise<string | undefined> {
    const [row] = await this.database.read<{ resultId: string }>({ institutionId }, Prisma.sql`SELECT result_id AS "resultId" FROM reproductions WHERE analysis_id = ${analysisId}::uuid AND institution_id = ${institutionId}::uuid`);
    return row?.resultId;
  }

  /** The series that a caller picked for a run; empty when the analysis picked. */
  async pickedSeries(institutionId: string, analysisId: string): Promise<string[]> {
    const [row] = await this.database.read<{ series: string[] }>({ institutionId }, Prisma.sql`SELECT series_instance_uids AS series FROM analysis_runs WHERE id = ${analysisId}::uuid AND institution_id = ${institutionId}::uuid`);
    return row?.series ?? [];
  }

  /** Does nothing when the result is gone, and the reproduction with it. */
  async conclude(tx: Transaction, institutionId: string, analysisId: string, { outcome, comparison }: { outcome: 'identical' | 'different'; comparison: Comparison }): Promise<void> {
    await prismaOf(tx).reproduction.updateMany({ where: { analysisId, institutionId }, data: { outcome, comparison, comparedAt: new Date() } });
  }

  /** Newest first; `cursor` is the last run of the page before. */
  async list(institutionId: string, resultId: string, { limit, cursor }: { limit: number; cursor?: string | undefined }): Promise<ReproductionRecord[]> {
    const after = cursor === undefined ? Prisma.empty : Prisma.sql`AND p.analysis_id < ${cursor}::uuid`;
    return this.database.read<ReproductionRecord>({ institutionId }, Prisma.sql`
      ${SELECT} WHERE p.result_id = ${resultId}::uuid AND p.institution_id = ${institutionId}::uuid ${after} ORDER BY p.analysis_id DESC LIMIT ${limit + 1}::int`);
  }
}
