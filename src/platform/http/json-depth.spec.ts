import { describe, expect, it } from 'vitest';
import { isDeeperThan } from './json-depth.js';

const deeper = (text: string, most: number): boolean => isDeeperThan(Buffer.from(text), most);

describe('the depth of JSON', () => {
  it.each([
    ['1', 0, false], ['[]', 0, true], ['[]', 1, false], ['{"a":[1]}', 1, true], ['{"a":[1]}', 2, false], ['[[],[],[]]', 2, false],
    ['"[[[["', 0, false], ['{"[":"]]\\"[[","b":"\\\\"}', 1, false], ['["\\\\",[]]', 1, true], ['"unfinished [', 0, false], ['"unfinished \\', 0, false], ['', 0, false],
  ])('%s is deeper than %i: %s', (text, most, expected) => { expect(deeper(text, most)).toBe(expected); });

  it('is known of a megabyte in milliseconds', () => {
    const text = Buffer.from(`"${'\\"['.repeat(350_000)}"`);
    const start = performance.now();
    expect(isDeeperThan(text, 1)).toBe(false);
    expect(performance.now() - start).toBeLessThan(100);
  });
});
