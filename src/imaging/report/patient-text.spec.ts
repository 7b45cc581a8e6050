import { describe, expect, it } from 'vitest';
import { dateText, nameText, patientBand } from './patient-text.js';
import { REPORT_TEXTS } from './report-texts.js';

describe('nameText', () => {
  it.each([
    [{ Alphabetic: 'Wang^XiaoDong', Ideographic: '王^小东', Phonetic: '' }, 'Wang, XiaoDong · 王小东'],
    [{ Alphabetic: 'Yamada^Tarou', Ideographic: '山田^太郎', Phonetic: 'やまだ^たろう' }, 'Yamada, Tarou · 山田太郎 · やまだたろう'],
    [{ Alphabetic: '王^小东' }, '王小东'],
    [{ Alphabetic: 'Adams^John Robert Quincy^^Rev.^B.A. M.Div.' }, 'Adams, Rev. John Robert Quincy B.A. M.Div.'],
    [{ Alphabetic: '^^^^' }, ''],
    [{ Alphabetic: 'Same', Ideographic: 'Same' }, 'Same'],
  ])('writes %j as %j', (name, expected) => {
    expect(nameText(name)).toBe(expected);
  });

  it('writes nothing for no name', () => {
    expect(nameText(undefined)).toBe('');
  });
});

describe('dateText', () => {
  it.each([['20260102', '2026-01-02'], ['1998.03.09', '1998-03-09'], ['unknown', 'unknown'], ['', ''], [undefined, '']])('writes %j as %j', (value, expected) => {
    expect(dateText(value)).toBe(expected);
  });
});

describe('patientBand', () => {
  it('says how old a child of less than two years is by tenths', () => {
    const band = patientBand({ '00101010': { vr: 'AS', Value: ['009M'] }, '00100040': { vr: 'CS', Value: ['F'] } }, REPORT_TEXTS.en);
    expect(band.map(({ value }) => value).slice(2, 4)).toEqual(['(0.8 y)', 'Female']);
  });

  it('leaves a sex that it does not know as it is', () => {
    expect(patientBand({ '00100040': { vr: 'CS', Value: ['X'] } }, REPORT_TEXTS['zh-CN'])[3]?.value).toBe('X');
  });
});
