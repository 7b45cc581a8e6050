import { number, text } from '../../dicom/attributes.js';
import { lpsToIndex } from '../../volume/geometry.js';
import { cross, dot, frameCountOf, slicesOf, type SlicePlace } from '../../volume/slices.js';
import type { Vector3 } from '../../volume/volume.js';
import type { Segmentation } from '../../analyses/analysis.js';
import type { DerivedSource, SourceInstance } from '../derived.js';
import type { Finding } from '../finding.js';
import { dicomSegmentsOf } from '../seg/segments.js';

/** A frame of the source as a mark needs it. */
export interface SourceFrame {
  instance: SourceInstance;
  frame: number;
  frames: number;
  columns: number | undefined;
  rows: number | undefined;
  /** Undefined where the source does not say where the image lies. */
  place: SlicePlace | undefined;
  frameOfReferenceUid: string | undefined;
}

/** Frames by `sopInstanceUid` and number, looked up as they are asked for. @returns undefined for a frame that is not there */
export function frameFinder(source: Pick<DerivedSource, 'instances'>): (at: { sopInstanceUid: string; frame: number }) => SourceFrame | undefined {
  const byUid = new Map(source.instances.map((instance) => [instance.sopInstanceUid, instance]));
  const known = new Map<string, ReturnType<typeof slicesOf>>();
  return ({ sopInstanceUid, frame }) => {
    const instance = byUid.get(sopInstanceUid);
    if (instance === undefined) return undefined;
    const { attributes } = instance;
    const frames = frameCountOf(instance);
    if (!Number.isInteger(frame) || frame < 1 || frame > frames) return undefined;
    const slices = known.get(sopInstanceUid) ?? slicesOf([{ sopInstanceUid, attributes }]);
    known.set(sopInstanceUid, slices);
    return {
      instance, frame, frames, columns: positive(number(attributes, 'Columns')), rows: positive(number(attributes, 'Rows')),
      place: slices[frame - 1]?.place, frameOfReferenceUid: text(attributes, 'FrameOfReferenceUID'),
    };
  };
}

function positive(value: number | undefined): number | undefined {
  return value !== undefined && Number.isInteger(value) && value > 0 ? value : undefined;
}

/** Unit vector from slice to slice. */
export function normalOf({ across, down }: SlicePlace): Vector3 {
  return cross(across, down);
}

/** How far a point lies above the plane of a slice, in millimetres. */
export function heightOver(place: SlicePlace, point: Vector3): number {
  return dot(normalOf(place), minus(point, place.position));
}

/** A point as column and row of a slice; 0 is the middle of the first pixel. */
export function pixelOf({ position, across, down, spacing }: SlicePlace, point: Vector3): [number, number] {
  const offset = minus(point, position);
  return [dot(offset, across) / spacing[0], dot(offset, down) / spacing[1]];
}

/** The point of a slice that is nearest to another one. */
export function ontoSlice(place: SlicePlace, point: Vector3): Vector3 {
  return plus(point, normalOf(place), -heightOver(place, point));
}

export function plus(point: Vector3, direction: Vector3, by: number): Vector3 {
  return [point[0] + by * direction[0], point[1] + by * direction[1], point[2] + by * direction[2]];
}

function minus(a: Vector3, b: Vector3): Vector3 {
  return [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
}

export function apart(a: Vector3, b: Vector3): number {
  return Math.hypot(...minus(a, b));
}

/** Half of the largest extent of a finding, in millimetres. */
export function reachMm({ measurements, location }: Finding): number {
  const sizes = measurements.filter(({ name, unit }) => unit === 'mm' && (name === 'longAxis' || name === 'diameter')).map(({ value }) => value);
  const box = location?.box;
  const size = sizes.length > 0 ? Math.max(...sizes) : box ? Math.max(...([0, 1, 2] as const).map((axis) => Math.abs(box[1][axis] - box[0][axis]))) : 10;
  return Number.isFinite(size) ? Math.min(Math.max(size, 2), 400) / 2 : 5;
}

/**
 * The segment that is a finding's own: the one that shows it alone, else the one around its centre, the largest where several are. Segments that other
 * findings lie in as well, as two tumours do in one region, are nobody's own.
 *
 * @returns numbers that the segments have in the Segmentation object, by the id of the finding
 */
export function ownSegments(source: Pick<DerivedSource, 'findings' | 'segmentation' | 'segments' | 'owners'>): Map<string, number> {
  const { findings, segmentation } = source;
  if (segmentation === null) return new Map();
  const segments = dicomSegmentsOf(source);
  const byFinding = findings.flatMap(({ id, location }) => {
    const around = location && segmentAround(segmentation, location);
    const own = segments.find(({ finding }) => finding?.id === id) ?? segments.find(({ segment, finding }) => finding === undefined && segment.number === around);
    return own ? [[id, own.number] as const] : [];
  });
  const counts = new Map<number, number>();
  for (const [, segment] of byFinding) counts.set(segment, (counts.get(segment) ?? 0) + 1);
  return new Map(byFinding.filter(([, segment]) => counts.get(segment) === 1));
}

function segmentAround(segmentation: Segmentation, { center, box }: NonNullable<Finding['location']>): number | undefined {
  if (center === undefined) return undefined;
  const value = labelAt(segmentation, center) || (box === undefined ? 0 : commonestLabel(segmentation, box));
  const holding = segmentation.members.filter(({ values }) => values.includes(value)).sort((a, b) => b.values.length - a.values.length);
  return value === 0 ? undefined : holding[0]?.segment;
}

/** The label of the voxel around a point; 0 outside. */
function labelAt({ grid, labels }: Segmentation, point: Vector3): number {
  const { size: [columns, rows, slices] } = grid;
  const [i, j, k] = lpsToIndex(grid, point).map(Math.round) as [number, number, number]; // three axes
  return i < 0 || j < 0 || k < 0 || i >= columns || j >= rows || k >= slices ? 0 : labels[i + columns * (j + rows * k)] ?? 0;
}

/** Of a ring whose centre is empty: the label that most voxels in the box have. */
function commonestLabel({ grid, labels }: Segmentation, [a, b]: NonNullable<NonNullable<Finding['location']>['box']>): number {
  const corners = [0, 1].flatMap((x) => [0, 1].flatMap((y) => [0, 1].map((z) => lpsToIndex(grid, [x ? a[0] : b[0], y ? a[1] : b[1], z ? a[2] : b[2]]))));
  const from = ([0, 1, 2] as const).map((axis) => Math.max(0, Math.ceil(Math.min(...corners.map((corner) => corner[axis])))));
  const to = ([0, 1, 2] as const).map((axis) => Math.min(grid.size[axis] - 1, Math.floor(Math.max(...corners.map((corner) => corner[axis])))));
  const counts = new Uint32Array(256);
  const [[i0 = 0, j0 = 0, k0 = 0], [i1 = -1, j1 = -1, k1 = -1]] = [from, to];
  for (let k = k0; k <= k1; k++) {
    for (let j = j0; j <= j1; j++) {
      for (let i = i0; i <= i1; i++) {
        const label = labels[i + grid.size[0] * (j + grid.size[1] * k)] ?? 0;
        if (label !== 0) counts[label] = (counts[label] ?? 0) + 1;
      }
    }
  }
  const most = Math.max(...counts);
  return most === 0 ? 0 : counts.indexOf(most);
}
