import type { DicomJson, DicomJsonValue, PersonName } from '../dicom-json.js';
import { datesIn } from './dates-in-text.js';
import { Refusal } from './refusal.js';

/** What names the patient, the people around and the visit in one data set; to look for in what is left of it. */
export interface IdentifyingValues {
  /** Whether a text holds any of them. */
  areIn(text: string): boolean;
  /** Whether a word is one of them or a part of a name. */
  includes(word: string): boolean;
}

/** Identifiers, addresses, phones, places: whatever the profile removes that could turn up elsewhere. */
const IDENTIFIERS = new Set(`
  00080050 00080080 00080081 00080092 00080094 00081040 00100020 00100021 00101000 00101040 00101050 00101090 00102154 00102155 00102299
  00120040 00120042 00200010 00320012 00380010 00380060 00380300 00380400 00400009 00400253 00400512 0040050A 00400551 00401001 00401102 00401103
  00402010 00402016 00402017 00401006 00401007 00402006 00402007 0040A353 0040A354 22000005
`.trim().split(/\s+/));
const INSTANCE_UIDS = new Set(['00080018', '0020000D', '0020000E']);

/** Parts of names that name nobody, and would be found everywhere. */
const NOBODY = new Set(`
  anonymous anonymized anonymised unknown patient test none null removed phantom service operator doctor prof admin user study research technician
  von van der den del dos des bin ibn the and for med mrs miss jun sen phd rad
`.trim().split(/\s+/));

/** A data set names a few dozen people; one of hundreds was made to keep us busy. */
const MAX_NEEDLES = 300;
/** Shorter ones are looked for as whole words: four letters are in every other word. */
const SUBSTRING_LENGTH = 5;
const MAX_REMEMBERED = 20_000;

/** @throws Refusal `too-many-names` */
export function identifyingValues(attributes: DicomJson): IdentifyingValues {
  const found: Found = { words: new Set(), ideographs: new Set(), dates: new Set() };
  collect(attributes, found);
  if (found.words.size + found.ideographs.size > MAX_NEEDLES) throw new Refusal('too-many-names');
  const long = [...[...found.words].filter((word) => word.length >= SUBSTRING_LENGTH), ...found.ideographs];
  const remembered = new Map<string, boolean>();
  const search = (text: string): boolean => {
    const folded = fold(text);
    if (long.some((needle) => folded.includes(needle))) return true;
    for (const word of folded.split(/[^\p{L}\p{N}]+/u)) if (found.words.has(word)) return true;
    // Letters and digits that touch: DOE1950.
    for (const word of folded.match(/\p{L}+/gu) ?? []) if (found.words.has(word)) return true;
    return found.dates.size > 0 && datesIn(folded).some((date) => found.dates.has(date));
  };
  return {
    areIn: (text) => {
      let answer = remembered.get(text);
      if (answer === undefined) {
        answer = search(text);
        if (remembered.size < MAX_REMEMBERED) remembered.set(text, answer);
      }
      return answer;
    },
    includes: (word) => {
      const folded = fold(word);
      return found.words.has(folded) || [...found.ideographs].some((name) => name.includes(folded) || folded.includes(name));
    },
  };
}

interface Found {
  /** Of letters and digits, folded, three and more. */
  words: Set<string>;
  /** Names in scripts without blanks, two characters and more. */
  ideographs: Set<string>;
  /** `YYYYMMDD`. */
  dates: Set<string>;
}

function collect(attributes: DicomJson, found: Found): void {
  for (const [tag, { vr, Value = [] }] of Object.entries(attributes)) {
    for (const value of Value) {
      if (value === null) continue;
      // The VR decides what the reader put there: items for SQ, names for PN.
      if (vr === 'SQ') collect(value as DicomJson, found);
      else if (vr === 'PN') addName(value as PersonName, found);
      else if (vr === 'DA' || vr === 'DT') addDate(value, found);
      else if (IDENTIFIERS.has(tag) && typeof value !== 'object') addIdentifier(String(value), found);
      else if (INSTANCE_UIDS.has(tag) && typeof value === 'string') found.words.add(value);
    }
  }
}

function addName(name: PersonName, found: Found): void {
  for (const group of Object.values(name as Record<string, string>)) {
    const components = fold(group).split(/[\s^=,]+/);
    const ideographs = components.filter((component) => IDEOGRAPH.test(component));
    for (const one of [...ideographs, ideographs.join('')]) if (one.length >= 2) found.ideographs.add(one);
    for (const part of components.flatMap((component) => component.split(/[^\p{L}\p{N}]+|(?<=\p{Script=Han})|(?=\p{Script=Han})/u))) {
      if (part.length >= 3 && !IDEOGRAPH.test(part) && !NOBODY.has(part)) found.words.add(part);
    }
  }
}

function addIdentifier(value: string, found: Found): void {
  for (const line of fold(value).split(/[\r\n,;^]+/)) {
    const identifier = line.trim();
    const characters = identifier.replace(/[^\p{L}\p{N}]/gu, '');
    if (IDEOGRAPH.test(characters)) {
      if (characters.length >= 4) found.ideographs.add(identifier);
      continue;
    }
    if (characters.length < 4 || NOBODY.has(characters)) continue;
    found.words.add(identifier);
    found.words.add(characters);
    // Numbers that are written with a prefix or with leading zeros here and without there.
    const digits = characters.replace(/\D/g, '').replace(/^0+/, '');
    if (digits.length >= SUBSTRING_LENGTH) found.words.add(digits);
  }
}

function addDate(value: DicomJsonValue, found: Found): void {
  const digits = typeof value === 'string' ? value.replace(/[.:-]/g, '').slice(0, 8) : '';
  if (/^\d{8}$/.test(digits)) found.dates.add(digits);
}

const IDEOGRAPH = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;

/** Lower case without accents; full-width and half-width forms are one. */
function fold(text: string): string {
  return text.normalize('NFKD').replace(/\p{M}+/gu, '').toLowerCase().normalize('NFC');
}
