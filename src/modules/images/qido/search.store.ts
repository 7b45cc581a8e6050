import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import { Database } from '../../../platform/database/database.js';
import type { ColumnCondition, DateColumn, Level, NumberColumn, SearchPlan, SearchTarget, TimeColumn, WordColumn, WordsColumn } from './search-plan.js';
import type { TokenAlternative, TokenCondition } from './search-tokens.js';
import type { TextPattern } from './text-pattern.js';

/** One thing that was found, with what lies above it. Sealed attributes are there when they were asked for. */
export interface FoundRow {
  studyId: string;
  keyId: string;
  studyInstanceUid: string;
  modalities: string[];
  sopClasses: string[];
  seriesCount: number;
  instanceCount: number;
  studySealed: Buffer | null;
  seriesId: string | null;
  seriesInstanceUid: string | null;
  seriesInstanceCount: number | null;
  seriesSealed: Buffer | null;
  instanceId: string | null;
  sopInstanceUid: string | null;
  sopClassUid: string | null;
  instanceSealed: Buffer | null;
  /** Sorted by these and the ids: what has no number comes last. */
  seriesOrder: number;
  instanceOrder: number;
}

export interface SearchPage {
  limit: number;
  offset: number;
  /** The last row of the page before. */
  after?: FoundRow | undefined;
}

const WORDS: Readonly<Record<WordColumn, string>> = {
  studyInstanceUid: 'st.study_instance_uid', seriesInstanceUid: 'se.series_instance_uid', sopInstanceUid: 'i.sop_instance_uid', sopClassUid: 'i.sop_class_uid',
  modality: 'se.modality', bodyPart: 'se.body_part', viewPosition: 'se.view_position',
};
const LISTS: Readonly<Record<WordsColumn, string>> = { modalities: 'st.modalities', sopClasses: 'st.sop_classes' };
const NUMBERS: Readonly<Record<NumberColumn, string>> = {
  seriesCount: 'st.series_count', instanceCount: 'st.instance_count', seriesNumber: 'se.series_number', seriesInstanceCount: 'se.instance_count',
  instanceNumber: 'i.instance_number', rows: 'i.rows', columns: 'i.columns', frames: 'i.frames',
};
const DATES: Readonly<Record<DateColumn, string>> = { studyDate: 'st.study_date', performedDate: 'se.performed_date' };
const TIMES: Readonly<Record<TimeColumn, string>> = { studyTime: timeOf('st.study_time'), performedTime: timeOf('se.performed_time') };

const TOKENS = { patientIdToken: 'st.patient_id_token', accessionToken: 'st.accession_token' } as const;

const STUDY_COLUMNS = `st.id AS "studyId", st.key_id AS "keyId", st.study_instance_uid AS "studyInstanceUid", st.modalities, st.sop_classes AS "sopClasses",
  st.series_count AS "seriesCount", st.instance_count AS "instanceCount"`;
const SERIES_COLUMNS = `se.id AS "seriesId", se.series_instance_uid AS "seriesInstanceUid", se.instance_count AS "seriesInstanceCount"`;
const INSTANCE_COLUMNS = `i.id AS "instanceId", i.sop_instance_uid AS "sopInstanceUid", i.sop_class_uid AS "sopClassUid"`;
const NO_SERIES = `NULL AS "seriesId", NULL AS "seriesInstanceUid", NULL AS "seriesInstanceCount"`;
const NO_INSTANCE = `NULL AS "instanceId", NULL AS "sopInstanceUid", NULL AS "sopClassUid"`;

const LARGEST_INT4 = 2 ** 31 - 1;
const SERIES_ORDER = `coalesce(se.series_number, ${LARGEST_INT4})`;
const INSTANCE_ORDER = `coalesce(i.instance_number, ${LARGEST_INT4})`;

const FROM: Readonly<Record<Level, Prisma.Sql>> = {
  study: Prisma.raw('studies st'),
  series: Prisma.raw('series se JOIN studies st ON st.id = se.study_id'),
  instance: Prisma.raw('instances i JOIN series se ON se.id = i.series_id JOIN studies st ON st.id = i.study_id'),
};
const ALIAS: Readonly<Record<Level, string>> = { study: 'st', series: 'se', instance: 'i' };

/** The column, and the same out of the reach of its index. */
const SEARCH_TOKENS = { indexed: Prisma.raw('st.search_tokens'), scanned: Prisma.raw(`(st.search_tokens || '{}'::bigint[])`) } as const;

/** Tokens that more studies have are common: reading the newest studies finds some sooner than fetching all that have them. */
const MOST_BY_TOKENS = 4_000;
/** A modality that more series have is common likewise. */
const MOST_OF_MODALITY = 500;

/** Studies, series and instances as QIDO-RS looks for them. */
@Injectable()
export class SearchStore {
  constructor(private readonly database: Database) {}

  /**
   * Below one study by series and instance number, elsewhere newest first.
   *
   * @param opens  levels whose sealed attributes are wanted
   */
  async find(target: SearchTarget, plan: SearchPlan, opens: ReadonlySet<Level>, page: SearchPage): Promise<FoundRow[]> {
    return this.database.read<FoundRow>({ institutionId: target.institutionId }, findSql(target, plan, opens, page));
  }
}

function findSql(target: SearchTarget, plan: SearchPlan, opens: ReadonlySet<Level>, page: SearchPage): Prisma.Sql {
  const { level, studyInstanceUid } = target;
  if (studyInstanceUid !== undefined) return plainSql(target, plan, opens, page);
  if (plan.tokens.some((condition) => condition.in === 'searchTokens')) return (level === 'study' ? byTokensSql : belowTokensSql)(target, plan, opens, page);
  const sought = level === 'study' ? modalityCondition(plan) : undefined;
  return sought ? byModalitySql(target, plan, sought, opens, page) : plainSql(target, plan, opens, page);
}

function plainSql(target: SearchTarget, plan: SearchPlan, opens: ReadonlySet<Level>, page: SearchPage): Prisma.Sql {
  const { level, studyInstanceUid } = target;
  const conditions = [...conditionsOf(target, plan, page), ...plan.tokens.map((condition) => tokenSql(condition))];
  const order = studyInstanceUid === undefined || level === 'study' ? `${ALIAS[level]}.id DESC` : level === 'series' ? `${SERIES_ORDER}, se.id` : `${SERIES_ORDER}, se.id, ${INSTANCE_ORDER}, i.id`;
  return Prisma.sql`
    SELECT ${selected(level, opens)} FROM ${FROM[level]} WHERE ${all(conditions)}
    ORDER BY ${Prisma.raw(order)} ${cut(page)}`;
}

/** An index of candidates, which is asked before it is decided how a list of studies is made. */
interface Narrowing {
  /** Selects their ids as `id`. */
  candidates: Prisma.Sql;
  /** With more of them the newest studies are read. */
  most: number;
  /** What is to hold when there are few: it refers to `candidates`. */
  few: Prisma.Sql;
  /** What is to hold when there are many. */
  many: Prisma.Sql;
}

/**
 * Studies, newest first. Left alone, PostgreSQL guesses for rare and common values alike that the newest studies will do, and
 * reads a whole archive for a rare one. So an index is asked first, for some candidates at most; when it has more, the newest
 * studies do.
 */
function narrowedSql({ candidates, most, few, many }: Narrowing, opens: ReadonlySet<Level>, page: SearchPage): Prisma.Sql {
  const found = Prisma.sql`SELECT ${selected('study', opens)} FROM studies st`;
  const limit = Prisma.raw(String(most));
  // One of the two finds nothing, so that each is cut to the page by itself. The second refers to the row that says whether it is
  // wanted, so that it is not begun without: a filter alone would come after the processes that a scan of the table is shared by.
  return Prisma.sql`
    WITH candidates AS MATERIALIZED (${candidates} LIMIT ${limit} + 1)
    (${found} WHERE (SELECT count(*) FROM candidates) <= ${limit} AND ${few} ORDER BY st.id DESC ${cut(page)})
    UNION ALL
    SELECT newest.* FROM (SELECT count(*) AS total FROM candidates HAVING count(*) > ${limit}) many
    CROSS JOIN LATERAL (${found} WHERE many.total > ${limit} AND ${many} ORDER BY st.id DESC ${cut(page)}) newest
    ORDER BY "studyId" DESC`;
}

/** Studies by the blind index. */
function byTokensSql(target: SearchTarget, plan: SearchPlan, opens: ReadonlySet<Level>, page: SearchPage): Prisma.Sql {
  const conditions = conditionsOf(target, plan, page);
  return narrowedSql({
    candidates: Prisma.sql`SELECT st.id FROM studies st WHERE ${all([...conditions, ...plan.tokens.map((condition) => tokenSql(condition))])}`,
    most: MOST_BY_TOKENS,
    // They match; no more of them are fetched than the page needs, whose end may lie beyond an int.
    few: Prisma.sql`st.institution_id = ${target.institutionId}::uuid AND st.id = ANY (ARRAY(SELECT id FROM candidates ORDER BY id DESC LIMIT ${page.limit + page.offset}::bigint))`,
    many: all([...conditions, ...plan.tokens.map((condition) => tokenSql(condition, SEARCH_TOKENS.scanned))]),
  }, opens, page);
}

/** Studies by the modalities of their series. */
function byModalitySql(target: SearchTarget, plan: SearchPlan, sought: ListCondition, opens: ReadonlySet<Level>, page: SearchPage): Prisma.Sql {
  const modalities = sought.patterns.map(({ text }) => text);
  const conditions = all(conditionsOf(target, plan, page));
  const narrowing = {
    // As a range, which PostgreSQL takes for few rows: of an equal value it would expect as many as there are on average, which in an
    // archive of one modality are all, and read the series by another index in the hope of soon having enough.
    candidates: Prisma.sql`
      SELECT found.id FROM unnest(${modalities}::text[]) AS one(modality) CROSS JOIN LATERAL (
        SELECT se.study_id AS id FROM series se WHERE se.institution_id = ${target.institutionId}::uuid AND se.modality BETWEEN one.modality AND one.modality
        LIMIT ${Prisma.raw(String(MOST_OF_MODALITY + 1))}) found`,
    most: MOST_OF_MODALITY,
    few: Prisma.sql`${conditions} AND st.id = ANY (ARRAY(SELECT id FROM candidates))`,
    many: conditions,
  };
  return narrowedSql(narrowing, opens, page);
}

type ListCondition = Extract<ColumnCondition, { test: 'words' }>;

/** The condition that a study has one of some modalities, named as they are; undefined where there is none, or where another index finds less. */
function modalityCondition({ columns, tokens }: SearchPlan): ListCondition | undefined {
  if (tokens.length > 0 || columns.some((condition) => condition.test === 'word' && condition.column === 'studyInstanceUid')) return undefined;
  return columns.find((condition): condition is ListCondition => condition.test === 'words' && condition.column === 'modalities' && areWhole(condition.patterns));
}

/** Series and instances of the studies that the blind index finds. Sorted by text, which no index has, they are reached through their studies only. */
function belowTokensSql(target: SearchTarget, plan: SearchPlan, opens: ReadonlySet<Level>, page: SearchPage): Prisma.Sql {
  const { institutionId, level } = target;
  return Prisma.sql`
    WITH candidates AS MATERIALIZED (
      SELECT st.id FROM studies st WHERE ${all([Prisma.sql`st.institution_id = ${institutionId}::uuid`, ...plan.tokens.map((condition) => tokenSql(condition))])})
    SELECT ${selected(level, opens)} FROM ${FROM[level]} WHERE ${all(conditionsOf(target, plan, page))} AND st.id IN (SELECT id FROM candidates)
    ORDER BY ${Prisma.raw(`${ALIAS[level]}.id::text COLLATE "C" DESC`)} ${cut(page)}`;
}

function cut({ limit, offset }: SearchPage): Prisma.Sql {
  return Prisma.sql`LIMIT ${limit}::bigint OFFSET ${offset}::bigint`;
}

/** All conditions but those on tokens. */
function conditionsOf({ institutionId, level, studyInstanceUid, seriesInstanceUid }: SearchTarget, { columns }: SearchPlan, { after }: SearchPage): Prisma.Sql[] {
  return [
    Prisma.sql`${Prisma.raw(ALIAS[level])}.institution_id = ${institutionId}::uuid`,
    ...(level === 'study' ? [] : [Prisma.sql`st.institution_id = ${institutionId}::uuid`]),
    ...(studyInstanceUid === undefined ? [] : [Prisma.sql`st.study_instance_uid = ${studyInstanceUid}`]),
    ...(seriesInstanceUid === undefined ? [] : [Prisma.sql`se.series_instance_uid = ${seriesInstanceUid}`]),
    ...columns.map(columnSql),
    ...(after ? [afterSql(level, studyInstanceUid !== undefined, after)] : []),
  ];
}

function all(conditions: readonly Prisma.Sql[]): Prisma.Sql {
  return Prisma.join([...conditions], ' AND ');
}

function selected(level: Level, opens: ReadonlySet<Level>): Prisma.Sql {
  const sealed = (of: Level): string => `${opens.has(of) ? `${ALIAS[of]}.sealed` : 'NULL::bytea'} AS "${of}Sealed"`;
  return Prisma.raw([
    STUDY_COLUMNS, level === 'study' ? NO_SERIES : SERIES_COLUMNS, level === 'instance' ? INSTANCE_COLUMNS : NO_INSTANCE, sealed('study'), sealed('series'), sealed('instance'),
    `${level === 'study' ? '0' : SERIES_ORDER} AS "seriesOrder"`, `${level === 'instance' ? INSTANCE_ORDER : '0'} AS "instanceOrder"`,
  ].join(', '));
}

function afterSql(level: Level, isBelowStudy: boolean, { studyId, seriesId, instanceId, seriesOrder, instanceOrder }: FoundRow): Prisma.Sql {
  const id = level === 'study' ? studyId : level === 'series' ? seriesId : instanceId;
  if (!isBelowStudy || level === 'study') return Prisma.sql`${Prisma.raw(ALIAS[level])}.id < ${id}::uuid`;
  if (level === 'series') return Prisma.sql`(${Prisma.raw(SERIES_ORDER)}, se.id) > (${seriesOrder}::int, ${seriesId}::uuid)`;
  return Prisma.sql`(${Prisma.raw(SERIES_ORDER)}, se.id, ${Prisma.raw(INSTANCE_ORDER)}, i.id) > (${seriesOrder}::int, ${seriesId}::uuid, ${instanceOrder}::int, ${id}::uuid)`;
}

function columnSql(condition: ColumnCondition): Prisma.Sql {
  switch (condition.test) {
    case 'word':
      return wordSql(Prisma.raw(WORDS[condition.column]), condition.patterns);
    case 'words': {
      const list = Prisma.raw(LISTS[condition.column]);
      if (areWhole(condition.patterns)) return Prisma.sql`${list} && ${condition.patterns.map(({ text }) => text)}::text[]`;
      return Prisma.sql`EXISTS (SELECT FROM unnest(${list}) AS one WHERE ${wordSql(Prisma.raw('one'), condition.patterns)})`;
    }
    case 'number':
      return Prisma.sql`${Prisma.raw(NUMBERS[condition.column])} = ANY (${condition.numbers}::float8[])`;
    case 'date':
      return betweenSql(Prisma.raw(DATES[condition.column]), condition);
    case 'time':
      return betweenSql(Prisma.raw(TIMES[condition.column]), condition);
    case 'moment': {
      const [date, time] = [DATES[condition.columns[0]], TIMES[condition.columns[1]]];
      const dates = { ...(condition.from !== undefined && { from: condition.from.slice(0, 8) }), ...(condition.to !== undefined && { to: condition.to.slice(0, 8) }) };
      // The dates alone, too, since they have an index.
      return Prisma.sql`${betweenSql(Prisma.raw(date), dates)} AND ${betweenSql(Prisma.raw(`(${date} || ${time})`), condition)}`;
    }
    case 'nothing':
      return Prisma.sql`false`;
  }
}

function wordSql(column: Prisma.Sql, patterns: readonly TextPattern[]): Prisma.Sql {
  // One word alone by `=`, so that an index with the word in front of the id gives rows in their order.
  const [first] = patterns;
  if (first && patterns.length === 1 && !first.hasWildcards) return Prisma.sql`${column} = ${first.text}`;
  if (areWhole(patterns)) return Prisma.sql`${column} = ANY (${patterns.map(({ text }) => text)}::text[])`;
  return Prisma.sql`${column} LIKE ANY (${patterns.map(likePattern)}::text[])`;
}

function areWhole(patterns: readonly TextPattern[]): boolean {
  return patterns.every(({ hasWildcards }) => !hasWildcards);
}

function likePattern({ text }: TextPattern): string {
  return text.replace(/[\\%_]/g, (letter) => `\\${letter}`).replaceAll('*', '%').replaceAll('?', '_');
}

function betweenSql(column: Prisma.Sql, { from, to }: { from?: string; to?: string }): Prisma.Sql {
  const bounds = [...(from === undefined ? [] : [Prisma.sql`${column} >= ${from}`]), ...(to === undefined ? [] : [Prisma.sql`${column} <= ${to}`])];
  return Prisma.join(bounds, ' AND ');
}

/** `HHMMSS.ffffff` of a column with a TM as it came: of any precision, in ACR-NEMA's time with colons. */
function timeOf(column: string): string {
  const digits = `replace(${column}, ':', '')`;
  return `(CASE WHEN position('.' IN ${column}) > 0 THEN rpad(${digits}, 13, '0') ELSE rpad(${digits}, 6, '0') || '.000000' END)`;
}

function tokenSql(condition: TokenCondition, column: Prisma.Sql = SEARCH_TOKENS.indexed): Prisma.Sql {
  if (condition.in !== 'searchTokens') return Prisma.sql`${Prisma.raw(TOKENS[condition.in])} = ANY (${condition.tokens}::bigint[])`;
  const { alternatives } = condition;
  if (alternatives.length > 1 && alternatives.every(({ all: tokens, oneOfEach }) => tokens.length === 1 && oneOfEach.length === 0)) {
    return Prisma.sql`${column} && ${alternatives.flatMap(({ all: tokens }) => tokens)}::bigint[]`;
  }
  return Prisma.sql`(${Prisma.join(alternatives.map((alternative) => Prisma.sql`(${alternativeSql(alternative, column)})`), ' OR ')})`;
}

function alternativeSql({ all: tokens, oneOfEach }: TokenAlternative, column: Prisma.Sql): Prisma.Sql {
  return all([...(tokens.length === 0 ? [] : [Prisma.sql`${column} @> ${tokens}::bigint[]`]), ...oneOfEach.map((some) => Prisma.sql`${column} && ${some}::bigint[]`)]);
}
