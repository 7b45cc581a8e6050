import { describe, expect, it } from 'vitest';
import { flipInPlace, flippedAffine, flipsToLps } from './flip.js';
import { indexToLps } from './geometry.js';
import type { Affine, Vector3 } from './volume.js';

const SIZE: Vector3 = [3, 4, 5];
const AFFINE: Affine = [[-0.7, 0, 0, 100], [0, -0.7, 0, 90], [0, 0, 2, -50]];

describe('flips', () => {
  it('keep every value where it is in the patient', () => {
    const voxels = Int16Array.from({ length: 60 }, (_, offset) => offset);
    for (const affine of [AFFINE, [[0.7, 0, 0, 1], [0, -0.7, 0, 2], [0, 0, -2, 3]] as Affine]) {
      const flips = flipsToLps({ affine });
      const [turned, turnedAffine] = [voxels.slice(), flippedAffine(affine, SIZE, flips)];
      flipInPlace(turned, SIZE, flips);
      expect(flipsToLps({ affine: turnedAffine })).toEqual([false, false, false]);
      for (let offset = 0; offset < 60; offset++) {
        const index: Vector3 = [offset % 3, Math.floor(offset / 3) % 4, Math.floor(offset / 12)];
        const before: Vector3 = [flips[0] ? 2 - index[0] : index[0], flips[1] ? 3 - index[1] : index[1], flips[2] ? 4 - index[2] : index[2]];
        expect(turned[offset]).toBe(voxels[before[0] + 3 * (before[1] + 4 * before[2])]);
        for (const axis of [0, 1, 2] as const) expect(indexToLps(turnedAffine, index)[axis]).toBeCloseTo(indexToLps(affine, before)[axis], 9);
      }
      flipInPlace(turned, SIZE, flips);
      expect(turned).toEqual(voxels);
    }
  });
});
