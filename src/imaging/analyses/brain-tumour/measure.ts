import type { TumourRegion, TumourReport } from '../../model/manifests/tumour-report.js';
import { components, keepComponents } from '../../volume/components.js';
import { indexToLps, spacingOf, voxelVolumeMl } from '../../volume/geometry.js';
import { boundingBox } from '../../volume/morphology.js';
import { cutOut, putBack, voxelsOf, type Block } from '../../volume/block.js';
import type { Grid, Vector3 } from '../../volume/volume.js';
import { largestDiameters, type Diameters } from './diameters.js';

/** A region of one tumour. */
export interface RegionMeasures {
  region: TumourRegion;
  volumeMl: number;
  /** In the slices of the reference series; the ends are indices of that grid. */
  diameters: Diameters | undefined;
}

/** One connected tumour. Coordinates are LPS millimetres. */
export interface Tumour {
  centre: Vector3;
  box: [Vector3, Vector3];
  /** The slice with the most of it. */
  slice: number;
  regions: RegionMeasures[];
}

/** The label map without the parts that are too small, and how many were dropped. */
export function withoutSmallParts(labels: Uint8Array, grid: Grid, { minComponentMl, connectivity }: TumourReport): { labels: Uint8Array; dropped: number } {
  const block = blockOf(labels, grid.size);
  if (block === undefined) return { labels, dropped: 0 };
  const inside = cutOut(labels, grid.size, block, new Uint8Array(voxelsOf(block.size)));
  const found = components(inside, block.size, connectivity);
  const least = minComponentMl / voxelVolumeMl(grid.affine);
  const small = found.components.filter(({ voxels }) => voxels < least).length;
  if (small === 0) return { labels, dropped: 0 };
  const kept = keepComponents(found, ({ voxels }) => voxels >= least);
  for (let i = 0; i < inside.length; i++) if (kept[i] === 0) inside[i] = 0;
  const out = new Uint8Array(labels.length);
  putBack(out, grid.size, block, inside);
  return { labels: out, dropped: small };
}

/** Every connected tumour of a label map with its regions measured, the largest first. */
export function measureTumours(labels: Uint8Array, grid: Grid, report: TumourReport): Tumour[] {
  const block = blockOf(labels, grid.size);
  if (block === undefined) return [];
  const inside = cutOut(labels, grid.size, block, new Uint8Array(voxelsOf(block.size)));
  const found = components(inside, block.size, report.connectivity);
  return [...found.components].sort((a, b) => b.voxels - a.voxels).map(({ label, box: [low, high] }) => {
    const size: Vector3 = [high[0] - low[0] + 1, high[1] - low[1] + 1, high[2] - low[2] + 1];
    const own = new Uint8Array(voxelsOf(size));
    for (let k = 0, at = 0; k < size[2]; k++) {
      for (let j = 0; j < size[1]; j++) {
        for (let i = 0; i < size[0]; i++, at++) {
          const from = low[0] + i + block.size[0] * (low[1] + j + block.size[1] * (low[2] + k));
          if (found.labels[from] === label) own[at] = inside[from] ?? 0;
        }
      }
    }
    return measured(own, { start: [block.start[0] + low[0], block.start[1] + low[1], block.start[2] + low[2]], size }, grid, report);
  });
}

/** Millilitres of all voxels with one of the values. */
export function volumeMl(labels: Uint8Array, grid: Grid, values: readonly number[]): number {
  const counts = new Float64Array(256);
  for (const value of labels) counts[value] = (counts[value] ?? 0) + 1;
  return values.reduce((sum, value) => sum + (counts[value] ?? 0), 0) * voxelVolumeMl(grid.affine);
}

/** The slice with the most voxels that are not zero; the middle one of an empty map. */
export function fullestSlice(labels: Uint8Array, [columns, rows, slices]: Vector3): number {
  let [best, most] = [Math.floor(slices / 2), 0];
  for (let k = 0; k < slices; k++) {
    let count = 0;
    for (let at = k * columns * rows; at < (k + 1) * columns * rows; at++) if (labels[at] !== 0) count++;
    if (count > most) [best, most] = [k, count];
  }
  return best;
}

function measured(own: Uint8Array, { start, size }: Block, { affine }: Grid, { segments }: TumourReport): Tumour {
  const spacing = spacingOf(affine);
  const atIndex = (index: Vector3): Vector3 => indexToLps(affine, [start[0] + index[0], start[1] + index[1], start[2] + index[2]]);
  return {
    centre: atIndex(centroid(own, size)),
    box: lpsBox((index) => atIndex(index), size),
    slice: start[2] + fullestSlice(own, size),
    regions: segments.map(({ region, values }) => {
      const mask = own.map((value) => (values.includes(value) ? 1 : 0));
      const diameters = largestDiameters(mask, size, spacing);
      return {
        region,
        volumeMl: mask.reduce((sum, value) => sum + value, 0) * voxelVolumeMl(affine),
        diameters: diameters && { ...diameters, slice: start[2] + diameters.slice, long: [moved(diameters.long[0], start), moved(diameters.long[1], start)] },
      };
    }),
  };
}

function moved([i, j]: readonly [number, number], start: Vector3): readonly [number, number] {
  return [start[0] + i, start[1] + j];
}

function centroid(own: Uint8Array, [columns, rows, slices]: Vector3): Vector3 {
  let [count, x, y, z] = [0, 0, 0, 0];
  for (let k = 0, at = 0; k < slices; k++) {
    for (let j = 0; j < rows; j++) {
      for (let i = 0; i < columns; i++, at++) {
        if (own[at] === 0) continue;
        count++;
        x += i;
        y += j;
        z += k;
      }
    }
  }
  return [x / count, y / count, z / count];
}

/** The box around the voxels, their outer halves included, along the patient's axes. */
function lpsBox(atIndex: (index: Vector3) => Vector3, [columns, rows, slices]: Vector3): [Vector3, Vector3] {
  const corners = [-0.5, columns - 0.5].flatMap((i) => [-0.5, rows - 0.5].flatMap((j) => [-0.5, slices - 0.5].map((k) => atIndex([i, j, k]))));
  const extreme = (pick: (...values: number[]) => number): Vector3 => [pick(...corners.map(([x]) => x)), pick(...corners.map(([, y]) => y)), pick(...corners.map(([, , z]) => z))];
  return [extreme(Math.min), extreme(Math.max)];
}

function blockOf(labels: Uint8Array, size: Vector3): Block | undefined {
  const corners = boundingBox(labels, size);
  if (corners === undefined) return undefined;
  const [low, high] = corners;
  return { start: low, size: [high[0] - low[0] + 1, high[1] - low[1] + 1, high[2] - low[2] + 1] };
}
