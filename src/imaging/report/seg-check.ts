import { AppError } from '../../kernel/errors.js';
import type { Segmentation } from '../analyses/analysis.js';
import { sequence, text } from '../dicom/attributes.js';
import type { DerivedFault, DerivedSource } from './derived.js';
import { readSeg, framePixels, sliceDistanceOf, sliceOnGrid, type ReadFrame, type ReadSeg } from './seg-reader.js';
import { extentsOf, type Extents } from './seg/extents.js';
import { Faults } from './seg/faults.js';
import { checkFindingVolumes, volumesAgree } from './seg/measurements-check.js';
import { checkCodes, checkIod } from './seg/iod-check.js';
import { apartMm, frameKey, placeOnGrid, sourceFramesOf, type SourceFrame } from './seg/planes.js';
import { dicomSegmentsOf, type DicomSegment } from './seg/segments.js';

/** A frame lies where its source image lies, but for the rounding of decimal strings. Millimetres. */
const SAME_MM = 0.01;

interface Checking {
  source: DerivedSource;
  segmentation: Segmentation;
  seg: ReadSeg;
  segments: readonly DicomSegment[];
  extents: Extents;
  sources: ReadonlyMap<string, SourceFrame>;
  faults: Faults;
}

/**
 * Whether a Segmentation may be released: required attributes and codes are there and are the study's, every frame lies on the image that it
 * refers to and holds exactly the mask, every reference is to an instance that was read, and the volumes are those of the mask. For a thread.
 *
 * @returns nothing when all is well
 */
export function checkSeg(bytes: Uint8Array, source: DerivedSource): DerivedFault[] {
  const { segmentation } = source;
  const faults = new Faults();
  if (segmentation === null) return [{ check: 'iod', detail: 'The result has no segmentation' }];
  try {
    const seg = readSeg(bytes);
    const extents = extentsOf(segmentation.labels, segmentation.grid.size);
    const checking: Checking = { source, segmentation, seg, segments: dicomSegmentsOf(source, extents), extents, sources: sourceFramesOf(source.instances), faults };
    checkIod(seg, source, faults);
    checkCodes(seg.attributes, faults);
    checkSegments(checking);
    checkReferencedSeries(checking);
    checkFrames(checking);
    checkFindingVolumes(source, segmentation, faults);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    faults.add('iod', `The segmentation cannot be read: ${error.code}`);
  }
  return faults.list();
}

/** The segments are those of the result, under their names. */
function checkSegments({ seg, segments, source, faults }: Checking): void {
  if (seg.segments.length !== segments.length) faults.add('iod', `The object has ${String(seg.segments.length)} segments, the result ${String(segments.length)}`);
  for (const { number, segment } of segments) {
    const name = seg.segments.find((one) => one.number === number)?.label;
    if (name !== undefined && segment.name !== '' && !segment.name.startsWith(name)) faults.add('iod', `Segment ${String(number)} has another name`);
  }
  for (const segment of source.segments) {
    if (segment.volumeMl > 0 && !segments.some((one) => one.segment === segment)) faults.add('measurement', `Segment ${String(segment.number)} of the result has a volume and no mask`);
  }
}

/** Every image that is referred to is an instance that was read, of the series that was segmented. */
function checkReferencedSeries({ seg, source, segmentation, faults }: Checking): void {
  const instances = new Map(source.instances.map((instance) => [instance.sopInstanceUid, instance]));
  const listed = new Set<string>();
  for (const series of sequence(seg.attributes, 'ReferencedSeriesSequence')) {
    const seriesInstanceUid = text(series, 'SeriesInstanceUID');
    if (seriesInstanceUid !== segmentation.seriesInstanceUid) faults.add('reference', 'A series is referred to that was not segmented');
    for (const item of sequence(series, 'ReferencedInstanceSequence')) {
      const sopInstanceUid = text(item, 'ReferencedSOPInstanceUID') ?? '';
      const instance = instances.get(sopInstanceUid);
      listed.add(sopInstanceUid);
      if (instance === undefined) faults.add('reference', 'An image is referred to that is not there');
      else if (instance.seriesInstanceUid !== seriesInstanceUid || instance.sopClassUid !== text(item, 'ReferencedSOPClassUID')) faults.add('reference', 'An image is referred to under another series or class');
    }
  }
  for (const [index, frame] of seg.frames.entries()) if (frame.source && !listed.has(frame.source.sopInstanceUid)) faults.add('reference', `The source image of frame ${String(index + 1)} is not among those of its series`);
}

function checkFrames(checking: Checking): void {
  const { seg, segmentation, segments, extents, faults } = checking;
  const [columns, rows, slices] = segmentation.grid.size;
  if (seg.columns !== columns || seg.rows !== rows) {
    faults.add('geometry', 'The segmentation has another size than the image');
    return;
  }
  const there = new Set<string>();
  const voxels = new Map<number, number>();
  for (const [index, frame] of seg.frames.entries()) {
    const slice = sliceOf(frame, index, checking);
    if (slice === undefined) continue;
    const key = `${String(frame.segment)}/${String(slice)}`;
    if (there.has(key)) faults.add('geometry', `Frame ${String(index + 1)} lies where another of its segment lies`);
    there.add(key);
    const shown = segments.filter(({ number }) => frame.segment === null || number === frame.segment);
    const table = new Uint8Array(256);
    for (const { number, values } of shown) for (const value of values) table[value] = frame.segment === null ? number : 1;
    if (!isSamePlane(framePixels(seg, index), segmentation.labels.subarray(slice * columns * rows, (slice + 1) * columns * rows), table, frame.segment, voxels)) {
      faults.add('geometry', `The pixels of frame ${String(index + 1)} are not those of the mask`);
    }
  }
  for (const { number, values } of segments) {
    for (let slice = 0; slice < slices; slice++) {
      if (extents.rowsOf(slice, values) !== undefined && !there.has(`${String(seg.isLabelMap ? null : number)}/${String(slice)}`)) faults.add('geometry', `Segment ${String(number)} lacks its frame of slice ${String(slice + 1)}`);
    }
  }
  checkVolumes(checking, voxels);
}

/** The slice of the mask that a frame shows: it lies on the grid, on the image that it refers to, and refers to that slice's image. */
function sliceOf({ place, source: ref }: ReadFrame, index: number, { segmentation, sources, faults }: Checking): number | undefined {
  const name = `Frame ${String(index + 1)}`;
  if (place === undefined) {
    faults.add('iod', `${name} does not say where it lies`);
    return undefined;
  }
  const { grid, frames } = segmentation;
  const slice = sliceOnGrid(place, grid);
  if (slice === undefined) {
    faults.add('geometry', `${name} does not lie on the grid of the mask`);
    return undefined;
  }
  const wanted = frames[slice];
  const image = ref && sources.get(frameKey(ref));
  if (ref === undefined) faults.add('reference', `${name} refers to no image`);
  else if (image === undefined) faults.add('reference', `${name} refers to an image that is not there`);
  else if (image.instance.sopClassUid !== ref.sopClassUid) faults.add('reference', `${name} refers to an image of another class`);
  if (ref && (wanted === undefined || frameKey(wanted) !== frameKey(ref))) faults.add('reference', `${name} refers to the image of another slice`);
  const source = wanted && sources.get(frameKey(wanted));
  const [columns, rows] = grid.size;
  if (apartMm(place, source?.place ?? placeOnGrid(grid, slice), columns, rows) > SAME_MM) faults.add('geometry', `${name} does not lie on its image`);
  return slice;
}

/** Compares, and counts the voxels of each segment. */
function isSamePlane(pixels: Uint8Array, labels: Uint8Array, table: Uint8Array, segment: number | null, voxels: Map<number, number>): boolean {
  const counts = new Uint32Array(256);
  let same = true;
  for (let at = 0; at < labels.length; at++) {
    const pixel = pixels[at] ?? 0;
    if (pixel !== table[labels[at] ?? 0]) same = false;
    counts[pixel] = (counts[pixel] ?? 0) + 1;
  }
  for (const [value, count] of counts.entries()) if (value > 0 && count > 0) voxels.set(segment ?? value, (voxels.get(segment ?? value) ?? 0) + count);
  return same;
}

/** Volumes from the object alone: its pixels and its spacings. */
function checkVolumes({ seg, segments, faults }: Checking, voxels: ReadonlyMap<number, number>): void {
  const [across = 0, down = 0] = seg.frames.find(({ place }) => place)?.place?.spacing ?? [];
  const distance = sliceDistanceOf(seg);
  if (distance === undefined) {
    faults.add('iod', 'Spacing Between Slices is missing');
    return;
  }
  for (const { number, segment } of segments) {
    const ml = ((voxels.get(number) ?? 0) * across * down * distance) / 1000;
    if (!volumesAgree(ml, segment.volumeMl)) faults.add('measurement', `The volume of segment ${String(number)} is ${ml.toFixed(3)} ml in the mask and ${String(segment.volumeMl)} ml in the result`);
  }
}
