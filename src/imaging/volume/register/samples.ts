import { otsuThreshold } from '../otsu.js';
import { spacingOf } from '../geometry.js';
import { trilinear } from '../trilinear.js';
import type { Vector3, Volume } from '../volume.js';
import { binOf } from './bins.js';
import type { Level } from './level.js';

/** Points of the fixed image: where, from the centre, and what is there. */
export interface FixedSamples {
  count: number;
  /** x, y, z in LPS millimetres from the centre, point by point. */
  offsets: Float32Array;
  /** The bin of the intensity. */
  bins: Uint8Array;
}

/** Where the head is: box in index coordinates, its middle and the root mean square distance of its bright voxels from it. */
export interface Extent {
  from: Vector3;
  to: Vector3;
  /** Centre of the bright voxels, LPS millimetres. */
  centre: Vector3;
  radiusMm: number;
}

/** Air around the head that is kept: edges of the skin tell much. */
const MARGIN_MM = 8;
/** Fewer bright voxels than this along a line through the volume are noise. */
const MIN_LINE = 3;

/** The box, centre and radius of what is brighter than the background. */
export function extentOf(volume: Volume): Extent {
  const { voxels, size, affine } = volume;
  const threshold = otsuThreshold(voxels);
  const counts = size.map((n) => new Float64Array(n));
  let offset = 0;
  for (let k = 0; k < size[2]; k++) {
    for (let j = 0; j < size[1]; j++) {
      for (let i = 0; i < size[0]; i++) {
        if ((voxels[offset++] ?? 0) <= threshold) continue;
        for (const [axis, at] of [i, j, k].entries()) {
          const along = counts[axis];
          if (along) along[at] = (along[at] ?? 0) + 1;
        }
      }
    }
  }
  const spacing = spacingOf(affine);
  const spans = ([0, 1, 2] as const).map((axis) => spanOf(counts[axis] ?? new Float64Array(1), MARGIN_MM / spacing[axis]));
  const span = (axis: number): Span => spans[axis] ?? { from: 0, to: 0, mean: 0, variance: 0 };
  const mean = [span(0).mean, span(1).mean, span(2).mean] as const;
  const toLps = (row: 0 | 1 | 2): number => affine[row][0] * mean[0] + affine[row][1] * mean[1] + affine[row][2] * mean[2] + affine[row][3];
  const radiusMm = Math.sqrt(([0, 1, 2] as const).reduce<number>((sum, axis) => sum + span(axis).variance * spacing[axis] ** 2, 0));
  return { from: [span(0).from, span(1).from, span(2).from], to: [span(0).to, span(1).to, span(2).to], centre: [toLps(0), toLps(1), toLps(2)], radiusMm: Math.max(1, radiusMm) };
}

interface Span {
  from: number;
  to: number;
  mean: number;
  variance: number;
}

function spanOf(counts: Float64Array, margin: number): Span {
  let [sum, first, second] = [0, 0, 0];
  let from = counts.length - 1;
  let to = 0;
  for (const [at, count] of counts.entries()) {
    sum += count;
    first += count * at;
    second += count * at * at;
    if (count < MIN_LINE) continue;
    from = Math.min(from, at);
    to = Math.max(to, at);
  }
  if (sum === 0 || from > to) return { from: 0, to: counts.length - 1, mean: (counts.length - 1) / 2, variance: (counts.length * counts.length) / 12 };
  return { from: Math.max(0, from - margin), to: Math.min(counts.length - 1, to + margin), mean: first / sum, variance: second / sum - (first / sum) ** 2 };
}

/**
 * Points spread evenly over the extent, one at a chance place of each cell, so that no grid is favoured: sampling on voxels makes mutual
 * information peak wherever two grids coincide.
 *
 * @see Tsao, Interpolation artifacts in multimodality image registration based on maximization of mutual information, IEEE TMI 22 (2003)
 */
export function sampleFixed(level: Level, volume: Volume, extent: Extent, about: number, random: () => number): FixedSamples {
  const { size, inverse, voxels, range } = level;
  const spacing = spacingOf(volume.affine);
  const lengths = ([0, 1, 2] as const).map((axis) => Math.max(spacing[axis], (extent.to[axis] - extent.from[axis]) * spacing[axis]));
  const cellMm = Math.cbrt(lengths.reduce((a, b) => a * b, 1) / about);
  const cells = lengths.map((mm) => Math.max(1, Math.round(mm / cellMm)));
  const [nx = 1, ny = 1, nz = 1] = cells;
  const offsets = new Float32Array(3 * nx * ny * nz);
  const bins = new Uint8Array(nx * ny * nz);
  let count = 0;
  for (let c = 0; c < nx * ny * nz; c++) {
    const cell = [c % nx, Math.floor(c / nx) % ny, Math.floor(c / (nx * ny))] as const;
    const at = ([0, 1, 2] as const).map((axis) => extent.from[axis] + ((cell[axis] + random()) / (cells[axis] ?? 1)) * (extent.to[axis] - extent.from[axis]));
    const lps = volume.affine.map(([x, y, z, t]) => x * (at[0] ?? 0) + y * (at[1] ?? 0) + z * (at[2] ?? 0) + t);
    const index = inverse.map(([x, y, z, t]) => x * (lps[0] ?? 0) + y * (lps[1] ?? 0) + z * (lps[2] ?? 0) + t);
    const value = trilinear(voxels, size[0], size[1], size[2], index[0] ?? 0, index[1] ?? 0, index[2] ?? 0);
    for (const axis of [0, 1, 2] as const) offsets[3 * count + axis] = (lps[axis] ?? 0) - extent.centre[axis];
    bins[count++] = Math.round(binOf(value, range));
  }
  return { count, offsets, bins };
}
