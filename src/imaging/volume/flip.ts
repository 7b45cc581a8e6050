import type { Affine, Grid, Vector3, Voxels } from './volume.js';

/** Which of columns, rows and slices run the other way. */
export type Flips = readonly [boolean, boolean, boolean];

/** What turns a grid so that columns run to the patient's left, rows to the back, slices upwards; for grids along the axes of the patient. */
export function flipsToLps({ affine: [x, y, z] }: Pick<Grid, 'affine'>): Flips {
  return [x[0] < 0, y[1] < 0, z[2] < 0];
}

/** The same places counted from the other ends. */
export function flippedAffine(affine: Affine, size: Vector3, flips: Flips): Affine {
  const row = (source: Affine[0]): Affine[0] => {
    const [x, y, z, t] = source;
    const moved = t + (flips[0] ? x * (size[0] - 1) : 0) + (flips[1] ? y * (size[1] - 1) : 0) + (flips[2] ? z * (size[2] - 1) : 0);
    return [flips[0] ? -x : x, flips[1] ? -y : y, flips[2] ? -z : z, moved];
  };
  return [row(affine[0]), row(affine[1]), row(affine[2])];
}

/** Turns voxels in place; twice is as before. */
export function flipInPlace(voxels: Voxels, [columns, rows, slices]: Vector3, [flipI, flipJ, flipK]: Flips): void {
  const plane = columns * rows;
  if (flipI) for (let start = 0; start < voxels.length; start += columns) voxels.subarray(start, start + columns).reverse();
  if (flipJ) for (let start = 0; start < voxels.length; start += plane) reverseBlocks(voxels.subarray(start, start + plane), columns, rows);
  if (flipK) reverseBlocks(voxels, plane, slices);
}

function reverseBlocks(values: Voxels, length: number, count: number): void {
  for (let low = 0, high = count - 1; low < high; low++, high--) {
    const kept = values.slice(low * length, (low + 1) * length);
    values.copyWithin(low * length, high * length, (high + 1) * length);
    values.set(kept, high * length);
  }
}
