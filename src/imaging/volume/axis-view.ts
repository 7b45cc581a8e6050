import { AppError } from '../../kernel/errors.js';
import type { Affine, Grid, Vector3, Voxels } from './volume.js';

/** One axis of a network's tensor, as it runs through a volume. */
interface Axis {
  /** 0 columns, 1 rows, 2 slices. */
  of: 0 | 1 | 2;
  flipped: boolean;
  /** Steps along the tensor, after resampling. */
  size: number;
  /** Steps along the volume's axis that one step along the tensor takes. */
  step: number;
  /** Length of the volume's axis. */
  length: number;
}

/** A volume as a network's tensor [axis 0, axis 1, axis 2] sees it: turned, flipped and resampled, computed when read. */
export interface AxisView {
  grid: Grid;
  axes: readonly [Axis, Axis, Axis];
  size: Vector3;
}

const DIRECTIONS: Readonly<Record<string, readonly [axis: 0 | 1 | 2, sign: 1 | -1]>> = { L: [0, 1], R: [0, -1], P: [1, 1], A: [1, -1], S: [2, 1], I: [2, -1] };

/**
 * The view of a grid along patient axes, optionally at another spacing. The corner where the tensor begins stays where it is;
 * oblique volumes keep their obliqueness, each axis goes with the patient axis that it is nearest to.
 *
 * @param code       the direction in which each tensor axis grows, `RAS` or `LPS` for [x, y, z], `SPL` for [z, y, x]
 * @param spacingMm  along the tensor's axes; without it, the volume's own
 * @throws AppError `internal` for an affine with an axis without length
 * @see MONAI 1.6 `Orientation`, `Spacing` (diagonal false, scale_extent false)
 */
export function axisView(grid: Grid, code: string, spacingMm?: Vector3): AxisView {
  const closest = closestAxes(grid.affine);
  const axis = (position: 0 | 1 | 2): Axis => {
    const [patient, sign] = DIRECTIONS[code.charAt(position)] ?? [0, 1];
    const found = closest.findIndex((candidate) => candidate.patient === patient);
    const of = found === 1 ? 1 : found === 2 ? 2 : 0;
    const { [of]: length } = grid.size;
    const mm = Math.hypot(grid.affine[0][of], grid.affine[1][of], grid.affine[2][of]);
    const step = spacingMm === undefined ? 1 : spacingMm[position] / mm;
    return { of, flipped: closest[of].sign !== sign, size: roundHalfEven((length - 1) / step + 1), step, length };
  };
  const axes = [axis(0), axis(1), axis(2)] as const;
  return { grid, axes, size: [axes[0].size, axes[1].size, axes[2].size] };
}

/** Which patient axis each volume axis runs along: the permutation with the largest sum of cosines. */
function closestAxes(affine: Affine): [Closest, Closest, Closest] {
  const cosine = (patient: number, of: 0 | 1 | 2): number => (affine[patient]?.[of] ?? 0) / Math.hypot(affine[0][of], affine[1][of], affine[2][of]);
  let best: readonly [0 | 1 | 2, 0 | 1 | 2, 0 | 1 | 2] = [0, 1, 2];
  let most = -1;
  for (const order of [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] as const) {
    const sum = Math.abs(cosine(order[0], 0)) + Math.abs(cosine(order[1], 1)) + Math.abs(cosine(order[2], 2));
    if (sum > most) [most, best] = [sum, order];
  }
  if (!(most > 0)) throw new AppError('internal', { detail: 'The volume has an axis without length' });
  const closest = (of: 0 | 1 | 2): Closest => ({ patient: best[of], sign: cosine(best[of], of) < 0 ? -1 : 1 });
  return [closest(0), closest(1), closest(2)];
}

interface Closest {
  patient: 0 | 1 | 2;
  sign: 1 | -1;
}

/** As numpy rounds; MONAI computes sizes with it. */
export function roundHalfEven(value: number): number {
  const rounded = Math.round(value);
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

/** Tensor coordinates, fractional, as index coordinates (i, j, k) of the volume; outside stays outside. */
export function toVolumeIndex(view: AxisView, point: Vector3): Vector3 {
  const index: [number, number, number] = [0, 0, 0];
  for (const [position, { of, flipped, step, length }] of view.axes.entries()) {
    const along = (point[position] ?? 0) * step;
    index[of] = flipped ? length - 1 - along : along;
  }
  return index;
}

/** What a network is given for a voxel's value v: v × scale + offset, held between low and high. */
export interface Conversion {
  scale: number;
  offset: number;
  low: number;
  high: number;
  /** A value of 0 stays 0. */
  keepsZero: boolean;
}

/** The part of a window along one axis that lies inside the view. */
interface Span {
  /** First step of the window inside, and how many. */
  from: number;
  count: number;
  /** Of each such step: its two neighbours along the volume's axis and the weight of the second. */
  first: Int32Array;
  second: Int32Array;
  weight: Float64Array;
  /** From one step to the next in the window. */
  stride: number;
}

function spanOf({ flipped, size, step, length }: Axis, start: number, count: number, stride: number): Span {
  const from = Math.min(Math.max(-start, 0), count);
  const inside = Math.max(Math.min(start + count, size) - Math.max(start, 0), 0);
  const span: Span = { from, count: inside, first: new Int32Array(inside), second: new Int32Array(inside), weight: new Float64Array(inside), stride };
  for (let n = 0; n < inside; n++) {
    // The last step may lie up to half a step beyond the last voxel: the border's value is carried on.
    const along = Math.min((start + from + n) * step, length - 1);
    const low = Math.floor(along);
    const high = Math.min(low + 1, length - 1);
    span.first[n] = flipped ? length - 1 - low : low;
    span.second[n] = flipped ? length - 1 - high : high;
    span.weight[n] = along - low;
  }
  return span;
}

/** Slices that are read before any of them is written: where slices are the window's innermost axis, they fill cache lines together. */
const TILE = 64;

/**
 * Reads a window of the view, linearly interpolated, into `[axis 0, axis 1, axis 2]` floats. Outside the view `outside` is written.
 *
 * @param voxels   of the view's grid, [z, y, x]
 * @param start    may be negative, and the window may end beyond the view: that is the padding
 * @param convert  applied after the interpolation; not to `outside`
 */
export function readWindow(view: AxisView, voxels: Voxels, start: Vector3, size: Vector3, into: Float32Array, convert: Conversion, outside: number): void {
  const strides: Vector3 = [size[1] * size[2], size[2], 1];
  const spans: [Span, Span, Span] = [spanOf(view.axes[0], start[0], size[0], strides[0]), spanOf(view.axes[1], start[1], size[1], strides[1]), spanOf(view.axes[2], start[2], size[2], strides[2])];
  const along = (of: number): Span => spans[view.axes[0].of === of ? 0 : view.axes[1].of === of ? 1 : 2];
  const [x, y, z] = [along(0), along(1), along(2)];
  if (x.count * y.count * z.count < size[0] * size[1] * size[2]) into.fill(outside, 0, size[0] * size[1] * size[2]);
  const tile = new Float32Array(TILE * x.count);
  const row = new Float64Array(view.grid.size[0]);
  for (let zTile = 0; zTile < z.count; zTile += TILE) {
    const depth = Math.min(TILE, z.count - zTile);
    for (let yStep = 0; yStep < y.count; yStep++) {
      for (let n = 0; n < depth; n++) {
        mixRows(view.grid.size, voxels, y, yStep, z, zTile + n, row);
        convertRow(row, x, convert, tile.subarray(n * x.count, (n + 1) * x.count));
      }
      const corner = x.from * x.stride + (y.from + yStep) * y.stride + (z.from + zTile) * z.stride;
      for (let xStep = 0; xStep < x.count; xStep++) {
        const at = corner + xStep * x.stride;
        for (let n = 0; n < depth; n++) into[at + n * z.stride] = tile[n * x.count + xStep] ?? 0;
      }
    }
  }
}

/** The row of the volume between two rows of two slices. */
function mixRows([columns, rows]: Vector3, voxels: Voxels, y: Span, yStep: number, z: Span, zStep: number, row: Float64Array): void {
  const offset = (rowAt: number, sliceAt: number): number => columns * (rowAt + rows * sliceAt);
  const [wy, wz] = [y.weight[yStep] ?? 0, z.weight[zStep] ?? 0];
  const [y0, y1, z0, z1] = [y.first[yStep] ?? 0, y.second[yStep] ?? 0, z.first[zStep] ?? 0, z.second[zStep] ?? 0];
  const a = offset(y0, z0);
  if (wy === 0 && wz === 0) {
    for (let i = 0; i < columns; i++) row[i] = voxels[a + i] ?? 0;
    return;
  }
  const [b, c, d] = [offset(y1, z0), offset(y0, z1), offset(y1, z1)];
  const [wa, wb, wc, wd] = [(1 - wy) * (1 - wz), wy * (1 - wz), (1 - wy) * wz, wy * wz];
  for (let i = 0; i < columns; i++) row[i] = wa * (voxels[a + i] ?? 0) + wb * (voxels[b + i] ?? 0) + wc * (voxels[c + i] ?? 0) + wd * (voxels[d + i] ?? 0);
}

function convertRow(row: Float64Array, { first, second, weight, count }: Span, { scale, offset, low, high, keepsZero }: Conversion, out: Float32Array): void {
  for (let i = 0; i < count; i++) {
    const near = row[first[i] ?? 0] ?? 0;
    const value = near + ((row[second[i] ?? 0] ?? 0) - near) * (weight[i] ?? 0);
    out[i] = keepsZero && value === 0 ? 0 : Math.min(Math.max(value * scale + offset, low), high);
  }
}

/**
 * Labels of the tensor's grid on the volume's: each voxel takes the nearest step's.
 *
 * @param labels  `[axis 0, axis 1, axis 2]`, of the view's size
 * @returns `[z, y, x]`, of the grid's size
 */
export function labelsOnGrid(view: AxisView, labels: Uint8Array): Uint8Array {
  const [columns, rows, slices] = view.grid.size;
  const tensorStrides: Vector3 = [view.size[1] * view.size[2], view.size[2], 1];
  const offsets: [Int32Array, Int32Array, Int32Array] = [new Int32Array(columns), new Int32Array(rows), new Int32Array(slices)];
  for (const [position, { of, flipped, size, step, length }] of view.axes.entries()) {
    const stride = tensorStrides[position] ?? 1;
    for (let n = 0; n < length; n++) offsets[of][n] = stride * Math.min(Math.round((flipped ? length - 1 - n : n) / step), size - 1);
  }
  const out = new Uint8Array(columns * rows * slices);
  let at = 0;
  for (let k = 0; k < slices; k++) {
    for (let j = 0; j < rows; j++) {
      const base = (offsets[2][k] ?? 0) + (offsets[1][j] ?? 0);
      for (let i = 0; i < columns; i++) out[at++] = labels[base + (offsets[0][i] ?? 0)] ?? 0;
    }
  }
  return out;
}
