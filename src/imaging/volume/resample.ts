import { composeAffines, invertAffine } from './geometry.js';
import { splineCoefficients, TAPS, writeTaps, type Interpolation } from './kernels.js';
import type { Affine, Grid, Vector3, Volume, Voxels } from './volume.js';

export type { Interpolation } from './kernels.js';

export interface ResampleOptions {
  interpolation: Interpolation;
  /** The value of voxels that lie more than half a voxel outside of the volume. */
  outside: number;
}

/**
 * A volume on another grid, in the same millimetres. A grid whose axes are those of the volume (either way round) is done axis by axis and slice
 * by slice; any other voxel by voxel. Memory: the result, and for splines the coefficients of the volume. Nothing is smoothed before: whoever
 * goes to far coarser voxels must do so.
 *
 * Reaches as far as ITK: half a voxel beyond the outermost centres.
 *
 * @param volume  `[z, y, x]`
 * @param grid  where the values are wanted; frames of reference are the caller's matter
 * @param progress  told the part that is done, 0–1
 * @throws RangeError when the axes of the volume lie in a plane
 */
export function resample(volume: Volume<Voxels>, grid: Grid, { interpolation, outside }: ResampleOptions, progress: (done: number) => void = () => undefined): Volume<Float32Array> {
  const [columns, rows, slices] = grid.size;
  const voxels = new Float32Array(columns * rows * slices);
  const toIndex = rounded(composeAffines(invertAffine(volume.affine), grid.affine));
  const source: Source = { size: volume.size, voxels: interpolation === 'cubic-b-spline' ? coefficientsOf(volume) : volume.voxels };
  if (isAligned(toIndex)) resampleAligned(source, toIndex, grid.size, interpolation, outside, voxels, progress);
  else resampleTurned(source, toIndex, grid.size, interpolation, outside, voxels, progress);
  return { ...grid, voxels };
}

/** Labels on another grid: each voxel takes the label of the nearest one; 0 outside. */
export function resampleLabels(volume: Volume<Uint8Array>, grid: Grid): Volume<Uint8Array> {
  const [columns, rows, slices] = grid.size;
  const [inColumns, inRows, inSlices] = volume.size;
  const toIndex = rounded(composeAffines(invertAffine(volume.affine), grid.affine));
  const voxels = new Uint8Array(columns * rows * slices);
  let out = 0;
  for (let k = 0; k < slices; k++) {
    for (let j = 0; j < rows; j++) {
      for (let i = 0; i < columns; i++, out++) {
        const x = Math.floor(at(toIndex, 0, i, j, k) + 0.5);
        const y = Math.floor(at(toIndex, 1, i, j, k) + 0.5);
        const z = Math.floor(at(toIndex, 2, i, j, k) + 0.5);
        if (x < 0 || y < 0 || z < 0 || x >= inColumns || y >= inRows || z >= inSlices) continue;
        voxels[out] = volume.voxels[x + inColumns * (y + inRows * z)] ?? 0;
      }
    }
  }
  return { ...grid, voxels };
}

/** The grid of a volume with voxels of another size: it begins at the same corner, and covers as much as whole voxels can. */
export function respacedGrid(grid: Grid, spacing: Vector3): Grid {
  const factor = (axis: 0 | 1 | 2): number => spacing[axis] / Math.hypot(grid.affine[0][axis], grid.affine[1][axis], grid.affine[2][axis]);
  const factors: Vector3 = [factor(0), factor(1), factor(2)];
  const count = (axis: 0 | 1 | 2): number => Math.max(1, Math.round(grid.size[axis] / factors[axis]));
  // The corner of the first voxel lies half a voxel before its centre.
  const shift = (axis: 0 | 1 | 2): number => (factors[axis] - 1) / 2;
  const affine = composeAffines(grid.affine, [[factors[0], 0, 0, shift(0)], [0, factors[1], 0, shift(1)], [0, 0, factors[2], shift(2)]]);
  return { ...grid, size: [count(0), count(1), count(2)], affine };
}

interface Source {
  size: Vector3;
  voxels: Voxels;
}

function at(affine: Affine, axis: 0 | 1 | 2, i: number, j: number, k: number): number {
  const row = affine[axis];
  return row[0] * i + row[1] * j + row[2] * k + row[3];
}

/** Going to millimetres and back leaves noise in the last digits, which must not decide what lies on an edge. */
function rounded(affine: Affine): Affine {
  const clean = (value: number): number => Math.round(value * 1e9) / 1e9;
  const row = ([a, b, c, d]: Affine[0]): Affine[0] => [clean(a), clean(b), clean(c), clean(d)];
  return [row(affine[0]), row(affine[1]), row(affine[2])];
}

function isAligned([x, y, z]: Affine): boolean {
  return [x[1], x[2], y[0], y[2], z[0], z[1]].every((value) => Math.abs(value) < 1e-7);
}

interface AxisTaps {
  taps: number;
  indices: Int32Array;
  weights: Float64Array;
  isInside: Uint8Array;
}

function axisTaps(interpolation: Interpolation, scale: number, shift: number, count: number, size: number): AxisTaps {
  const taps = TAPS[interpolation];
  const result = { taps, indices: new Int32Array(count * taps), weights: new Float64Array(count * taps), isInside: new Uint8Array(count) };
  for (let i = 0; i < count; i++) {
    const index = scale * i + shift;
    if (!isInside(index, size)) continue;
    result.isInside[i] = 1;
    writeTaps(interpolation, index, size, result.indices, result.weights, i * taps);
  }
  return result;
}

function isInside(index: number, size: number): boolean {
  return index >= -0.5 && index < size - 0.5;
}

function resampleAligned({ size, voxels }: Source, affine: Affine, [columns, rows, slices]: Vector3, interpolation: Interpolation, outside: number, out: Float32Array, progress: (done: number) => void): void {
  const x = axisTaps(interpolation, affine[0][0], affine[0][3], columns, size[0]);
  const y = axisTaps(interpolation, affine[1][1], affine[1][3], rows, size[1]);
  const z = axisTaps(interpolation, affine[2][2], affine[2][3], slices, size[2]);
  // Slices of the volume on the columns and rows of the grid, as far as the present slice needs them.
  const planes = new Map<number, Float64Array>();
  const lines = new Float64Array(columns * size[1]);
  const sums = new Float64Array(columns * rows);
  for (let k = 0; k < slices; k++) {
    const plane = out.subarray(k * columns * rows, (k + 1) * columns * rows);
    if (z.isInside[k] === 1) {
      const wanted = z.indices.subarray(k * z.taps, (k + 1) * z.taps);
      for (const held of planes.keys()) if (!wanted.includes(held)) planes.delete(held);
      sums.fill(0);
      for (let tap = 0; tap < z.taps; tap++) {
        const slice = wanted[tap] ?? 0;
        const weight = z.weights[k * z.taps + tap] ?? 0;
        if (weight === 0) continue;
        let held = planes.get(slice);
        if (held === undefined) {
          held = planeOf(voxels.subarray(slice * size[0] * size[1], (slice + 1) * size[0] * size[1]), size, x, y, [columns, rows], lines);
          planes.set(slice, held);
        }
        for (let p = 0; p < sums.length; p++) sums[p] = (sums[p] ?? 0) + weight * (held[p] ?? 0);
      }
      for (let j = 0, p = 0; j < rows; j++) for (let i = 0; i < columns; i++, p++) plane[p] = y.isInside[j] === 1 && x.isInside[i] === 1 ? (sums[p] ?? 0) : outside;
    } else plane.fill(outside);
    progress((k + 1) / slices);
  }
}

/** One slice along both axes in the plane. @param lines  scratch: rows of the source × columns of the grid */
function planeOf(slice: Voxels, [inColumns, inRows]: Vector3, x: AxisTaps, y: AxisTaps, [columns, rows]: readonly [number, number], lines: Float64Array): Float64Array {
  for (let j = 0; j < inRows; j++) {
    for (let i = 0; i < columns; i++) {
      let sum = 0;
      for (let tap = i * x.taps; tap < (i + 1) * x.taps; tap++) sum += (x.weights[tap] ?? 0) * (slice[j * inColumns + (x.indices[tap] ?? 0)] ?? 0);
      lines[j * columns + i] = sum;
    }
  }
  const plane = new Float64Array(columns * rows);
  for (let j = 0; j < rows; j++) {
    for (let tap = j * y.taps; tap < (j + 1) * y.taps; tap++) {
      const weight = y.weights[tap] ?? 0;
      const from = (y.indices[tap] ?? 0) * columns;
      if (weight !== 0) for (let i = 0; i < columns; i++) plane[j * columns + i] = (plane[j * columns + i] ?? 0) + weight * (lines[from + i] ?? 0);
    }
  }
  return plane;
}

function resampleTurned(source: Source, affine: Affine, [columns, rows, slices]: Vector3, interpolation: Interpolation, outside: number, out: Float32Array, progress: (done: number) => void): void {
  const [inColumns, inRows, inSlices] = source.size;
  const taps = TAPS[interpolation];
  const indices = new Int32Array(3 * taps);
  const weights = new Float64Array(3 * taps);
  for (let k = 0, p = 0; k < slices; k++) {
    for (let j = 0; j < rows; j++) {
      for (let i = 0; i < columns; i++, p++) {
        const [x, y, z] = [at(affine, 0, i, j, k), at(affine, 1, i, j, k), at(affine, 2, i, j, k)];
        if (!isInside(x, inColumns) || !isInside(y, inRows) || !isInside(z, inSlices)) {
          out[p] = outside;
          continue;
        }
        writeTaps(interpolation, x, inColumns, indices, weights, 0);
        writeTaps(interpolation, y, inRows, indices, weights, taps);
        writeTaps(interpolation, z, inSlices, indices, weights, 2 * taps);
        out[p] = weighted(source, indices, weights, taps);
      }
    }
    progress((k + 1) / slices);
  }
}

function weighted({ size: [columns, rows], voxels }: Source, indices: Int32Array, weights: Float64Array, taps: number): number {
  let sum = 0;
  for (let c = 2 * taps; c < 3 * taps; c++) {
    let plane = 0;
    for (let b = taps; b < 2 * taps; b++) {
      const from = columns * ((indices[b] ?? 0) + rows * (indices[c] ?? 0));
      let line = 0;
      for (let a = 0; a < taps; a++) line += (weights[a] ?? 0) * (voxels[from + (indices[a] ?? 0)] ?? 0);
      plane += (weights[b] ?? 0) * line;
    }
    sum += (weights[c] ?? 0) * plane;
  }
  return sum;
}

function coefficientsOf({ voxels, size: [columns, rows, slices] }: Volume<Voxels>): Float32Array {
  const out = Float32Array.from(voxels);
  const plane = columns * rows;
  filterLines(out, columns, 1, rows * slices, (line) => line * columns);
  filterLines(out, rows, columns, columns * slices, (line) => (line % columns) + Math.floor(line / columns) * plane);
  filterLines(out, slices, plane, plane, (line) => line);
  return out;
}

function filterLines(voxels: Float32Array, length: number, stride: number, lines: number, startOf: (line: number) => number): void {
  const buffer = new Float64Array(length);
  for (let line = 0; line < lines; line++) {
    const start = startOf(line);
    for (let i = 0; i < length; i++) buffer[i] = voxels[start + i * stride] ?? 0;
    splineCoefficients(buffer);
    for (let i = 0; i < length; i++) voxels[start + i * stride] = buffer[i] ?? 0;
  }
}
