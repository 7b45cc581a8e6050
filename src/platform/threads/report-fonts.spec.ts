import { describe, expect, it } from 'vitest';
import { FONT_FILES, printable } from './report-fonts.js';

const hasLatin = FONT_FILES.some(([name]) => name.startsWith('latin'));
if (!hasLatin) console.warn('SKIPPED: @expo-google-fonts/noto-sans is not installed');

describe('printable', () => {
  it('leaves alone what a font has', () => {
    const text = 'Wang, XiaoDong · 王小东 Ω Жуков やまだ − ² ≥';
    expect(printable(text)).toMatchObject({ text, lacked: false });
    expect(printable(text).fontOf('semibold')).toBe('chinese-semibold');
  });

  it.skipIf(!hasLatin)('takes another font for names of other countries', () => {
    for (const name of ['Žižek, Łukasz', 'Đorđević', 'Nguyễn Thị Mười', 'Şahin', 'Ștefan', 'Її']) {
      expect(printable(name)).toMatchObject({ text: name, lacked: false });
      expect(printable(name).fontOf('regular')).toMatch(/^(latin|chinese)-regular$/);
    }
  });

  it('marks a run of what they lack once, and tells', () => {
    expect(printable('قباني A 한국')).toMatchObject({ text: '[?] A [?]', lacked: true });
  });

  it('takes out what is invisible and turns or joins letters', () => {
    expect(printable('a\u202Eb\u0000c\u200Bd\n').text).toBe('a b c d ');
  });
});
