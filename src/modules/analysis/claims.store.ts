import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import type { Transaction } from '../../kernel/transaction.js';
import { Database, prismaOf } from '../../platform/database/database.js';
import { RUN_COLUMNS, type Ending, type RunRow } from './runs.store.js';

/** A claim whose worker was silent for this long is free. */
export const STALE_SECONDS = 15;

/** A run that one worker holds; a newer fence takes it away. */
export interface Claim {
  institutionId: string;
  id: string;
  fence: number;
}

/** The queries of the workers. Every write names the fence, so that a worker which lost its claim changes nothing. */
@Injectable()
export class ClaimsStore {
  constructor(private readonly database: Database) {}

  /** Takes a run that waits, or whose worker fell silent; null when it is done, gone, or another's. */
  async claim(institutionId: string, id: string, workerId: string): Promise<RunRow | null> {
    const { rows } = await this.database.write<RunRow>({ institutionId }, Prisma.sql`
      UPDATE analysis_runs SET fence = fence + 1, status = 'running', stage = 'read', progress = 0, worker_id = ${workerId}, heartbeat_at = now(),
        attempts = attempts + 1, started_at = coalesce(started_at, now()), updated_at = now()
      WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid
        AND (status = 'queued' OR (status = 'running' AND heartbeat_at < now() - make_interval(secs => ${STALE_SECONDS}::double precision)))
      RETURNING ${RUN_COLUMNS}`);
    return rows[0] ?? null;
  }

  /** false when the claim is lost. `cancel` is true when somebody asked for the end. */
  async heartbeat({ institutionId, id, fence }: Claim): Promise<{ held: boolean; cancel: boolean }> {
    const { rows } = await this.database.write<{ cancel: boolean }>({ institutionId }, Prisma.sql`
      UPDATE analysis_runs SET heartbeat_at = now() WHERE id = ${id}::uuid AND fence = ${fence} AND status = 'running'
      RETURNING cancel_requested_at IS NOT NULL AS cancel`);
    return { held: rows.length > 0, cancel: rows[0]?.cancel ?? false };
  }

  async progress({ institutionId, id, fence }: Claim, stage: string, progress: number): Promise<void> {
    await this.database.write({ institutionId }, Prisma.sql`
      UPDATE analysis_runs SET stage = ${stage}, progress = ${progress}, updated_at = now() WHERE id = ${id}::uuid AND fence = ${fence} AND status = 'running'`);
  }

  /** Ends a run; false when the claim is lost, or when a success comes after the request to cancel. */
  async finish(tx: Transaction, { id, fence }: Claim, { status, reason, resultId, timings }: Ending): Promise<boolean> {
    const { count } = await prismaOf(tx).analysisRun.updateMany({
      where: { id, fence, status: 'running', ...(status === 'succeeded' && { cancelRequestedAt: null }) },
      data: {
        status, stage: 'done', finishedAt: new Date(), ...(status === 'succeeded' && { progress: 1 }),
        reasonCode: reason?.code ?? null, reasonDetail: reason?.detail ?? null, ...(resultId !== undefined && { resultId }), ...(timings && { timings }),
      },
    });
    return count === 1;
  }

  /** Gives a run back to the queue. @param counted  whether the try counts against the run */
  async requeue({ institutionId, id, fence }: Claim, counted: boolean): Promise<boolean> {
    const { count } = await this.database.write({ institutionId }, Prisma.sql`
      UPDATE analysis_runs SET status = 'queued', stage = 'queued', progress = 0, worker_id = NULL, heartbeat_at = NULL,
        attempts = attempts - ${counted ? 0 : 1}::int, updated_at = now()
      WHERE id = ${id}::uuid AND fence = ${fence} AND status = 'running'`);
    return count > 0;
  }

  /** Runs whose worker fell silent, locked; rows that another process looks at are passed over. */
  async silent(tx: Transaction, limit: number): Promise<RunRow[]> {
    const client = prismaOf(tx);
    const rows = await client.$queryRaw<{ id: string }[]>`
      SELECT id FROM analysis_runs WHERE status = 'running' AND heartbeat_at < now() - make_interval(secs => ${STALE_SECONDS}::double precision)
      ORDER BY heartbeat_at LIMIT ${limit}::int FOR UPDATE SKIP LOCKED`;
    return client.analysisRun.findMany({ where: { id: { in: rows.map(({ id }) => id) } } });
  }

  /** Back to the queue, in the transaction that holds the row. */
  async release(tx: Transaction, id: string): Promise<void> {
    await prismaOf(tx).analysisRun.update({ where: { id }, data: { status: 'queued', stage: 'queued', progress: 0, workerId: null, heartbeatAt: null } });
  }

  /** Runs that have waited for so long that their job may be lost; marked, so that each comes once in that time. */
  async forgotten(tx: Transaction, minutes: number, limit: number): Promise<RunRow[]> {
    const client = prismaOf(tx);
    const rows = await client.$queryRaw<{ id: string }[]>`
      UPDATE analysis_runs SET updated_at = now() WHERE id IN (
        SELECT id FROM analysis_runs WHERE status = 'queued' AND updated_at < now() - make_interval(mins => ${minutes}::int) ORDER BY id LIMIT ${limit}::int FOR UPDATE SKIP LOCKED)
      RETURNING id`;
    return client.analysisRun.findMany({ where: { id: { in: rows.map(({ id }) => id) } } });
  }
}
