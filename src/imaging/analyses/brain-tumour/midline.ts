import type { Vector3 } from '../../volume/volume.js';

/** How far the middle of the brain is pushed aside, or why that cannot be said. */
export type MidlineShift =
  | { status: 'measured'; shiftMm: number; towards: 'left' | 'right' | 'neither'; shifted: boolean; symmetry: number; slice: number }
  | { status: 'not-measurable'; reason: string };

/** A brain in LPS directions: columns to the left, rows to the back, slices to the top. */
export interface MidlineInput {
  size: Vector3;
  spacingMm: Vector3;
  /** T1, T2 or FLAIR on the grid; any values. */
  voxels: Float32Array | Int16Array;
  /** 0 or 1. */
  brain: Uint8Array;
  /** What is tumour does not count as anatomy; 0 elsewhere. */
  tumour: Uint8Array;
}

/** From this on a shift is flagged. Bullock et al. 2006, Neurosurgery 58:S16. */
const SHIFTED_MM = 5;
const MOST_MM = 20;
/** Half of the strip in which left and right are compared: the third ventricle, the septum and the inner walls of the lateral ventricles. */
const HALF_STRIP_MM = 15;
/** Slices from here to there of the brain's height hold the lateral and third ventricles. */
const LEVELS = [0.45, 0.7] as const;
/** The middle part of the brain's depth in which the strip lies. */
const DEPTH = [0.3, 0.7] as const;
/** Neighbouring slices that are looked at together. */
const SLAB_MM = 9;
const MIN_SYMMETRY = 0.5;
/** The part of the strip's pairs that must be brain and no tumour. */
const MIN_FREE = 0.6;
/** How well the outer surface must be halved by a plane. */
const MAX_RESIDUAL_MM = 4;

/**
 * Midline shift by symmetry. The ideal midline is the plane that halves the outer surface of the brain, which the skull holds in place. The
 * actual one is where, at the level of the ventricles, a strip around it is most like its own mirror image. The shift is the distance of the
 * two in the slab where the likeness is best.
 *
 * An estimate: it follows the ventricles and the septum, not the falx, and says `not-measurable` when tumour fills the strip, when nothing
 * is like its mirror image, or when the brain is cut.
 */
export function midlineShift(input: MidlineInput): MidlineShift {
  const { size, spacingMm: [dx, , dz] } = input;
  const plane = halvingPlane(input);
  if (plane === undefined) return { status: 'not-measurable', reason: 'The outer surface of the brain is not symmetric enough to have a middle' };
  const [bottom, top] = plane.slices;
  const first = Math.round(bottom + LEVELS[0] * (top - bottom));
  const last = Math.min(size[2] - 1, Math.round(bottom + LEVELS[1] * (top - bottom)));
  const slab = Math.max(1, Math.round(SLAB_MM / dz));
  const offsets = Math.floor(MOST_MM / dx * 2);
  let best: { symmetry: number; halfColumns: number; slice: number } | undefined;
  let free = false;
  for (let k = first; k + slab - 1 <= last; k++) {
    for (let half = -offsets; half <= offsets; half++) {
      const likeness = symmetryAt(input, plane, k, slab, half);
      if (likeness === undefined) continue;
      free = true;
      if (best === undefined || likeness > best.symmetry) best = { symmetry: likeness, halfColumns: half, slice: k + Math.floor(slab / 2) };
    }
  }
  if (!free) return { status: 'not-measurable', reason: 'Too little of the brain around the middle is free of tumour' };
  if (best === undefined || best.symmetry < MIN_SYMMETRY) return { status: 'not-measurable', reason: 'Nothing around the middle is like its mirror image' };
  if (Math.abs(best.halfColumns) === offsets) return { status: 'not-measurable', reason: 'The likeness is best at the edge of the search' };
  const signed = best.halfColumns * dx / 2;
  const shiftMm = Number(Math.abs(signed).toFixed(1));
  return { status: 'measured', shiftMm, towards: shiftMm < dx ? 'neither' : signed > 0 ? 'left' : 'right', shifted: shiftMm >= SHIFTED_MM, symmetry: Number(best.symmetry.toFixed(3)), slice: best.slice };
}

interface Halving {
  /** Column of the middle at (row, slice): a + b × row + c × slice. */
  a: number;
  b: number;
  c: number;
  /** First and last slice, first and last row of the brain. */
  slices: readonly [number, number];
  rows: readonly [number, number];
}

/** The plane through the middles between the outermost brain voxels of each row; rows far off it are left out in a second fit. */
function halvingPlane({ size: [columns, rows, slices], spacingMm: [dx], brain }: MidlineInput): Halving | undefined {
  const middles: [row: number, slice: number, column: number][] = [];
  for (let k = 0; k < slices; k++) {
    for (let j = 0; j < rows; j++) {
      const row = brain.subarray(columns * (j + rows * k), columns * (j + rows * k + 1));
      const left = row.indexOf(1);
      if (left < 0) continue;
      // Narrow rows at the poles say little.
      const right = row.lastIndexOf(1);
      if ((right - left) * dx >= 60) middles.push([j, k, (left + right) / 2]);
    }
  }
  if (middles.length < 100) return undefined;
  const rough = leastSquares(middles);
  if (rough === undefined) return undefined;
  const near = middles.filter(([j, k, x]) => Math.abs(x - at(rough, j, k)) * dx <= 2 * MAX_RESIDUAL_MM);
  const found = near.length >= middles.length / 2 ? leastSquares(near) : undefined;
  if (found === undefined) return undefined;
  const residual = Math.sqrt(near.reduce((sum, [j, k, x]) => sum + (x - at(found, j, k)) ** 2, 0) / near.length) * dx;
  const extent = (values: number[]): readonly [number, number] => [values.reduce((a, b) => Math.min(a, b), Infinity), values.reduce((a, b) => Math.max(a, b), -Infinity)];
  return residual > MAX_RESIDUAL_MM ? undefined : { ...found, slices: extent(middles.map(([, k]) => k)), rows: extent(middles.map(([j]) => j)) };
}

function at({ a, b, c }: { a: number; b: number; c: number }, j: number, k: number): number {
  return a + b * j + c * k;
}

/** x = a + b j + c k, by the normal equations around the mean. */
function leastSquares(points: readonly (readonly [number, number, number])[]): { a: number; b: number; c: number } | undefined {
  const n = points.length;
  const mean = [0, 1, 2].map((axis) => points.reduce((sum, point) => sum + (point[axis] ?? 0), 0) / n);
  const [mj = 0, mk = 0, mx = 0] = mean;
  let [jj, jk, kk, jx, kx] = [0, 0, 0, 0, 0];
  for (const [j, k, x] of points) {
    jj += (j - mj) ** 2;
    jk += (j - mj) * (k - mk);
    kk += (k - mk) ** 2;
    jx += (j - mj) * (x - mx);
    kx += (k - mk) * (x - mx);
  }
  const determinant = jj * kk - jk * jk;
  if (Math.abs(determinant) < 1e-6) return undefined;
  const b = (jx * kk - kx * jk) / determinant;
  const c = (kx * jj - jx * jk) / determinant;
  return { a: mx - b * mj - c * mk, b, c };
}

/**
 * Correlation of the strip around the plane, moved by `half` half columns, with its mirror image; undefined when too few pairs are brain
 * without tumour. Reading at the nearest column keeps pairs exact for half-column steps.
 */
function symmetryAt({ size: [columns, rows], spacingMm: [dx], voxels, brain, tumour }: MidlineInput, plane: Halving, first: number, slab: number, half: number): number | undefined {
  const reach = Math.round(HALF_STRIP_MM / dx);
  const [front, back] = [0, 1].map((end) => Math.round(plane.rows[0] + (DEPTH[end] ?? 0) * (plane.rows[1] - plane.rows[0])));
  let [count, wanted, sum, squares, products] = [0, 0, 0, 0, 0];
  for (let k = first; k < first + slab; k++) {
    for (let j = front ?? 0; j <= (back ?? 0); j++) {
      const base = columns * (j + rows * k);
      // Twice the column of the mirror's axis, whole.
      const axis = Math.round(2 * at(plane, j, k)) + half;
      const inner = Math.floor(axis / 2);
      for (let d = 1; d <= reach; d++) {
        wanted++;
        const left = inner + d;
        const right = axis - left;
        if (right < 0 || left >= columns) continue;
        if (brain[base + left] !== 1 || brain[base + right] !== 1 || tumour[base + left] !== 0 || tumour[base + right] !== 0) continue;
        const [p, q] = [voxels[base + left] ?? 0, voxels[base + right] ?? 0];
        count++;
        sum += p + q;
        squares += p * p + q * q;
        products += p * q;
      }
    }
  }
  if (count < MIN_FREE * wanted) return undefined;
  // Every pair counts both ways round, so that both sides have one mean and one deviation.
  const mean = sum / (2 * count);
  const variance = squares / (2 * count) - mean * mean;
  return variance <= 0 ? undefined : (products / count - mean * mean) / variance;
}
