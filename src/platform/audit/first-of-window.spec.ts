import { describe, expect, it } from 'vitest';
import { FirstOfWindow } from './first-of-window.js';

describe('the first of a window', () => {
  it('is the first for each key until its window ends', () => {
    let now = 0;
    const first = new FirstOfWindow(1_000, () => now);
    expect([first.isFirst('a'), first.isFirst('a'), first.isFirst('b')]).toEqual([true, false, true]);
    now = 999;
    expect(first.isFirst('a')).toBe(false);
    now = 1_000;
    expect([first.isFirst('a'), first.isFirst('a'), first.isFirst('b')]).toEqual([true, false, true]);
    first.forget('a');
    expect(first.isFirst('a')).toBe(true);
  });

  it('remembers a hundred thousand at most', () => {
    const first = new FirstOfWindow(1_000, () => 0);
    for (let index = 0; index < 100_001; index++) expect(first.isFirst(String(index))).toBe(true);
    expect([first.isFirst('0'), first.isFirst('100000')]).toEqual([true, false]);
  });
});
