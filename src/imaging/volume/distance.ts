import type { Vector3 } from './volume.js';

/**
 * Square millimetres from every voxel to the nearest one of the mask, between centres; 0 inside, infinite when the mask is empty.
 *
 * @param mask  0 is outside, `[z, y, x]`
 * @param size  columns, rows, slices
 * @param spacing  millimetres between columns, rows, slices
 * @see Felzenszwalb, Huttenlocher 2012, Distance Transforms of Sampled Functions
 */
export function squaredDistanceTo(mask: ArrayLike<number>, size: Vector3, spacing: Vector3): Float32Array<ArrayBuffer> {
  const out = new Float32Array(mask.length);
  const [columns, rows, slices] = size;
  const longest = Math.max(...size);
  const scratch = { values: new Float64Array(longest), vertex: new Int32Array(longest), border: new Float64Array(longest + 1) };
  for (let k = 0; k < slices; k++) for (let j = 0; j < rows; j++) alongRow(mask, out, columns * (j + rows * k), columns, spacing[0]);
  for (let k = 0; k < slices; k++) for (let i = 0; i < columns; i++) lowerEnvelope(out, i + columns * rows * k, columns, rows, spacing[1], scratch);
  for (let j = 0; j < rows; j++) for (let i = 0; i < columns; i++) lowerEnvelope(out, i + columns * j, columns * rows, slices, spacing[2], scratch);
  return out;
}

/** As `squaredDistanceTo`, in millimetres. */
export function distanceTo(mask: ArrayLike<number>, size: Vector3, spacing: Vector3): Float32Array<ArrayBuffer> {
  const out = squaredDistanceTo(mask, size, spacing);
  for (let offset = 0; offset < out.length; offset++) out[offset] = Math.sqrt(out[offset] ?? 0);
  return out;
}

/** Voxels no further than `radiusMm` from the mask. */
export function dilateMm(mask: Uint8Array, size: Vector3, spacing: Vector3, radiusMm: number): Uint8Array {
  return within(distanceTo(mask, size, spacing), radiusMm);
}

/** Binary closing with a ball, in millimetres; beyond the grid nothing is taken away. */
export function closeMm(mask: Uint8Array, size: Vector3, spacing: Vector3, radiusMm: number): Uint8Array {
  const reached = dilateMm(mask, size, spacing, radiusMm);
  for (let offset = 0; offset < reached.length; offset++) reached[offset] = 1 - (reached[offset] ?? 0);
  const taken = dilateMm(reached, size, spacing, radiusMm);
  for (let offset = 0; offset < taken.length; offset++) taken[offset] = taken[offset] === 0 || mask[offset] !== 0 ? 1 : 0;
  return taken;
}

function within(distance: Float32Array, radiusMm: number): Uint8Array {
  const out = new Uint8Array(distance.length);
  for (let offset = 0; offset < out.length; offset++) if ((distance[offset] ?? Infinity) <= radiusMm) out[offset] = 1;
  return out;
}

interface Scratch {
  values: Float64Array;
  vertex: Int32Array;
  border: Float64Array;
}

/** The first axis, where everything is 0 or infinitely far: to the last one before, or the next one if that is nearer. */
function alongRow(mask: ArrayLike<number>, out: Float32Array, start: number, count: number, spacing: number): void {
  const squared = spacing * spacing;
  for (let q = 0, away = Infinity; q < count; q++) {
    away = mask[start + q] === 0 ? away + 1 : 0;
    out[start + q] = squared * away * away;
  }
  for (let q = count - 1, away = Infinity; q >= 0; q--) {
    away = mask[start + q] === 0 ? away + 1 : 0;
    const other = squared * away * away;
    if (other < (out[start + q] ?? 0)) out[start + q] = other;
  }
}

/** One line: the squared distances along it become those to the parabolas that stand on it. */
function lowerEnvelope(out: Float32Array, start: number, step: number, count: number, spacing: number, { values, vertex, border }: Scratch): void {
  const squared = spacing * spacing;
  let last = -1;
  for (let q = 0; q < count; q++) {
    const value = out[start + q * step] ?? Infinity;
    values[q] = value;
    if (value === Infinity) continue;
    let crossing = -Infinity;
    while (last >= 0) {
      const p = vertex[last] ?? 0;
      crossing = (value + squared * q * q - (values[p] ?? 0) - squared * p * p) / (2 * squared * (q - p));
      if (crossing > (border[last] ?? 0)) break;
      last--;
    }
    last++;
    vertex[last] = q;
    border[last] = last === 0 ? -Infinity : crossing;
  }
  if (last < 0) return;
  for (let q = 0, at = 0; q < count; q++) {
    while (at < last && (border[at + 1] ?? 0) < q) at++;
    const p = vertex[at] ?? 0;
    out[start + q * step] = squared * (q - p) * (q - p) + (values[p] ?? 0);
  }
}
