import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { closed } from '../../../src/imaging/recipes/cascaded-anisotropic/regions.js';
import { components } from '../../../src/imaging/volume/components.js';
import type { Vector3 } from '../../../src/imaging/volume/volume.js';

interface Golden {
  size: Vector3;
  cases: { seed: number; threshold: number; mask: number[]; closed: number[]; sizes: number[]; components: number }[];
}

// The shape is that of make_regions.py.
const golden = JSON.parse(readFileSync(new URL('regions.json', import.meta.url), 'utf8')) as Golden;

/** The same mask as in make_regions.py. */
function blobs(seed: number, threshold: number, [columns, rows, slices]: Vector3): Uint8Array {
  let state = BigInt(seed);
  let field = Array.from({ length: columns * rows * slices }, () => {
    state = (state * 1_103_515_245n + 12_345n) % 2_147_483_648n;
    return Number(state >> 16n);
  });
  const axes = [[columns * rows, slices], [columns, rows], [1, columns]] as const;
  for (let round = 0; round < 2; round++) {
    for (const [stride, length] of axes) {
      field = field.map((value, at) => {
        const place = Math.floor(at / stride) % length;
        const before = place === 0 ? value : (field[at - stride] ?? 0);
        const after = place === length - 1 ? value : (field[at + stride] ?? 0);
        return Math.floor((before + value + after) / 3);
      });
    }
  }
  return Uint8Array.from(field, (value) => (value > threshold ? 1 : 0));
}

function checksum(mask: Uint8Array): number[] {
  const at = [...mask.keys()].filter((i) => mask[i] === 1);
  return [at.length, at.reduce((sum, i) => sum + (i % 9973), 0), at.reduce((sum, i) => sum + ((i * 31) % 10_007), 0)];
}

describe('masks of the cascade agree with scipy.ndimage', () => {
  it.each(golden.cases)('seed $seed', ({ seed, threshold, ...expected }) => {
    const mask = blobs(seed, threshold, golden.size);
    expect(checksum(mask)).toEqual(expected.mask);
    expect(checksum(closed(mask, golden.size, 18))).toEqual(expected.closed);
    const found = components(mask, golden.size, 18).components.map(({ voxels }) => voxels).sort((a, b) => b - a);
    expect(found).toHaveLength(expected.components);
    expect(found.slice(0, 10)).toEqual(expected.sizes);
  });
});
