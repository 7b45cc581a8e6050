import { describe, expect, it } from 'vitest';
import { afterQuiet, dueAt, isQuiet, nextDigest } from './moments.js';
import { defaultPreferences, preferencesSchema, type Preferences } from '../preferences/preferences.js';

const at = (text: string): Date => new Date(text);
const quiet = (from: string, to: string, timeZone: string): Pick<Preferences, 'quietHours' | 'timeZone'> => ({ quietHours: { from, to }, timeZone });
const daily = (hour: number, timeZone: string): Pick<Preferences, 'digest' | 'timeZone'> => ({ digest: { every: 'day', hour }, timeZone });

describe('quiet hours', () => {
  it('go past midnight', () => {
    const night = quiet('22:00', '07:00', 'Asia/Shanghai');
    // 22:00 in Shanghai is 14:00 UTC.
    expect(['13:59', '14:00', '15:59', '16:00', '22:59', '23:00'].map((time) => isQuiet(at(`2026-05-01T${time}:00Z`), night))).toEqual([false, true, true, true, true, false]);
    expect(afterQuiet(at('2026-05-01T14:00:00Z'), night)).toEqual(at('2026-05-01T23:00:00Z'));
    expect(afterQuiet(at('2026-05-01T22:59:59Z'), night)).toEqual(at('2026-05-01T23:00:00Z'));
    expect(afterQuiet(at('2026-05-01T23:00:00Z'), night)).toEqual(at('2026-05-01T23:00:00Z'));
  });

  it('may lie within one day, and end at any minute', () => {
    const noon = quiet('12:00', '13:37', 'UTC');
    expect(afterQuiet(at('2026-05-01T12:10:30Z'), noon)).toEqual(at('2026-05-01T13:37:00Z'));
    expect(afterQuiet(at('2026-05-01T13:36:30Z'), noon)).toEqual(at('2026-05-01T13:37:00Z'));
    expect(afterQuiet(at('2026-05-01T11:59:59Z'), noon)).toEqual(at('2026-05-01T11:59:59Z'));
  });

  it('end by the clock on the wall in the nights in which it is put forward and back', () => {
    const night = quiet('22:00', '07:00', 'Europe/Berlin');
    // Forward on 29 March 2026 (UTC+1 to UTC+2), back on 25 October 2026.
    expect(afterQuiet(at('2026-03-28T21:30:00Z'), night)).toEqual(at('2026-03-29T05:00:00Z'));
    expect(afterQuiet(at('2026-10-24T20:30:00Z'), night)).toEqual(at('2026-10-25T06:00:00Z'));
  });

  it('whose end the clock skips end when it is put forward', () => {
    expect(afterQuiet(at('2026-03-28T22:30:00Z'), quiet('23:00', '02:30', 'Europe/Berlin'))).toEqual(at('2026-03-29T01:00:00Z'));
  });

  it('know zones half an hour and a quarter apart', () => {
    expect(afterQuiet(at('2026-05-01T20:00:00Z'), quiet('22:00', '07:00', 'Asia/Kathmandu'))).toEqual(at('2026-05-02T01:15:00Z'));
    expect(afterQuiet(at('2026-05-01T18:00:00Z'), quiet('22:00', '07:00', 'Asia/Kolkata'))).toEqual(at('2026-05-02T01:30:00Z'));
  });
});

describe('a digest', () => {
  it('of every hour comes at the next full one, by the clock on the wall', () => {
    expect(nextDigest(at('2026-05-01T10:00:00Z'), { digest: { every: 'hour' }, timeZone: 'UTC' })).toEqual(at('2026-05-01T11:00:00Z'));
    expect(nextDigest(at('2026-05-01T10:01:00Z'), { digest: { every: 'hour' }, timeZone: 'Asia/Kolkata' })).toEqual(at('2026-05-01T10:30:00Z'));
  });

  it('of every day comes at its hour in the time zone', () => {
    expect(nextDigest(at('2026-05-01T22:59:00Z'), daily(7, 'Asia/Shanghai'))).toEqual(at('2026-05-01T23:00:00Z'));
    expect(nextDigest(at('2026-05-01T23:00:00Z'), daily(7, 'Asia/Shanghai'))).toEqual(at('2026-05-02T23:00:00Z'));
    expect(nextDigest(at('2026-05-01T12:00:00Z'), daily(0, 'UTC'))).toEqual(at('2026-05-02T00:00:00Z'));
  });

  it('comes once a day in the nights in which the clock is put forward and back', () => {
    expect(nextDigest(at('2026-03-28T12:00:00Z'), daily(2, 'Europe/Berlin'))).toEqual(at('2026-03-29T01:00:00Z'));
    const first = nextDigest(at('2026-10-24T12:00:00Z'), daily(2, 'Europe/Berlin'));
    expect(first).toEqual(at('2026-10-25T00:00:00Z'));
    expect(nextDigest(first, daily(2, 'Europe/Berlin'))).toEqual(at('2026-10-26T01:00:00Z'));
  });

  it('comes once even where the clock is put back over midnight', () => {
    // Cuba: back from 01:00 to 00:00 on 1 November 2026.
    const first = nextDigest(at('2026-10-31T12:00:00Z'), daily(0, 'America/Havana'));
    expect(first).toEqual(at('2026-11-01T04:00:00Z'));
    expect(nextDigest(first, daily(0, 'America/Havana'))).toEqual(at('2026-11-02T05:00:00Z'));
  });
});

describe('when a mail goes out', () => {
  const preferences = preferencesSchema.parse({ timeZone: 'UTC', email: {}, digest: { every: 'day', hour: 3 }, quietHours: { from: '22:00', to: '07:00' } });

  it('waits for the end of the quiet hours, digests too, but for what is critical', () => {
    expect(dueAt(at('2026-05-01T23:00:00Z'), 'result.ready', 'immediately', preferences)).toEqual(at('2026-05-02T07:00:00Z'));
    expect(dueAt(at('2026-05-01T23:00:00Z'), 'result.ready', 'digest', preferences)).toEqual(at('2026-05-02T07:00:00Z'));
    expect(dueAt(at('2026-05-01T23:00:00Z'), 'result.critical', 'immediately', preferences)).toEqual(at('2026-05-01T23:00:00Z'));
  });
});

describe('preferences', () => {
  it('tell radiologists and administrators of critical results, and nobody of anything else', () => {
    const told = (role: string): string[] => Object.entries(defaultPreferences(role).email).filter(([, way]) => way !== 'off').map(([topic]) => topic);
    expect(['radiologist', 'admin', 'technician', 'platform-admin', 'service'].map(told)).toEqual([['result.critical'], ['result.critical'], [], [], []]);
  });

  it.each([
    ['a zone that is none', { timeZone: 'Mars/Olympus', email: {} }],
    ['an offset for a zone', { timeZone: '+08:00', email: {} }],
    ['a topic that is none', { timeZone: 'UTC', email: { 'result.odd': 'off' } }],
    ['a critical topic in a digest', { timeZone: 'UTC', email: { 'result.critical': 'digest' } }],
    ['quiet hours without length', { timeZone: 'UTC', email: {}, quietHours: { from: '07:00', to: '07:00' } }],
    ['an hour that no day has', { timeZone: 'UTC', email: {}, quietHours: { from: '24:00', to: '07:00' } }],
    ['a digest at an hour that no day has', { timeZone: 'UTC', email: {}, digest: { every: 'day', hour: 24 } }],
  ])('refuse %s', (_, body) => {
    expect(preferencesSchema.safeParse(body).success).toBe(false);
  });
});
