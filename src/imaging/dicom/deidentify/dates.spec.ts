import { describe, expect, it } from 'vitest';
import { datesIn } from './dates-in-text.js';
import { earlierDate, earlierDateTime, timeOfDay } from './dates.js';

describe('earlierDate', () => {
  it('counts days across months, leap years and centuries', () => {
    expect(earlierDate('20200301', 1)).toBe('20200229');
    expect(earlierDate('19000301', 1)).toBe('19000228');
    expect(earlierDate('20000101', 366)).toBe('19981231');
    expect(earlierDate('2020.01.02', 1)).toBe('20200101');
    expect(earlierDate('00700101', 1)).toBe('00691231');
  });

  it('gives up what is no date', () => {
    for (const text of ['', '20200230', '20201301', '2020', '20200101-20200201', 'DOE', '00010101']) expect(earlierDate(text, 400), text).toBeUndefined();
  });
});

describe('earlierDateTime', () => {
  it('shifts the day, keeps the time and its precision, drops the zone', () => {
    expect(earlierDateTime('20200301235959.123456+0100', 1)).toBe('20200229235959.123456');
    expect(earlierDateTime('2020030123', 1)).toBe('2020022923');
    expect(earlierDateTime('20200301', 1)).toBe('20200229');
    expect(earlierDateTime('202003', 30)).toBe('202002');
    expect(earlierDateTime('2020', 400)).toBe('2019');
  });

  it('gives up what is none', () => {
    for (const text of ['', '202', '2020030125', '20200301.5', 'Monday', '20200301235959.1234567']) expect(earlierDateTime(text, 1), text).toBeUndefined();
  });
});

describe('timeOfDay', () => {
  it('lets times pass and nothing else', () => {
    expect(['10', '1011', '101112', '101112.5', '10:11:12', '235960'].map(timeOfDay)).toEqual(['10', '1011', '101112', '101112.5', '101112', '235960']);
    for (const text of ['', '24', '1060', 'DOE', '101112.1234567']) expect(timeOfDay(text), text).toBeUndefined();
  });
});

describe('datesIn', () => {
  it.each(['born 1950-01-02', '02.01.1950', '2/1/1950', '1/2/1950', 'x19500102y', '02011950', '1950年1月2日', '2 jan 1950', '2nd january 1950', 'january 2, 1950', '1950.1.2', '01 02 1950'])('finds the day in %s', (text) => {
    expect(datesIn(text)).toContain('19500102');
  });

  it('finds none where there is none', () => {
    for (const text of ['', '1.25 mm', '512x512', 'release 12.1', '1950', '123456789012345', '3 phases 2020']) expect(datesIn(text).filter((date) => date === '19500102'), text).toEqual([]);
  });

  it('takes no longer for long digits', () => {
    const started = performance.now();
    datesIn(`${'1'.repeat(200_000)} ${'1 '.repeat(200_000)}`);
    expect(performance.now() - started).toBeLessThan(500);
  });
});
