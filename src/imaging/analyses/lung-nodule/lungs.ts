import type { NoduleFindings } from '../../model/manifests/nodule-findings.js';
import { componentsOfSlices } from '../../recipes/candidates.js';
import { components } from '../../volume/components.js';
import { closeMm, distanceTo } from '../../volume/distance.js';
import { indexToLps, spacingOf } from '../../volume/geometry.js';
import { boundingBox, erode, fillHoles } from '../../volume/morphology.js';
import type { Affine, Grid, Vector3, Volume } from '../../volume/volume.js';

export type Side = 'right' | 'left';
export type Zone = 'upper' | 'middle' | 'lower';

/** The lungs on coarse voxels: enough to say what lies in them, on which side and how high. */
export interface Lungs {
  grid: Grid;
  /** 1 where a lung is, closed so that vessels and nodules at the pleura are part of it. */
  closed: Uint8Array;
  /** Millimetres to the right and to the left lung, or to what is surely part of it; infinite where there is none. */
  distance: Record<Side, Float32Array>;
  /** Lowest and highest LPS z of each lung. */
  extent: Partial<Record<Side, [number, number]>>;
  volumeMl: Record<Side, number>;
  /** Fine voxels in a coarse one, along each axis. */
  factors: Vector3;
  /** The coarse voxel of the whole volume where the grid begins. */
  origin: Vector3;
}

/** A part of the air on one side must be at least this big, relative to the other, to be the second lung. */
const SECOND_LUNG = 0.2;
/** The midline is looked for this near to the middle of the body. */
const MIDLINE_MM = 40;

/**
 * The lungs of a chest CT: air inside of the body, taken apart into right and left, closed.
 *
 * @param ct  Hounsfield units
 * @returns undefined when nothing looks like a lung
 * @see Hu, Hoffman, Reinhardt 2001, Automatic Lung Segmentation for Accurate Quantitation of Volumetric X-Ray CT Images
 */
export function findLungs(ct: Volume, options: NoduleFindings['lungMask']): Lungs | undefined {
  const whole = coarse(ct, options.voxelMm);
  const spacing = spacingOf(whole.grid.affine);
  const voxelMl = (spacing[0] * spacing[1] * spacing[2]) / 1000;
  const everywhere = airInside(whole.hu, whole.grid.size, options, voxelMl);
  const box = boundingBox(everywhere, whole.grid.size);
  if (!box) return undefined;
  const midline = midlineOf(everywhere, whole.hu, whole.grid, options.thresholdHu);
  const margin = spacing.map((mm) => Math.ceil(options.closingMm / mm) + 1);
  const { mask: air, grid, origin } = cropped(everywhere, whole.grid, box, margin);
  const { size } = grid;
  const { side, distance } = sidesOf(air, grid, midline);
  const lung = { right: only(side, 1), left: only(side, 2) };
  const volumeMl = { right: voxelMl * sum(lung.right), left: voxelMl * sum(lung.left) };
  const closed = new Uint8Array(air.length);
  // Each by itself: a closing of both would fill the mediastinum between them.
  for (const one of [lung.right, lung.left]) {
    const its = boundingBox(one, size);
    if (!its) continue;
    const part = cropped(one, grid, its, margin);
    pasted(closed, size, fillHoles(closeMm(part.mask, part.grid.size, spacing, options.closingMm), part.grid.size), part.origin, part.grid.size);
  }
  const extent: Lungs['extent'] = {};
  for (const name of ['right', 'left'] as const) {
    const range = heights(lung[name], grid);
    if (range) extent[name] = range;
  }
  return { grid, closed, distance, extent, volumeMl, factors: whole.factors, origin };
}

/** Whether a place (index of the fine volume) lies in a lung or no further from one than `marginMm`. */
export function insideLungs(lungs: Lungs, index: Vector3, marginMm: number): boolean {
  const { size, affine } = lungs.grid;
  const spacing = spacingOf(affine);
  const centre = coarseIndex(lungs, index);
  const reach = spacing.map((mm) => Math.ceil(marginMm / mm));
  for (let dk = -(reach[2] ?? 0); dk <= (reach[2] ?? 0); dk++) {
    for (let dj = -(reach[1] ?? 0); dj <= (reach[1] ?? 0); dj++) {
      for (let di = -(reach[0] ?? 0); di <= (reach[0] ?? 0); di++) {
        if (Math.hypot(di * spacing[0], dj * spacing[1], dk * spacing[2]) > marginMm) continue;
        const [i, j, k] = [centre[0] + di, centre[1] + dj, centre[2] + dk];
        if (i < 0 || j < 0 || k < 0 || i >= size[0] || j >= size[1] || k >= size[2]) continue;
        if (lungs.closed[i + size[0] * (j + size[1] * k)] === 1) return true;
      }
    }
  }
  return false;
}

/** The lung that a place (index of the fine volume) is in or next to, and the third of that lung's height. */
export function placeOf(lungs: Lungs, index: Vector3): { side: Side; zone: Zone } | undefined {
  const { size, affine } = lungs.grid;
  const [i, j, k] = coarseIndex(lungs, index);
  const offset = i + size[0] * (j + size[1] * k);
  const [right, left] = [lungs.distance.right[offset] ?? Infinity, lungs.distance.left[offset] ?? Infinity];
  const side = right <= left ? 'right' : 'left';
  const extent = lungs.extent[side];
  if (extent === undefined) return undefined;
  const height = (indexToLps(affine, [i, j, k])[2] - extent[0]) / Math.max(extent[1] - extent[0], 1e-6);
  return { side, zone: height >= 2 / 3 ? 'upper' : height >= 1 / 3 ? 'middle' : 'lower' };
}

/** How much of a fine voxel's place is lung, 0–1, by linear interpolation between coarse voxels. */
export function lungShareAt({ closed, factors, origin, grid: { size } }: Lungs, index: Vector3): number {
  const at = (axis: 0 | 1 | 2): number => (index[axis] - (factors[axis] - 1) / 2) / factors[axis] - origin[axis];
  const [x, y, z] = [at(0), at(1), at(2)];
  const [i, j, k] = [Math.floor(x), Math.floor(y), Math.floor(z)];
  let share = 0;
  for (let corner = 0; corner < 8; corner++) {
    const [di, dj, dk] = [corner & 1, (corner >> 1) & 1, corner >> 2];
    const [ci, cj, ck] = [Math.min(Math.max(i + di, 0), size[0] - 1), Math.min(Math.max(j + dj, 0), size[1] - 1), Math.min(Math.max(k + dk, 0), size[2] - 1)];
    if (closed[ci + size[0] * (cj + size[1] * ck)] === 1) share += (di ? x - i : 1 + i - x) * (dj ? y - j : 1 + j - y) * (dk ? z - k : 1 + k - z);
  }
  return share;
}

/** The coarse voxel that a fine index lies in, or the nearest one. */
function coarseIndex({ factors, origin, grid: { size } }: Pick<Lungs, 'factors' | 'grid' | 'origin'>, index: Vector3): [number, number, number] {
  const at = (axis: 0 | 1 | 2): number => Math.min(Math.max(Math.floor((index[axis] + 0.5) / factors[axis]) - origin[axis], 0), size[axis] - 1);
  return [at(0), at(1), at(2)];
}

/** Mean of blocks of voxels. */
function coarse(ct: Volume, voxelMm: number): { grid: Grid; hu: Float32Array; factors: Vector3 } {
  const spacing = spacingOf(ct.affine);
  const [fi, fj, fk] = spacing.map((mm) => Math.max(1, Math.round(voxelMm / mm))) as [number, number, number]; // a triple as before
  const [columns, rows, slices] = ct.size;
  const size: Vector3 = [Math.ceil(columns / fi), Math.ceil(rows / fj), Math.ceil(slices / fk)];
  const total = new Float32Array(size[0] * size[1] * size[2]);
  const { voxels } = ct;
  for (let k = 0, offset = 0; k < slices; k++) {
    for (let j = 0; j < rows; j++) {
      const start = size[0] * (Math.floor(j / fj) + size[1] * Math.floor(k / fk));
      for (let i = 0, at = start; i < columns; at++) {
        let sum = 0;
        for (const end = Math.min(i + fi, columns); i < end; i++, offset++) {
          const hu = voxels[offset] ?? 0;
          // Scanners fill what they do not see with −2000 and less; air is −1000.
          sum += hu > -1024 ? hu : -1024;
        }
        total[at] = (total[at] ?? 0) + sum;
      }
    }
  }
  // The last block of an axis may be a part of one.
  const length = (block: number, factor: number, whole: number): number => Math.min(factor, whole - block * factor);
  for (let k = 0, at = 0; k < size[2]; k++) {
    for (let j = 0; j < size[1]; j++) {
      for (let i = 0; i < size[0]; i++, at++) total[at] = (total[at] ?? 0) / (length(i, fi, columns) * length(j, fj, rows) * length(k, fk, slices));
    }
  }
  const row = ([x, y, z, t]: Affine[0]): Affine[0] => [x * fi, y * fj, z * fk, t + (x * (fi - 1) + y * (fj - 1) + z * (fk - 1)) / 2];
  return { grid: { size, affine: [row(ct.affine[0]), row(ct.affine[1]), row(ct.affine[2])] }, hu: total, factors: [fi, fj, fk] };
}

/** The part of a mask in a box, with as much around it as there is of `margin`. */
function cropped(mask: Uint8Array, { size: [columns, rows, slices], affine }: Grid, [from, to]: [Vector3, Vector3], margin: readonly number[]): { mask: Uint8Array; grid: Grid; origin: Vector3 } {
  const low = (axis: 0 | 1 | 2): number => Math.max(0, from[axis] - (margin[axis] ?? 0));
  const length = (axis: 0 | 1 | 2, whole: number): number => Math.min(whole, to[axis] + 1 + (margin[axis] ?? 0)) - low(axis);
  const origin: Vector3 = [low(0), low(1), low(2)];
  const size: Vector3 = [length(0, columns), length(1, rows), length(2, slices)];
  const part = new Uint8Array(size[0] * size[1] * size[2]);
  for (let k = 0; k < size[2]; k++) {
    for (let j = 0; j < size[1]; j++) {
      const start = origin[0] + columns * (origin[1] + j + rows * (origin[2] + k));
      part.set(mask.subarray(start, start + size[0]), size[0] * (j + size[1] * k));
    }
  }
  const [x, y, z] = indexToLps(affine, origin);
  const moved = ([a, b, c]: Affine[0], t: number): Affine[0] => [a, b, c, t];
  return { mask: part, origin, grid: { size, affine: [moved(affine[0], x), moved(affine[1], y), moved(affine[2], z)] } };
}

/** Air that does not reach the border of the image, in parts big enough and dense enough for a lung. */
function airInside(hu: Float32Array, size: Vector3, { thresholdHu, airHu, minVolumeMl }: NoduleFindings['lungMask'], voxelMl: number): Uint8Array {
  const [columns, rows, slices] = size;
  const found = componentsOfSlices(columns, rows, () => 1);
  const plane = new Uint8Array(columns * rows);
  for (let k = 0; k < slices; k++) {
    for (let offset = 0; offset < plane.length; offset++) plane[offset] = (hu[k * plane.length + offset] ?? 0) < thresholdHu ? 1 : 0;
    found.push(plane);
  }
  const out = new Uint8Array(hu.length);
  for (const { voxels, box: [[i0, j0, k0], [i1, j1, k1]], mask } of found.candidates()) {
    if (i0 === 0 || j0 === 0 || i1 === columns - 1 || j1 === rows - 1 || voxels * voxelMl < minVolumeMl) continue;
    const part = new Uint8Array(hu.length);
    pasted(part, size, mask(), [i0, j0, k0], [i1 - i0 + 1, j1 - j0 + 1, k1 - k0 + 1]);
    let total = 0;
    for (let offset = 0; offset < part.length; offset++) if (part[offset] === 1) total += hu[offset] ?? 0;
    if (total / voxels <= airHu) continue;
    for (let offset = 0; offset < part.length; offset++) out[offset] = (out[offset] ?? 0) | (part[offset] ?? 0);
  }
  return out;
}

/** Sets what is set in a part that begins at `origin`. */
function pasted(out: Uint8Array, [columns, rows]: Vector3, part: Uint8Array, origin: Vector3, [width, height, depth]: Vector3): void {
  for (let k = 0; k < depth; k++) {
    for (let j = 0; j < height; j++) {
      const [from, to] = [width * (j + height * k), origin[0] + columns * (origin[1] + j + rows * (origin[2] + k))];
      for (let i = 0; i < width; i++) if (part[from + i] === 1) out[to + i] = 1;
    }
  }
}

/** LPS x with the fewest voxels of lung, near the middle of the body. */
function midlineOf(air: Uint8Array, hu: Float32Array, { size, affine }: Grid, thresholdHu: number): number {
  const [columns, rows, slices] = size;
  const bins = new Map<number, number>();
  let [body, weight] = [0, 0];
  for (let k = 0, offset = 0; k < slices; k++) {
    for (let j = 0; j < rows; j++) {
      const start = indexToLps(affine, [0, j, k])[0];
      for (let i = 0; i < columns; i++, offset++) {
        const x = start + i * affine[0][0];
        if ((hu[offset] ?? 0) >= thresholdHu || air[offset] === 1) [body, weight] = [body + x, weight + 1];
        if (air[offset] === 1) bins.set(Math.round(x / 2), (bins.get(Math.round(x / 2)) ?? 0) + 1);
      }
    }
  }
  const middle = weight > 0 ? body / weight : 0;
  let [best, least] = [middle, Infinity];
  for (let x = Math.round((middle - MIDLINE_MM) / 2); x <= Math.round((middle + MIDLINE_MM) / 2); x++) {
    // Three bins: a single one may lie between two columns and be empty.
    const here = [x - 1, x, x + 1].reduce((total, bin) => total + (bins.get(bin) ?? 0), 0);
    if (here < least || (here === least && Math.abs(2 * x - middle) < Math.abs(best - middle))) [best, least] = [2 * x, here];
  }
  return best;
}

/** 1 right, 2 left: by two separate parts where there are two, erosion helping, else by the midline. */
function sidesOf(air: Uint8Array, grid: Grid, midline: number): { side: Uint8Array; distance: Record<Side, Float32Array> } {
  const { size } = grid;
  const spacing = spacingOf(grid.affine);
  for (let step = 0; step <= 2; step++) {
    const found = components(erode(air, size, 6, step), size, 6);
    const [first, second] = [...found.components].sort((a, b) => b.voxels - a.voxels);
    if (!first || !second || second.voxels < SECOND_LUNG * first.voxels) continue;
    const [a, b] = [first, second].map(({ label }) => only(found.labels, label)) as [Uint8Array, Uint8Array]; // one of each
    const [xa, xb] = [meanX(a, grid), meanX(b, grid)];
    if ((xa - midline) * (xb - midline) >= 0) continue;
    const [right, left] = (xa < xb ? [a, b] : [b, a]).map((mask) => distanceTo(mask, size, spacing)) as [Float32Array, Float32Array]; // one of each
    return { side: air.map((value, offset) => (value === 0 ? 0 : (right[offset] ?? 0) <= (left[offset] ?? 0) ? 1 : 2)), distance: { right, left } };
  }
  const side = new Uint8Array(air.length);
  eachAlong(air, grid, 0, (x, offset) => { side[offset] = x < midline ? 1 : 2; });
  return { side, distance: { right: distanceTo(only(side, 1), size, spacing), left: distanceTo(only(side, 2), size, spacing) } };
}

function meanX(mask: Uint8Array, grid: Grid): number {
  let [total, count] = [0, 0];
  eachAlong(mask, grid, 0, (x) => { total += x; count++; });
  return total / Math.max(count, 1);
}

function heights(mask: Uint8Array, grid: Grid): [number, number] | undefined {
  let [low, high] = [Infinity, -Infinity];
  eachAlong(mask, grid, 2, (z) => { low = Math.min(low, z); high = Math.max(high, z); });
  return low > high ? undefined : [low, high];
}

/** One LPS coordinate of every voxel of the mask. */
function eachAlong(mask: Uint8Array, { size: [columns, rows, slices], affine }: Grid, axis: 0 | 2, visit: (millimetres: number, offset: number) => void): void {
  const [perColumn, perRow, perSlice, start] = affine[axis];
  for (let k = 0, offset = 0; k < slices; k++) {
    for (let j = 0; j < rows; j++) {
      for (let i = 0; i < columns; i++, offset++) if (mask[offset] === 1) visit(perColumn * i + perRow * j + perSlice * k + start, offset);
    }
  }
}

function only(labels: Uint8Array | Uint32Array, label: number): Uint8Array {
  const out = new Uint8Array(labels.length);
  for (let offset = 0; offset < labels.length; offset++) if (labels[offset] === label) out[offset] = 1;
  return out;
}

function sum(mask: Uint8Array): number {
  let total = 0;
  for (const value of mask) total += value;
  return total;
}
