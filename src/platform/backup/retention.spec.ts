import { describe, expect, it } from 'vitest';
import { newBackupId, timeOf } from './backup-manifest.js';
import { superseded } from './retention.js';

const NOW = new Date('2026-11-29T12:30:00Z');
const hoursAgo = (hours: number): string => newBackupId(new Date(NOW.getTime() - hours * 3_600_000));

describe('superseded', () => {
  it('keeps every backup of two days, the last of each day for as long as wanted, and nothing older', () => {
    const hourly = Array.from({ length: 40 * 24 }, (_, hour) => hoursAgo(hour)).sort();
    const gone = new Set(superseded(hourly, 30, NOW));
    const kept = hourly.filter((id) => !gone.has(id));
    expect(kept.filter((id) => NOW.getTime() - timeOf(id).getTime() <= 48 * 3_600_000)).toHaveLength(49);
    expect(kept.every((id) => NOW.getTime() - timeOf(id).getTime() <= 30 * 24 * 3_600_000)).toBe(true);
    const days = kept.map((id) => id.slice(0, 8));
    // 31 calendar days lie within 30 times 24 hours.
    expect(new Set(days).size).toBe(31);
    expect(days.filter((day) => day < '20261127').every((day) => days.indexOf(day) === days.lastIndexOf(day))).toBe(true);
    expect(superseded(kept, 30, NOW)).toEqual([]);
  });

  it('never takes the newest, however old it is', () => {
    const [old, older] = [hoursAgo(24 * 400), hoursAgo(24 * 500)];
    expect(superseded([older, old], 30, NOW)).toEqual([older]);
    expect(superseded([], 30, NOW)).toEqual([]);
  });
});
