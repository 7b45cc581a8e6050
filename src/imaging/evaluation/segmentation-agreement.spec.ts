import { describe, expect, it } from 'vitest';
import { uniformStream } from '../phantom/random.js';
import { agreementOf } from './segmentation-agreement.js';

const SIZE = [20, 16, 12] as const;
const SPACING = [1, 2, 3] as const;
const mask = (isIn: (x: number, y: number, z: number) => boolean): Uint8Array =>
  Uint8Array.from({ length: SIZE[0] * SIZE[1] * SIZE[2] }, (_, i) => Number(isIn(i % SIZE[0], Math.floor(i / SIZE[0]) % SIZE[1], Math.floor(i / (SIZE[0] * SIZE[1])))));
const cube = (x0: number): Uint8Array => mask((x, y, z) => x >= x0 && x < x0 + 6 && y >= 4 && y < 10 && z >= 3 && z < 8);

describe('the agreement of two segmentations', () => {
  it('is perfect with itself', () => {
    expect(agreementOf(cube(4), cube(4), SIZE, SPACING)).toEqual({ dice: 1, hausdorff95Mm: 0, foundMl: 6 * 6 * 5 * 6 / 1000, trueMl: 6 * 6 * 5 * 6 / 1000 });
  });

  it('tells by how much one is shifted', () => {
    const { dice, hausdorff95Mm } = agreementOf(cube(6), cube(4), SIZE, SPACING);
    expect(dice).toBeCloseTo(4 / 6, 10);
    expect(hausdorff95Mm).toBe(2);
  });

  it('has no figure for what is not there', () => {
    const empty = mask(() => false);
    expect(agreementOf(empty, empty, SIZE, SPACING)).toEqual({ dice: null, hausdorff95Mm: null, foundMl: 0, trueMl: 0 });
    expect(agreementOf(empty, cube(4), SIZE, SPACING)).toMatchObject({ dice: 0, hausdorff95Mm: null, foundMl: 0 });
  });

  it('measures distances as counting them one by one does', () => {
    const uniform = uniformStream(7);
    const [a, b] = [0.02, 0.01].map((share) => mask(() => uniform() < share));
    // Single voxels: each is surface.
    const points = (of: Uint8Array): number[][] => [...of.entries()].filter(([, value]) => value !== 0).map(([i]) => [(i % SIZE[0]) * SPACING[0], (Math.floor(i / SIZE[0]) % SIZE[1]) * SPACING[1], Math.floor(i / (SIZE[0] * SIZE[1])) * SPACING[2]]);
    const [pa, pb] = [points(a ?? new Uint8Array()), points(b ?? new Uint8Array())];
    const nearest = (p: number[], of: number[][]): number => Math.min(...of.map((q) => Math.hypot(...p.map((value, axis) => value - (q[axis] ?? 0)))));
    const all = [...pa.map((p) => nearest(p, pb)), ...pb.map((p) => nearest(p, pa))].sort((x, y) => x - y);
    expect(agreementOf(a ?? new Uint8Array(), b ?? new Uint8Array(), SIZE, SPACING).hausdorff95Mm).toBeCloseTo(all[Math.ceil(0.95 * all.length) - 1] ?? 0, 5);
  });
});
