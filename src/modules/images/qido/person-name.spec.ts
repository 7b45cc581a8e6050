import { describe, expect, it } from 'vitest';
import { groupsOf, matchesName, namePattern, soundex, soundsLike, wordsOf } from './person-name.js';

const wang = { Alphabetic: 'Wang^XiaoDong', Ideographic: '王^小东' };
const yamada = { Alphabetic: 'Yamada^Tarou', Ideographic: '山田^太郎', Phonetic: 'やまだ^たろう' };

const matches = (value: string, name = yamada): boolean => { const pattern = namePattern(value); return pattern === undefined || matchesName(pattern, name); };

describe('a name pattern', () => {
  it.each<[string, boolean]>([
    ['yamada^tarou', true], ['YAMADA^TAROU^^^', true], ['yamada', false], ['yamada*', true], ['山田*', true], ['やまだ*', true], ['*太郎', true], ['山?^*', true], ['田*', false],
    ['=山田*', true], ['山田*=', false], ['*=山田*=やま*', true], ['Yamada*=王*', false], ['*=*=*', true], ['==やまだ^たろう', true],
  ])('%s against Yamada^Tarou=山田^太郎=やまだ^たろう: %s', (value, fits) => { expect(matches(value)).toBe(fits); });

  it('with nothing but a given name open also means names without one', () => {
    expect(matches('Doe^*', { Alphabetic: 'Doe' } as typeof yamada)).toBe(true);
    expect(matches('Doe^*', { Alphabetic: 'Doerner' } as typeof yamada)).toBe(false);
  });
});

describe('fuzzy matching', () => {
  it.each<[string, boolean]>([
    ['WANG', true], ['XIAODONG', true], ['XIAO', true], ['DONG', false], ['WENG', true], ['王小东', true], ['小东', true], ['王', true], ['李', false],
  ])('%s finds Wang^XiaoDong=王^小东: %s', (word, found) => { expect(soundsLike([word], wang)).toBe(found); });

  it('wants all words, in whatever order', () => {
    expect(soundsLike(['XIAODONG', 'WANG'], wang)).toBe(true);
    expect(soundsLike(['WANG', 'LI'], wang)).toBe(false);
  });

  it('splits names into words', () => {
    expect(wordsOf("VAN DER BERG^ANNE-MARIE^O'HARA")).toEqual(['VAN', 'DER', 'BERG', 'ANNE', 'MARIE', "O'HARA"]);
    expect(wordsOf('王^小东')).toEqual(['王小东', '王', '小东']);
    expect(groupsOf({ Alphabetic: 'a^b', Ideographic: '', Phonetic: 'c' })).toEqual(['A^B', 'C']);
  });

  // The examples of the National Archives.
  it.each([
    ['WASHINGTON', 'W252'], ['LEE', 'L000'], ['GUTIERREZ', 'G362'], ['PFISTER', 'P236'], ['JACKSON', 'J250'], ['TYMCZAK', 'T522'], ['VANDEUSEN', 'V532'], ['ASHCRAFT', 'A261'], ['ROBERT', 'R163'], ['RUPERT', 'R163'],
    ['王', undefined], ['A', undefined], ['ИВАН', undefined],
  ])('the sound of %s is %s', (word, code) => { expect(soundex(word)).toBe(code); });
});
