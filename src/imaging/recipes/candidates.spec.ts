import { describe, expect, it } from 'vitest';
import { randomOf } from '../../../test/support/random.mjs';
import { components } from '../volume/components.js';
import { erode } from '../volume/morphology.js';
import type { Vector3 } from '../volume/volume.js';
import { componentsOfSlices, erosion, type Candidate } from './candidates.js';

const SIZE: Vector3 = [23, 17, 11];

function candidatesOf(mask: Uint8Array, erosions: number, weight: (offset: number) => number = () => 1): Candidate[] {
  const [columns, rows, slices] = SIZE;
  const collected = componentsOfSlices(columns, rows, weight);
  const sink = Array.from({ length: erosions }).reduce((next: ReturnType<typeof erosion>) => erosion(columns, rows, next), collected);
  for (let k = 0; k < slices; k++) sink.push(mask.slice(k * columns * rows, (k + 1) * columns * rows));
  sink.end();
  return collected.candidates();
}

/** Noise, dense enough to make parts of every shape. */
function noise(seed: number, share: number): Uint8Array {
  const next = randomOf(seed);
  return Uint8Array.from({ length: SIZE[0] * SIZE[1] * SIZE[2] }, () => (next() < share ? 1 : 0));
}

describe('components that come slice by slice', () => {
  it.each([0.1, 0.25, 0.5, 0.8])('are those of the whole volume, %d of it inside', (share) => {
    const mask = noise(7, share);
    const whole = components(mask, SIZE, 6).components;
    const streamed = candidatesOf(mask, 0);
    expect(streamed.map(({ voxels, box }) => ({ voxels, box }))).toEqual(whole.map(({ voxels, box }) => ({ voxels, box })));
  });

  it.each([1, 2])('are eroded %d times first, as the whole volume would be', (erosions) => {
    const mask = noise(3, 0.93);
    const whole = components(erode(mask, SIZE, 6, erosions), SIZE, 6).components;
    expect(whole.length).toBeGreaterThan(1);
    expect(candidatesOf(mask, erosions).map(({ voxels, box }) => ({ voxels, box }))).toEqual(whole.map(({ voxels, box }) => ({ voxels, box })));
  });

  it('have the weighted centre, and their voxels', () => {
    const mask = new Uint8Array(SIZE[0] * SIZE[1] * SIZE[2]);
    const at = (i: number, j: number, k: number): number => i + SIZE[0] * (j + SIZE[1] * k);
    for (const offset of [at(3, 4, 5), at(4, 4, 5), at(4, 4, 6)]) mask[offset] = 1;
    const [only] = candidatesOf(mask, 0, (offset) => (offset === at(4, 4, 6) ? 2 : 1));
    expect(only?.centre).toEqual([(3 + 4 + 2 * 4) / 4, 4, (5 + 5 + 2 * 6) / 4]);
    expect(only?.box).toEqual([[3, 4, 5], [4, 4, 6]]);
    expect([...(only?.mask() ?? [])]).toEqual([1, 1, 0, 1]);
    // Nothing weighs anything: the middle of the box.
    expect(candidatesOf(mask, 0, () => 0)[0]?.centre).toEqual([3.5, 4, 5.5]);
  });
});
