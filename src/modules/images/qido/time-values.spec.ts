import { describe, expect, it } from 'vitest';
import { momentOf, momentSpan, timeOf, timeSpan, wholeDate } from './time-values.js';

describe('dates and times', () => {
  it.each([['20261121', '20261121'], ['2026.11.21', '20261121'], ['20261321', undefined], ['2026112', undefined], ['', undefined]])('the date %s is %s', (text, date) => { expect(wholeDate(text)).toBe(date); });

  it.each([['10', '100000.000000'], ['1015', '101500.000000'], ['101530.5', '101530.500000'], ['10:15:30', '101530.000000'], ['235960', '235960.000000'], ['24', undefined], ['1060', undefined], ['x', undefined]])(
    'the time %s begins at %s', (text, time) => { expect(timeOf(text)).toBe(time); });

  it('a time that is searched for lasts as long as what it leaves out', () => {
    expect(timeSpan('10')).toEqual({ first: '100000.000000', last: '105959.999999' });
    expect(timeSpan('101530.5')).toEqual({ first: '101530.500000', last: '101530.599999' });
  });

  it('moments take their offset into account', () => {
    expect(momentOf('19980128073000-0300')).toBe(momentOf('19980128103000+0000'));
    expect(momentOf('20261121101530.25')).toBe(Date.UTC(2026, 10, 21, 10, 15, 30, 250));
    expect(momentSpan('2026')).toEqual({ first: Date.UTC(2026, 0, 1), last: Date.UTC(2027, 0, 1) });
    expect(momentSpan('20260228')).toEqual({ first: Date.UTC(2026, 1, 28), last: Date.UTC(2026, 2, 1) });
    expect(momentOf('20261')).toBeUndefined();
    expect(momentOf('20261301')).toBeUndefined();
  });
});
