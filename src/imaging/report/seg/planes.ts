import type { Segmentation } from '../../analyses/analysis.js';
import { number } from '../../dicom/attributes.js';
import { directionOf, indexToLps, spacingOf } from '../../volume/geometry.js';
import { cross, dot, slicesOf, type SlicePlace } from '../../volume/slices.js';
import type { Grid, Vector3 } from '../../volume/volume.js';
import type { DerivedSource, SourceInstance } from '../derived.js';

/** A slice of the grid as a frame shows it. */
export interface Plane {
  slice: number;
  place: SlicePlace;
  /** The frame that it was read from, while that is there. */
  source: SourceFrame | undefined;
}

export interface SourceFrame {
  instance: SourceInstance;
  /** From 1; undefined for an object of a single frame. */
  frame: number | undefined;
  /** Undefined where the object says nothing of it. */
  place: SlicePlace | undefined;
}

/** The frames that instances have, by `frameKey`. */
export function sourceFramesOf(instances: readonly SourceInstance[]): Map<string, SourceFrame> {
  const byUid = new Map(instances.map((instance) => [instance.sopInstanceUid, instance]));
  const frames = new Map<string, SourceFrame>();
  for (const slice of slicesOf([...byUid.values()])) {
    const instance = byUid.get(slice.sopInstanceUid);
    if (instance === undefined) continue;
    const isMultiFrame = number(instance.attributes, 'NumberOfFrames') !== undefined;
    frames.set(frameKey(slice), { instance, frame: isMultiFrame ? slice.frame : undefined, place: slice.place });
  }
  return frames;
}

export function frameKey({ sopInstanceUid, frame }: { sopInstanceUid: string; frame: number }): string {
  return `${sopInstanceUid}/${String(frame)}`;
}

/** Of every slice of a segmentation: where its source frame lies, to the digit, or what the grid says where that is not known. */
export function planesOf({ segmentation, instances }: { segmentation: Segmentation; instances: DerivedSource['instances'] }): Plane[] {
  const used = new Set(segmentation.frames.map(({ sopInstanceUid }) => sopInstanceUid));
  const frames = sourceFramesOf(instances.filter(({ sopInstanceUid }) => used.has(sopInstanceUid)));
  return Array.from({ length: segmentation.grid.size[2] }, (_, slice) => {
    const ref = segmentation.frames[slice];
    const source = ref && frames.get(frameKey(ref));
    return { slice, place: source?.place ?? placeOnGrid(segmentation.grid, slice), source };
  });
}

export function placeOnGrid({ affine }: Grid, slice: number): SlicePlace {
  const [across, down] = directionOf(affine);
  const [betweenColumns, betweenRows] = spacingOf(affine);
  return { position: indexToLps(affine, [0, 0, slice]), across, down, spacing: [betweenColumns, betweenRows] };
}

/** Distance of neighbouring slices along the normal, in mm; more than 0. */
export function sliceDistance({ affine }: Grid): number {
  const [across, down] = directionOf(affine);
  return Math.abs(dot([affine[0][2], affine[1][2], affine[2][2]], cross(across, down)));
}

/** The middle of a pixel in LPS millimetres. */
export function pixelToLps({ position, across, down, spacing }: SlicePlace, column: number, row: number): Vector3 {
  const at = (axis: 0 | 1 | 2): number => position[axis] + across[axis] * spacing[0] * column + down[axis] * spacing[1] * row;
  return [at(0), at(1), at(2)];
}

/** The largest distance of the corners of two planes, in mm: none is larger between pixels of the same index. */
export function apartMm(a: SlicePlace, b: SlicePlace, columns: number, rows: number): number {
  return Math.max(...[0, columns - 1].flatMap((i) => [0, rows - 1].map((j) => {
    const [p, q] = [pixelToLps(a, i, j), pixelToLps(b, i, j)];
    return Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]);
  })));
}
