import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import { Database, type Scope } from '../../../platform/database/database.js';
import { SHADOW } from '../runs.store.js';

export interface Window {
  from: Date;
  to: Date;
}

export interface StatusCount {
  version: string;
  digest: string;
  purpose: string;
  status: string;
  runs: number;
}

export interface StageTimes {
  version: string;
  digest: string;
  purpose: string;
  stage: string;
  runs: number;
  p50: number;
  p95: number;
}

/** A run of the active model and one in its shadow, on the same revision of the same study. */
export interface RunPair {
  activeId: string;
  activeName: string;
  activeVersion: string;
  activeDigest: string;
  shadowId: string;
  shadowName: string;
  shadowVersion: string;
  shadowDigest: string;
}

/** Newest pairs that are compared: enough for figures that stand, few enough to be read in a moment. */
export const MOST_PAIRS = 2_000;
/** Newest runs whose results are counted for the rates of labels. */
export const MOST_RESULTS = 5_000;

/** Runs of a model as figures. `scope` is one institution, or the whole installation. */
@Injectable()
export class PerformanceStore {
  constructor(private readonly database: Database) {}

  async counts(scope: Scope, name: string, window: Window): Promise<StatusCount[]> {
    return this.database.read<StatusCount & { runs: number }>(scope, Prisma.sql`
      SELECT model_version AS version, model_digest AS digest, purpose, status, count(*)::int AS runs FROM analysis_runs WHERE ${within(scope, name, window)}
      GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4`);
  }

  /** Milliseconds per stage of runs that succeeded, and of the whole from claim to end as `total`. */
  async times(scope: Scope, name: string, window: Window): Promise<StageTimes[]> {
    return this.database.read<StageTimes>(scope, Prisma.sql`
      WITH succeeded AS (SELECT model_version, model_digest, purpose, timings, started_at, finished_at FROM analysis_runs WHERE ${within(scope, name, window)} AND status = 'succeeded'),
      stages AS (
        SELECT model_version, model_digest, purpose, t.key AS stage, t.value::text::float8 AS ms FROM succeeded, jsonb_each(timings) t WHERE jsonb_typeof(t.value) = 'number'
        UNION ALL SELECT model_version, model_digest, purpose, 'total', extract(epoch FROM finished_at - started_at) * 1000 FROM succeeded WHERE finished_at IS NOT NULL AND started_at IS NOT NULL)
      SELECT model_version AS version, model_digest AS digest, purpose, stage, count(*)::int AS runs,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS p50, percentile_cont(0.95) WITHIN GROUP (ORDER BY ms) AS p95
      FROM stages GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4`);
  }

  /** The newest runs that have a result, by digest of their model. */
  async succeeded(scope: Scope, name: string, window: Window): Promise<{ id: string; version: string; digest: string }[]> {
    return this.database.read<{ id: string; version: string; digest: string }>(scope, Prisma.sql`
      SELECT id, model_version AS version, model_digest AS digest FROM analysis_runs WHERE ${within(scope, name, window)} AND status = 'succeeded' ORDER BY id DESC LIMIT ${MOST_RESULTS}::int`);
  }

  /** The newest pairs in which a version of the model is the one or the other. */
  async pairs(scope: Scope, name: string, { from, to }: Window): Promise<RunPair[]> {
    const own = scope === 'system' ? Prisma.sql`true` : Prisma.sql`s.institution_id = ${scope.institutionId}::uuid`;
    return this.database.read<RunPair>(scope, Prisma.sql`
      SELECT a.id AS "activeId", a.model_name AS "activeName", a.model_version AS "activeVersion", a.model_digest AS "activeDigest",
        s.id AS "shadowId", s.model_name AS "shadowName", s.model_version AS "shadowVersion", s.model_digest AS "shadowDigest"
      FROM analysis_runs s JOIN analysis_runs a ON a.study_id = s.study_id AND a.study_revision = s.study_revision AND a.analysis = s.analysis AND a.selection = s.selection
        AND a.institution_id = s.institution_id AND a.purpose = 'clinical' AND a.status = 'succeeded' AND a.model_digest <> s.model_digest
      WHERE ${own} AND s.purpose = ${SHADOW} AND s.status = 'succeeded' AND s.created_at >= ${from}::timestamptz AND s.created_at < ${to}::timestamptz
        AND (s.model_name = ${name} OR a.model_name = ${name})
      ORDER BY s.id DESC LIMIT ${MOST_PAIRS}::int`);
  }
}

function within(scope: Scope, name: string, { from, to }: Window): Prisma.Sql {
  const own = scope === 'system' ? Prisma.sql`true` : Prisma.sql`institution_id = ${scope.institutionId}::uuid`;
  return Prisma.sql`${own} AND model_name = ${name} AND created_at >= ${from}::timestamptz AND created_at < ${to}::timestamptz`;
}
