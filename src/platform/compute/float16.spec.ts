import { describe, expect, it } from 'vitest';
import { fromFloat16, toFloat16 } from './float16.js';

describe('half precision', () => {
  it('has the bit patterns of IEEE 754', () => {
    const values = Float32Array.of(0, -0, 1, -2, 65504, 65520, 2 ** -24, 2 ** -25, 0.333251953125, Infinity, -Infinity, NaN);
    expect([...toFloat16(values)]).toEqual([0, 0x8000, 0x3c00, 0xc000, 0x7bff, 0x7c00, 1, 0, 0x3555, 0x7c00, 0xfc00, 0x7e00]);
  });

  it('rounds ties to even', () => {
    expect([...toFloat16(Float32Array.of(2049, 2051, 1 + 2 ** -11, 1 + 3 * 2 ** -11))]).toEqual([0x6800, 0x6802, 0x3c00, 0x3c02]);
  });

  it('brings every half number back', () => {
    const all = Uint16Array.from({ length: 65_536 }, (_, i) => i).filter((half) => (half & 0x7c00) !== 0x7c00 || (half & 0x3ff) === 0);
    expect(toFloat16(fromFloat16(all))).toEqual(all);
  });
});
