import type { Vector3 } from './volume.js';
import { roundHalfEven } from './axis-view.js';

/** How an image is cut into windows that overlap. Sizes and starts are steps along the tensor's axes. */
export interface WindowPlan {
  /** What is asked about. */
  image: Vector3;
  /** The image, padded where it is smaller than the window. */
  padded: Vector3;
  /** Padding before the image on each axis; the rest of it, one more where it is odd, lies behind. */
  before: Vector3;
  window: Vector3;
  /** Where windows begin on each axis, in the padded image, ascending. */
  starts: readonly [readonly number[], readonly number[], readonly number[]];
}

/**
 * Windows that cover the image: each the interval `window × (1 − overlap)` after the last, the last one moved inside.
 *
 * @param overlap  0 ≤ overlap < 1
 * @see MONAI 1.6 `sliding_window_inference`, `_get_scan_interval`, `dense_patch_slices`
 */
export function planWindows(image: Vector3, window: Vector3, overlap: number): WindowPlan {
  const padded: Vector3 = [Math.max(image[0], window[0]), Math.max(image[1], window[1]), Math.max(image[2], window[2])];
  const before: Vector3 = [Math.floor((padded[0] - image[0]) / 2), Math.floor((padded[1] - image[1]) / 2), Math.floor((padded[2] - image[2]) / 2)];
  const along = (axis: 0 | 1 | 2): number[] => {
    const [length, size] = [padded[axis], window[axis]];
    const interval = Math.max(Math.floor(size * (1 - overlap)), 1);
    const starts: number[] = [];
    for (let start = 0; ; start += interval) {
      starts.push(Math.min(start, length - size));
      if (start + size >= length) return starts;
    }
  };
  return { image, padded, before, window, starts: [along(0), along(1), along(2)] };
}

/** Starts of all windows; those that begin lower on the last axis come first, so that planes close one after the other. */
export function windowStarts({ starts: [first, second, third] }: WindowPlan): Vector3[] {
  return third.flatMap((z) => first.flatMap((x) => second.map((y): Vector3 => [x, y, z])));
}

export type Blending = { blending: 'constant' } | { blending: 'gaussian'; sigmaScale: number };

/**
 * How much each place of a window counts where windows overlap; `[axis 0, axis 1, axis 2]`.
 * A Gaussian with σ = sigmaScale × the window's size, at least 0.001.
 *
 * @see MONAI 1.6 `compute_importance_map`
 */
export function importanceMap(size: Vector3, options: Blending): Float32Array {
  const map = new Float32Array(size[0] * size[1] * size[2]).fill(1);
  if (options.blending === 'constant') return map;
  const bell = (axis: 0 | 1 | 2): Float32Array => {
    const sigma = size[axis] * options.sigmaScale;
    return Float32Array.from({ length: size[axis] }, (_, i) => Math.exp((i - (size[axis] - 1) / 2) ** 2 / (-2 * sigma ** 2)));
  };
  const [a, b, c] = [bell(0), bell(1), bell(2)];
  let at = 0;
  let least = Infinity;
  for (const x of a) {
    for (const y of b) {
      for (const z of c) {
        map[at] = Math.fround(x * y) * z;
        least = Math.min(least, map[at] ?? 0);
        at++;
      }
    }
  }
  const floor = Math.max(least, 1e-3);
  for (let i = 0; i < map.length; i++) if ((map[i] ?? 0) < floor) map[i] = floor;
  return map;
}

/** A map at another size, each place from the nearest (PyTorch's `nearest-exact`). */
export function resizeNearest(map: Float32Array, from: Vector3, to: Vector3): Float32Array {
  if (from[0] === to[0] && from[1] === to[1] && from[2] === to[2]) return map;
  const source = (axis: 0 | 1 | 2): Int32Array => Int32Array.from({ length: to[axis] }, (_, i) => Math.min(Math.floor(((i + 0.5) * from[axis]) / to[axis]), from[axis] - 1));
  const [a, b, c] = [source(0), source(1), source(2)];
  const out = new Float32Array(to[0] * to[1] * to[2]);
  let at = 0;
  for (const x of a) for (const y of b) for (const z of c) out[at++] = map[(x * from[1] + y) * from[2] + z] ?? 0;
  return out;
}

/** The part of an output's grid that shows the image, without the padding, for an output whose window has the size `output`. */
export function cropOfOutput(plan: WindowPlan, output: Vector3): { grid: Vector3; from: Vector3; to: Vector3 } {
  const part = (axis: 0 | 1 | 2): { grid: number; from: number; to: number } => {
    const scale = output[axis] / plan.window[axis];
    const grid = Math.floor(plan.padded[axis] * scale);
    if (plan.image[axis] === plan.padded[axis]) return { grid, from: 0, to: grid };
    return { grid, from: roundHalfEven(plan.before[axis] * scale), to: Math.min(roundHalfEven((plan.before[axis] + plan.image[axis]) * scale), grid) };
  };
  const [x, y, z] = [part(0), part(1), part(2)];
  return { grid: [x.grid, y.grid, z.grid], from: [x.from, y.from, z.from], to: [x.to, y.to, z.to] };
}
