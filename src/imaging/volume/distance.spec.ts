import { describe, expect, it } from 'vitest';
import { randomOf } from '../../../test/support/random.mjs';
import { closeMm, distanceTo } from './distance.js';
import type { Vector3 } from './volume.js';

const SIZE: Vector3 = [11, 9, 7];
const SPACING: Vector3 = [0.7, 0.9, 2.5];

const indexOf = (offset: number): Vector3 => [offset % SIZE[0], Math.floor(offset / SIZE[0]) % SIZE[1], Math.floor(offset / (SIZE[0] * SIZE[1]))];
const apart = (p: Vector3, q: Vector3): number => Math.hypot(...([0, 1, 2] as const).map((axis) => (p[axis] - q[axis]) * SPACING[axis]));

describe('distanceTo', () => {
  it('is what a search through all voxels finds', () => {
    const next = randomOf(5);
    const mask = Uint8Array.from({ length: 11 * 9 * 7 }, () => (next() < 0.02 ? 1 : 0));
    const inside = [...mask].flatMap((value, offset) => (value === 1 ? [indexOf(offset)] : []));
    const distance = distanceTo(mask, SIZE, SPACING);
    for (let offset = 0; offset < mask.length; offset++) expect(distance[offset]).toBeCloseTo(Math.min(...inside.map((q) => apart(indexOf(offset), q))), 4);
  });

  it('is infinite when the mask is empty', () => {
    expect(distanceTo(new Uint8Array(693), SIZE, SPACING).every((value) => value === Infinity)).toBe(true);
  });
});

describe('closeMm', () => {
  it('fills a gap that is narrower than the ball, and keeps what touches the edge', () => {
    const size: Vector3 = [21, 5, 5];
    const mask = Uint8Array.from({ length: 525 }, (_, offset) => (offset % 21 < 8 || offset % 21 > 11 ? 1 : 0));
    expect(closeMm(mask, size, [1, 1, 1], 3).every((value) => value === 1)).toBe(true);
    expect(closeMm(mask, size, [1, 1, 1], 1)).toEqual(mask);
  });
});
