import { describe, expect, it } from 'vitest';
import { matchesPattern } from './pattern.js';

describe('a pattern of a routing rule', () => {
  it('matches whole texts, whatever their case and width', () => {
    expect(matchesPattern('CT Thorax', ' ct thorax ')).toBe(true);
    expect(matchesPattern('thorax', 'CT thorax')).toBe(false);
    expect(matchesPattern('ＣＴ*', 'CT 胸部平扫')).toBe(true);
  });

  it('knows a star for any run and a question mark for one character', () => {
    expect(matchesPattern('*thorax*', 'CT Thorax low dose')).toBe(true);
    expect(matchesPattern('*胸部*', 'CT 胸部平扫')).toBe(true);
    expect(matchesPattern('ct_?', 'CT_1')).toBe(true);
    expect(matchesPattern('ct_?', 'CT_')).toBe(false);
    expect(matchesPattern('*ab*ab', 'ababxab')).toBe(true);
    expect(matchesPattern('*ab*ab', 'ab')).toBe(false);
    expect(matchesPattern('*', '')).toBe(true);
    expect(matchesPattern('a.c', 'abc')).toBe(false);
  });

  it('takes no more than pattern times text', () => {
    const started = performance.now();
    expect(matchesPattern(`${'*a'.repeat(50)}b`, 'a'.repeat(10_000))).toBe(false);
    expect(performance.now() - started).toBeLessThan(100);
  });
});
