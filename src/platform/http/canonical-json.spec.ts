import { describe, expect, it } from 'vitest';
import { canonicalJson } from './canonical-json.js';

describe('canonical JSON', () => {
  it('is the same for members in any order, at any depth', () => {
    expect(canonicalJson({ b: [{ y: 1, x: null }], a: 'é' })).toBe('{"a":"é","b":[{"x":null,"y":1}]}');
    expect(canonicalJson(JSON.parse('{"a":1,"b":{"c":2,"d":3}}'))).toBe(canonicalJson(JSON.parse('{"b":{"d":3,"c":2},"a":1}')));
  });

  it('differs for another order of items, another type, another nesting', () => {
    const texts = [[1, 2], [2, 1], ['1', 2], [[1], 2], { 0: 1, 1: 2 }, null, undefined, '', 'null'].map(canonicalJson);
    expect(new Set(texts).size).toBe(texts.length - 1);
    expect(canonicalJson(undefined)).toBe('null');
  });

  it('reads back as the same value', () => {
    const value = { a: [1.5, -0.1, 1e21, true, false, null, 'x"\\\n'], ['k"ey']: {} };
    expect(JSON.parse(canonicalJson(value))).toEqual(value);
  });
});
