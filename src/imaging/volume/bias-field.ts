import { sharpen } from './bias/sharpen.js';
import { evaluateLattice, fitLattice, type Lattice } from './bias/spline.js';
import { spacingOf } from './geometry.js';
import type { Vector3, Volume } from './volume.js';

export interface BiasCorrection {
  volume: Volume<Float32Array>;
  /** The field within the mask: smallest and greatest factor that was taken out. */
  range: [number, number];
  iterations: number;
}

/** The defaults of the authors' program, with fields down to an eighth of the head. */
const LEVELS = 4;
const ITERATIONS_PER_LEVEL = 50;
const CONVERGED = 0.001;
const WIDTH_AT_HALF = 0.15;
/** The field is smooth: it is sought on every nth voxel. */
const WORKING_SPACING_MM = 4;

/**
 * Takes the slowly changing brightness of receiver coils out of an MR image.
 *
 * @param mask  where the field is sought, 0 or 1, `[z, y, x]`; its inside is scaled to a mean log field of 0, so that intensities stay comparable
 * @see Tustison et al., N4ITK: improved N3 bias correction, IEEE TMI 29 (2010)
 */
export function correctBias(volume: Volume, mask: Uint8Array, progress?: (done: number) => void): BiasCorrection {
  const [di, dj, dk] = spacingOf(volume.affine).map((mm) => Math.max(1, Math.floor(WORKING_SPACING_MM / mm)));
  const working = everyNth(volume, mask, [di ?? 1, dj ?? 1, dk ?? 1]);
  const { logs, offsets } = working;
  const field = new Float64Array(logs.length);
  const lattices: Lattice[] = [];
  let iterations = 0;
  for (let level = 0; level < LEVELS && logs.length > 0; level++) {
    const spans: Vector3 = [2 ** level, 2 ** level, 2 ** level];
    const points = new Float64Array((spans[0] + 3) ** 3);
    for (let iteration = 0; iteration < ITERATIONS_PER_LEVEL; iteration++) {
      const free = logs.map((value, v) => value - (field[v] ?? 0));
      const wanted = sharpen(free, WIDTH_AT_HALF);
      const lattice = fitLattice(free.map((value, v) => value - (wanted[v] ?? 0)), offsets, working.size, spans);
      const step = evaluateLattice(lattice, working.size);
      for (let p = 0; p < points.length; p++) points[p] = (points[p] ?? 0) + (lattice.points[p] ?? 0);
      for (let v = 0; v < field.length; v++) field[v] = (field[v] ?? 0) + (step[offsets[v] ?? 0] ?? 0);
      iterations++;
      progress?.((level + (iteration + 1) / ITERATIONS_PER_LEVEL) / (LEVELS + 1));
      if (variationOf(step, offsets) < CONVERGED) break;
    }
    lattices.push({ spans, points });
  }
  const corrected = dividedBy(volume, mask, lattices, working.covered);
  progress?.(1);
  return { ...corrected, iterations };
}

interface Working {
  size: Vector3;
  /** The part of the volume's size that the coarse grid spans, in voxels of the volume. */
  covered: Vector3;
  logs: Float64Array;
  /** Of each log, on the coarse grid. */
  offsets: Int32Array;
}

function everyNth({ voxels, size }: Volume, mask: Uint8Array, steps: Vector3): Working {
  const count = (axis: 0 | 1 | 2): number => Math.floor((size[axis] - 1) / steps[axis]) + 1;
  const small: Vector3 = [count(0), count(1), count(2)];
  const logs: number[] = [];
  const offsets: number[] = [];
  let to = 0;
  for (let k = 0; k < small[2]; k++) {
    for (let j = 0; j < small[1]; j++) {
      for (let i = 0; i < small[0]; i++, to++) {
        const from = i * steps[0] + size[0] * (j * steps[1] + size[1] * k * steps[2]);
        const value = voxels[from] ?? 0;
        if (mask[from] !== 1 || !(value > 0)) continue;
        logs.push(Math.log(value));
        offsets.push(to);
      }
    }
  }
  return { size: small, covered: [(small[0] - 1) * steps[0] + 1, (small[1] - 1) * steps[1] + 1, (small[2] - 1) * steps[2] + 1], logs: Float64Array.from(logs), offsets: Int32Array.from(offsets) };
}

/** Coefficient of variation of the factor that a step changes the field by. */
function variationOf(step: Float32Array, offsets: Int32Array): number {
  let sum = 0;
  let squares = 0;
  for (const offset of offsets) {
    const factor = Math.exp(step[offset] ?? 0);
    sum += factor;
    squares += factor * factor;
  }
  const mean = sum / offsets.length;
  return Math.sqrt(Math.max(0, squares / offsets.length - mean * mean)) / mean;
}

function dividedBy(volume: Volume, mask: Uint8Array, lattices: readonly Lattice[], covered: Vector3): { volume: Volume<Float32Array>; range: [number, number] } {
  const { voxels, size } = volume;
  const field = new Float32Array(voxels.length);
  for (const lattice of lattices) {
    // The last voxels that the coarse grid does not reach take the field of those before them.
    const surface = evaluateLattice(lattice, covered);
    let offset = 0;
    for (let k = 0; k < size[2]; k++) {
      const fromK = covered[0] * covered[1] * Math.min(k, covered[2] - 1);
      for (let j = 0; j < size[1]; j++) {
        const from = fromK + covered[0] * Math.min(j, covered[1] - 1);
        for (let i = 0; i < size[0]; i++, offset++) field[offset] = (field[offset] ?? 0) + (surface[from + Math.min(i, covered[0] - 1)] ?? 0);
      }
    }
  }
  let [sum, count, low, high] = [0, 0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let o = 0; o < field.length; o++) {
    if (mask[o] !== 1) continue;
    const value = field[o] ?? 0;
    sum += value;
    count++;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const mean = count === 0 ? 0 : sum / count;
  const out = new Float32Array(voxels.length);
  for (let o = 0; o < out.length; o++) out[o] = (voxels[o] ?? 0) / Math.exp((field[o] ?? 0) - mean);
  return { volume: { ...volume, voxels: out }, range: count === 0 ? [1, 1] : [Math.exp(low - mean), Math.exp(high - mean)] };
}
