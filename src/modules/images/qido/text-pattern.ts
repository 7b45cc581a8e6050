/** A text that is searched for; with wildcards `*` stands for any characters, `?` for one. @see PS3.4 C.2.2.2.4 */
export interface TextPattern {
  /** Normalised as the values are that it is compared with. */
  text: string;
  hasWildcards: boolean;
}

export function textPattern(text: string): TextPattern {
  return { text, hasWildcards: /[*?]/.test(text) };
}

/** Whether a normalised value fits. Takes time in proportion to the lengths, whatever the pattern. */
export function matchesPattern({ text, hasWildcards }: TextPattern, value: string): boolean {
  if (!hasWildcards) return text === value;
  const pattern = characters(text);
  const letters = characters(value);
  let [at, next, star, resume] = [0, 0, -1, 0];
  while (at < letters.length) {
    if (next < pattern.length && pattern[next] !== '*' && (pattern[next] === '?' || pattern[next] === letters[at])) {
      at++;
      next++;
    } else if (pattern[next] === '*') {
      star = next++;
      resume = at;
    } else if (star >= 0) {
      // The last star takes one letter more.
      next = star + 1;
      at = ++resume;
    } else {
      return false;
    }
  }
  while (pattern[next] === '*') next++;
  return next === pattern.length;
}

/** Those outside of the Basic Multilingual Plane, such as rare Chinese ones, are one each. */
export function characters(text: string): string[] {
  return Array.from(text);
}

/** Text whose case counts: identifiers, descriptions. Spaces around it do not. @see PS3.5 §6.2 */
export function foldText(value: string): string {
  return value.normalize('NFC').replace(/^ +| +$/g, '');
}

/** Letters with a stroke or of two parts, which Unicode does not decompose. */
const PLAIN_LETTERS: Readonly<Record<string, string>> = { Æ: 'AE', Œ: 'OE', Ø: 'O', Đ: 'D', Ð: 'D', Ł: 'L', Þ: 'TH', Ħ: 'H', Ŧ: 'T', '’': "'", '‘': "'" };

/**
 * One component group of a person name, so that case, accents, width (half-width kana, full-width letters) and spaces around
 * components do not count; nor do empty components at the end. Voicing marks of kana and the parts of Hangul do count.
 *
 * @see PS3.4 C.2.2.2.1 (case- and accent-insensitive matching is the server's choice), PS3.5 §6.2.1
 */
export function foldName(group: string): string {
  const isAscii = /^[\x00-\x7f]*$/.test(group);
  const folded = isAscii
    ? group.toUpperCase()
    : group.normalize('NFKD').replace(/[\u0300-\u036f]/g, '').toUpperCase().replace(/[ÆŒØĐÐŁÞĦŦ’‘]/g, (letter) => PLAIN_LETTERS[letter] ?? letter).normalize('NFC');
  return folded.split('^').map((component) => component.trim().replace(/\s+/g, ' ')).join('^').replace(/\^+$/, '');
}
