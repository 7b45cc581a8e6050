import { describe, expect, it } from 'vitest';
import { intensityScale } from './intensity.js';
import { sliceWindows, tilePlan } from './slice-window.js';

const intensity = intensityScale({ clipHu: [-1000, 1000], offset: 0, scale: 1 });
const affine = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]] as const;

describe('tilePlan', () => {
  it('covers a plane once where the network takes its size', () => {
    expect(tilePlan([512, 512], [512, 512], 16)).toEqual({ rows: 512, columns: 512, tiles: [{ column: 0, row: 0 }] });
    expect(tilePlan([500, 300], ['h', 'w'], 16)).toEqual({ rows: 304, columns: 512, tiles: [{ column: -6, row: -2 }] });
  });

  it('puts a smaller plane in the middle, and lays overlapping tiles over a larger one', () => {
    expect(tilePlan([400, 512], [512, 512], 16).tiles).toEqual([{ column: -56, row: 0 }]);
    const { tiles } = tilePlan([1024, 512], [512, 512], 16);
    expect(tiles.map(({ column }) => column)).toEqual([0, 256, 512]);
    expect(tilePlan([513, 512], [512, 512], 16).tiles.map(({ column }) => column)).toEqual([0, 1]);
  });
});

describe('sliceWindows', () => {
  const voxels = Int16Array.from({ length: 4 * 4 * 5 }, (_, offset) => 100 * Math.floor(offset / 16) + (offset % 16));
  const ct = { size: [4, 4, 5] as const, affine, voxels };

  it('repeats the first and the last slice beyond the ends', () => {
    const plan = tilePlan([4, 4], [4, 4], 1);
    const windows = sliceWindows(ct, 3, intensity, plan);
    const seen = [0, 1, 4, 2].map((slice) => {
      const window = windows(slice, plan.tiles[0] ?? { column: 0, row: 0 });
      return [window[0], window[16], window[32]];
    });
    expect(seen).toEqual([[0, 0, 100], [0, 100, 200], [300, 400, 400], [100, 200, 300]]);
  });

  it('clips, and fills what lies beyond the image with the lower end of the range', () => {
    const plan = tilePlan([4, 4], [6, 6], 1);
    const window = sliceWindows({ ...ct, voxels: voxels.map((value) => (value === 5 ? 3000 : value)) }, 1, intensityScale({ clipHu: [-1000, 1000], offset: -1000, scale: 2000 }), plan)(0, plan.tiles[0] ?? { column: 0, row: 0 });
    expect(plan.tiles).toEqual([{ column: -1, row: -1 }]);
    expect(window[0]).toBe(0);
    expect(window[7]).toBeCloseTo(0.5, 6);
    // Column 1, row 1 of the image.
    expect(window[14]).toBe(1);
  });

  it('gives the same in one go over many slices as anew for each, for every tile', () => {
    const many = { size: [4, 4, 40] as const, affine, voxels: Int16Array.from({ length: 16 * 40 }, (_, offset) => (offset * 37) % 900) };
    for (const shape of [[4, 4], [6, 8], [3, 3]] as const) {
      const plan = tilePlan([4, 4], shape, 1);
      const inOneGo = sliceWindows(many, 5, intensity, plan);
      for (let slice = 0; slice < 40; slice++) for (const tile of plan.tiles) expect([...inOneGo(slice, tile)]).toEqual([...sliceWindows(many, 5, intensity, plan)(slice, tile)]);
    }
  });
});
