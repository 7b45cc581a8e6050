import { gaussianSmooth } from '../gaussian.js';
import { invertAffine, spacingOf } from '../geometry.js';
import type { Affine, Grid, Vector3, Volume } from '../volume.js';
import type { IntensityRange } from './bins.js';
import type { LinearMap } from './transform.js';

/** A volume as one step of a pyramid sees it. */
export interface Level extends Grid {
  voxels: Float32Array;
  range: IntensityRange;
  /** LPS millimetres → index. */
  inverse: Affine;
}

/** Shares of the voxels that lie outside the range at both ends; a few hot voxels would else empty the histogram. */
const TAIL = 0.001;

/**
 * Smooths a volume to a resolution and takes every nth voxel along the axes that are finer than it.
 *
 * @param resolutionMm  what is smaller is smoothed away; 0 leaves the volume as it is
 */
export function levelOf(volume: Volume, resolutionMm: number): Level {
  const spacing = spacingOf(volume.affine);
  const steps = spacing.map((mm) => Math.max(1, Math.floor(resolutionMm / mm + 1e-6)));
  const sigma = (axis: 0 | 1 | 2): number => (steps[axis] === 1 && spacing[axis] >= resolutionMm ? 0 : (0.5 * resolutionMm) / spacing[axis]);
  const smooth = resolutionMm === 0 ? Float32Array.from(volume.voxels) : gaussianSmooth(volume.voxels, volume.size, [sigma(0), sigma(1), sigma(2)]);
  const level = everyNth(smooth, volume, [steps[0] ?? 1, steps[1] ?? 1, steps[2] ?? 1]);
  return { ...level, range: rangeOf(level.voxels), inverse: invertAffine(level.affine) };
}

function everyNth(voxels: Float32Array, { size, affine, frameOfReferenceUid }: Grid, steps: Vector3): Grid & { voxels: Float32Array } {
  const count = (axis: 0 | 1 | 2): number => Math.max(1, Math.floor((size[axis] - 1) / steps[axis]) + 1);
  const small: Vector3 = [count(0), count(1), count(2)];
  const row = (r: 0 | 1 | 2): [number, number, number, number] => [affine[r][0] * steps[0], affine[r][1] * steps[1], affine[r][2] * steps[2], affine[r][3]];
  const grid: Grid = { size: small, affine: [row(0), row(1), row(2)], ...(frameOfReferenceUid === undefined ? {} : { frameOfReferenceUid }) };
  if (steps.every((step) => step === 1)) return { ...grid, voxels };
  const out = new Float32Array(small[0] * small[1] * small[2]);
  let to = 0;
  for (let k = 0; k < small[2]; k++) {
    for (let j = 0; j < small[1]; j++) {
      const from = size[0] * (j * steps[1] + size[1] * k * steps[2]);
      for (let i = 0; i < small[0]; i++) out[to++] = voxels[from + i * steps[0]] ?? 0;
    }
  }
  return { ...grid, voxels: out };
}

/** The range between the tails of the intensities; never empty. */
export function rangeOf(voxels: Float32Array): IntensityRange {
  const sample = Float32Array.from({ length: Math.min(voxels.length, 100_000) }, (_, i, stride = Math.max(1, voxels.length / 100_000)) => voxels[Math.floor(i * stride)] ?? 0).sort();
  const low = sample[Math.floor(TAIL * (sample.length - 1))] ?? 0;
  const high = sample[Math.ceil((1 - TAIL) * (sample.length - 1))] ?? 0;
  return high > low ? { low, high } : { low, high: low + 1 };
}

/**
 * A map of millimetres as a map of offsets from its centre to the moving level's index: index = matrix · offset + shift.
 * `back` is the level's LPS → index matrix, whose transpose carries derivatives by the index to derivatives by millimetres.
 */
export function affineToIndex({ inverse }: Level, { centre, linear, translation }: LinearMap): { matrix: Float64Array; shift: Vector3; back: Float64Array } {
  const back = Float64Array.from(inverse.flatMap(([x, y, z]) => [x, y, z]));
  const matrix = Float64Array.from({ length: 9 }, (_, i) => {
    const [row, column] = [3 * Math.floor(i / 3), i % 3];
    return (back[row] ?? 0) * (linear[column] ?? 0) + (back[row + 1] ?? 0) * (linear[3 + column] ?? 0) + (back[row + 2] ?? 0) * (linear[6 + column] ?? 0);
  });
  const target = centre.map((c, axis) => c + (translation[axis] ?? 0));
  const shift = inverse.map(([x, y, z, t]) => x * (target[0] ?? 0) + y * (target[1] ?? 0) + z * (target[2] ?? 0) + t);
  return { matrix, shift: [shift[0] ?? 0, shift[1] ?? 0, shift[2] ?? 0], back };
}
