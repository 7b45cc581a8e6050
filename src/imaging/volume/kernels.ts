/** How a value between voxels is made of those around it. */
export type Interpolation = 'nearest' | 'linear' | 'cubic-b-spline' | 'lanczos';

/** Lobes on each side. */
const LANCZOS_RADIUS = 5;

/** Voxels that an interpolation reads along one axis. */
export const TAPS: Readonly<Record<Interpolation, number>> = { nearest: 1, linear: 2, 'cubic-b-spline': 4, lanczos: 2 * LANCZOS_RADIUS };

/**
 * The voxels that make up the value at a place along one axis, and their weights, which add up to 1.
 * Beyond the ends the outermost voxel goes on, for splines the mirror image of the axis.
 *
 * @param at  index, fractional
 * @param size  voxels along the axis
 * @param indices  written: TAPS indices, each 0 … size − 1
 * @param weights  written: TAPS weights
 * @param from  where in both
 */
export function writeTaps(interpolation: Interpolation, at: number, size: number, indices: Int32Array, weights: Float64Array, from = 0): void {
  const below = Math.floor(at);
  const t = at - below;
  switch (interpolation) {
    case 'nearest':
      // Halves go up, as in ITK.
      indices[from] = clamped(Math.floor(at + 0.5), size);
      weights[from] = 1;
      return;
    case 'linear':
      indices[from] = clamped(below, size);
      indices[from + 1] = clamped(below + 1, size);
      weights[from] = 1 - t;
      weights[from + 1] = t;
      return;
    case 'cubic-b-spline': {
      const s = 1 - t;
      weights[from] = (s * s * s) / 6;
      weights[from + 1] = 2 / 3 - (t * t * (2 - t)) / 2;
      weights[from + 2] = 2 / 3 - (s * s * (2 - s)) / 2;
      weights[from + 3] = (t * t * t) / 6;
      for (let tap = 0; tap < 4; tap++) indices[from + tap] = mirrored(below - 1 + tap, size);
      return;
    }
    case 'lanczos': {
      let sum = 0;
      for (let tap = 0; tap < 2 * LANCZOS_RADIUS; tap++) {
        const index = below - LANCZOS_RADIUS + 1 + tap;
        const weight = lanczos(at - index);
        indices[from + tap] = clamped(index, size);
        weights[from + tap] = weight;
        sum += weight;
      }
      for (let tap = 0; tap < 2 * LANCZOS_RADIUS; tap++) weights[from + tap] = (weights[from + tap] ?? 0) / sum;
    }
  }
}

function lanczos(x: number): number {
  if (Math.abs(x) < 1e-9) return 1;
  if (Math.abs(x) >= LANCZOS_RADIUS) return 0;
  const p = Math.PI * x;
  return (LANCZOS_RADIUS * Math.sin(p) * Math.sin(p / LANCZOS_RADIUS)) / (p * p);
}

function clamped(index: number, size: number): number {
  return index < 0 ? 0 : index >= size ? size - 1 : index;
}

function mirrored(index: number, size: number): number {
  if (size === 1) return 0;
  const period = 2 * size - 2;
  const within = ((index % period) + period) % period;
  return within < size ? within : period - within;
}

const POLE = Math.sqrt(3) - 2;
const GAIN = (1 - POLE) * (1 - 1 / POLE);
/** Where the pole to this power is lost in the rounding of doubles. */
const HORIZON = 30;

/**
 * Turns samples along a line into the coefficients of the cubic B-spline through them, in place, the line mirrored at its ends.
 *
 * @see Unser, Aldroubi, Eden: B-spline signal processing, IEEE Trans. Signal Processing 41 (1993)
 */
export function splineCoefficients(line: Float64Array): void {
  const last = line.length - 1;
  if (last < 1) return;
  for (let i = 0; i <= last; i++) line[i] = (line[i] ?? 0) * GAIN;
  line[0] = causalStart(line);
  for (let i = 1; i <= last; i++) line[i] = (line[i] ?? 0) + POLE * (line[i - 1] ?? 0);
  line[last] = (POLE / (POLE * POLE - 1)) * ((line[last] ?? 0) + POLE * (line[last - 1] ?? 0));
  for (let i = last - 1; i >= 0; i--) line[i] = POLE * ((line[i + 1] ?? 0) - (line[i] ?? 0));
}

function causalStart(line: Float64Array): number {
  const n = line.length;
  let sum = line[0] ?? 0;
  let power = POLE;
  if (n > HORIZON) {
    for (let i = 1; i < HORIZON; i++, power *= POLE) sum += power * (line[i] ?? 0);
    return sum;
  }
  const inverse = 1 / POLE;
  let back = POLE ** (n - 1);
  sum += back * (line[n - 1] ?? 0);
  back = back * back * inverse;
  for (let i = 1; i < n - 1; i++, power *= POLE, back *= inverse) sum += (power + back) * (line[i] ?? 0);
  return sum / (1 - POLE ** (2 * n - 2));
}
