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

/** For each step from `start`: the two neighbours as offsets into the voxels and the weight of the second; −1 outside the view. */
interface Taps {
  first: Int32Array;
  second: Int32Array;
  weight: Float64Array;
}

function taps({ of, flipped, size, step, length }: Axis, strides: Vector3, start: number, count: number): Taps {
  const [first, second, weight] = [new Int32Array(count), new Int32Array(count), new Float64Array(count)];
  const stride = strides[of];
  for (let n = 0; n < count; n++) {
    if (start + n < 0 || start + n >= size) {
      first[n] = -1;
      continue;
    }
    // The last step may lie up to half a step beyond the last voxel: the border's value is carried on.
    const along = Math.min(Math.max((start + n) * step, 0), length - 1);
    const low = Math.floor(along);
    const high = Math.min(low + 1, length - 1);
    first[n] = stride * (flipped ? length - 1 - low : low);
    second[n] = stride * (flipped ? length - 1 - high : high);
    weight[n] = along - low;
  }
  return { first, second, weight };
}

/**
 * Reads a window of the view, linearly interpolated, into `[axis 0, axis 1, axis 2]` floats. Outside the view `outside` is written.
 *
 * @param voxels   of the view's grid, [z, y, x]
 * @param start    may be negative, and the window may end beyond the view: that is the padding
 * @param convert  from a voxel's value to what the network is given, applied after the interpolation
 */
export function readWindow(view: AxisView, voxels: Voxels, start: Vector3, size: Vector3, into: Float32Array, convert: (value: number) => number, outside: number): void {
  const strides: Vector3 = [1, view.grid.size[0], view.grid.size[0] * view.grid.size[1]];
  const [a, b, c] = [taps(view.axes[0], strides, start[0], size[0]), taps(view.axes[1], strides, start[1], size[1]), taps(view.axes[2], strides, start[2], size[2])];
  const exact = view.axes.every(({ step }) => step === 1);
  let at = 0;
  for (let x = 0; x < size[0]; x++) {
    const [x0 = -1, x1 = 0, wx = 0] = [a.first[x], a.second[x], a.weight[x]];
    for (let y = 0; y < size[1]; y++) {
      const [y0 = -1, y1 = 0, wy = 0] = [b.first[y], b.second[y], b.weight[y]];
      if (x0 < 0 || y0 < 0) {
        into.fill(outside, at, at + size[2]);
        at += size[2];
        continue;
      }
      for (let z = 0; z < size[2]; z++, at++) {
        const z0 = c.first[z] ?? -1;
        if (z0 < 0) {
          into[at] = outside;
        } else if (exact) {
          into[at] = convert(voxels[x0 + y0 + z0] ?? 0);
        } else {
          const z1 = c.second[z] ?? 0;
          const wz = c.weight[z] ?? 0;
          const near = mix(mix(voxels[x0 + y0 + z0] ?? 0, voxels[x1 + y0 + z0] ?? 0, wx), mix(voxels[x0 + y1 + z0] ?? 0, voxels[x1 + y1 + z0] ?? 0, wx), wy);
          const far = mix(mix(voxels[x0 + y0 + z1] ?? 0, voxels[x1 + y0 + z1] ?? 0, wx), mix(voxels[x0 + y1 + z1] ?? 0, voxels[x1 + y1 + z1] ?? 0, wx), wy);
          into[at] = convert(mix(near, far, wz));
        }
      }
    }
  }
}

function mix(a: number, b: number, weight: number): number {
  return a + (b - a) * weight;
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
