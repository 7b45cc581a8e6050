import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import { Database } from '../../../platform/database/database.js';
import type { RunStatus } from '../runs.store.js';

export type WorklistOrder = 'received' | 'study-date';

export interface WorklistFilter {
  /** Blind indexes: all of one of the lists. */
  tokens?: readonly (readonly bigint[])[] | undefined;
  modality?: string | undefined;
  /** `YYYYMMDD`, inclusive. */
  studyDateFrom?: string | undefined;
  studyDateTo?: string | undefined;
  state?: 'receiving' | 'complete' | undefined;
  analysisStatus?: RunStatus | undefined;
  resultStatus?: string | undefined;
  critical?: boolean | undefined;
}

/** A study as the worklist's page shows it, before it is opened. */
export interface WorklistStudy {
  id: string;
  keyId: string;
  sealed: Uint8Array;
  studyInstanceUid: string;
  studyDate: string | null;
  studyTime: string | null;
  modalities: string[];
  instanceCount: number;
  state: string;
  createdAt: Date;
  lastInstanceAt: Date;
  /** One of the results is critical. */
  critical: boolean;
}

/** A run as a line of the list tells of it. */
export interface WorklistRun {
  id: string;
  studyId: string;
  analysis: string;
  status: RunStatus;
  progress: number;
  reasonCode: string | null;
}

/** What a filter asks for. */
interface Narrowing {
  /** Selects the ids of studies that fit, in no order, by an index. */
  ids: Prisma.Sql;
  /** Holds for a study `st` that fits, whichever way it was reached. */
  holds: Prisma.Sql;
  /** The same for PostgreSQL to reach studies by; of what other tables say there is none. */
  fits?: Prisma.Sql;
}

/** How far an index is read before something else is tried. */
export interface WorklistReach {
  /** A filter that no more rows fit leads to the studies. */
  few: number;
  /** Where many fit each filter, so many of the newest studies are looked at first. */
  newest: number;
}

const REACH: WorklistReach = { few: 2_000, newest: 2_000 };
/** As the index results_critical_idx has it. Of a result that is withheld nothing is told. */
const CRITICAL = Prisma.sql`(r.summary -> 'critical') = 'true'::jsonb AND r.status <> 'withheld'`;
const COLUMNS = Prisma.sql`st.id, st.key_id AS "keyId", st.sealed, st.study_instance_uid AS "studyInstanceUid", st.study_date AS "studyDate", st.study_time AS "studyTime", st.modalities,
  st.instance_count AS "instanceCount", st.state, st.created_at AS "createdAt", st.last_instance_at AS "lastInstanceAt", EXISTS (SELECT FROM results r WHERE r.study_id = st.id AND ${CRITICAL}) AS critical`;
const BY: Readonly<Record<WorklistOrder, Prisma.Sql>> = { 'received': Prisma.raw('st.id DESC'), 'study-date': Prisma.raw('st.study_date DESC, st.id DESC') };

/** Studies with what runs and results say of them. */
@Injectable()
export class WorklistStore {
  constructor(private readonly database: Database) {}

  /**
   * Newest first, by when the first instance came or by Study Date (those without one before all others).
   *
   * PostgreSQL alone would guess whether to read the newest studies until enough fit, or whatever fits; on a rare value, or on two that never meet, it
   * reads the whole archive one by one. So an index of each filter is asked first, for some ids at most, and the filter that the fewest studies fit
   * leads when there are few. When many fit each, the newest studies will do; when they do not, what the filters select is intersected.
   */
  async list(institutionId: string, filter: WorklistFilter, order: WorklistOrder, limit: number, cursor: string | undefined, reach = REACH): Promise<WorklistStudy[]> {
    const narrowings = narrowingsOf(institutionId, filter);
    const leading = narrowings.length === 0 ? undefined : await this.fewest(institutionId, narrowings, reach.few);
    if (leading?.ids.length === 0) return [];
    const base = [Prisma.sql`st.institution_id = ${institutionId}::uuid`, ...(cursor === undefined ? [] : [order === 'received' ? Prisma.sql`st.id < ${cursor}::uuid` : await this.behindDate(institutionId, cursor)])];
    const read = (sql: Prisma.Sql): Promise<WorklistStudy[]> => this.database.read<WorklistStudy>({ institutionId }, sql);
    if (leading) {
      const others = narrowings.filter((narrowing) => narrowing !== leading.narrowing).map(({ holds }) => holds);
      return read(pickedSql([...base, Prisma.sql`st.id = ANY (${leading.ids}::uuid[])`, ...others], order, limit));
    }
    const newest = await read(newestSql(base, narrowings.map(({ holds }) => holds), order, limit, reach.newest));
    return narrowings.length === 0 || newest.length === limit ? newest : read(pickedSql([...base, ...intersection(narrowings)], order, limit));
  }

  /** The newest run of each analysis, of these studies; those for comparison do not count. */
  async runsOf(institutionId: string, studyIds: readonly string[]): Promise<WorklistRun[]> {
    if (studyIds.length === 0) return [];
    return this.database.read<WorklistRun>({ institutionId }, Prisma.sql`
      SELECT DISTINCT ON (study_id, analysis) id, study_id AS "studyId", analysis, status, progress, reason_code AS "reasonCode"
      FROM analysis_runs WHERE institution_id = ${institutionId}::uuid AND study_id = ANY (${[...studyIds]}::uuid[]) AND purpose = 'clinical' ORDER BY study_id, analysis, id DESC`);
  }

  /** The studies of the filter that the fewest fit; undefined when many fit each. */
  private async fewest(institutionId: string, narrowings: readonly Narrowing[], few: number): Promise<{ narrowing: Narrowing; ids: string[] } | undefined> {
    const lists = narrowings.map(({ ids }, at) => Prisma.sql`ARRAY(${ids} LIMIT ${Prisma.raw(String(few + 1))}) AS ${Prisma.raw(`"${String(at)}"`)}`);
    const [row = {}] = await this.database.read<Record<string, string[]>>({ institutionId }, Prisma.sql`SELECT ${Prisma.join(lists)}`);
    const found = narrowings.map((narrowing, at) => ({ narrowing, ids: row[String(at)] ?? [] })).filter(({ ids }) => ids.length <= few);
    return found.sort((a, b) => a.ids.length - b.ids.length)[0];
  }

  private async behindDate(institutionId: string, cursor: string): Promise<Prisma.Sql> {
    const [row] = await this.database.read<{ studyDate: string | null }>({ institutionId }, Prisma.sql`SELECT study_date AS "studyDate" FROM studies WHERE id = ${cursor}::uuid AND institution_id = ${institutionId}::uuid`);
    if (row?.studyDate == null) return Prisma.sql`(st.study_date IS NOT NULL OR st.id < ${cursor}::uuid)`;
    return Prisma.sql`(st.study_date, st.id) < (${row.studyDate}, ${cursor}::uuid)`;
  }
}

/** The newest studies that something holds for, out of so many of them when it may not. */
function newestSql(base: readonly Prisma.Sql[], holding: readonly Prisma.Sql[], order: WorklistOrder, limit: number, newest: number): Prisma.Sql {
  const studies = Prisma.sql`studies st WHERE ${all(base)} ORDER BY ${BY[order]}`;
  if (holding.length === 0) return Prisma.sql`SELECT ${COLUMNS} FROM ${studies} LIMIT ${limit}::int`;
  return Prisma.sql`SELECT ${COLUMNS} FROM (SELECT st.* FROM ${studies} LIMIT ${Prisma.raw(String(newest))}) st WHERE ${all(holding)} ORDER BY ${BY[order]} LIMIT ${limit}::int`;
}

/** All studies that fit, and of them the newest: in this order, so that none of the indexes that sort is read from its end instead. */
function pickedSql(conditions: readonly Prisma.Sql[], order: WorklistOrder, limit: number): Prisma.Sql {
  return Prisma.sql`
    WITH fitting AS MATERIALIZED (SELECT st.id, st.study_date FROM studies st WHERE ${all(conditions)}),
      page AS MATERIALIZED (SELECT st.id FROM fitting st ORDER BY ${BY[order]} LIMIT ${limit}::int)
    SELECT ${COLUMNS} FROM page JOIN studies st ON st.id = page.id ORDER BY ${BY[order]}`;
}

function intersection(narrowings: readonly Narrowing[]): Prisma.Sql[] {
  const below = narrowings.filter(({ fits }) => fits === undefined).map(({ ids }) => ids);
  return [...narrowings.flatMap(({ fits }) => fits ?? []), ...(below.length === 0 ? [] : [Prisma.sql`st.id IN (${Prisma.join(below, ' INTERSECT ')})`])];
}

function all(conditions: readonly Prisma.Sql[]): Prisma.Sql {
  return Prisma.join([...conditions], ' AND ');
}

function narrowingsOf(institutionId: string, { tokens, modality, studyDateFrom, studyDateTo, state, analysisStatus, resultStatus, critical }: WorklistFilter): Narrowing[] {
  const ofStudies = (fits: Prisma.Sql, holds = fits): Narrowing => ({ ids: Prisma.sql`SELECT st.id FROM studies st WHERE st.institution_id = ${institutionId}::uuid AND ${fits}`, holds, fits });
  const below = (table: 'results' | 'analysis_runs', holds: Prisma.Sql): Narrowing => ({
    ids: Prisma.sql`SELECT r.study_id FROM ${Prisma.raw(table)} r WHERE r.institution_id = ${institutionId}::uuid AND ${holds}`,
    holds: Prisma.sql`EXISTS (SELECT FROM ${Prisma.raw(table)} r WHERE r.study_id = st.id AND ${holds})`,
  });
  const from = studyDateFrom ?? '';
  return [
    // The second out of the reach of its index, which would fetch all that fit a common beginning.
    tokens !== undefined && ofStudies(tokenSql(tokens, Prisma.raw('st.search_tokens')), tokenSql(tokens, Prisma.raw(`(st.search_tokens || '{}'::bigint[])`))),
    critical === true && below('results', CRITICAL),
    analysisStatus !== undefined && below('analysis_runs', Prisma.sql`r.status = ${analysisStatus} AND r.purpose = 'clinical'`),
    resultStatus !== undefined && below('results', Prisma.sql`r.status = ${resultStatus}`),
    modality !== undefined && {
      // As a range, which PostgreSQL takes for few rows; see the search of QIDO-RS.
      ids: Prisma.sql`SELECT se.study_id FROM series se WHERE se.institution_id = ${institutionId}::uuid AND se.modality BETWEEN ${modality} AND ${modality}`,
      holds: Prisma.sql`st.modalities @> ARRAY[${modality}]`,
    },
    state !== undefined && ofStudies(Prisma.sql`st.state = ${state}`),
    (studyDateFrom !== undefined || studyDateTo !== undefined) && ofStudies(studyDateTo === undefined ? Prisma.sql`st.study_date >= ${from}` : Prisma.sql`st.study_date BETWEEN ${from} AND ${studyDateTo}`),
  ].filter((narrowing) => narrowing !== false);
}

function tokenSql(lists: readonly (readonly bigint[])[], column: Prisma.Sql): Prisma.Sql {
  if (lists.length === 0) return Prisma.sql`false`;
  return Prisma.sql`(${Prisma.join(lists.map((list) => Prisma.sql`${column} @> ${[...list]}::bigint[]`), ' OR ')})`;
}
