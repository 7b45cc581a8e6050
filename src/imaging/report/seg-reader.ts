import { AppError } from '../../kernel/errors.js';
import { number, sequence, text } from '../dicom/attributes.js';
import type { DicomJson } from '../dicom/dicom-json.js';
import { parseInstanceBytes } from '../dicom/header.js';
import { indexToLps, lpsToIndex } from '../volume/geometry.js';
import { cross, dot, slicesOf, type SlicePlace } from '../volume/slices.js';
import type { Affine, Grid, Vector3 } from '../volume/volume.js';
import { pixelToLps } from './seg/planes.js';

/** A Segmentation as it lies in its bytes. */
export interface ReadSeg {
  /** Without the pixel data. */
  attributes: DicomJson;
  columns: number;
  rows: number;
  /** Pixels are numbers of segments; else a bit of the segment of the frame. */
  isLabelMap: boolean;
  segments: ReadSegment[];
  frames: ReadFrame[];
  /** One bit or one byte a pixel, frame behind frame. */
  pixels: Uint8Array;
}

export interface ReadSegment {
  number: number;
  label: string;
  /** The item of the Segment Sequence. */
  item: DicomJson;
}

export interface ReadFrame {
  /** Null in a label map. */
  segment: number | null;
  /** Undefined where it is missing or makes no sense. */
  place: SlicePlace | undefined;
  source: { sopClassUid: string; sopInstanceUid: string; frame: number } | undefined;
}

/** Slices nearer than this lie at one place. Millimetres. */
const SAME_PLACE_MM = 0.02;
/** A frame may lie beside its place on a grid by so much: slices of real series are not quite in line. Millimetres. */
const BESIDE_MM = 1;

/**
 * Reads a Segmentation of bits or of labels.
 *
 * @throws AppError `invalid-dicom`, `invalid-pixel-data` and those of parsing
 * @see PS3.3 A.51, C.8.20.2
 */
export function readSeg(bytes: Uint8Array): ReadSeg {
  const parsed = parseInstanceBytes(bytes);
  const { attributes, pixelData } = parsed;
  const [columns, rows, count, bits] = ['Columns', 'Rows', 'NumberOfFrames', 'BitsAllocated'].map((keyword) => number(attributes, keyword) ?? 0);
  if (columns === undefined || rows === undefined || count === undefined || !(columns > 0 && rows > 0 && count > 0)) throw new AppError('invalid-dicom', { detail: 'The segmentation has no size' });
  const isLabelMap = text(attributes, 'SegmentationType') === 'LABELMAP';
  if (bits !== (isLabelMap ? 8 : 1)) throw new AppError('invalid-pixel-data', { detail: 'The pixels of the segmentation have another depth than its type' });
  if (pixelData?.encoding !== 'native') throw new AppError('invalid-pixel-data', { detail: 'The segmentation has no uncompressed pixels' });
  if (pixelData.length < Math.ceil((count * columns * rows * bits) / 8)) throw new AppError('invalid-pixel-data', { detail: 'The segmentation has fewer pixels than its frames' });
  const groups = sequence(attributes, 'PerFrameFunctionalGroupsSequence');
  if (groups.length !== count) throw new AppError('invalid-dicom', { detail: 'The segmentation describes another number of frames than it has' });
  const slices = slicesOf([{ sopInstanceUid: parsed.sopInstanceUid, attributes }]);
  return {
    attributes, columns, rows, isLabelMap,
    segments: sequence(attributes, 'SegmentSequence').map((item) => ({ number: number(item, 'SegmentNumber') ?? 0, label: text(item, 'SegmentLabel') ?? '', item })),
    frames: groups.map((group, index) => ({
      segment: isLabelMap ? null : number(sequence(group, 'SegmentIdentificationSequence')[0] ?? {}, 'ReferencedSegmentNumber') ?? 0,
      place: slices[index]?.place,
      source: sourceOf(group),
    })),
    pixels: (parsed.inflated ?? bytes).subarray(pixelData.offset, pixelData.offset + pixelData.length),
  };
}

function sourceOf(group: DicomJson): ReadFrame['source'] {
  const [image] = sequence(sequence(group, 'DerivationImageSequence')[0] ?? {}, 'SourceImageSequence');
  const sopInstanceUid = image && text(image, 'ReferencedSOPInstanceUID');
  if (sopInstanceUid === undefined) return undefined;
  return { sopInstanceUid, sopClassUid: text(image ?? {}, 'ReferencedSOPClassUID') ?? '', frame: number(image ?? {}, 'ReferencedFrameNumber') ?? 1 };
}

/** Pixels `[row, column]` of a frame, one byte each. @param index  from 0 */
export function framePixels({ columns, rows, isLabelMap, pixels }: Pick<ReadSeg, 'columns' | 'rows' | 'isLabelMap' | 'pixels'>, index: number): Uint8Array {
  const area = columns * rows;
  if (isLabelMap) return pixels.subarray(index * area, (index + 1) * area);
  const out = new Uint8Array(area);
  const start = index * area;
  for (let pixel = 0; pixel < area;) {
    const bit = (start + pixel) % 8;
    const byte = pixels[(start + pixel - bit) / 8] ?? 0;
    const end = Math.min(area, pixel + 8 - bit);
    // Most bytes are all outside or all inside.
    if (byte === 255) out.fill(1, pixel, end);
    else if (byte !== 0) for (let at = pixel; at < end; at++) out[at] = (byte >> (bit + at - pixel)) & 1;
    pixel = end;
  }
  return out;
}

/**
 * The grid that the frames lie on, from their own places: from the first to the last of them along the normal.
 *
 * @throws AppError `invalid-dicom` when a frame has no place or they are no stack
 */
export function gridOf(seg: ReadSeg): Grid {
  const places = seg.frames.flatMap(({ place }) => place ?? []);
  const [any] = places;
  if (any === undefined || places.length < seg.frames.length) throw new AppError('invalid-dicom', { detail: 'A frame of the segmentation has no place' });
  const normal = cross(any.across, any.down);
  const sorted = [...places].sort((a, b) => dot(a.position, normal) - dot(b.position, normal));
  const unique = sorted.filter(({ position }, index) => index === 0 || dot(position, normal) - dot(sorted[index - 1]?.position ?? position, normal) > SAME_PLACE_MM);
  const [first, last] = [unique[0] ?? any, unique.at(-1) ?? any];
  const distance = sliceDistanceOf(seg) ?? 1;
  const extentMm = dot(last.position, normal) - dot(first.position, normal);
  const steps = Math.round(extentMm / distance);
  const through = (axis: 0 | 1 | 2): number => (steps === 0 ? normal[axis] * distance : (last.position[axis] - first.position[axis]) / steps);
  const row = (axis: 0 | 1 | 2): Affine[0] => [first.across[axis] * first.spacing[0], first.down[axis] * first.spacing[1], through(axis), first.position[axis]];
  const frameOfReferenceUid = text(seg.attributes, 'FrameOfReferenceUID');
  return { size: [seg.columns, seg.rows, steps + 1], affine: [row(0), row(1), row(2)], ...(frameOfReferenceUid !== undefined && { frameOfReferenceUid }) };
}

/** Spacing Between Slices in mm; undefined where it is missing. */
export function sliceDistanceOf({ attributes }: Pick<ReadSeg, 'attributes'>): number | undefined {
  const groups = [...sequence(attributes, 'SharedFunctionalGroupsSequence'), ...sequence(attributes, 'PerFrameFunctionalGroupsSequence').slice(0, 1)];
  const [distance] = groups.flatMap((group) => sequence(group, 'PixelMeasuresSequence')).map((measures) => number(measures, 'SpacingBetweenSlices'));
  return distance !== undefined && distance > 0 ? distance : undefined;
}

/**
 * The slice of a grid that a plane is: its columns and rows must be those of the grid, not turned, mirrored or moved.
 *
 * @param toleranceMm  how far a pixel may lie beside its voxel in the plane; along the normal, the nearest slice counts
 */
export function sliceOnGrid(place: SlicePlace, grid: Grid, toleranceMm = BESIDE_MM): number | undefined {
  const [columns, rows, slices] = grid.size;
  const slice = Math.round(lpsToIndex(grid, place.position)[2]);
  if (slice < 0 || slice >= slices) return undefined;
  const step = Math.hypot(grid.affine[0][2], grid.affine[1][2], grid.affine[2][2]);
  const normal = cross(place.across, place.down);
  const fits = [0, columns - 1].every((i) => [0, rows - 1].every((j) => {
    const [p, q] = [pixelToLps(place, i, j), indexToLps(grid.affine, [i, j, slice])];
    const away: Vector3 = [p[0] - q[0], p[1] - q[1], p[2] - q[2]];
    const along = dot(away, normal);
    return Math.abs(along) < step / 2 && Math.sqrt(Math.max(0, dot(away, away) - along * along)) <= toleranceMm;
  }));
  return fits ? slice : undefined;
}

/**
 * The masks of the segments by number, `[z, y, x]` on a grid, 1 inside. Frames are placed by where they lie, whatever their order.
 *
 * @throws AppError `invalid-dicom` when a frame does not lie on the grid
 */
export function masksOf(seg: ReadSeg, grid: Grid = gridOf(seg)): Map<number, Uint8Array> {
  const [columns, rows, slices] = grid.size;
  if (columns !== seg.columns || rows !== seg.rows) throw new AppError('invalid-dicom', { detail: 'The segmentation has another size than the grid' });
  const masks = new Map(seg.segments.map((segment) => [segment.number, new Uint8Array(columns * rows * slices)]));
  for (const [index, frame] of seg.frames.entries()) {
    const slice = frame.place && sliceOnGrid(frame.place, grid);
    if (slice === undefined) throw new AppError('invalid-dicom', { detail: 'A frame of the segmentation does not lie on the grid' });
    const plane = framePixels(seg, index);
    for (const [segment, mask] of masks) {
      if (frame.segment !== null && frame.segment !== segment) continue;
      const inside = frame.segment === null ? segment : 1;
      for (let pixel = 0; pixel < plane.length; pixel++) if (plane[pixel] === inside) mask[slice * columns * rows + pixel] = 1;
    }
  }
  return masks;
}
