import type { NoduleFindings } from '../../model/manifests/nodule-findings.js';
import type { Detection } from '../../recipes/recipe.js';
import { componentAt } from '../../volume/components.js';
import { dilateMm, distanceTo } from '../../volume/distance.js';
import { median } from '../../volume/median.js';
import { spacingOf } from '../../volume/geometry.js';
import type { Vector3, Volume } from '../../volume/volume.js';
import { lungShareAt, type Lungs } from './lungs.js';

/** Voxels of one nodule in a box of the volume. */
export interface Region {
  /** First and last index. */
  box: [Vector3, Vector3];
  /** Columns, rows, slices of the box. */
  size: Vector3;
  spacing: Vector3;
  /** 0 or 1, `[z, y, x]` in the box. */
  mask: Uint8Array;
  /** Hounsfield units in the box. */
  hu: Float32Array;
  /** The same between the slices: how much the voxels hold, and their centre of gravity as an index of the box. */
  solid: { volumeMm3: number; centre: Vector3 };
}

/** The box with slices in between, so that a voxel is about as high as it is wide: caps and necks are judged by their true thickness. */
interface FineBox {
  size: Vector3;
  spacing: Vector3;
  hu: Float32Array;
  /** Of its slices for one of the scan. */
  perSlice: number;
}

interface Surroundings {
  box: Pick<Region, 'box' | 'size' | 'spacing' | 'hu'>;
  region: FineBox;
  /** Where the nodule may be. */
  allowed: Uint8Array;
  /** Of the detection, in the box. */
  centre: Vector3;
  /** Of lung without vessels around the nodule. */
  lungHu: number;
}

/**
 * The nodule at a detection: what is denser than half way between it and the lung around it, inside of the lung, near what the detector marked;
 * an opening takes off vessels that are thinner than the nodule.
 *
 * @returns the nodule with its border at `borderHu`, and with everything down to ground glass; undefined where nothing is denser than lung
 * @see Kuhnigk et al. 2006, Morphological Segmentation and Partial Volume Analysis for Volumetry of Solid Pulmonary Lesions in Thoracic CT Scans
 */
export function segmentNodule(ct: Volume, detection: Detection, lungs: Lungs | undefined, { segmentation, solidity }: NoduleFindings): { nodule: Region; withGroundGlass: Region | undefined } | undefined {
  const around = surroundings(ct, detection, lungs, segmentation);
  const [low, high] = segmentation.borderHu;
  // The nodule's density is not known before its border is: first what is dense for sure, else what is denser than lung.
  const core = nearestPart(around, high) ?? nearestPart(around, low);
  if (core === undefined) return undefined;
  const density = quantile(around.region.hu, core.mask, 0.75);
  const borderHu = Math.min(Math.max((density + around.lungHu) / 2, low), high);
  const nodule = part(around, borderHu, segmentation);
  return nodule && { nodule, withGroundGlass: borderHu > solidity.groundGlassHu ? part(around, solidity.groundGlassHu, segmentation) : nodule };
}

/** The box around a detection, and where in it the nodule may be. */
function surroundings(ct: Volume, detection: Detection, lungs: Lungs | undefined, { growMm, radiusMm, lungHu }: NoduleFindings['segmentation']): Surroundings {
  const spacing = spacingOf(ct.affine);
  const marked: [Vector3, Vector3] = detection.mask?.box ?? detection.box ?? [detection.centre, detection.centre];
  const reach = detection.mask ?? detection.box ? growMm : radiusMm;
  const from = ([0, 1, 2] as const).map((axis) => Math.max(0, Math.floor(Math.min(marked[0][axis], marked[1][axis]) - reach / spacing[axis]))) as unknown as Vector3; // three axes
  const to = ([0, 1, 2] as const).map((axis) => Math.min(ct.size[axis] - 1, Math.ceil(Math.max(marked[0][axis], marked[1][axis]) + reach / spacing[axis]))) as unknown as Vector3; // three axes
  const size: Vector3 = [to[0] - from[0] + 1, to[1] - from[1] + 1, to[2] - from[2] + 1];
  const region = { box: [from, to] as [Vector3, Vector3], size, spacing, hu: new Float32Array(size[0] * size[1] * size[2]) };
  const seed = new Uint8Array(region.hu.length);
  const inLung = new Uint8Array(region.hu.length).fill(1);
  const { mask } = detection;
  const centre: Vector3 = [detection.centre[0] - from[0], detection.centre[1] - from[1], detection.centre[2] - from[2]];
  const [halfX, halfY, halfZ] = ([0, 1, 2] as const).map((axis) => (detection.box ? Math.max(Math.abs(detection.box[1][axis] - detection.box[0][axis]) / 2, 0.5) : 0.5)) as unknown as Vector3; // three axes
  for (let k = 0, offset = 0; k < size[2]; k++) {
    for (let j = 0; j < size[1]; j++) {
      for (let i = 0; i < size[0]; i++, offset++) {
        const at: Vector3 = [from[0] + i, from[1] + j, from[2] + k];
        region.hu[offset] = ct.voxels[at[0] + ct.size[0] * (at[1] + ct.size[1] * at[2])] ?? -1000;
        if (lungs && lungShareAt(lungs, at) < 0.5) inLung[offset] = 0;
        // The box's ellipsoid, or the voxel at the centre.
        if (mask ? inMask(mask, at) : ((i - centre[0]) / halfX) ** 2 + ((j - centre[1]) / halfY) ** 2 + ((k - centre[2]) / halfZ) ** 2 <= 1) seed[offset] = 1;
      }
    }
  }
  if (!seed.includes(1)) seed[nearestOffset(centre, size)] = 1;
  const near = dilateMm(seed, size, spacing, reach);
  const parenchyma: number[] = [];
  for (let offset = 0; offset < near.length; offset++) {
    const value = region.hu[offset] ?? 0;
    if (inLung[offset] === 1 && value < -700 && value > -980) parenchyma.push(value);
  }
  // Where the detector saw a nodule outside of the closed lung, the lung says nothing.
  const allowed = near.map((value, offset) => value & (inLung[offset] ?? 0));
  const usable = allowed.includes(1) ? allowed : near;
  const fine = between(region);
  return { box: region, region: fine, allowed: nearestSlices(usable, region.size, fine), centre: [centre[0], centre[1], centre[2] * fine.perSlice], lungHu: median(parenchyma) ?? lungHu };
}

/** At most this many slices in between. */
const MOST_BETWEEN = 8;

function between({ size: [columns, rows, slices], spacing, hu }: Pick<Region, 'size' | 'spacing' | 'hu'>): FineBox {
  const perSlice = Math.min(MOST_BETWEEN, Math.max(1, Math.round(spacing[2] / Math.min(spacing[0], spacing[1]))));
  const area = columns * rows;
  const fine = new Float32Array(area * ((slices - 1) * perSlice + 1));
  for (let k = 0, offset = 0; k <= (slices - 1) * perSlice; k++) {
    const [below, share] = [Math.floor(k / perSlice), (k % perSlice) / perSlice];
    for (let at = below * area; at < (below + 1) * area; at++, offset++) fine[offset] = share === 0 ? (hu[at] ?? 0) : (hu[at] ?? 0) * (1 - share) + (hu[at + area] ?? 0) * share;
  }
  return { size: [columns, rows, (slices - 1) * perSlice + 1], spacing: [spacing[0], spacing[1], spacing[2] / perSlice], hu: fine, perSlice };
}

function nearestSlices(mask: Uint8Array, [columns, rows]: Vector3, { size, perSlice }: FineBox): Uint8Array {
  const area = columns * rows;
  const fine = new Uint8Array(area * size[2]);
  for (let k = 0; k < size[2]; k++) fine.set(mask.subarray(Math.round(k / perSlice) * area, (Math.round(k / perSlice) + 1) * area), k * area);
  return fine;
}

/** What lies on the slices of the scan, and what it amounts to between them; undefined when no slice shows any of it. */
function onSlices(fineMask: Uint8Array, { size, spacing, perSlice }: FineBox, box: Surroundings['box']): Region | undefined {
  const area = size[0] * size[1];
  const mask = new Uint8Array(box.hu.length);
  for (let k = 0; k < box.size[2]; k++) mask.set(fineMask.subarray(k * perSlice * area, (k * perSlice + 1) * area), k * area);
  if (!mask.includes(1)) return undefined;
  let [count, x, y, z] = [0, 0, 0, 0];
  for (let offset = 0; offset < fineMask.length; offset++) {
    if (fineMask[offset] === 0) continue;
    count++;
    x += offset % size[0];
    y += Math.floor(offset / size[0]) % size[1];
    z += Math.floor(offset / area);
  }
  return { ...box, mask, solid: { volumeMm3: count * spacing[0] * spacing[1] * spacing[2], centre: [x / count, y / count, z / count / perSlice] } };
}

function inMask({ box: [from, to], voxels }: NonNullable<Detection['mask']>, [i, j, k]: Vector3): boolean {
  if (i < from[0] || j < from[1] || k < from[2] || i > to[0] || j > to[1] || k > to[2]) return false;
  return voxels[i - from[0] + (to[0] - from[0] + 1) * (j - from[1] + (to[1] - from[1] + 1) * (k - from[2]))] === 1;
}

/** The part denser than a border that is nearest to the detection's centre, and the box that holds it. */
function nearestPart({ region: { hu, size, spacing }, allowed, centre }: Surroundings, borderHu: number): ReturnType<typeof componentAt> | undefined {
  const dense = allowed.map((value, offset) => (value === 1 && (hu[offset] ?? 0) >= borderHu ? 1 : 0));
  const start = nearest(dense, size, spacing, centre);
  return start === undefined ? undefined : componentAt(dense, size, 6, start);
}

/** The same, without what hangs on it by less than its own thickness. */
function part(around: Surroundings, borderHu: number, { openingFraction, maxOpeningMm }: NoduleFindings['segmentation']): Region | undefined {
  const { region, box, centre } = around;
  const { spacing } = region;
  const found = nearestPart(around, borderHu);
  if (found === undefined) return undefined;
  // With a layer around it, which says all that distances within the part depend on.
  const { mask: dense, size, origin } = cut(found.mask, region.size, found.box, 1);
  const depth = depthOf(dense, size, spacing);
  const summit = climb(depth, size, nearest(dense, size, spacing, [centre[0] - origin[0], centre[1] - origin[1], centre[2] - origin[2]]) ?? 0);
  const radius = Math.min(openingFraction * (depth[summit] ?? 0), maxOpeningMm);
  const inner = dense.map((value, offset) => (value === 1 && (depth[offset] ?? 0) > radius ? 1 : 0));
  const core = componentAt(inner, size, 26, summit).mask;
  // From centre to centre of voxels; a core reaches half a voxel further.
  const grown = dilateMm(core, size, spacing, radius + Math.max(...spacing) / 2);
  const whole = componentAt(dense.map((value, offset) => value & (grown[offset] ?? 0)), size, 26, summit).mask;
  return onSlices(paste(whole, size, origin, region.size), region, box);
}

/** The part of a mask in a box and `margin` voxels around it, as far as there are any. */
function cut(mask: Uint8Array, [columns, rows, slices]: Vector3, [from, to]: [Vector3, Vector3], margin: number): { mask: Uint8Array<ArrayBuffer>; size: Vector3; origin: Vector3 } {
  const origin: Vector3 = [Math.max(0, from[0] - margin), Math.max(0, from[1] - margin), Math.max(0, from[2] - margin)];
  const size: Vector3 = [Math.min(columns, to[0] + 1 + margin) - origin[0], Math.min(rows, to[1] + 1 + margin) - origin[1], Math.min(slices, to[2] + 1 + margin) - origin[2]];
  const out = new Uint8Array(size[0] * size[1] * size[2]);
  eachRow(size, origin, [columns, rows, slices], (small, large) => { out.set(mask.subarray(large, large + size[0]), small); });
  return { mask: out, size, origin };
}

/** The other way round. */
function paste(mask: Uint8Array, size: Vector3, origin: Vector3, whole: Vector3): Uint8Array {
  const out = new Uint8Array(whole[0] * whole[1] * whole[2]);
  eachRow(size, origin, whole, (small, large) => { out.set(mask.subarray(small, small + size[0]), large); });
  return out;
}

/** @param visit  gets where a row of the small box begins in it, and in the large one */
function eachRow([columns, rows, slices]: Vector3, [i, j, k]: Vector3, whole: Vector3, visit: (small: number, large: number) => void): void {
  for (let z = 0; z < slices; z++) for (let y = 0; y < rows; y++) visit(columns * (y + rows * z), i + whole[0] * (j + y + whole[1] * (k + z)));
}

/** Millimetres to the nearest voxel outside; beyond the box counts as inside, so that a nodule which is cut there keeps its thickness. */
function depthOf(mask: Uint8Array, size: Vector3, spacing: Vector3): Float32Array {
  return distanceTo(mask.map((value) => 1 - value), size, spacing);
}

/** Uphill from a voxel to the thickest place. */
function climb(depth: Float32Array, [columns, rows, slices]: Vector3, start: number): number {
  let at = start;
  for (;;) {
    const [i, j, k] = [at % columns, Math.floor(at / columns) % rows, Math.floor(at / (columns * rows))];
    let best = at;
    for (let dk = -1; dk <= 1; dk++) {
      for (let dj = -1; dj <= 1; dj++) {
        for (let di = -1; di <= 1; di++) {
          if (i + di < 0 || j + dj < 0 || k + dk < 0 || i + di >= columns || j + dj >= rows || k + dk >= slices) continue;
          const next = at + di + columns * (dj + rows * dk);
          if ((depth[next] ?? 0) > (depth[best] ?? 0)) best = next;
        }
      }
    }
    if (best === at) return at;
    at = best;
  }
}

function nearest(mask: Uint8Array, [columns, rows, slices]: Vector3, spacing: Vector3, [x, y, z]: Vector3): number | undefined {
  let [best, least]: [number | undefined, number] = [undefined, Infinity];
  for (let k = 0, offset = 0; k < slices; k++) {
    for (let j = 0; j < rows; j++) {
      for (let i = 0; i < columns; i++, offset++) {
        if (mask[offset] === 0) continue;
        const distance = Math.hypot((i - x) * spacing[0], (j - y) * spacing[1], (k - z) * spacing[2]);
        if (distance < least) [best, least] = [offset, distance];
      }
    }
  }
  return best;
}

function nearestOffset(centre: Vector3, size: Vector3): number {
  const [i, j, k] = ([0, 1, 2] as const).map((axis) => Math.min(Math.max(Math.round(centre[axis]), 0), size[axis] - 1)) as unknown as Vector3; // three axes
  return i + size[0] * (j + size[1] * k);
}

function quantile(hu: Float32Array, mask: Uint8Array, share: number): number {
  const inside = hu.filter((_, offset) => mask[offset] === 1).sort();
  return inside[Math.min(inside.length - 1, Math.floor(share * inside.length))] ?? 0;
}
