import { describe, expect, it } from 'vitest';
import { overlayHeatMap } from './overlay.js';
import { fitWithin, resize } from './resize.js';
import type { DisplayImage } from './window.js';

const flat = (width: number, height: number, value: number): DisplayImage => ({ width, height, channels: 1, data: new Uint8Array(width * height).fill(value) });

describe('resize', () => {
  it('averages areas when it shrinks', () => {
    const image: DisplayImage = { width: 4, height: 2, channels: 1, data: Uint8Array.of(0, 100, 200, 200, 100, 200, 200, 200) };
    expect([...resize(image, 2, 1).data]).toEqual([100, 200]);
    expect([...resize({ width: 3, height: 1, channels: 1, data: Uint8Array.of(0, 90, 180) }, 2, 1).data]).toEqual([30, 150]);
  });

  it('interpolates when it grows and keeps flat images flat', () => {
    expect([...resize({ width: 2, height: 1, channels: 1, data: Uint8Array.of(0, 100) }, 4, 1).data]).toEqual([0, 25, 75, 100]);
    for (const [width, height] of [[1, 1], [3, 17], [100, 5]] as const) expect(new Set(resize(flat(7, 11, 77), width, height).data)).toEqual(new Set([77]));
  });

  it('keeps channels apart', () => {
    const image: DisplayImage = { width: 2, height: 1, channels: 3, data: Uint8Array.of(0, 10, 20, 100, 110, 120) };
    expect([...resize(image, 1, 1).data]).toEqual([50, 60, 70]);
  });

  it('fits within limits without enlarging', () => {
    expect(fitWithin(3000, 2000, 300)).toEqual({ width: 300, height: 200 });
    expect(fitWithin(10, 20, 300, 300)).toEqual({ width: 10, height: 20 });
  });
});

describe('overlayHeatMap', () => {
  const image = flat(20, 10, 100);

  it('colours where the evidence is and leaves the rest alone', () => {
    const { data, scale } = overlayHeatMap(image, { data: Float32Array.of(0, 0, 0, 2), width: 4, height: 1 });
    expect([...data.subarray(0, 3)]).toEqual([100, 100, 100]);
    const last = data.subarray(19 * 3, 20 * 3);
    expect(last[0]).toBeGreaterThan(150);
    expect(last[0]).toBeGreaterThan(last[2] ?? 255);
    expect(scale).toEqual({ min: 0, max: 2 });
  });

  it('shows evidence against in blue only when asked', () => {
    const map = { data: Float32Array.of(-1, -1), width: 2, height: 1 };
    expect(new Set(overlayHeatMap(image, map).data)).toEqual(new Set([100]));
    const [r = 0, , b = 0] = overlayHeatMap(image, map, { signed: true }).data;
    expect(b).toBeGreaterThan(r);
  });

  it('survives maps that are empty of evidence or not finite', () => {
    for (const value of [0, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(new Set(overlayHeatMap(image, { data: Float32Array.of(value), width: 1, height: 1 }).data)).toEqual(new Set([100]));
    }
  });
});
