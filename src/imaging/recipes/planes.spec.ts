import { describe, expect, it } from 'vitest';
import { centreSquare, crop, normalise, resize, toPlanes, type Planes } from './planes.js';

const grey = (width: number, values: number[]): Planes => ({ channels: 1, width, height: values.length / width, data: Float64Array.from(values) });

describe('toPlanes', () => {
  const colour = { width: 2, height: 1, channels: 3 as const, data: Uint8Array.of(255, 0, 0, 10, 20, 30) };

  it('repeats grey for networks that want colour', () => {
    expect([...toPlanes({ width: 2, height: 1, channels: 1, data: Uint8Array.of(7, 9) }, 3).data]).toEqual([7, 9, 7, 9, 7, 9]);
  });

  it('keeps colour as planes, and mixes it to grey by luma', () => {
    expect([...toPlanes(colour, 3).data]).toEqual([255, 10, 0, 20, 0, 30]);
    expect([...toPlanes(colour, 1).data]).toEqual([0.299 * 255, 0.299 * 10 + 0.587 * 20 + 0.114 * 30]);
  });
});

describe('centreSquare and crop', () => {
  it('take the middle, the larger half of an odd rest at the right and below', () => {
    expect(centreSquare(5, 2)).toEqual({ x: 1, y: 0, width: 2, height: 2 });
    expect(centreSquare(3, 6)).toEqual({ x: 0, y: 1, width: 3, height: 3 });
    expect([...crop(grey(5, [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]), centreSquare(5, 2)).data]).toEqual([1, 2, 11, 12]);
  });
});

describe('resize', () => {
  it('gives the very same pixels for the same size', () => {
    const image = grey(2, [0.1, 0.2, 0.3, 0.4]);
    expect(resize(image, 2, 2, 'area')).toBe(image);
    expect(resize(image, 2, 2, 'bilinear')).toBe(image);
  });

  it('averages boxes exactly where it shrinks, parts of pixels too', () => {
    expect([...resize(grey(4, [0, 2, 4, 6, 8, 10, 12, 14]), 2, 1, 'area').data]).toEqual([5, 9]);
    // 3 to 2: each target covers one pixel and a half.
    const [left = 0, right = 0] = resize(grey(3, [3, 6, 9]), 2, 1, 'area').data;
    expect(left).toBeCloseTo((3 + 0.5 * 6) / 1.5, 5);
    expect(right).toBeCloseTo((0.5 * 6 + 9) / 1.5, 5);
  });

  it('is bilinear with half-pixel centres where it grows, as PyTorch with align_corners=False', () => {
    // torch.nn.functional.interpolate(torch.tensor([[[0., 4.]]]), size=4, mode='linear')
    expect([...resize(grey(2, [0, 4]), 4, 1, 'area').data]).toEqual([0, 1, 3, 4]);
    expect([...resize(grey(2, [0, 4]), 4, 1, 'bilinear').data]).toEqual([0, 1, 3, 4]);
  });

  it('takes two neighbours only when it shrinks bilinearly', () => {
    // Centres at 0.5 and 2.5 of [0, 1, 2, 3] scaled: (0 + 10) / 2 and (20 + 30) / 2.
    expect([...resize(grey(4, [0, 10, 20, 30]), 2, 1, 'bilinear').data]).toEqual([5, 25]);
    // 6 to 2: centres at 1 and 4, all others are not looked at.
    expect([...resize(grey(6, [9, 1, 9, 9, 4, 9]), 2, 1, 'bilinear').data]).toEqual([1, 4]);
  });
});

describe('normalise', () => {
  it('is (value / scale - mean) / std, channel by channel', () => {
    const image: Planes = { channels: 3, width: 1, height: 1, data: Float64Array.of(255, 0, 51) };
    expect([...normalise(image, 255, [0.5, 0.25, 0.2], [0.5, 0.5, 0.1]).data].map((value) => Math.round(value * 1e6) / 1e6)).toEqual([1, -0.5, 0]);
  });
});
