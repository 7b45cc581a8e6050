import { describe, expect, it } from 'vitest';
import { foldName, foldText, matchesPattern, textPattern } from './text-pattern.js';

describe('a pattern', () => {
  it.each<[string, string, boolean]>([
    ['CT', 'CT', true], ['CT', 'CTA', false], ['C*', 'CT', true], ['C*', 'C', true], ['*T', 'CT', true], ['*', '', true], ['?', '', false], ['?', 'A', true], ['C?', 'C', false],
    ['A*B*C', 'AxxBxxC', true], ['A*B*C', 'AxxCxxB', false], ['*AB*', 'AAB', true], ['a*', 'ABC', false], ['A**B', 'AB', true], ['王?', '王𠮷', true], ['?', '𠮷', true], ['A*', '*', false], ['*?*', '*', true],
  ])('%s against %s: %s', (pattern, value, fits) => { expect(matchesPattern(textPattern(pattern), value)).toBe(fits); });

  it('of many stars against a long value is decided at once', () => {
    const started = performance.now();
    expect(matchesPattern(textPattern(`${'*a'.repeat(200)}*b`), 'a'.repeat(10_000))).toBe(false);
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

describe('a name', () => {
  it.each([
    ['Doe^John', 'DOE^JOHN'], ['doe ^ john^^', 'DOE^JOHN'], ['  Müller^Jürgen', 'MULLER^JURGEN'], ['Strauß', 'STRAUSS'], ['Ørsted^Łukasz', 'ORSTED^LUKASZ'], ['ﾔﾏﾀﾞ^ﾀﾛｳ', 'ヤマダ^タロウ'],
    ['ＹＡＭＡＤＡ＾Ｔａｒｏ', 'YAMADA^TARO'], ['やまだ^たろう', 'やまだ^たろう'], ['김^희중', '김^희중'], ['王^小东', '王^小东'], ['Παπαδόπουλος', 'ΠΑΠΑΔΟΠΟΥΛΟΣ'], ['Иванов^Пётр', 'ИВАНОВ^ПЕТР'], ['O’Neil', "O'NEIL"], ['İstanbul', 'ISTANBUL'],
  ])('%s counts as %s', (name, folded) => { expect(foldName(name)).toBe(folded); });

  it('keeps what tells kana apart', () => { expect(foldName('ガ')).not.toBe(foldName('カ')); });
});

describe('a text', () => {
  it('keeps its case and loses the spaces around it', () => { expect(foldText('  ab C ')).toBe('ab C'); });
  it('counts as the same however its accents are written', () => { expect(foldText('Mu\u0308ller')).toBe(foldText('Müller')); });
});
