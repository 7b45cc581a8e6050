import { dictionaryVr, findTag } from '../../../imaging/dicom/dictionary.js';
import { AppError, type FieldError } from '../../../kernel/errors.js';
import type { Rule } from './matching.js';
import { groupsOf, namePattern, wordsOf, type NamePattern } from './person-name.js';
import { foldText, textPattern } from './text-pattern.js';
import { momentSpan, timeSpan, wholeDate } from './time-values.js';

/** One attribute that is matched. */
export interface AttributeMatch {
  /** As the caller named it: keyword, tag, or a path of them. */
  parameter: string;
  /** Tags; all but the last are sequences. */
  path: readonly [string, ...string[]];
  rule: Rule;
}

/** Attributes that an answer holds: whole, or some of what a sequence's items have. */
export type IncludeTree = ReadonlyMap<string, IncludeTree | 'whole'>;

export interface SearchQuery {
  matches: readonly AttributeMatch[];
  include: IncludeTree;
  includeAll: boolean;
  limit: number | undefined;
  offset: number;
  /** Media types, instead of the Accept header. */
  accept: string | undefined;
  /** What was not done as asked, for the Warning header. */
  warnings: readonly string[];
}

const MOST_PARAMETERS = 100;
const MOST_INCLUDED = 500;
const LONGEST_VALUE = 1024;
const MOST_ALTERNATIVES = 1000;
const MOST_TEXTS = 32;
const LONGEST_PATH = 8;
const LARGEST_NUMBER = 2 ** 31 - 1;

const TEXT_VRS = new Set(['AE', 'AS', 'AT', 'CS', 'LO', 'LT', 'SH', 'ST', 'UC', 'UR', 'UT']);
/** A backslash is a character of these. PS3.5 §6.2 */
const SINGLE_TEXT_VRS = new Set(['LT', 'ST', 'UR', 'UT']);
const NUMBER_VRS = new Set(['DS', 'FD', 'FL', 'IS', 'SL', 'SS', 'SV', 'UL', 'US', 'UV']);

const UNIVERSAL: Rule = { type: 'universal' };

/**
 * The query of a search.
 *
 * @param text  what follows the `?`, in UTF-8
 * @throws AppError `invalid-query` with a pointer to each parameter that is wrong; never with its value
 * @see PS3.18 §8.3.4
 */
export function parseSearchQuery(text: string): SearchQuery {
  const reader = new QueryReader();
  const parameters = [...new URLSearchParams(text)];
  if (parameters.length > MOST_PARAMETERS) throw new AppError('invalid-query', { detail: `A query has at most ${MOST_PARAMETERS} parameters.` });
  const fuzzy = parameters.some(([name, value]) => name === 'fuzzymatching' && value === 'true');
  for (const [name, value] of parameters) reader.take(name, value, fuzzy);
  return reader.done();
}

type MutableIncludeTree = Map<string, MutableIncludeTree | 'whole'>;

class QueryReader {
  private readonly errors: FieldError[] = [];
  private readonly warnings: string[] = [];
  private readonly matches: AttributeMatch[] = [];
  private readonly include: MutableIncludeTree = new Map();
  private readonly seen = new Set<string>();
  private includeAll = false;
  private included = 0;
  private limit: number | undefined;
  private offset = 0;
  private accept: string | undefined;

  take(name: string, value: string, fuzzy: boolean): void {
    try {
      if (value.includes('\ufffd')) throw new RangeError('must be UTF-8');
      if (name === 'includefield') this.takeInclude(value);
      else if (!this.takeControl(name, value)) this.takeMatch(name, value, fuzzy);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.errors.push({ pointer: `/${name.slice(0, 100).replaceAll('~', '~0').replaceAll('/', '~1')}`, detail: error.message });
    }
  }

  done(): SearchQuery {
    if (this.errors.length > 0) throw new AppError('invalid-query', { errors: this.errors });
    const { matches, include, includeAll, limit, offset, accept, warnings } = this;
    return { matches, include, includeAll, limit, offset, accept, warnings };
  }

  /** @returns false when the parameter names an attribute */
  private takeControl(name: string, value: string): boolean {
    switch (name) {
      case 'limit':
        this.once(name);
        this.limit = unsigned(value);
        return true;
      case 'offset':
        this.once(name);
        this.offset = unsigned(value);
        return true;
      case 'fuzzymatching':
        this.once(name);
        isTrue(value);
        return true;
      case 'emptyvaluematching':
      case 'multiplevaluematching': {
        this.once(name);
        const title = name === 'emptyvaluematching' ? 'Empty Value Matching' : 'Multiple Value Matching';
        // PS3.18 §8.3.4.5 and §8.3.4.6: both are the server's choice, and these the words for it.
        if (isTrue(value)) this.warnings.push(`The ${name} parameter is not supported. ${title} has not been performed.`);
        return true;
      }
      case 'accept':
        this.once(name);
        this.accept = value;
        return true;
      case 'charset':
        // PS3.18 §8.3.3.2: answers are UTF-8.
        if (!/(^|,) *(\*|utf-?8) *(;|,|$)/i.test(value)) throw new RangeError('must allow utf-8');
        return true;
      default:
        return false;
    }
  }

  private takeInclude(value: string): void {
    for (const attribute of value.split(',')) {
      if (attribute === '') continue;
      if (++this.included > MOST_INCLUDED) throw new RangeError(`must name at most ${MOST_INCLUDED} attributes`);
      if (attribute === 'all') this.includeAll = true;
      else includePath(this.include, pathOf(attribute));
    }
  }

  private takeMatch(name: string, value: string, fuzzy: boolean): void {
    const path = pathOf(name);
    this.once(path.join('.'));
    const vr = vrOf(path.at(-1) ?? '');
    const rule = /^(\**| *)$/.test(value) ? UNIVERSAL : ruleOf(vr, value, fuzzy);
    if (rule) this.matches.push({ parameter: name, path, rule });
    else this.warnings.push(`The attribute ${name} is not supported for matching and was ignored.`);
    // Universal matching is how C-FIND asks for an attribute, and what was matched comes back. PS3.18 §10.6.3.3
    includePath(this.include, path);
  }

  private once(name: string): void {
    if (this.seen.has(name)) throw new RangeError('must be given once');
    this.seen.add(name);
  }
}

function includePath(tree: MutableIncludeTree, path: readonly string[]): void {
  const [tag, ...rest] = path;
  if (tag === undefined) return;
  const known = tree.get(tag);
  if (rest.length === 0 || known === 'whole') {
    tree.set(tag, 'whole');
    return;
  }
  const below: MutableIncludeTree = known ?? new Map<string, MutableIncludeTree | 'whole'>();
  tree.set(tag, below);
  includePath(below, rest);
}

/** Keywords and tags, joined by points when they lead into sequences. @throws RangeError */
function pathOf(name: string): [string, ...string[]] {
  const steps = name.split('.');
  if (steps.length > LONGEST_PATH) throw new RangeError('leads too deep');
  const tags = steps.map((step) => {
    // The dictionary marks some that the standard has retired.
    const tag = findTag(step) ?? findTag(`RETIRED_${step}`);
    if (tag === undefined || tag.startsWith('0000') || tag.startsWith('0002')) throw new RangeError('is not an attribute: give its keyword or its tag of eight hexadecimal digits');
    return tag;
  });
  if (tags.slice(0, -1).some((tag) => !['SQ', 'UN'].includes(vrOf(tag)))) throw new RangeError('leads through an attribute that is not a sequence');
  // A string splits into one piece at least.
  return tags as [string, ...string[]];
}

function vrOf(tag: string): string {
  return dictionaryVr(Number.parseInt(tag, 16), false);
}

/** @returns undefined for a VR that is not matched. @throws RangeError */
function ruleOf(vr: string, value: string, fuzzy: boolean): Rule | undefined {
  // Lists of UIDs may be long; single values are not.
  if (vr !== 'UI' && value.length > LONGEST_VALUE) throw new RangeError(`must have at most ${LONGEST_VALUE} characters`);
  if (vr === 'UI') return { type: 'uid', uids: uids(value) };
  if (vr === 'PN') return nameRule(value, fuzzy);
  if (vr === 'DA') return dateRule(value);
  if (vr === 'TM') return timeRule(value);
  if (vr === 'DT') return momentRule(value);
  if (NUMBER_VRS.has(vr)) return { type: 'number', numbers: list(value, /\\/, MOST_TEXTS).map((number) => numberOf(vr, number)) };
  if (TEXT_VRS.has(vr)) {
    const separator = vr === 'CS' ? /[\\,]/ : /\\/;
    return { type: 'text', patterns: (SINGLE_TEXT_VRS.has(vr) ? [value] : list(value, separator, MOST_TEXTS)).map((text) => textPattern(foldText(text))) };
  }
  if (vr === 'SQ') throw new RangeError('is a sequence: name an attribute in it, joined by a point');
  return undefined;
}

function list(value: string, separator: RegExp, most: number): string[] {
  const values = value.split(separator).map((one) => one.trim()).filter((one) => one !== '');
  if (values.length === 0) throw new RangeError('has no value');
  if (values.length > most) throw new RangeError(`must have at most ${most} values`);
  return values;
}

/** Separated by commas or, as in DIMSE, by backslashes. */
function uids(value: string): string[] {
  const values = list(value, /[\\,]/, MOST_ALTERNATIVES);
  if (!values.every((uid) => /^[0-9.]{1,64}$/.test(uid))) throw new RangeError('must be a UID or a list of them');
  return values;
}

function nameRule(value: string, fuzzy: boolean): Rule {
  const values = list(value, /\\/, MOST_TEXTS);
  if (values.some((one) => one.split('=').length > 3)) throw new RangeError('must have at most three component groups');
  const names = values.map(namePattern);
  if (names.includes(undefined)) return UNIVERSAL;
  // What is sought after is a name, whatever separates its parts.
  const words = fuzzy ? [...new Set(value.split(/[=\\*?]/).flatMap((part) => groupsOf({ Alphabetic: part })).flatMap(wordsOf))] : [];
  return { type: 'name', names: names.filter((name): name is NamePattern => name !== undefined), words };
}

function numberOf(vr: string, text: string): number {
  const number = Number(text);
  if (vr === 'IS' ? !/^[+-]?\d{1,12}$/.test(text) : !/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$/.test(text)) throw new RangeError('must be a number');
  return number;
}

function dateRule(value: string): Rule {
  const { from, to, single } = range(value, /^(\d{8})?(-)?(\d{8})?$/, wholeDate, 'must be a date as YYYYMMDD, or a range such as 20260101-20261231, 20260101- or -20261231');
  if (from !== undefined && to !== undefined && from > to) throw new RangeError('must not end before it begins');
  return { type: 'date', ...(from !== undefined && { from }), ...(to !== undefined && { to }), ...(single && { single }) };
}

function timeRule(value: string): Rule {
  const { from, to, single } = range(value, /^([\d.]+)?(-)?([\d.]+)?$/, timeSpan, 'must be a time as HHMMSS, or a range such as 0800-1159, 0800- or -1159');
  // Whether 2200-0600 means anything depends on the dates beside it.
  return { type: 'time', ...(from && { from: from.first }), ...(to && { to: to.last }), ...(single && { single }) };
}

/** A hyphen also begins an offset from UTC: four digits up to 1200 that end a value. PS3.5 §6.2, DT */
function momentRule(value: string): Rule {
  const { from, to } = range(value, /^([\d.]+(?:\+\d{4}|-(?:0\d|1[0-2])[0-5]\d(?=-|$))?)?(-)?([\d.]+(?:[+-]\d{4})?)?$/, momentSpan, 'must be a moment as YYYYMMDDHHMMSS, or a range of two joined by a hyphen');
  if (from && to && from.first >= to.last) throw new RangeError('must not end before it begins');
  return { type: 'moment', ...(from && { from: from.first }), ...(to && { before: to.last }) };
}

/** `a`, `a-b`, `a-` or `-b`; a single value is a range from it to itself. */
function range<T>(value: string, pattern: RegExp, parse: (text: string) => T | undefined, fault: string): { from: T | undefined; to: T | undefined; single?: true } {
  const match = pattern.exec(value.replace(/ *- */, '-').trim());
  const [, first, hyphen, second] = match ?? [];
  if (match === null || (first === undefined && second === undefined) || (hyphen === undefined && second !== undefined)) throw new RangeError(fault);
  const [from, to] = [first, hyphen === undefined ? first : second].map((text) => (text === undefined ? undefined : parse(text)));
  if ((first !== undefined && from === undefined) || (second !== undefined && to === undefined)) throw new RangeError(fault);
  return { from, to, ...(hyphen === undefined && { single: true }) };
}

function unsigned(value: string): number {
  if (!/^\d{1,10}$/.test(value) || Number(value) > LARGEST_NUMBER) throw new RangeError('must be a whole number');
  return Number(value);
}

function isTrue(value: string): boolean {
  if (value !== 'true' && value !== 'false') throw new RangeError('must be true or false');
  return value === 'true';
}
