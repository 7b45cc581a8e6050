import type { DicomJson, DicomJsonElement, DicomJsonValue } from '../../../imaging/dicom/dicom-json.js';
import type { IncludeTree, SearchQuery } from './query.js';
import type { FoundRow } from './search.store.js';
import { isAtOrAbove, levelOf, LEVELS, type Level, type SearchTarget } from './search-plan.js';
import { elementText, type StoredAttributes } from './stored-attributes.js';

/** Attributes of a row and what lies above it, by level. */
export type Opened = Partial<Record<Level, StoredAttributes>>;

/** What each result of a search holds. */
export interface Selection {
  /** Levels whose sealed attributes are needed for it. */
  opens: ReadonlySet<Level>;
  /** One result as DICOM JSON text; tags ascend, as PS3.18 F.2.2 wants. */
  text: (row: FoundRow, opened: Opened) => string;
}

type Made = (row: FoundRow, studiesUrl: string) => string | undefined;

const ONLINE = element('CS', ['ONLINE']);
/** Whatever the instances were written in, JSON is UTF-8. */
const UTF_8 = element('CS', ['ISO_IR 192']);

/** Attributes that are made for the answer, by the level that they are about. */
const MADE: Readonly<Record<Level, Readonly<Record<string, Made>>>> = {
  study: {
    '00080061': ({ modalities }) => element('CS', modalities),
    '00080062': ({ sopClasses }) => element('UI', sopClasses),
    '0020000D': ({ studyInstanceUid }) => element('UI', [studyInstanceUid]),
    '00201206': ({ seriesCount }) => element('IS', [seriesCount]),
    '00201208': ({ instanceCount }) => element('IS', [instanceCount]),
  },
  series: {
    '0020000E': ({ seriesInstanceUid }) => element('UI', seriesInstanceUid === null ? [] : [seriesInstanceUid]),
    '00201209': ({ seriesInstanceCount }) => element('IS', seriesInstanceCount === null ? [] : [seriesInstanceCount]),
  },
  instance: {
    '00080016': ({ sopClassUid }) => element('UI', sopClassUid === null ? [] : [sopClassUid]),
    '00080018': ({ sopInstanceUid }) => element('UI', sopInstanceUid === null ? [] : [sopInstanceUid]),
  },
};

/** Of whatever is found. */
const MADE_OF_RESULT: Readonly<Record<string, Made>> = {
  '00080005': () => UTF_8,
  '00080056': () => ONLINE,
  '00081190': (row, studiesUrl) => element('UR', [retrieveUrl(row, studiesUrl)]),
};

/** Stored attributes that come without being asked for. Those with a VR are there also when they have no value: types R and U of the tables. */
const STORED: Readonly<Record<Level, Readonly<Record<string, string | null>>>> = {
  // PS3.18 table 10.6.3-3, and Study Description, which every list of studies shows.
  study: {
    '00080020': 'DA', '00080030': 'TM', '00080050': 'SH', '00080090': 'PN', '00081030': null,
    '00100010': 'PN', '00100020': 'LO', '00100030': 'DA', '00100040': 'CS', '00200010': 'SH',
  },
  // PS3.18 table 10.6.3-4
  series: { '00080060': 'CS', '0008103E': null, '00200011': 'IS', '00400244': null, '00400245': null, '00400275': null },
  // PS3.18 table 10.6.3-5
  instance: { '00200013': 'IS', '00280008': null, '00280010': null, '00280011': null, '00280100': null },
};
const TIMEZONE_OFFSET = '00080201';
const REQUEST_ATTRIBUTES: IncludeTree = new Map([['00400009', 'whole'], ['00401001', 'whole']]);
/** Made for every study, and too long for a list. */
const ONLY_WHEN_ASKED = new Set(['00080062']);

/**
 * What a search answers of each result: what the tables ask for, of the levels above too unless the URL names them, what was
 * matched, and what `includefield` names. Attributes of levels below are not returned.
 *
 * @param studiesUrl  `https://host/dicom-web/studies`
 * @see PS3.18 §10.6.3.3
 */
export function selectionOf(target: SearchTarget, query: SearchQuery, studiesUrl: string): Selection {
  const { level } = target;
  const made = new Map<string, Made>(Object.entries(MADE_OF_RESULT));
  const stored = new Map<string, StoredField>();
  const whole = LEVELS.filter((one) => query.includeAll && isShown(one, target));
  for (const one of LEVELS.filter((other) => isAtOrAbove(other, level))) {
    const isComplete = isShown(one, target);
    for (const [tag, make] of Object.entries(MADE[one])) {
      // The UIDs above a result are what makes it addressable.
      if ((isComplete && (query.includeAll || !ONLY_WHEN_ASKED.has(tag))) || tag === '0020000D' || tag === '0020000E' || query.include.has(tag)) made.set(tag, make);
    }
    if (!isComplete) continue;
    for (const [tag, emptyVr] of Object.entries(STORED[one])) stored.set(tag, { level: one, emptyVr, subset: tag === '00400275' ? REQUEST_ATTRIBUTES : 'whole' });
  }
  stored.set(TIMEZONE_OFFSET, { level, emptyVr: null, subset: 'whole' });
  for (const [tag, subset] of query.include) {
    const owner = levelOf(tag);
    if (made.has(tag) || !isAtOrAbove(owner, level)) continue;
    const known = stored.get(tag);
    stored.set(tag, { level: owner, emptyVr: known?.emptyVr ?? null, subset: known ? union(known.subset, subset) : subset });
  }
  const opens = new Set<Level>([...whole, ...[...stored.values()].map((field) => field.level)]);
  const fields = [...made].map(([tag, make]): Field => ({ tag, make })).concat([...stored].filter(([tag]) => !made.has(tag)).map(([tag, field]): Field => ({ tag, field })));
  fields.sort(byTag);
  return { opens, text: whole.length > 0 ? (row, opened) => wholeText(fields, whole, row, opened, studiesUrl) : (row, opened) => fieldsText(fields, row, opened, studiesUrl) };
}

interface StoredField {
  level: Level;
  /** VR of the empty element that stands for a missing one. */
  emptyVr: string | null;
  subset: IncludeTree | 'whole';
}

type Field = { tag: string; make: Made } | { tag: string; field: StoredField };

/** Whether the attributes of a level belong to the answer: those of what is found, and of what lies above it and is not in the URL. */
function isShown(level: Level, { level: found, studyInstanceUid, seriesInstanceUid }: SearchTarget): boolean {
  if (level === found) return true;
  if (!isAtOrAbove(level, found)) return false;
  return level === 'study' ? studyInstanceUid === undefined : seriesInstanceUid === undefined;
}

function fieldsText(fields: readonly Field[], row: FoundRow, opened: Opened, studiesUrl: string): string {
  let text = '';
  for (const one of fields) {
    const value = fieldText(one, row, opened, studiesUrl);
    if (value !== undefined) text += `${text === '' ? '' : ','}"${one.tag}":${value}`;
  }
  return `{${text}}`;
}

function wholeText(fields: readonly Field[], whole: readonly Level[], row: FoundRow, opened: Opened, studiesUrl: string): string {
  const texts = new Map<string, string>();
  for (const level of whole) {
    const stored = opened[level];
    for (const tag of Object.keys(stored?.json ?? {})) {
      const value = stored?.text(tag);
      if (value !== undefined) texts.set(tag, value);
    }
  }
  for (const one of fields) {
    const value = fieldText(one, row, opened, studiesUrl);
    if (value !== undefined && ('make' in one || !texts.has(one.tag))) texts.set(one.tag, value);
  }
  return `{${[...texts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([tag, value]) => `"${tag}":${value}`).join(',')}}`;
}

function fieldText(one: Field, row: FoundRow, opened: Opened, studiesUrl: string): string | undefined {
  if ('make' in one) return one.make(row, studiesUrl);
  const { tag, field: { level, subset, emptyVr } } = one;
  const stored = opened[level];
  const text = subset === 'whole' ? stored?.text(tag) : subsetText(stored?.json[tag], subset);
  return text ?? (emptyVr === null ? undefined : `{"vr":"${emptyVr}"}`);
}

function subsetText(stored: DicomJsonElement | undefined, subset: IncludeTree): string | undefined {
  if (stored === undefined) return undefined;
  return elementText(stored.vr === 'SQ' ? { vr: 'SQ', Value: (stored.Value ?? []).map((item) => subsetOf(item, subset)) } : stored);
}

function subsetOf(item: DicomJsonValue, tree: IncludeTree): DicomJsonValue {
  if (item === null || typeof item !== 'object') return item;
  const selected: DicomJson = {};
  // The values of SQ are items.
  for (const [tag, stored] of Object.entries(item as DicomJson)) {
    const below = tree.get(tag);
    if (below === undefined) continue;
    selected[tag] = below === 'whole' || stored.vr !== 'SQ' ? stored : { vr: 'SQ', Value: (stored.Value ?? []).map((inner) => subsetOf(inner, below)) };
  }
  return selected;
}

function union(a: IncludeTree | 'whole', b: IncludeTree | 'whole'): IncludeTree | 'whole' {
  if (a === 'whole' || b === 'whole') return 'whole';
  const both = new Map(a);
  for (const [tag, subset] of b) both.set(tag, union(both.get(tag) ?? subset, subset));
  return both;
}

function retrieveUrl({ studyInstanceUid, seriesInstanceUid, sopInstanceUid }: FoundRow, studiesUrl: string): string {
  const series = seriesInstanceUid === null ? '' : `/series/${seriesInstanceUid}`;
  return `${studiesUrl}/${studyInstanceUid}${series}${sopInstanceUid === null ? '' : `/instances/${sopInstanceUid}`}`;
}

function element(vr: string, values: readonly (string | number)[]): string {
  return values.length === 0 ? `{"vr":"${vr}"}` : `{"vr":"${vr}","Value":${JSON.stringify(values)}}`;
}

function byTag(a: { tag: string }, b: { tag: string }): number {
  return a.tag < b.tag ? -1 : 1;
}
