import { AppError } from '../../../kernel/errors.js';
import type { BlindIndex } from '../../../platform/crypto/key-vault.js';
import { SERIES_ATTRIBUTES, STUDY_ATTRIBUTES } from '../attribute-levels.js';
import { addRule, matchTree, type MatchTree, type Rule } from './matching.js';
import type { AttributeMatch, SearchQuery } from './query.js';
import { isIndexed, tokenCondition, type TokenCondition } from './search-tokens.js';
import type { TextPattern } from './text-pattern.js';

export const LEVELS = ['study', 'series', 'instance'] as const;
export type Level = (typeof LEVELS)[number];

/** What is searched for, and below what. */
export interface SearchTarget {
  institutionId: string;
  level: Level;
  studyInstanceUid?: string;
  seriesInstanceUid?: string;
}

/** Columns that are not encrypted. */
export type WordColumn = 'studyInstanceUid' | 'seriesInstanceUid' | 'sopInstanceUid' | 'sopClassUid' | 'modality' | 'bodyPart' | 'viewPosition';
export type WordsColumn = 'modalities' | 'sopClasses';
export type NumberColumn = 'seriesCount' | 'instanceCount' | 'seriesNumber' | 'seriesInstanceCount' | 'instanceNumber' | 'rows' | 'columns' | 'frames';
export type DateColumn = 'studyDate' | 'performedDate';
export type TimeColumn = 'studyTime' | 'performedTime';

export type ColumnCondition =
  | { test: 'word'; column: WordColumn; patterns: readonly TextPattern[] }
  /** One of the words fits. */
  | { test: 'words'; column: WordsColumn; patterns: readonly TextPattern[] }
  | { test: 'number'; column: NumberColumn; numbers: readonly number[] }
  | { test: 'date'; column: DateColumn; from?: string; to?: string }
  | { test: 'time'; column: TimeColumn; from?: string; to?: string }
  /** Date and time as one moment, `YYYYMMDDHHMMSS.ffffff`. */
  | { test: 'moment'; columns: readonly [DateColumn, TimeColumn]; from?: string; to?: string }
  | { test: 'nothing' };

export interface SearchPlan {
  columns: readonly ColumnCondition[];
  tokens: readonly TokenCondition[];
  /** What has to be compared after opening, by the level whose attributes it is about. */
  verify: ReadonlyMap<Level, MatchTree>;
  warnings: readonly string[];
}

type ColumnKind = Exclude<ColumnCondition, { test: 'moment' | 'nothing' }>;
type ColumnOf = { [Test in ColumnKind['test']]: { test: Test; column: Extract<ColumnKind, { test: Test }>['column'] } }[ColumnKind['test']];

const COLUMNS: Readonly<Record<string, ColumnOf & { level: Level }>> = {
  '0020000D': { level: 'study', test: 'word', column: 'studyInstanceUid' },
  '00080020': { level: 'study', test: 'date', column: 'studyDate' },
  '00080030': { level: 'study', test: 'time', column: 'studyTime' },
  '00080061': { level: 'study', test: 'words', column: 'modalities' },
  '00080062': { level: 'study', test: 'words', column: 'sopClasses' },
  '00201206': { level: 'study', test: 'number', column: 'seriesCount' },
  '00201208': { level: 'study', test: 'number', column: 'instanceCount' },
  '0020000E': { level: 'series', test: 'word', column: 'seriesInstanceUid' },
  '00080060': { level: 'series', test: 'word', column: 'modality' },
  '00180015': { level: 'series', test: 'word', column: 'bodyPart' },
  '00185101': { level: 'series', test: 'word', column: 'viewPosition' },
  '00200011': { level: 'series', test: 'number', column: 'seriesNumber' },
  '00201209': { level: 'series', test: 'number', column: 'seriesInstanceCount' },
  '00400244': { level: 'series', test: 'date', column: 'performedDate' },
  '00400245': { level: 'series', test: 'time', column: 'performedTime' },
  '00080018': { level: 'instance', test: 'word', column: 'sopInstanceUid' },
  '00080016': { level: 'instance', test: 'word', column: 'sopClassUid' },
  '00200013': { level: 'instance', test: 'number', column: 'instanceNumber' },
  '00280008': { level: 'instance', test: 'number', column: 'frames' },
  '00280010': { level: 'instance', test: 'number', column: 'rows' },
  '00280011': { level: 'instance', test: 'number', column: 'columns' },
};

/** What a study says for its series and instances. */
const AT_STUDY: Readonly<Record<string, string>> = { '00080060': '00080061', '00080016': '00080062' };

/** Dates and times that are one moment together. */
const MOMENTS = [
  { level: 'study', tags: ['00080020', '00080030'], columns: ['studyDate', 'studyTime'] },
  { level: 'series', tags: ['00400244', '00400245'], columns: ['performedDate', 'performedTime'] },
] as const;

const INSTANCE_AVAILABILITY = '00080056';
/** Made for the answer, or of the level that is asked. */
const NEVER_MATCHED = new Set(['00080005', '00081190', '00080201']);

const STUDY_TAGS: ReadonlySet<string> = new Set<string>([...STUDY_ATTRIBUTES, INSTANCE_AVAILABILITY, '00080061', '00080062', '00201206', '00201208']);
const SERIES_TAGS: ReadonlySet<string> = new Set<string>(SERIES_ATTRIBUTES);

/** Whose attribute it is. */
export function levelOf(tag: string): Level {
  return STUDY_TAGS.has(tag) ? 'study' : SERIES_TAGS.has(tag) ? 'series' : 'instance';
}

/** Whether `level` is `other` or above it. */
export function isAtOrAbove(level: Level, other: Level): boolean {
  return LEVELS.indexOf(level) <= LEVELS.indexOf(other);
}

/**
 * How a search is done: what plain columns decide, what the blind index narrows, and what must be opened to be compared.
 *
 * @throws AppError `unsupported-matching` for a pattern that nothing narrows, `invalid-query` for times across midnight without dates
 */
export function planSearch(target: SearchTarget, query: SearchQuery, index: BlindIndex): SearchPlan {
  const columns: ColumnCondition[] = [];
  const tokens: TokenCondition[] = [];
  const verify = new Map<Level, MatchTree>();
  const warnings: string[] = [];
  const unnarrowed: string[] = [];
  const toVerify = (level: Level, { path, rule }: AttributeMatch): void => {
    const tree = verify.get(level) ?? matchTree();
    verify.set(level, tree);
    addRule(tree, path, rule);
  };
  const moments = combined(target, query.matches);
  columns.push(...new Set(moments.values()));
  for (const match of query.matches) {
    const { rule, parameter, path: [tag, ...below] } = match;
    if (rule.type === 'universal' || moments.has(match)) continue;
    // PS3.4 C.2.2.2.5.2
    if (rule.type === 'time' && (rule.from ?? '') > (rule.to ?? '~')) throw new AppError('invalid-query', { errors: [{ pointer: `/${parameter}`, detail: 'must not end before it begins, unless a range of dates goes with it' }] });
    const level = levelOf(tag);
    const column = below.length > 0 ? undefined : COLUMNS[target.level === 'study' ? AT_STUDY[tag] ?? tag : tag];
    if (tag === INSTANCE_AVAILABILITY) {
      if (rule.type === 'text' && !rule.patterns.some(({ text }) => text === 'ONLINE')) columns.push({ test: 'nothing' });
    } else if (column && isAtOrAbove(column.level, target.level)) {
      columns.push(columnCondition(column, rule));
    } else if (!isAtOrAbove(level, target.level) || NEVER_MATCHED.has(tag)) {
      warnings.push(`The attribute ${parameter} is not supported for matching here and was ignored.`);
    } else {
      const condition = level === 'study' && below.length === 0 ? tokenCondition(index, tag, rule) : undefined;
      if (condition) tokens.push(condition);
      else if (isIndexed(tag) && rule.type !== 'date') unnarrowed.push(parameter);
      if (!condition?.decides) toVerify(level, match);
    }
  }
  if (unnarrowed.length > 0 && !isNarrow(target, columns, tokens)) throw unsupported(unnarrowed);
  return { columns, tokens, verify, warnings };
}

/**
 * Pairs of a date and a time that are searched for as ranges of one form: their values are the ends of one range.
 *
 * @see PS3.4 C.2.2.2.5.4
 */
function combined(target: SearchTarget, matches: readonly AttributeMatch[]): Map<AttributeMatch, ColumnCondition> {
  const conditions = new Map<AttributeMatch, ColumnCondition>();
  for (const { level, tags, columns } of MOMENTS) {
    if (!isAtOrAbove(level, target.level)) continue;
    const [date, time] = tags.map((tag) => matches.find(({ path }) => path.length === 1 && path[0] === tag));
    const [dates, times] = [date?.rule, time?.rule];
    if (!date || !time || dates?.type !== 'date' || times?.type !== 'time' || dates.single || times.single) continue;
    if ((dates.from === undefined) !== (times.from === undefined) || (dates.to === undefined) !== (times.to === undefined)) continue;
    const condition: ColumnCondition = {
      test: 'moment', columns,
      ...(dates.from !== undefined && times.from !== undefined && { from: dates.from + times.from }),
      ...(dates.to !== undefined && times.to !== undefined && { to: dates.to + times.to }),
    };
    conditions.set(date, condition).set(time, condition);
  }
  return conditions;
}

function columnCondition(column: ColumnOf, rule: Rule): ColumnCondition {
  switch (column.test) {
    case 'word':
    case 'words':
      if (rule.type === 'uid') return { ...column, patterns: rule.uids.map((text) => ({ text, hasWildcards: false })) };
      if (rule.type === 'text') return { ...column, patterns: rule.patterns };
      break;
    case 'number':
      if (rule.type === 'number') return { ...column, numbers: rule.numbers };
      break;
    case 'date':
    case 'time':
      if (rule.type === column.test) return { ...column, ...(rule.from !== undefined && { from: rule.from }), ...(rule.to !== undefined && { to: rule.to }) };
      break;
  }
  throw new Error(`a column of the kind ${column.test} cannot be matched by ${rule.type}`);
}

/** Whether so few candidates remain that they can be opened. */
function isNarrow({ studyInstanceUid }: SearchTarget, columns: readonly ColumnCondition[], tokens: readonly TokenCondition[]): boolean {
  return studyInstanceUid !== undefined || tokens.length > 0
    || columns.some((condition) => condition.test === 'nothing' || condition.test === 'date' || condition.test === 'moment' || (condition.test === 'word' && condition.column.endsWith('InstanceUid')));
}

function unsupported(parameters: readonly string[]): AppError {
  return new AppError('unsupported-matching', {
    detail: 'A pattern on an encrypted attribute needs a known beginning or three known characters in a row.',
    errors: parameters.map((parameter) => ({ pointer: `/${parameter}`, detail: 'needs a known beginning or three known characters in a row' })),
  });
}
