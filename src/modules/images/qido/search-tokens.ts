import type { DicomJson, DicomJsonElement, PersonName } from '../../../imaging/dicom/dicom-json.js';
import type { BlindIndex } from '../../../platform/crypto/key-vault.js';
import type { Rule } from './matching.js';
import { beginning, groupsOf, soundex, wordsOf } from './person-name.js';
import { characters, foldName, foldText, textPattern, type TextPattern } from './text-pattern.js';
import { wholeDate } from './time-values.js';

/** What a study can be found by although its attributes are encrypted. */
export interface StudyTokens {
  patientIdToken: bigint | null;
  accessionToken: bigint | null;
  searchTokens: bigint[];
}

/** A study may match when one alternative holds: it has all tokens of `all` and one of each list in `oneOfEach`. */
export interface TokenAlternative {
  all: readonly bigint[];
  oneOfEach: readonly (readonly bigint[])[];
}

/** Patient ID and Accession Number have columns of their own for whole values. `decides`: the tokens say it all; otherwise what they find has to be opened and compared. */
export type TokenCondition =
  | { in: 'patientIdToken' | 'accessionToken'; tokens: readonly bigint[]; decides: true }
  | { in: 'searchTokens'; alternatives: readonly TokenAlternative[]; decides: boolean };

const [PATIENT_NAME, PATIENT_ID, BIRTH_DATE, ACCESSION_NUMBER] = ['00100010', '00100020', '00100030', '00080050'];
const NAMES: ReadonlySet<string> = new Set([PATIENT_NAME, '00080090']);
/** In the order in which they get tokens: Patient's Name and ID, Accession Number, Study ID, Referring Physician's Name, Study Description, Institution Name. */
const INDEXED = [PATIENT_NAME, PATIENT_ID, BIRTH_DATE, ACCESSION_NUMBER, '00200010', '00080090', '00081030', '00080080'] as const;

const OWN_COLUMNS: Readonly<Record<string, 'patientIdToken' | 'accessionToken'>> = { [PATIENT_ID]: 'patientIdToken', [ACCESSION_NUMBER]: 'accessionToken' };

type Kind = 'is' | 'starts' | 'holds' | 'word' | 'sounds';

const LONGEST_START = 16;
/** A study that would have more gets one token instead that says so: whatever is searched for in the middle of a value finds it, and it is compared. */
const MOST_TOKENS = 400;
/** Other values of an attribute that should have one. */
const MOST_VALUES = 4;
/** More do not narrow a search any further. */
const MOST_GRAMS_ASKED = 8;
const EAST_ASIAN_PAIR = /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]{2}$/u;

/**
 * The blind index of a study. Of each indexed value there is a token of the whole, of its first 1 to 16 characters and of each three
 * characters in a row; of names also of the beginnings of words and their Soundex codes. A birth date has the whole only: few
 * people know how often each name occurs, everybody knows how often each year does.
 *
 * @param study  attributes of patient and study
 */
export function studyTokens(index: BlindIndex, study: DicomJson): StudyTokens {
  const tokens = new Set<bigint>();
  const grams: [field: string, gram: string][] = [];
  for (const field of INDEXED) {
    const add = (kind: Kind, value: string): void => { tokens.add(index.token(field, kind, value)); };
    for (const value of foldedValues(field, study[field])) {
      add('is', value);
      if (field === BIRTH_DATE) continue;
      for (const start of startsOf(value, LONGEST_START)) add('starts', start);
      for (const word of NAMES.has(field) ? wordsOf(value) : []) {
        for (const start of startsOf(beginning(word), Infinity)) add('word', start);
        const sound = soundex(word);
        if (sound !== undefined) add('sounds', sound);
      }
      for (const gram of gramsOf(value)) grams.push([field, gram]);
    }
  }
  for (const [field, gram] of grams) {
    if (tokens.size >= MOST_TOKENS) {
      tokens.add(incompleteToken(index));
      break;
    }
    tokens.add(index.token(field, 'holds', gram));
  }
  const [patientId] = foldedValues(PATIENT_ID, study[PATIENT_ID]);
  const [accessionNumber] = foldedValues(ACCESSION_NUMBER, study[ACCESSION_NUMBER]);
  return {
    patientIdToken: patientId === undefined ? null : patientIdToken(index, patientId),
    accessionToken: accessionNumber === undefined ? null : accessionToken(index, accessionNumber),
    searchTokens: [...tokens],
  };
}

/** What a study with exactly this Patient ID has as its `patientIdToken`. */
export function patientIdToken(index: BlindIndex, patientId: string): bigint {
  return index.token(PATIENT_ID, 'is', foldText(patientId));
}

/** What a study with exactly this Accession Number has as its `accessionToken`. */
export function accessionToken(index: BlindIndex, accessionNumber: string): bigint {
  return index.token(ACCESSION_NUMBER, 'is', foldText(accessionNumber));
}

/** Any of these tokens: the patient's name, or a word of it, begins with up to 16 letters of `text`. */
export function beginningOfName(index: BlindIndex, text: string): bigint[] {
  const folded = foldName(text);
  const [word, ...others] = wordsOf(folded);
  return [
    index.token(PATIENT_NAME, 'starts', characters(folded).slice(0, LONGEST_START).join('')),
    ...(word === folded && others.length === 0 ? [index.token(PATIENT_NAME, 'word', beginning(word))] : []),
  ];
}

/**
 * What people type in one field: beginnings of the words of the patient's name, in whatever order, or the beginning of a Patient ID or
 * an Accession Number. Of longer beginnings than the index has the first characters count.
 *
 * @returns a study fits that has all tokens of one of the lists
 */
export function beginningsOf(index: BlindIndex, text: string): bigint[][] {
  const words = wordsOf(foldName(text)).map((word) => index.token(PATIENT_NAME, 'word', beginning(word)));
  const start = characters(foldText(text)).slice(0, LONGEST_START).join('');
  const lists = [words, ...(start === '' ? [] : [PATIENT_ID, ACCESSION_NUMBER].map((field) => [index.token(field, 'starts', start)]))];
  return lists.filter((list) => list.length > 0);
}

/** Whether `tokenCondition` may know an attribute of the study. */
export function isIndexed(tag: string): boolean {
  return (INDEXED as readonly string[]).includes(tag);
}

/**
 * What a study must have in its index to fit a rule on one attribute.
 *
 * @returns undefined when the index cannot tell: a pattern without a beginning and without three known characters in a row (two in
 *   Chinese, Japanese and Korean), an attribute that is not indexed
 */
export function tokenCondition(index: BlindIndex, field: string, rule: Rule): TokenCondition | undefined {
  if (!isIndexed(field)) return undefined;
  const ofPattern = (pattern: TextPattern): PatternTokens | undefined => patternTokens(index, field, pattern);
  switch (rule.type) {
    case 'text': {
      const own = OWN_COLUMNS[field];
      if (own !== undefined && rule.patterns.every(({ hasWildcards }) => !hasWildcards)) return { in: own, tokens: rule.patterns.map(({ text }) => index.token(field, 'is', text)), decides: true };
      return condition(index, rule.patterns.map(ofPattern));
    }
    case 'date':
      return rule.from !== undefined && rule.from === rule.to ? condition(index, [{ fixed: [index.token(field, 'is', rule.from)], grams: [], decides: true }]) : undefined;
    case 'name': {
      const literal = condition(index, rule.names.map((name) => (
        name.groups === 'any' ? ofPattern(weakest(name.patterns)) : together(name.patterns.map((patterns) => patterns && ofPattern(weakest(patterns)))))));
      if (rule.words.length === 0) return literal;
      const oneOfEach = rule.words.map((word) => {
        const sound = soundex(word);
        return [index.token(field, 'word', beginning(word)), ...(sound === undefined ? [] : [index.token(field, 'sounds', sound)])];
      });
      return { in: 'searchTokens', alternatives: [...(literal?.alternatives ?? []), { all: [], oneOfEach }], decides: literal?.decides ?? true };
    }
    default:
      return undefined;
  }
}

/** What the index knows of one pattern. */
interface PatternTokens {
  fixed: readonly bigint[];
  /** Not there when the study's index is incomplete. */
  grams: readonly bigint[];
  decides: boolean;
}

function patternTokens(index: BlindIndex, field: string, { text, hasWildcards }: TextPattern): PatternTokens | undefined {
  if (!hasWildcards) return { fixed: [index.token(field, 'is', text)], grams: [], decides: true };
  if (field === BIRTH_DATE) return undefined;
  const [head = '', ...rest] = text.split(/[*?]/);
  const start = characters(head).slice(0, LONGEST_START).join('');
  // The beginning of a value has its own token; of a longer one the rest counts too.
  const beyond = start === head ? [] : [head];
  const grams = spread([...new Set([...beyond, ...rest].flatMap(gramsOf))], MOST_GRAMS_ASKED);
  if (start === '' && grams.length === 0) return undefined;
  return {
    fixed: start === '' ? [] : [index.token(field, 'starts', start)],
    grams: grams.map((gram) => index.token(field, 'holds', gram)),
    decides: start !== '' && text === `${start}*`,
  };
}

/** All of what is asked of several component groups; the index does not tell groups apart. */
function together(parts: readonly (PatternTokens | undefined)[]): PatternTokens | undefined {
  const known = parts.filter((part) => part !== undefined);
  return known.length === 0 ? undefined : { fixed: known.flatMap(({ fixed }) => fixed), grams: known.flatMap(({ grams }) => grams), decides: false };
}

/** @returns undefined when the index knows nothing of one of the alternatives */
function condition(index: BlindIndex, alternatives: readonly (PatternTokens | undefined)[]): Extract<TokenCondition, { in: 'searchTokens' }> | undefined {
  const known = alternatives.filter((alternative) => alternative !== undefined);
  if (known.length < alternatives.length || known.length === 0) return undefined;
  return {
    in: 'searchTokens',
    alternatives: known.flatMap(({ fixed, grams }) => (grams.length === 0 ? [alternative(fixed)] : [alternative([...fixed, ...grams]), alternative([...fixed, incompleteToken(index)])])),
    decides: known.every(({ decides }) => decides),
  };
}

function alternative(all: readonly bigint[]): TokenAlternative {
  return { all, oneOfEach: [] };
}

/** One pattern that lets through whatever one of these does: `DOE^*` and `DOE` both begin with DOE. */
function weakest(patterns: readonly TextPattern[]): TextPattern {
  const [only] = patterns;
  return patterns.length === 1 && only !== undefined ? only : textPattern(`${patterns.at(-1)?.text ?? ''}*`);
}

function incompleteToken(index: BlindIndex): bigint {
  return index.token('', 'incomplete', '');
}

/** The values as the index knows them; of names all component groups. */
function foldedValues(field: string, element: DicomJsonElement | undefined): string[] {
  const values = (element?.Value ?? []).slice(0, MOST_VALUES);
  const folded = NAMES.has(field)
    // The values of PN are names; items are in sequences only.
    ? values.flatMap((value) => (typeof value === 'object' && value !== null ? groupsOf(value as PersonName) : []))
    : values.flatMap((value) => (typeof value === 'string' ? [field === BIRTH_DATE ? wholeDate(value) ?? '' : foldText(value)] : []));
  return [...new Set(folded.filter((value) => value !== ''))];
}

/** The first character, the first two, and so on. */
function startsOf(value: string, longest: number): string[] {
  const letters = characters(value);
  return letters.slice(0, longest).map((_, at) => letters.slice(0, at + 1).join(''));
}

/** Each three characters in a row; names in Chinese, Japanese and Korean are short, so there each two also. */
function gramsOf(value: string): string[] {
  const letters = characters(value);
  const grams: string[] = [];
  for (let at = 0; at + 2 <= letters.length; at++) {
    const pair = letters.slice(at, at + 2).join('');
    if (EAST_ASIAN_PAIR.test(pair)) grams.push(pair);
    if (at + 3 <= letters.length) grams.push(letters.slice(at, at + 3).join(''));
  }
  return grams;
}

function spread<T>(list: readonly T[], most: number): T[] {
  return list.length <= most ? [...list] : list.filter((_, at) => Math.floor((at * most) / list.length) !== Math.floor(((at - 1) * most) / list.length));
}
