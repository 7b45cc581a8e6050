import { describe, expect, it } from 'vitest';
import { MOST_TRIES, retryAfterMs, waitAfter } from './retry-schedule.js';

const HOUR_MS = 3_600_000;

describe('the waits between tries', () => {
  it('grow from five seconds to a day, and make three days', () => {
    const waits = Array.from({ length: MOST_TRIES - 1 }, (_, index) => waitAfter(index + 1, 0, () => 0) ?? Number.NaN);
    expect(waits[0]).toBe(5_000);
    expect(waits).toEqual([...waits].sort((a, b) => a - b));
    const total = waits.reduce((sum, wait) => sum + wait, 0) / HOUR_MS;
    expect(total).toBeGreaterThan(72);
    expect(total).toBeLessThan(80);
    expect(waitAfter(MOST_TRIES)).toBeUndefined();
  });

  it('differ from event to event, and are never shorter than planned', () => {
    const waits = Array.from({ length: 100 }, () => waitAfter(4) ?? 0);
    expect(new Set(waits).size).toBeGreaterThan(50);
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(2 * HOUR_MS);
    expect(Math.max(...waits)).toBeLessThanOrEqual(2.4 * HOUR_MS);
  });

  it('are as long as the endpoint asks for, within a day', () => {
    expect(waitAfter(1, 60_000, () => 0)).toBe(60_000);
    expect(waitAfter(1, 1_000, () => 0)).toBe(5_000);
    expect(waitAfter(1, 1e12, () => 0)).toBe(24 * HOUR_MS);
  });
});

describe('Retry-After', () => {
  it.each([['120', 120_000], [' 3 ', 3_000], ['Sun, 06 Nov 1994 08:49:37 GMT', 7_000], ['Sun, 06 Nov 1994 08:49:00 GMT', 0], ['-1', 0], ['soon', 0], ['1e9', 0], ['99999999999', 0], ['', 0], [null, 0]])('%j is %d ms', (header, ms) => {
    expect(retryAfterMs(header, Date.parse('1994-11-06T08:49:30Z'))).toBe(ms);
  });
});
