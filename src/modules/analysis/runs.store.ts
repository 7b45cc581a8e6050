import { Injectable } from '@nestjs/common';
import { Prisma, type AnalysisRun } from '../../generated/prisma/client.js';
import type { Transaction } from '../../kernel/transaction.js';
import { columnsOf } from '../../platform/database/columns.js';
import { Database, prismaOf } from '../../platform/database/database.js';

export type RunRow = AnalysisRun;

export const RUN_COLUMNS = columnsOf(Prisma.AnalysisRunScalarFieldEnum);

export const RUN_STATUSES = ['queued', 'running', 'succeeded', 'not-analysable', 'failed', 'cancelled'] as const;
export type RunStatus = (typeof RUN_STATUSES)[number];
export const FINAL_STATUSES: readonly string[] = ['succeeded', 'not-analysable', 'failed', 'cancelled'];

/** Purpose of a run whose result people see. */
export const CLINICAL = 'clinical';
/** Purpose of a run beside the active model's, for comparison only. */
export const SHADOW = 'shadow';
/** How the purpose of a run begins that computes a result again: each request is one of its own. */
export const REPRODUCE = 'reproduce:';

export interface NewRun {
  id: string;
  institutionId: string;
  studyId: string;
  studyInstanceUid: string;
  studyRevision: number;
  analysis: string;
  modelId: string;
  modelName: string;
  modelVersion: string;
  modelDigest: string;
  seriesInstanceUids: string[];
  selection: string;
  purpose: string;
  priority: string;
  requestedBy: string | null;
  /** The span that asked for it. */
  traceparent: string | null;
}

/** How a run ended. */
export interface Ending {
  status: 'succeeded' | 'not-analysable' | 'failed' | 'cancelled';
  reason?: { code: string; detail: string };
  resultId?: string;
  timings?: Record<string, number>;
}

/** The queries of a run as callers see it; a worker's are in `claims.store`. */
@Injectable()
export class RunsStore {
  constructor(private readonly database: Database) {}

  /** Inserts unless the same run is there: same revision, analysis, model, selection and purpose. */
  async create(tx: Transaction, run: NewRun): Promise<{ run: RunRow; created: boolean }> {
    const client = prismaOf(tx);
    const { studyId, studyRevision, analysis, modelDigest, selection, purpose } = run;
    const [created] = await client.$queryRaw<RunRow[]>`
      INSERT INTO analysis_runs (id, institution_id, study_id, study_instance_uid, study_revision, analysis, model_id, model_name, model_version, model_digest, series_instance_uids, selection, purpose, priority, requested_by, traceparent, updated_at)
      VALUES (${run.id}::uuid, ${run.institutionId}::uuid, ${studyId}::uuid, ${run.studyInstanceUid}, ${studyRevision}::int, ${analysis}, ${run.modelId}::uuid, ${run.modelName}, ${run.modelVersion}, ${modelDigest},
        ${run.seriesInstanceUids}::text[], ${selection}, ${purpose}, ${run.priority}, ${run.requestedBy}::uuid, ${run.traceparent}, now())
      ON CONFLICT DO NOTHING RETURNING ${RUN_COLUMNS}`;
    if (created) return { run: created, created: true };
    const existing = await client.analysisRun.findUniqueOrThrow({ where: { studyId_studyRevision_analysis_modelDigest_selection_purpose: { studyId, studyRevision, analysis, modelDigest, selection, purpose } } });
    return { run: existing, created: false };
  }

  async find(institutionId: string, id: string): Promise<RunRow | null> {
    const [row] = await this.database.read<RunRow>({ institutionId }, Prisma.sql`SELECT ${RUN_COLUMNS} FROM analysis_runs WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid`);
    return row ?? null;
  }

  /** Holds the row until the transaction ends. */
  async lock(tx: Transaction, institutionId: string, id: string): Promise<RunRow | null> {
    const client = prismaOf(tx);
    await client.$executeRaw`SELECT 1 FROM analysis_runs WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid FOR UPDATE`;
    return client.analysisRun.findFirst({ where: { id, institutionId } });
  }

  /** Newest first. Runs in the shadow, and those that compute a result again, are nobody's concern but the comparison's. */
  async list(institutionId: string, filter: { studyInstanceUid?: string | undefined; analysis?: string | undefined; status?: RunStatus | undefined }, page: { limit: number; cursor?: string | undefined }): Promise<RunRow[]> {
    const conditions = [
      Prisma.sql`institution_id = ${institutionId}::uuid`,
      Prisma.sql`purpose = ${CLINICAL}`,
      ...(filter.studyInstanceUid === undefined ? [] : [Prisma.sql`study_instance_uid = ${filter.studyInstanceUid}`]),
      ...(filter.analysis === undefined ? [] : [Prisma.sql`analysis = ${filter.analysis}`]),
      ...(filter.status === undefined ? [] : [Prisma.sql`status = ${filter.status}`]),
      ...(page.cursor === undefined ? [] : [Prisma.sql`id < ${page.cursor}::uuid`]),
    ];
    return this.database.read<RunRow>({ institutionId }, Prisma.sql`SELECT ${RUN_COLUMNS} FROM analysis_runs WHERE ${Prisma.join(conditions, ' AND ')} ORDER BY id DESC LIMIT ${page.limit + 1}::int`);
  }

  /** Ends a run that nobody computes. */
  async cancelQueued(tx: Transaction, id: string): Promise<RunRow> {
    return prismaOf(tx).analysisRun.update({ where: { id }, data: { status: 'cancelled', stage: 'done', finishedAt: new Date(), cancelRequestedAt: new Date() } });
  }

  /** Tells the worker that computes it to stop. */
  async requestCancel(tx: Transaction, id: string): Promise<RunRow> {
    return prismaOf(tx).analysisRun.update({ where: { id }, data: { cancelRequestedAt: new Date() } });
  }

  /** As if it had never been tried; the fence goes on, so that a late worker stays out. */
  async restart(tx: Transaction, id: string, traceparent: string | null): Promise<RunRow> {
    const client = prismaOf(tx);
    // When it came is told by the database's clock, not by ours.
    await client.$executeRaw`UPDATE analysis_runs SET queued_at = clock_timestamp() WHERE id = ${id}::uuid`;
    return client.analysisRun.update({
      where: { id },
      data: {
        status: 'queued', stage: 'queued', progress: 0, attempts: 0, workerId: null, heartbeatAt: null, cancelRequestedAt: null, reasonCode: null, reasonDetail: null,
        timings: {}, resultId: null, startedAt: null, finishedAt: null, notBefore: null, faults: 0, corruptReads: 0, traceparent,
      },
    });
  }

  /** The result that a run had is gone. */
  async loseResult(tx: Transaction, institutionId: string, id: string, resultId: string): Promise<void> {
    await prismaOf(tx).analysisRun.updateMany({ where: { id, institutionId, resultId }, data: { resultId: null, resultRemovedAt: new Date() } });
  }

  /** Nothing is left of the runs of these studies; whoever computes one loses its claim. @returns how many, and the ids of those that were not over */
  async removeOfStudies(tx: Transaction, institutionId: string, studyIds: readonly string[]): Promise<{ removed: number; stopped: string[] }> {
    const rows = await prismaOf(tx).$queryRaw<{ id: string; status: string }[]>`
      DELETE FROM analysis_runs WHERE institution_id = ${institutionId}::uuid AND study_id = ANY (${[...studyIds]}::uuid[]) RETURNING id, status`;
    return { removed: rows.length, stopped: rows.filter(({ status }) => !FINAL_STATUSES.includes(status)).map(({ id }) => id) };
  }

  /** Ends every run of a study that is not over; whoever computes one loses its claim. */
  async cancelOfStudy(tx: Transaction, institutionId: string, studyId: string): Promise<string[]> {
    const rows = await prismaOf(tx).$queryRaw<{ id: string }[]>`
      UPDATE analysis_runs SET status = 'cancelled', stage = 'done', fence = fence + 1, reason_code = 'study-deleted', reason_detail = 'The study was deleted',
        finished_at = now(), updated_at = now()
      WHERE institution_id = ${institutionId}::uuid AND study_id = ${studyId}::uuid AND status IN ('queued', 'running')
      RETURNING id`;
    // Runs that were over keep their status; their results go with the study.
    await prismaOf(tx).analysisRun.updateMany({ where: { institutionId, studyId, resultId: { not: null } }, data: { resultId: null, reasonCode: 'study-deleted', reasonDetail: 'The study was deleted, and its results with it' } });
    return rows.map(({ id }) => id);
  }
}
