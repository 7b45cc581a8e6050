import { describe, expect, it } from 'vitest';
import type { Vector3 } from '../../volume/volume.js';
import { fuse } from './fusion.js';
import { componentsOver, componentsWithin, largestTwo } from './regions.js';

const SIZE: Vector3 = [40, 20, 20];
const RULES = { connectivity: 18, boxMargin: 5, wholeTumourMinVoxels: 200, secondComponentMinRatio: 0.1, coreMinOverlap: 0.5, enhancingMinVoxels: 30, values: { oedema: 2, core: 1, enhancing: 4 } } as const;

function box(...boxes: [from: Vector3, to: Vector3][]): Uint8Array {
  const mask = new Uint8Array(SIZE[0] * SIZE[1] * SIZE[2]);
  for (const [[x0, y0, z0], [x1, y1, z1]] of boxes) {
    for (let z = z0; z < z1; z++) for (let y = y0; y < y1; y++) mask.fill(1, x0 + SIZE[0] * (y + SIZE[1] * z), x1 + SIZE[0] * (y + SIZE[1] * z));
  }
  return mask;
}

const count = (mask: Uint8Array, value = 1): number => mask.reduce((sum, one) => sum + (one === value ? 1 : 0), 0);

describe('components', () => {
  const big = [[2, 2, 2], [12, 12, 12]] as [Vector3, Vector3];
  const small = [[20, 2, 2], [24, 6, 6]] as [Vector3, Vector3];

  it('keeps those over a size, and one that is alone', () => {
    expect(componentsOver(box(big, small), SIZE, 18, 200)).toEqual(box(big));
    expect(componentsOver(box(small), SIZE, 18, 200)).toEqual(box(small));
  });

  it('keeps the second one when it is more than a part of the first', () => {
    expect(largestTwo(box(big, small), SIZE, 18, 0.1)).toEqual(box(big));
    expect(largestTwo(box(big, small), SIZE, 18, 0.05)).toEqual(box(big, small));
  });

  it('keeps those that lie within', () => {
    expect(componentsWithin(box(big, small), box([[2, 2, 2], [7, 12, 12]]), SIZE, 18, 0.5)).toEqual(box(big));
  });
});

describe('fuse', () => {
  const wholeTumour = box([[2, 2, 2], [14, 14, 14]]);
  const tumourCore = box([[4, 4, 4], [12, 12, 12]]);
  const nothing = new Uint8Array(wholeTumour.length);

  it('labels the enhancing part in the core in the whole', () => {
    const labels = fuse({ wholeTumour, tumourCore, enhancing: box([[6, 6, 6], [10, 10, 10]]) }, SIZE, RULES);
    expect([count(labels, 4), count(labels, 1), count(labels, 2)]).toEqual([64, 512 - 64, 1728 - 512]);
  });

  it('drops an enhancing part of a few voxels, which then is core', () => {
    const labels = fuse({ wholeTumour, tumourCore, enhancing: box([[6, 6, 6], [9, 9, 9]]) }, SIZE, RULES);
    expect([count(labels, 4), count(labels, 1)]).toEqual([0, 512]);
  });

  it('drops a core outside of the tumour', () => {
    const labels = fuse({ wholeTumour, tumourCore: box([[30, 4, 4], [36, 12, 12]]), enhancing: nothing }, SIZE, RULES);
    expect([count(labels, 1), count(labels, 2)]).toEqual([0, 1728]);
  });

  it('finds nothing in nothing', () => {
    expect(count(fuse({ wholeTumour: nothing, tumourCore: nothing, enhancing: nothing }, SIZE, RULES), 0)).toBe(nothing.length);
  });
});
