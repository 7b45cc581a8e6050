import { describe, expect, it } from 'vitest';
import { gaussianNoise } from './noise.js';
import { addWindow, planeSize, readWindow, viewOf, windowsOver, type ViewName } from './windows.js';

const WINDOW = { inputSlices: 19, outputSlices: 11, stride: 11 };
const SILENCE = { fill: (out: Float32Array, from: number, to: number): void => { out.fill(-1, from, to); } };

describe('windowsOver', () => {
  it.each([1, 4, 5, 10, 11, 12, 21, 22, 33, 147, 155])('decides every one of %i slices once', (slices) => {
    const decided = windowsOver(slices, WINDOW).flatMap(({ from, to }) => Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i));
    expect(decided).toEqual(Array.from({ length: slices }, (_, i) => i));
  });

  it('moves the last window inwards until its centre is half a window from the end, where it decides', () => {
    expect(windowsOver(30, WINDOW)).toEqual([
      { input: -4, from: 0, to: 11, skip: 0 },
      { input: 7, from: 11, to: 20, skip: 0 },
      { input: 16, from: 20, to: 30, skip: 0 },
    ]);
  });
});

describe('planeSize', () => {
  it('is a multiple, and no less than the network was trained on', () => {
    expect(planeSize(viewOf([66, 110, 83], 'axial'), { height: 96, width: 96 }, 4)).toEqual({ height: 112, width: 96 });
    expect(planeSize(viewOf([66, 110, 83], 'sagittal'), { height: 96, width: 96 }, 4)).toEqual({ height: 96, width: 112 });
  });
});

describe('reading a volume through windows and writing it back', () => {
  const size = [5, 7, 23] as const;
  const source = Float32Array.from({ length: 5 * 7 * 23 }, (_, i) => i + 1);

  it('turns it as numpy does: sagittal transpose(2, 0, 1), coronal transpose(1, 0, 2)', () => {
    const at = (name: ViewName, slice: number, y: number, x: number): number => {
      const view = viewOf(size, name);
      const [, height, width] = view.size;
      const full = new Float32Array(24 * 24);
      readWindow(full, 0, source, view, slice, 1, { height: 24, width: 24 }, SILENCE);
      return full[(12 - Math.floor(height / 2) + y) * 24 + 12 - Math.floor(width / 2) + x] ?? 0;
    };
    const value = (i: number, j: number, k: number): number => 1 + i + 5 * (j + 7 * k);
    expect(at('axial', 20, 6, 4)).toBe(value(4, 6, 20));
    expect(at('sagittal', 3, 20, 6)).toBe(value(3, 6, 20));
    expect(at('coronal', 2, 20, 4)).toBe(value(4, 2, 20));
  });

  it('fills with noise what lies outside, around the middle', () => {
    const view = viewOf(size, 'axial');
    const plane = { height: 12, width: 8 };
    const out = new Float32Array(3 * 96);
    readWindow(out, 0, source, view, -2, 3, plane, SILENCE);
    expect(out.subarray(0, 192).every((value) => value === -1)).toBe(true);
    expect(out.subarray(192).filter((value) => value !== -1)).toEqual(source.subarray(0, 35));
    // Floor of half the plane less floor of half the image.
    expect(out[192 + 3 * 8 + 2]).toBe(1);
  });

  it.each<ViewName>(['axial', 'sagittal', 'coronal'])('adds %s windows back to where they came from', (name) => {
    const view = viewOf(size, name);
    const plane = { height: 24, width: 24 };
    const sum = new Float32Array(source.length);
    for (const window of windowsOver(view.size[0], WINDOW)) {
      const result = new Float32Array(2 * 11 * 576);
      readWindow(result, 11 * 576, source, view, window.from - window.skip, 11, plane, SILENCE);
      addWindow(sum, result, 0, view, window, 11, plane);
    }
    expect(sum).toEqual(source);
  });
});

describe('gaussianNoise', () => {
  it('is standard normal and the same for the same seed', () => {
    const draw = (seed: number): Float32Array => {
      const out = new Float32Array(200_001);
      gaussianNoise(seed).fill(out, 0, out.length);
      return out;
    };
    const numbers = draw(7);
    expect(draw(7)).toEqual(numbers);
    expect(draw(8)).not.toEqual(numbers);
    const mean = (values: Float32Array, power: number): number => values.reduce((sum, value) => sum + value ** power, 0) / values.length;
    expect(mean(numbers, 1)).toBeCloseTo(0, 2);
    expect(mean(numbers, 2)).toBeCloseTo(1, 1);
    expect(mean(numbers, 4)).toBeCloseTo(3, 0);
    // The part beyond 1, 2, 3 and 3.5 standard deviations: the last is the tail.
    const beyond = (limit: number): number => numbers.filter((value) => Math.abs(value) > limit).length / numbers.length;
    for (const [limit, part] of [[1, 0.3173], [2, 0.0455], [3, 0.0027], [3.5, 0.000465]] as const) expect(Math.abs(beyond(limit) - part)).toBeLessThan(4 * Math.sqrt(part / numbers.length));
  });
});
