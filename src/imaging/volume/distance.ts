import type { Vector3 } from './volume.js';

/**
 * The squared distance in mm² of every voxel from the nearest voxel of a mask, exact; Infinity when the mask is empty.
 *
 * @param mask  0 is outside, `[z, y, x]`
 * @param spacing  millimetres along columns, rows and slices
 * @see Felzenszwalb and Huttenlocher, Distance transforms of sampled functions, Theory of Computing 8 (2012)
 */
export function squaredDistanceTo(mask: ArrayLike<number>, size: Vector3, spacing: Vector3): Float32Array<ArrayBuffer> {
  const field = new Float32Array(mask.length);
  for (let o = 0; o < field.length; o++) field[o] = mask[o] === 0 ? Number.POSITIVE_INFINITY : 0;
  const longest = Math.max(...size);
  const line = new Float64Array(longest);
  const at = new Int32Array(longest);
  const from = new Float64Array(longest + 1);
  const strides: Vector3 = [1, size[0], size[0] * size[1]];
  for (const axis of [0, 1, 2] as const) {
    const length = size[axis];
    const stride = strides[axis];
    for (let start = 0; start < field.length; start += stride * length) {
      for (let lane = 0; lane < stride; lane++) lowerEnvelope(field, start + lane, stride, length, spacing[axis] ** 2, line, at, from);
    }
  }
  return field;
}

/** One line of the transform: the lowest of the parabolas that stand on its voxels. */
function lowerEnvelope(field: Float32Array, base: number, stride: number, length: number, unit: number, line: Float64Array, at: Int32Array, from: Float64Array): void {
  let last = -1;
  for (let q = 0; q < length; q++) {
    const value = field[base + q * stride] ?? 0;
    line[q] = value;
    if (value === Number.POSITIVE_INFINITY) continue;
    let crossing = Number.NEGATIVE_INFINITY;
    while (last >= 0) {
      const p = at[last] ?? 0;
      crossing = (value / unit + q * q - ((line[p] ?? 0) / unit + p * p)) / (2 * (q - p));
      if (crossing > (from[last] ?? 0)) break;
      last--;
      crossing = Number.NEGATIVE_INFINITY;
    }
    last++;
    at[last] = q;
    from[last] = crossing;
  }
  if (last < 0) return;
  let parabola = 0;
  for (let q = 0; q < length; q++) {
    while (parabola < last && (from[parabola + 1] ?? 0) < q) parabola++;
    const p = at[parabola] ?? 0;
    field[base + q * stride] = unit * (q - p) ** 2 + (line[p] ?? 0);
  }
}
