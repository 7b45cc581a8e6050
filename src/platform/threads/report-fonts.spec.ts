import { describe, expect, it } from 'vitest';
import { printable } from './report-fonts.js';

describe('printable', () => {
  it('leaves alone what the fonts have', () => {
    const text = 'Wang, XiaoDong · 王小东 Žižek Ω Жуков やまだ − ² ≥';
    expect(printable(text)).toBe(text);
  });

  it('marks a run of what they lack once, and tells', () => {
    let seen = 0;
    expect(printable('قباني A 한국', () => { seen++; })).toBe('[?] A [?]');
    expect(seen).toBeGreaterThan(0);
  });

  it('takes out what is invisible and turns or joins letters', () => {
    expect(printable('a\u202Eb\u0000c\u200Bd\n')).toBe('a b c d ');
  });
});
