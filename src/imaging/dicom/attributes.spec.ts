import { describe, expect, it } from 'vitest';
import { ageYears, number, numbers, personName, sequence, strings, text } from './attributes.js';
import type { DicomJson } from './dicom-json.js';

const age = (value: string): DicomJson => ({ '00101010': { vr: 'AS', Value: [value] } });

describe('ageYears', () => {
  it('reads years, months, weeks and days', () => {
    expect(ageYears(age('004Y'))).toBe(4);
    expect(ageYears(age('018M'))).toBe(1.5);
    expect(ageYears(age('052W'))).toBeCloseTo(0.9966, 3);
    expect(ageYears(age('010D'))).toBeCloseTo(0.0274, 3);
  });

  it('counts from birth to the study when no age is given or it is nonsense', () => {
    const dates = (birth: string, study: string): DicomJson => ({ ...age('??'), '00100030': { vr: 'DA', Value: [birth] }, '00080020': { vr: 'DA', Value: [study] } });
    expect(ageYears(dates('19600229', '20200228'))).toBe(59);
    expect(ageYears(dates('19600229', '20200229'))).toBe(60);
    expect(ageYears(dates('20190101', '20190702'))).toBeCloseTo(0.498, 2);
    expect(ageYears(dates('20200101', '20190101'))).toBeUndefined();
  });

  it('is unknown rather than guessed', () => {
    expect(ageYears({})).toBeUndefined();
    expect(ageYears({ '00100030': { vr: 'DA', Value: ['19600101'] } })).toBeUndefined();
  });
});

describe('The accessors', () => {
  const json: DicomJson = {
    '00280030': { vr: 'DS', Value: [0.5, '0.25'] },
    '00280010': { vr: 'US', Value: ['x'] },
    '00080008': { vr: 'CS', Value: ['A', null, 'B'] },
    '00100010': { vr: 'PN', Value: [{ Alphabetic: 'A^B', Ideographic: '王' }] },
    '00081140': { vr: 'SQ', Value: [{ '00100020': { vr: 'LO', Value: ['1'] } }] },
  };

  it('take tags and keywords', () => {
    expect(numbers(json, 'PixelSpacing')).toEqual([0.5, 0.25]);
    expect(numbers(json, '00280030')).toEqual([0.5, 0.25]);
    expect(() => text(json, 'NoSuchKeyword')).toThrow();
  });

  it('give nothing for what is absent or not of the kind', () => {
    expect(number(json, 'Rows')).toBeUndefined();
    expect(text(json, 'PatientID')).toBeUndefined();
    expect(sequence(json, 'PatientID')).toEqual([]);
  });

  it('read names, lists and items', () => {
    expect(strings(json, 'ImageType')).toEqual(['A', 'B']);
    expect(personName(json, 'PatientName')).toEqual({ Alphabetic: 'A^B', Ideographic: '王' });
    expect(text(json, 'PatientName')).toBe('A^B');
    expect(text(sequence(json, 'ReferencedImageSequence')[0] ?? {}, 'PatientID')).toBe('1');
  });
});
