import { describe, expect, it } from 'vitest';
import { lpsToIndex } from '../volume/geometry.js';
import { chestWithNodules } from './nodules-ct.js';
import { phantomGrid } from './volume-series.js';

describe('a chest with nodules', () => {
  const { volume, nodules } = chestWithNodules(1);
  const grid = phantomGrid(volume);
  const at = (point: readonly [number, number, number]): number => {
    const [i, j, k] = lpsToIndex(grid, [...point]).map(Math.round) as [number, number, number];
    return volume.voxels[i + volume.size[0] * (j + volume.size[1] * k)] ?? NaN;
  };

  it('has four of them, two a lung, apart from each other', () => {
    expect(nodules.map(({ side }) => side).sort()).toEqual(['left', 'left', 'right', 'right']);
    for (const { centre, side } of nodules) expect(centre[0] > 0).toBe(side === 'left');
    for (const [index, one] of nodules.entries()) for (const other of nodules.slice(index + 1)) expect(Math.hypot(...one.centre.map((part, axis) => part - (other.centre[axis] ?? 0)))).toBeGreaterThan(35);
  });

  it('holds soft tissue where a nodule is said to be, and lung or a vessel around it', () => {
    for (const { centre, diameterMm } of nodules) {
      expect(at(centre)).toBeGreaterThan(-80);
      const around = [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]].map(([x = 0, y = 0, z = 0]) => at([centre[0] + x * (diameterMm / 2 + 2.5), centre[1] + y * (diameterMm / 2 + 2.5), centre[2] + z]));
      expect(Math.min(...around)).toBeLessThan(-700);
    }
  });

  it('is the same for the same seed only', () => {
    expect(chestWithNodules(1).nodules).toEqual(nodules);
    expect(chestWithNodules(2).nodules).not.toEqual(nodules);
  });
});
