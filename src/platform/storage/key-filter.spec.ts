import { describe, expect, it } from 'vitest';
import { KeyFilter } from './key-filter.js';

const keys = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, index) => `${prefix}/${String(index)}`);

describe('the filter of keys', () => {
  it('knows every key that was added, and takes few others for known', () => {
    const filter = new KeyFilter(20_000);
    for (const key of keys('in', 20_000)) filter.add(key);
    expect(keys('in', 20_000).every((key) => filter.mayHave(key))).toBe(true);
    expect(keys('out', 20_000).filter((key) => filter.mayHave(key)).length).toBeLessThan(60);
  });

  it('forgets none when there are more than it was told', () => {
    const filter = new KeyFilter(0);
    for (const key of keys('in', 5_000)) filter.add(key);
    expect(keys('in', 5_000).every((key) => filter.mayHave(key))).toBe(true);
    expect(new KeyFilter(0).mayHave('anything')).toBe(false);
  });
});
