import { median } from './median.js';
import { cross, dot, frameCountOf, slicesOf, type Slice, type SlicePlace, type SliceSource } from './slices.js';
import type { Affine, Grid, Vector3 } from './volume.js';

/** More frames than any single scan has: they are counted and not looked at. */
const MAX_FRAMES = 10_000;
/** Slices nearer than this lie at one place. Millimetres; the thinnest spacing that scanners reconstruct is 0.2. */
const SAME_PLACE_MM = 0.02;
/** Neighbours may be this much further or nearer than the others, as a part of the spacing; positions are rounded when written. */
const SPACING_TOLERANCE = 0.1;
/** And this much beside: places that were written to a tenth of a millimetre. */
const ROUNDING_MM = 0.1;
/** Slices may stand aside of the line through their corners by so much. Millimetres. */
const SIDEWAYS_MM = 1;
/** Cosine of 0.8°: orientations of one stack. */
const SAME_DIRECTION = 0.9999;
/** Unmarked scouts: so few images of another shape are left out beside this many times as many. */
const MAX_STRAYS = 3;
const STRAY_RATIO = 10;

export type VolumeFaultKind = 'too-many' | 'no-place' | 'mixed' | 'several-volumes' | 'gap' | 'uneven';

/** What a series is as a volume, read from attributes alone. */
export interface SeriesDescription {
  /** In the order of the slices of the volume: along the normal, which is columns × rows. */
  frames: { sopInstanceUid: string; frame: number }[];
  /** Undefined with a fault, and where fewer than two slices lie apart. */
  grid: Grid | undefined;
  /** Why the slices make no volume; a sentence, with the place where it breaks. */
  fault: { kind: VolumeFaultKind; detail: string } | undefined;
  /** Distance of neighbouring slices along the normal; undefined with fewer than two. */
  spacingMm: number | undefined;
  /** The thickest slice, by its own account. */
  thicknessMm: number | undefined;
  /** From the middle of the first to that of the last slice. */
  coverageMm: number;
  /** The plane that the slices are nearest to. */
  plane: 'axial' | 'sagittal' | 'coronal' | undefined;
  /** Degrees between the normal of the slices and that of the plane. */
  obliquityDegrees: number;
  /** Degrees between the normal of the slices and the way from slice to slice: a tilted gantry. */
  tiltDegrees: number;
  leftOut: { localizers: number; strays: number; duplicates: number };
}

type Placed = Slice & { place: SlicePlace };

/**
 * Whether the frames of a series make one volume, and which. Scout images that stand among them are left out, and so is all but the first
 * (by instance number) of slices that lie at one place and differ in nothing. Linear in the frames but for sorting.
 *
 * @see PS3.3 C.7.6.2.1.1 for position and orientation
 */
export function describeSeries(sources: readonly SliceSource[], frameOfReferenceUid?: string): SeriesDescription {
  const count = sources.reduce((sum, source) => sum + frameCountOf(source), 0);
  if (count > MAX_FRAMES) return faulty({ kind: 'too-many', detail: `The series has ${String(count)} frames; more than ${String(MAX_FRAMES)} are not read` });
  return describeSlices(slicesOf(sources), frameOfReferenceUid);
}

/** `describeSeries` of slices that were read before. */
export function describeSlices(all: readonly Slice[], frameOfReferenceUid?: string): SeriesDescription {
  const slices = all.filter(({ isLocalizer }) => !isLocalizer);
  const leftOut = { localizers: all.length - slices.length, strays: 0, duplicates: 0 };
  const placed = slices.filter((slice): slice is Placed => slice.place !== undefined);
  const unplaced = slices.length - placed.length;
  if (placed.length === 0) return faulty(slices.length === 0 ? undefined : { kind: 'no-place', detail: 'The images do not say where they lie in the patient' }, leftOut);
  const groups = shapesOf(placed);
  const [main = [], ...others] = groups;
  const strays = unplaced + others.reduce((sum, group) => sum + group.length, 0);
  if (strays > MAX_STRAYS || strays * STRAY_RATIO > main.length) {
    if (strays > 0) return { ...faulty(mixedFault(main, others, unplaced), leftOut), ...directionsOf(main) };
  }
  leftOut.strays = strays;
  return describeStack(main, leftOut, frameOfReferenceUid);
}

function describeStack(stack: readonly Placed[], leftOut: SeriesDescription['leftOut'], frameOfReferenceUid: string | undefined): SeriesDescription {
  const directions = directionsOf(stack);
  const normal = normalOf(stack);
  const along = (slice: Placed): number => dot(slice.place.position, normal);
  const sorted = stack.map((slice) => ({ slice, at: along(slice) })).sort((a, b) => a.at - b.at);
  const places = byPlace(sorted);
  const thickness = Math.max(...stack.map(({ thicknessMm }) => thicknessMm ?? 0));
  const common = { ...faulty(undefined, leftOut), ...directions, thicknessMm: thickness > 0 ? thickness : undefined };
  const several = severalVolumes(places);
  if (several !== undefined) return { ...common, fault: several };
  const unique = places.map((at) => at.reduce((best, entry) => (comesFirst(entry.slice, best.slice) ? entry : best)));
  const description = {
    ...common,
    frames: unique.map(({ slice: { sopInstanceUid, frame } }) => ({ sopInstanceUid, frame })),
    leftOut: { ...leftOut, duplicates: sorted.length - unique.length },
  };
  const [first, last] = [unique[0], unique.at(-1)];
  if (first === undefined || last === undefined || unique.length < 2) return description;
  const coverageMm = last.at - first.at;
  const spacingMm = coverageMm / (unique.length - 1);
  const measured = { ...description, coverageMm, spacingMm };
  const fault = spacingFault(unique);
  if (fault !== undefined) return { ...measured, spacingMm: median(steps(unique)) ?? 0, fault };
  const through = scaled(difference(last.slice.place.position, first.slice.place.position), 1 / (unique.length - 1));
  const aside = unique.findIndex(({ slice }, k) => Math.hypot(...difference(slice.place.position, moved(first.slice.place.position, through, k))) > Math.max(SIDEWAYS_MM, spacingMm * SPACING_TOLERANCE));
  if (aside !== -1) return { ...measured, fault: { kind: 'uneven', detail: `Slice ${String(aside + 1)}, ${where(unique[aside]?.slice)}, does not lie in line with the others` } };
  const affine = affineOf(first.slice.place, through);
  return {
    ...measured,
    grid: { size: [first.slice.columns, first.slice.rows, unique.length], affine, ...(frameOfReferenceUid === undefined ? {} : { frameOfReferenceUid }) },
    tiltDegrees: degrees(Math.acos(Math.min(1, dot(through, normal) / Math.hypot(...through)))),
  };
}

function affineOf({ position, across, down, spacing }: SlicePlace, through: Vector3): Affine {
  const row = (axis: 0 | 1 | 2): Affine[0] => [across[axis] * spacing[0], down[axis] * spacing[1], through[axis], position[axis]];
  return [row(0), row(1), row(2)];
}

/** Slices of one size, spacing and orientation; the most first. */
function shapesOf(slices: readonly Placed[]): Placed[][] {
  const groups: Placed[][] = [];
  for (const slice of slices) {
    const group = groups.find(([like]) => like !== undefined && sameShape(like, slice));
    if (group === undefined) groups.push([slice]);
    else group.push(slice);
    // No series is read whose images have so many shapes; the rest would only take time.
    if (groups.length > 20) break;
  }
  return groups.sort((a, b) => b.length - a.length);
}

function sameShape(a: Placed, b: Placed): boolean {
  return a.columns === b.columns && a.rows === b.rows && sameOrientation(a, b) && a.place.spacing.every((mm, axis) => Math.abs(mm - (b.place.spacing[axis] ?? 0)) <= 1e-3 * mm);
}

function sameOrientation({ place: a }: Placed, { place: b }: Placed): boolean {
  return dot(a.across, b.across) > SAME_DIRECTION && dot(a.down, b.down) > SAME_DIRECTION;
}

function mixedFault(main: readonly Placed[], others: readonly Placed[][], unplaced: number): SeriesDescription['fault'] {
  const [a, b] = [main[0], others[0]?.[0]];
  if (a === undefined || b === undefined) return { kind: 'no-place', detail: `${String(unplaced)} images do not say where they lie in the patient` };
  const counts = `${String(main.length)} and ${String(others.flat().length)} images`;
  if (!sameOrientation(a, b)) return { kind: 'mixed', detail: `The images have several orientations (${counts})` };
  if (a.columns !== b.columns || a.rows !== b.rows) return { kind: 'mixed', detail: `The images have several sizes (${counts})` };
  return { kind: 'mixed', detail: `The images have several pixel spacings (${counts})` };
}

interface At {
  slice: Placed;
  at: number;
}

function byPlace(sorted: readonly At[]): At[][] {
  const places: At[][] = [];
  for (const entry of sorted) {
    const last = places.at(-1);
    if (last?.[0] !== undefined && entry.at - last[0].at <= SAME_PLACE_MM) last.push(entry);
    else places.push([entry]);
  }
  return places;
}

/** Slices at one place that differ in time, acquisition, echo or b-value are several volumes; others are the same slice again. */
function severalVolumes(places: readonly At[][]): SeriesDescription['fault'] {
  const at = places.find((entries) => new Set(entries.map(({ slice }) => slice.moment)).size > 1);
  if (at === undefined) return undefined;
  const most = places.reduce((largest, entries) => Math.max(largest, entries.length), 0);
  const repeated = places.filter(({ length }) => length > 1).length;
  return {
    kind: 'several-volumes',
    detail: repeated === places.length && places.every(({ length }) => length === most)
      ? `The series holds ${String(most)} volumes of ${String(places.length)} slices at the same places`
      : `${String(repeated)} of ${String(places.length)} places have slices of several acquisitions, the first ${where(at[0]?.slice)}`,
  };
}

function comesFirst(a: Slice, b: Slice): boolean {
  if (a.instanceNumber !== b.instanceNumber) return a.instanceNumber < b.instanceNumber;
  return a.sopInstanceUid === b.sopInstanceUid ? a.frame < b.frame : a.sopInstanceUid < b.sopInstanceUid;
}

function spacingFault(slices: readonly At[]): SeriesDescription['fault'] {
  const between = steps(slices);
  const usual = median(between) ?? 0;
  const isBroken = (step: number): boolean => Math.abs(step - usual) > usual * SPACING_TOLERANCE + ROUNDING_MM;
  const broken = between.findIndex(isBroken);
  if (broken === -1) return undefined;
  const step = between[broken] ?? 0;
  const place = `between slices ${String(broken + 1)} and ${String(broken + 2)}, the first ${where(slices[broken]?.slice)}, the second ${where(slices[broken + 1]?.slice)}`;
  const faults = between.filter(isBroken).length;
  const more = faults > 1 ? `; ${String(faults)} such places` : '';
  const missing = Math.round(step / usual) - 1;
  if (missing >= 1 && Math.abs(step - (missing + 1) * usual) <= usual * SPACING_TOLERANCE * (missing + 1)) {
    return { kind: 'gap', detail: `${missing === 1 ? '1 slice is' : `${String(missing)} slices are`} missing ${place}${more}` };
  }
  return { kind: 'uneven', detail: `The slices lie ${mm(usual)} apart, but ${mm(step)} ${place}${more}` };
}

function steps(slices: readonly At[]): number[] {
  return slices.slice(1).map(({ at }, index) => at - (slices[index]?.at ?? 0));
}

/** A place is told along the axis of the patient that the normal is nearest to. */
function where(slice: Placed | undefined): string {
  if (slice === undefined) return 'nowhere';
  const axis = mainAxis(normalOf([slice]));
  return `at ${'xyz'[axis] ?? 'z'} = ${mm(slice.place.position[axis])}`;
}

function mm(value: number | undefined): string {
  return `${String(Math.round((value ?? 0) * 100) / 100)} mm`;
}

function normalOf([slice]: readonly Placed[]): Vector3 {
  return slice === undefined ? [0, 0, 1] : cross(slice.place.across, slice.place.down);
}

function mainAxis(vector: Vector3): 0 | 1 | 2 {
  const [x, y, z] = [Math.abs(vector[0]), Math.abs(vector[1]), Math.abs(vector[2])];
  return z >= x && z >= y ? 2 : y >= x ? 1 : 0;
}

function directionsOf(stack: readonly Placed[]): Pick<SeriesDescription, 'plane' | 'obliquityDegrees'> {
  const normal = normalOf(stack);
  const axis = mainAxis(normal);
  return { plane: (['sagittal', 'coronal', 'axial'] as const)[axis], obliquityDegrees: degrees(Math.acos(Math.min(1, Math.abs(normal[axis])))) };
}

function faulty(fault: SeriesDescription['fault'], leftOut = { localizers: 0, strays: 0, duplicates: 0 }): SeriesDescription {
  return { frames: [], grid: undefined, fault, spacingMm: undefined, thicknessMm: undefined, coverageMm: 0, plane: undefined, obliquityDegrees: 0, tiltDegrees: 0, leftOut };
}

function difference(a: Vector3, b: Vector3): Vector3 {
  return [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
}

function scaled([x, y, z]: Vector3, by: number): Vector3 {
  return [x * by, y * by, z * by];
}

function moved(from: Vector3, by: Vector3, times: number): Vector3 {
  return [from[0] + by[0] * times, from[1] + by[1] * times, from[2] + by[2] * times];
}

function degrees(radians: number): number {
  return Math.round(((radians * 180) / Math.PI) * 1000) / 1000;
}
