import type { PersonName } from '../../../imaging/dicom/dicom-json.js';
import { characters, foldName, matchesPattern, textPattern, type TextPattern } from './text-pattern.js';

/** What a person name is compared with. */
export type NamePattern =
  /** One of the component groups fits one of them. */
  | { groups: 'any'; patterns: readonly TextPattern[] }
  /** Each group fits what is asked of it: alphabetic, ideographic, phonetic. */
  | { groups: 'each'; patterns: readonly (readonly TextPattern[] | undefined)[] };

/** Beginnings of a word that are told apart; longer ones count as alike. */
export const WORD_LETTERS = 12;
const MOST_WORDS = 6;
const EAST_ASIAN = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;

/**
 * What a query value asks of a name: without `=` any component group may fit, with it each group has its own part.
 *
 * @returns undefined when it asks for nothing
 */
export function namePattern(value: string): NamePattern | undefined {
  if (!value.includes('=')) return { groups: 'any', patterns: patternsOf(value) };
  const patterns = value.split('=').map((part) => (/^[*^ ]*$/.test(part) ? undefined : patternsOf(part)));
  return patterns.every((pattern) => pattern === undefined) ? undefined : { groups: 'each', patterns };
}

/** `DOE^*` also means a name of which nothing follows the family name. */
function patternsOf(value: string): TextPattern[] {
  const text = foldName(value);
  const family = text.replace(/(\^\*)+$/, '');
  return family === text || family === '' ? [textPattern(text)] : [textPattern(text), textPattern(family)];
}

export function matchesName(pattern: NamePattern, name: PersonName): boolean {
  if (pattern.groups === 'any') return groupsOf(name).some((group) => pattern.patterns.some((one) => matchesPattern(one, group)));
  const groups = [name.Alphabetic, name.Ideographic, name.Phonetic];
  return pattern.patterns.every((patterns, at) => patterns?.some((one) => matchesPattern(one, foldName(groups[at] ?? ''))) ?? true);
}

/** The component groups that a name has, folded. */
export function groupsOf({ Alphabetic, Ideographic, Phonetic }: PersonName): string[] {
  return [Alphabetic, Ideographic, Phonetic].map((group) => foldName(group ?? '')).filter((group) => group !== '');
}

/**
 * The words of a folded component group, the first six of them. Names in Chinese, Japanese and Korean are often typed without
 * a space between family and given name, so those count as one word too.
 */
export function wordsOf(group: string): string[] {
  const words = group.split(/[^\p{L}\p{N}\p{M}']+/u).filter((word) => word !== '');
  const joined = EAST_ASIAN.test(group) && words.length > 1 ? [words.join('')] : [];
  return [...new Set([...joined, ...words])].slice(0, MOST_WORDS);
}

/**
 * Fuzzy matching: each word that is searched for begins a word of the name, in whatever order, or sounds like one.
 *
 * @param words  of `wordsOf`
 * @see PS3.4 C.2.2.2.1.1, which leaves the method to the server
 */
export function soundsLike(words: readonly string[], name: PersonName): boolean {
  const own = groupsOf(name).flatMap(wordsOf);
  return words.every((word) => {
    const sound = soundex(word);
    return own.some((other) => other.startsWith(beginning(word)) || (sound !== undefined && sound === soundex(other)));
  });
}

export function beginning(word: string): string {
  return characters(word).slice(0, WORD_LETTERS).join('');
}

const CODES: Readonly<Record<string, string>> = { B: '1', F: '1', P: '1', V: '1', C: '2', G: '2', J: '2', K: '2', Q: '2', S: '2', X: '2', Z: '2', D: '3', T: '3', L: '4', M: '5', N: '5', R: '6' };

/**
 * American Soundex of a folded word in Latin letters, such as `R163` for ROBERT and RUPERT.
 *
 * @returns undefined for words in other letters and of one letter
 * @see https://www.archives.gov/research/census/soundex
 */
export function soundex(word: string): string | undefined {
  const letters = word.replaceAll("'", '');
  if (!/^[A-Z]{2,}$/.test(letters)) return undefined;
  let code = letters.charAt(0);
  let last = CODES[code];
  for (const letter of letters.slice(1)) {
    const digit = CODES[letter];
    if (digit !== undefined && digit !== last) code += digit;
    // H and W do not part two letters of one code, vowels do.
    if (letter !== 'H' && letter !== 'W') last = digit;
    if (code.length === 4) break;
  }
  return code.padEnd(4, '0');
}
