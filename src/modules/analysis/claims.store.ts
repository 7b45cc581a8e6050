import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import type { Transaction } from '../../kernel/transaction.js';
import { Database, prismaOf } from '../../platform/database/database.js';
import { notification } from '../../platform/database/live-channel.js';
import { RUN_CHANGED } from './run-events.js';
import type { Ending, RunRow } from './runs.store.js';

/** A claim whose worker was silent for this long is free. */
export const STALE_SECONDS = 15;

/** A run that one worker holds; a newer fence takes it away. */
export interface Claim {
  institutionId: string;
  id: string;
  fence: number;
}

/** How far a run is, 0–1. */
export interface Progress {
  claim: Claim;
  stage: string;
  progress: number;
}

/** The queries of the workers. Every write names the fence, so that a worker which lost its claim changes nothing. */
@Injectable()
export class ClaimsStore {
  constructor(private readonly database: Database) {}

  /** false when the claim is lost. `cancel` is true when somebody asked for the end. */
  async heartbeat({ institutionId, id, fence }: Claim): Promise<{ held: boolean; cancel: boolean }> {
    const { rows } = await this.database.write<{ cancel: boolean }>({ institutionId }, Prisma.sql`
      UPDATE analysis_runs SET heartbeat_at = now() WHERE id = ${id}::uuid AND fence = ${fence} AND status = 'running'
      RETURNING cancel_requested_at IS NOT NULL AS cancel`);
    return { held: rows.length > 0, cancel: rows[0]?.cancel ?? false };
  }

  /** Whoever watches one of the runs is told. A run that just ends is passed over. */
  async progress(runs: readonly Progress[]): Promise<void> {
    await this.database.write('system', Prisma.sql`
      WITH given AS (
        SELECT r.id, p.stage, p.progress FROM unnest(${runs.map(({ claim }) => claim.id)}::uuid[], ${runs.map(({ claim }) => claim.fence)}::int[], ${runs.map(({ stage }) => stage)}::text[], ${runs.map(({ progress }) => progress)}::double precision[]) AS p (id, fence, stage, progress)
        JOIN analysis_runs r ON r.id = p.id AND r.fence = p.fence AND r.status = 'running' FOR UPDATE OF r SKIP LOCKED
      ), changed AS (UPDATE analysis_runs r SET stage = given.stage, progress = given.progress, updated_at = now() FROM given WHERE r.id = given.id RETURNING r.id)
      SELECT ${notification(RUN_CHANGED, Prisma.sql`id::text`)} FROM changed`);
  }

  /**
   * Ends a run.
   * @returns how long it took from its first claim, in seconds; undefined when the claim is lost, or when a success comes after the request to cancel
   */
  async finish(tx: Transaction, { id, fence }: Claim, { status, reason, resultId, timings }: Ending): Promise<number | undefined> {
    const [finished] = await prismaOf(tx).$queryRaw<{ seconds: number }[]>`
      UPDATE analysis_runs SET status = ${status}, stage = 'done', progress = CASE WHEN ${status} = 'succeeded' THEN 1 ELSE progress END, finished_at = now(), updated_at = now(),
        reason_code = ${reason?.code ?? null}, reason_detail = ${reason?.detail ?? null}, result_id = coalesce(${resultId ?? null}::uuid, result_id), timings = coalesce(${timings ? JSON.stringify(timings) : null}::jsonb, timings)
      WHERE id = ${id}::uuid AND fence = ${fence}::int AND status = 'running' AND (${status} <> 'succeeded' OR cancel_requested_at IS NULL)
      RETURNING extract(epoch FROM now() - coalesce(started_at, now()))::double precision AS seconds`;
    return finished?.seconds;
  }

  /**
   * Gives a run back to the queue; it keeps its age there. false when the claim is lost, or when somebody asked for its end: nobody is to take it up again.
   * @param why  `handed-back`: the try does not count; `counted`: it does; `surroundings`, `corrupt`: it does not, but the run waits longer after each of its kind
   */
  async requeue({ institutionId, id, fence }: Claim, why: 'handed-back' | 'counted' | 'surroundings' | 'corrupt'): Promise<boolean> {
    const { count } = await this.database.write({ institutionId }, Prisma.sql`
      UPDATE analysis_runs SET status = 'queued', stage = 'queued', progress = 0, worker_id = NULL, heartbeat_at = NULL, updated_at = now(),
        attempts = attempts - ${why === 'counted' ? 0 : 1}::int, faults = faults + ${why === 'surroundings' ? 1 : 0}::int, corrupt_reads = corrupt_reads + ${why === 'corrupt' ? 1 : 0}::int,
        not_before = CASE WHEN ${why === 'surroundings' || why === 'corrupt'} THEN now() + make_interval(secs => least(300, power(2, CASE WHEN ${why === 'corrupt'} THEN corrupt_reads ELSE faults END) * (0.5 + random() / 2))) END
      WHERE id = ${id}::uuid AND fence = ${fence} AND status = 'running' AND cancel_requested_at IS NULL`);
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
    await prismaOf(tx).analysisRun.update({ where: { id }, data: { status: 'queued', stage: 'queued', progress: 0, workerId: null, heartbeatAt: null, notBefore: null } });
  }

  /** Runs that nobody took for so long that what would wake a worker may be lost; marked, so that each comes once in that time. */
  async forgotten(tx: Transaction, seconds: number, limit: number): Promise<RunRow[]> {
    const client = prismaOf(tx);
    const rows = await client.$queryRaw<{ id: string }[]>`
      UPDATE analysis_runs SET updated_at = now() WHERE id IN (
        SELECT id FROM analysis_runs WHERE status = 'queued' AND updated_at < now() - make_interval(secs => ${seconds}::double precision) ORDER BY id LIMIT ${limit}::int FOR UPDATE SKIP LOCKED)
      RETURNING id`;
    return client.analysisRun.findMany({ where: { id: { in: rows.map(({ id }) => id) } } });
  }
}
