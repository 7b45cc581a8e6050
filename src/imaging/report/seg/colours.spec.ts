import { describe, expect, it } from 'vitest';
import { dicomLab } from './colours.js';

describe('dicomLab', () => {
  it('has white, black and grey on the axis of lightness', () => {
    expect(dicomLab([255, 255, 255])).toEqual([65_535, 32_896, 32_896]);
    expect(dicomLab([0, 0, 0])).toEqual([0, 32_896, 32_896]);
    expect(dicomLab([119, 119, 119])[0]).toBeCloseTo(0.5003 * 65_535, -3);
  });
});
