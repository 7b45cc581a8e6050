import { AppError, type FieldError } from '../../../kernel/errors.js';
import type { Range } from '../../../kernel/range.js';
import { INCLUDES, isFhirType, SEARCH_PARAMETERS, type FhirType, type ParameterDefinition } from './search-parameters.js';
import { searchDays, searchInstants } from './search-dates.js';

/** `system|code`; without a system any, with an empty one none. */
export interface Token {
  system: string | undefined;
  /** Empty: every code of the system. */
  code: string;
}

export interface Reference {
  type: FhirType | undefined;
  id: string;
}

/** A list of values of one kind for each time that a parameter was given: one of each has to hold. */
type Criterion =
  | { kind: 'token' | 'id' | 'phrase'; values: Token[] }
  | { kind: 'reference'; values: Reference[] }
  | { kind: 'day'; values: Range<string>[] }
  | { kind: 'instant'; values: Range<Date>[] };

export const DEFAULT_COUNT = 50;
/** A page is no longer than this, whatever was asked for. */
export const MOST_A_PAGE = 200;
/** With what they refer to, which may be hundreds of observations each. */
const MOST_WITH_INCLUDES = 20;
const MOST_VALUES = 100;
/** What changes nothing about which resources are found. */
const CONTROLS = new Set(['_format', '_pretty', '_count', '_cursor', '_include']);
const ID = /^[A-Za-z0-9.-]{1,64}$/;
const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
/** Of the last one seen: its id; of several in one row the place where the next page begins; the digest of a model. */
const CURSORS: Readonly<Partial<Record<FhirType, RegExp>>> = { Observation: new RegExp(`^${UUID}\\.\\d{1,6}$`), DocumentReference: new RegExp(`^${UUID}\\.\\d{1,6}$`), Device: /^[0-9a-f]{64}$/ };
const CURSOR = new RegExp(`^${UUID}$`);

/** A search as it is carried out. */
export class FhirSearch {
  private constructor(
    readonly type: FhirType,
    readonly count: number,
    readonly cursor: string | undefined,
    /** Parameters of the type that are to be followed. */
    readonly includes: readonly string[],
    /** What was not done as asked; names of parameters, never their values. */
    readonly ignored: readonly string[],
    private readonly criteria: ReadonlyMap<string, readonly Criterion[]>,
    /** As they stand in links: the name and the value. */
    private readonly parameters: readonly (readonly [name: string, value: string])[],
  ) {}

  /**
   * @param base  `https://host/fhir`: references below it are ours
   * @param strict  whether what is not known is refused (`Prefer: handling=strict`)
   * @throws AppError `invalid-query`
   * @see https://hl7.org/fhir/R4/search.html
   */
  static parse(type: FhirType, query: URLSearchParams, base: string, strict: boolean): FhirSearch {
    const faults: FieldError[] = [];
    const ignored = new Set<string>();
    const criteria = new Map<string, Criterion[]>();
    const parameters: [string, string][] = [];
    for (const [given, value] of query) {
      const [name = '', modifier, ...rest] = given.split(':');
      const definition = Object.hasOwn(SEARCH_PARAMETERS[type], name) ? SEARCH_PARAMETERS[type][name] : undefined;
      if (!definition) {
        if (!CONTROLS.has(given)) ignored.add(shown(given));
        continue;
      }
      const fault = (detail: string): void => { faults.push({ pointer: `/${shown(given)}`, detail }); };
      // The type of what is referred to is the one modifier that changes nothing.
      if (modifier !== undefined && (rest.length > 0 || definition.kind !== 'reference' || modifier !== definition.target)) fault('The modifier is not supported');
      else {
        const criterion = criterionOf(definition, value, base);
        if (typeof criterion === 'string') fault(criterion);
        else {
          criteria.set(name, [...(criteria.get(name) ?? []), criterion]);
          parameters.push([name, value]);
        }
      }
    }
    const count = countOf(query, faults);
    const cursor = cursorOf(type, query, faults);
    const includes = query.getAll('_include').flatMap((value): string[] => {
      const [source = '', name = '', target] = value.split(':');
      const leads = source === type && Object.hasOwn(INCLUDES[type], name) ? INCLUDES[type][name] : undefined;
      if (leads === undefined || (target !== undefined && target !== leads)) ignored.add('_include');
      else return [name];
      return [];
    });
    if (strict) for (const name of ignored) faults.push({ pointer: `/${name}`, detail: 'Not supported' });
    if (faults.length > 0) throw new AppError('invalid-query', { errors: faults });
    return new FhirSearch(type, includes.length === 0 ? count : Math.min(count, MOST_WITH_INCLUDES), cursor, [...new Set(includes)], [...ignored], criteria, parameters);
  }

  /** The ids or codes that were asked for. */
  tokens(name: string): Token[][] {
    return this.of(name).flatMap(({ kind, values }) => (kind === 'token' || kind === 'id' || kind === 'phrase' ? [values] : []));
  }

  /** Ids of resources of a type; a reference to another type names none. */
  references(type: FhirType, ...names: string[]): string[][] {
    return names.flatMap((name) => this.of(name)).flatMap(({ kind, values }) => (kind === 'reference' ? [values.filter((value) => value.type === undefined || value.type === type).map(({ id }) => id)] : []));
  }

  days(name: string): Range<string>[][] {
    return this.of(name).flatMap(({ kind, values }) => (kind === 'day' ? [values] : []));
  }

  instants(name: string): Range<Date>[][] {
    return this.of(name).flatMap(({ kind, values }) => (kind === 'instant' ? [values] : []));
  }

  /** The same search for these ids in place of what a parameter said, which must not stand in a link: it names a patient. */
  withIds(ids: readonly string[], instead: string): FhirSearch {
    const values = ids.map((code): Token => ({ system: undefined, code }));
    const criteria = new Map([...this.criteria].filter(([name]) => name !== instead));
    criteria.set('_id', [...(this.criteria.get('_id') ?? []), { kind: 'id', values }]);
    // No resource has such an id.
    const parameters = [...this.parameters.filter(([name]) => name !== instead), ['_id', ids.length === 0 ? 'none' : ids.join(',')] as const];
    return new FhirSearch(this.type, this.count, this.cursor, this.includes, this.ignored, criteria, parameters);
  }

  /** What was done, and where the next page is. @param base  `https://host/fhir` */
  link(base: string, cursor: string | undefined): string {
    const query = new URLSearchParams([
      ...this.parameters.map(([name, value]) => [name, value]),
      ...this.includes.map((name) => ['_include', `${this.type}:${name}`]),
      ['_count', String(this.count)],
      ...(cursor === undefined ? [] : [['_cursor', cursor]]),
    ]);
    return `${base}/${this.type}?${query.toString()}`;
  }

  private of(name: string): readonly Criterion[] {
    return this.criteria.get(name) ?? [];
  }
}

/** @returns what is wrong with it, in words */
function criterionOf({ kind, target }: ParameterDefinition, value: string, base: string): Criterion | string {
  const values = alternatives(value);
  if (values.length > MOST_VALUES) return `There may be ${String(MOST_VALUES)} values`;
  if (values.some((one) => one === '')) return 'A value is empty';
  switch (kind) {
    case 'phrase': return { kind, values: values.map((code) => ({ system: undefined, code: unescaped(code) })) };
    case 'id': return values.every((id) => ID.test(id)) ? { kind, values: values.map((code) => ({ system: undefined, code })) } : 'It is no id';
    case 'token': return { kind, values: values.map(tokenOf) };
    case 'reference': {
      const references = values.map((one) => referenceOf(one, target, base)).filter((one) => one !== undefined);
      return references.length === values.length ? { kind, values: references } : 'It is no reference to a resource here';
    }
    case 'day': {
      const days = values.map(searchDays).filter((one) => one !== undefined);
      return days.length === values.length ? { kind, values: days.flat() } : 'It is no date';
    }
    case 'instant': {
      const instants = values.map(searchInstants).filter((one) => one !== undefined);
      return instants.length === values.length ? { kind, values: instants.flat() } : 'It is no date';
    }
  }
}

/** At commas that no backslash stands before. */
function alternatives(value: string): string[] {
  return value.split(/(?<!\\),/);
}

function unescaped(text: string): string {
  return text.replaceAll(/\\([,|$\\])/g, '$1');
}

function tokenOf(value: string): Token {
  const [system, ...code] = value.split(/(?<!\\)\|/).map(unescaped);
  return code.length === 0 ? { system: undefined, code: system ?? '' } : { system: system ?? '', code: code.join('|') };
}

function referenceOf(value: string, target: FhirType | undefined, base: string): Reference | undefined {
  const text = value.startsWith(`${base}/`) ? value.slice(base.length + 1) : value;
  const at = text.indexOf('/');
  const [named, id] = at < 0 ? [undefined, text] : [text.slice(0, at), text.slice(at + 1)];
  if (!ID.test(id)) return undefined;
  if (named === undefined) return { type: target, id };
  return isFhirType(named) ? { type: named, id } : undefined;
}

function countOf(query: URLSearchParams, faults: FieldError[]): number {
  const [given, ...more] = query.getAll('_count');
  if (given === undefined) return DEFAULT_COUNT;
  if (more.length > 0 || !/^\d{1,9}$/.test(given) || Number(given) === 0) faults.push({ pointer: '/_count', detail: 'A number from 1, once' });
  return Math.min(Number(given), MOST_A_PAGE);
}

function cursorOf(type: FhirType, query: URLSearchParams, faults: FieldError[]): string | undefined {
  const [given, ...more] = query.getAll('_cursor');
  if (given !== undefined && (more.length > 0 || !(CURSORS[type] ?? CURSOR).test(given))) faults.push({ pointer: '/_cursor', detail: 'It is not the cursor of a link' });
  return given;
}

/** A name of a parameter is chosen by the caller, and stands in the answer. */
function shown(name: string): string {
  return /^[\w.:-]{1,40}$/.test(name) ? name : 'unknown';
}
