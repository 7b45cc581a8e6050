import type { Range } from '../../../kernel/range.js';

/** A date of a search: `ge2026-11-21`. @see https://hl7.org/fhir/R4/search.html#date */
interface SearchDate {
  prefix: Prefix;
  /** The text behind the prefix up to the day, and what it spans: `from` ≤ t < `before`. */
  date: string;
  from: Date;
  before: Date;
}

const PREFIXES = ['eq', 'ne', 'gt', 'lt', 'ge', 'le', 'sa', 'eb'] as const;
type Prefix = (typeof PREFIXES)[number];
const DATE = /^(eq|ne|gt|lt|ge|le|sa|eb)?((\d{4})(?:-(\d{2})(?:-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(Z|[+ -]\d{2}:\d{2})?)?)?)?)$/;
const DAY_MS = 86_400_000;

/** @returns undefined for what is no date, or has the prefix `ap`: nobody knows how near is near */
export function searchInstants(text: string): Range<Date>[] | undefined {
  const date = parse(text);
  return date && rangesOf(date.prefix, date.from, date.before);
}

/**
 * For what has a day and no time, as DA (`YYYYMMDD`): a time of day is taken for its day.
 *
 * @returns undefined for what is no date
 */
export function searchDays(text: string): Range<string>[] | undefined {
  const parsed = parse(text);
  if (!parsed) return undefined;
  const { prefix, date, from, before } = parsed;
  const [first, behind] = date.length === 10 ? [new Date(`${date}T00:00:00Z`), new Date(Date.parse(`${date}T00:00:00Z`) + DAY_MS)] : [from, before];
  return rangesOf(prefix, da(first), da(behind));
}

function rangesOf<T>(prefix: Prefix, from: T, before: T): Range<T>[] {
  switch (prefix) {
    case 'eq': return [{ from, before }];
    case 'ne': return [{ before: from }, { from: before }];
    case 'gt': case 'sa': return [{ from: before }];
    case 'ge': return [{ from }];
    case 'lt': case 'eb': return [{ before: from }];
    case 'le': return [{ before }];
  }
}

function parse(text: string): SearchDate | undefined {
  const [, prefix = 'eq', , year, month, day, hour, minute, second, fraction, zone] = DATE.exec(text) ?? [];
  if (year === undefined || year === '0000') return undefined;
  const start = `${year}-${month ?? '01'}-${day ?? '01'}`;
  const midnight = new Date(`${start}T00:00:00Z`);
  // JavaScript would make the second of March of the thirtieth of February.
  if (Number.isNaN(midnight.getTime()) || midnight.toISOString().slice(0, 10) !== start) return undefined;
  const named = PREFIXES.find((one) => one === prefix) ?? 'eq';
  const date = [year, month, day].filter((part) => part !== undefined).join('-');
  if (hour === undefined) return { prefix: named, date, from: midnight, before: behind(midnight, month !== undefined, day !== undefined) };
  // A plus in a URL is a space to whoever reads forms. Without an offset it is UTC.
  const offset = (zone ?? 'Z').replace(' ', '+');
  const from = new Date(`${start}T${hour}:${minute ?? '00'}:${second ?? '00'}.${(fraction ?? '0').padEnd(3, '0').slice(0, 3)}${offset}`);
  if (Number.isNaN(from.getTime())) return undefined;
  return { prefix: named, date, from, before: new Date(from.getTime() + (fraction !== undefined ? 1 : second !== undefined ? 1_000 : 60_000)) };
}

function behind(start: Date, hasMonth: boolean, hasDay: boolean): Date {
  if (hasDay) return new Date(start.getTime() + DAY_MS);
  return new Date(hasMonth ? Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + 1) : Date.UTC(start.getUTCFullYear() + 1, 0));
}

function da(date: Date): string {
  return date.toISOString().slice(0, 10).replaceAll('-', '');
}
