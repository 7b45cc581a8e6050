import { brainComposite } from './brain/composite.js';
import { fillMesh } from './brain/fill-mesh.js';
import { sphere } from './brain/sphere.js';
import { grow } from './brain/surface.js';
import { cutNecks, peel } from './brain/tidy.js';
import { indexToLps, invertAffine, spacingOf, voxelVolumeMl } from './geometry.js';
import { fillHoles } from './morphology.js';
import { trilinear } from './trilinear.js';
import type { Vector3, Volume } from './volume.js';

export interface BrainExtraction {
  /** 0 or 1, `[z, y, x]`. */
  mask: Uint8Array;
  volumeMl: number;
  /** How often the extraction was begun anew from the middle of what it had found. */
  restarts: number;
}

export interface BrainExtractionOptions {
  /** Smith's fractional intensity threshold, 0–1: the greater, the smaller the brain. */
  fraction: number;
  progress?: (done: number) => void;
}

/** Of the search for the middle, and of the brain itself: 642 and 2,562 vertices. */
const SEARCH = { divisions: 3, updates: 500 };
const FINAL = { divisions: 4, updates: 1000 };
const MAX_RESTARTS = 5;
/** The middle has settled when it moves less than this. */
const SETTLED_MM = 3;
/** Eyes and muscles hang on what was found by necks; the brain holds together more broadly. */
const NECK_RADIUS_MM = 6;
/** How deep fat and bone are taken off the surface, and how dark they are in the composite, whose brain is 1000. */
const PEEL_MM = 8;
const PEEL_BELOW = 250;

/**
 * Where the brain is in MR images of a head that share one grid.
 *
 * A surface grows on a composite of the contrasts from the middle of the head. As in the published program's robust mode it is begun anew
 * from the middle of what it found until that settles: necks and faces in the picture draw the first middle away from the brain.
 *
 * @param images  T1 without contrast agent, and T2 if there is one
 * @see Smith, Fast robust automated brain extraction, Human Brain Mapping 17 (2002)
 */
export function extractBrain(images: { t1: Volume; t2?: Volume }, { fraction, progress }: BrainExtractionOptions): BrainExtraction {
  const range = robustRange(images.t1.voxels);
  if (!(range.t98 > range.t2)) return { mask: new Uint8Array(images.t1.voxels.length), volumeMl: 0, restarts: 0 };
  const head = headOf(images.t1, range);
  const composite = brainComposite(images, offsetsWithin(images.t1, head.centre, 0.5 * head.radiusMm));
  const levels = robustRange(composite.voxels);
  let { centre, radiusMm } = head;
  let restarts = 0;
  for (; restarts < MAX_RESTARTS; restarts++) {
    const found = middleOf(surfaceFrom(composite, levels, centre, radiusMm, fraction, SEARCH), composite);
    progress?.((0.5 * (restarts + 1)) / (MAX_RESTARTS + 1));
    if (found === undefined) break;
    const moved = distance(found.centre, centre);
    ({ centre } = found);
    radiusMm = Math.cbrt((3 * found.volumeMl * 1000) / (4 * Math.PI));
    if (moved < SETTLED_MM) break;
  }
  const mask = surfaceFrom(composite, levels, centre, radiusMm, fraction, { ...FINAL, progress: (done) => progress?.(0.5 + 0.45 * done) });
  const tidy = fillHoles(cutNecks(peel(mask, composite.voxels, composite, PEEL_MM, PEEL_BELOW), composite, NECK_RADIUS_MM), composite.size);
  progress?.(1);
  return { mask: tidy, volumeMl: middleOf(tidy, composite)?.volumeMl ?? 0, restarts };
}

/** The mask of the surface that a sphere of half the radius grows to. */
function surfaceFrom(volume: Volume, levels: RobustRange, centre: Vector3, radiusMm: number, fraction: number, { divisions, updates, progress }: { divisions: number; updates: number; progress?: (done: number) => void }): Uint8Array {
  const { voxels, size: [columns, rows, slices], affine } = volume;
  const [[xx, xy, xz, xt], [yx, yy, yz, yt], [zx, zy, zz, zt]] = invertAffine(affine);
  const at = (x: number, y: number, z: number): number =>
    trilinear(voxels, columns, rows, slices, xx * x + xy * y + xz * z + xt, yx * x + yy * y + yz * z + yt, zx * x + zy * y + zz * z + zt);
  const inside = offsetsWithin(volume, centre, radiusMm).map((o) => voxels[o] ?? 0).filter((value) => value > levels.t2 && value < levels.t98);
  const tm = Float64Array.from(inside).sort()[inside.length >> 1] ?? levels.t98;
  const mesh = sphere(divisions);
  for (let i = 0; i < mesh.vertices.length; i++) mesh.vertices[i] = (mesh.vertices[i] ?? 0) * 0.5 * radiusMm + (centre[i % 3] ?? 0);
  grow(mesh, { t2: levels.t2, t: levels.t, tm, fraction, at }, updates, progress);
  return fillMesh(mesh, volume);
}

interface RobustRange {
  t2: number;
  t98: number;
  /** A tenth of the way from t2 to t98: what is darker is background. */
  t: number;
}

function robustRange(voxels: Volume['voxels']): RobustRange {
  const step = Math.max(1, Math.floor(voxels.length / 500_000));
  const sample = Float32Array.from({ length: Math.ceil(voxels.length / step) }, (_, i) => voxels[i * step] ?? 0).sort();
  const t2 = sample[Math.floor(0.02 * (sample.length - 1))] ?? 0;
  const t98 = sample[Math.ceil(0.98 * (sample.length - 1))] ?? 0;
  return { t2, t98, t: t2 + 0.1 * (t98 - t2) };
}

/** Centre of gravity and radius of the sphere that has the volume of what is brighter than the background. */
function headOf({ voxels, size, affine }: Volume, { t, t2, t98 }: RobustRange): { centre: Vector3; radiusMm: number } {
  let [weight, si, sj, sk, count, offset] = [0, 0, 0, 0, 0, 0];
  for (let k = 0; k < size[2]; k++) {
    for (let j = 0; j < size[1]; j++) {
      for (let i = 0; i < size[0]; i++) {
        const value = voxels[offset++] ?? 0;
        if (value <= t) continue;
        const w = Math.min(value, t98) - t2;
        weight += w;
        si += w * i;
        sj += w * j;
        sk += w * k;
        count++;
      }
    }
  }
  return { centre: indexToLps(affine, weight === 0 ? [(size[0] - 1) / 2, (size[1] - 1) / 2, (size[2] - 1) / 2] : [si / weight, sj / weight, sk / weight]), radiusMm: Math.cbrt((3 * count * voxelVolumeMl(affine) * 1000) / (4 * Math.PI)) };
}

/** Offsets of voxels within a sphere, about one for every 2 mm along each axis. */
function offsetsWithin({ size, affine }: Volume, centre: Vector3, radiusMm: number): number[] {
  const [di, dj, dk] = spacingOf(affine).map((mm) => Math.max(1, Math.round(2 / mm)));
  const offsets: number[] = [];
  for (let k = 0; k < size[2]; k += dk ?? 1) {
    for (let j = 0; j < size[1]; j += dj ?? 1) {
      for (let i = 0; i < size[0]; i += di ?? 1) if (distance(indexToLps(affine, [i, j, k]), centre) < radiusMm) offsets.push(i + size[0] * (j + size[1] * k));
    }
  }
  return offsets;
}

function middleOf(mask: Uint8Array, { size, affine }: Volume): { centre: Vector3; volumeMl: number } | undefined {
  let [count, si, sj, sk, offset] = [0, 0, 0, 0, 0];
  for (let k = 0; k < size[2]; k++) {
    for (let j = 0; j < size[1]; j++) {
      for (let i = 0; i < size[0]; i++) {
        if (mask[offset++] !== 1) continue;
        count++;
        si += i;
        sj += j;
        sk += k;
      }
    }
  }
  return count === 0 ? undefined : { centre: indexToLps(affine, [si / count, sj / count, sk / count]), volumeMl: count * voxelVolumeMl(affine) };
}

function distance(a: Vector3, b: Vector3): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}
