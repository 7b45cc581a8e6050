import { AppError } from '../../../kernel/errors.js';
import type { Segmentation } from '../../analyses/analysis.js';
import type { Extents } from './extents.js';
import type { DicomSegment } from './segments.js';

/** A frame of the object: a slice of one segment, or of all of them in a label map. */
export interface SegFrame {
  segment: DicomSegment | null;
  slice: number;
  /** What a pixel becomes, by value of the label map. */
  table: Uint8Array;
  /** Rows that hold something, first and last; undefined for an empty frame. */
  rows: readonly [first: number, last: number] | undefined;
}

/** More elements than this many frames have are not read back. See `InlineBudget`. */
const MAX_FRAMES = 7000;
const MAX_PIXEL_BYTES = 1 << 30;

/**
 * The frames of an object: of each segment the slices that it is in, or all of them. An object without a frame there is not: when nothing
 * is marked, the middle slice stays with nothing in it.
 *
 * @throws AppError `image-too-large` when the object would have more frames or pixels than are read back
 */
export function framesOf({ grid }: Segmentation, segments: readonly DicomSegment[], extents: Extents, { keepEmptyFrames, isLabelMap }: { keepEmptyFrames: boolean; isLabelMap: boolean }): SegFrame[] {
  const [columns, rows, slices] = grid.size;
  const groups = isLabelMap
    ? [{ segment: null, values: segments.flatMap(({ values }) => values), table: labelTable(segments) }]
    : segments.map((segment) => ({ segment, values: segment.values, table: tableOf([segment], () => 1) }));
  const all = groups.flatMap(({ segment, values, table }) => Array.from({ length: slices }, (_, slice): SegFrame => ({ segment, slice, table, rows: extents.rowsOf(slice, values) })));
  const frames = keepEmptyFrames ? all : filledFrames(all, Math.floor(slices / 2), isLabelMap ? 8 : columns * rows);
  const bytes = (frames.length * columns * rows) / (isLabelMap ? 1 : 8);
  if (frames.length > MAX_FRAMES || bytes > MAX_PIXEL_BYTES) throw new AppError('image-too-large', { detail: `The segmentation has ${String(frames.length)} frames of ${String(columns)} × ${String(rows)} pixels` });
  return frames;
}

/**
 * Without those that are empty, but for one when all are. Frames of bits that end inside a byte are read wrong by a viewer in wide use (Cornerstone 3D)
 * where the padding at the end makes them look as if each frame began with a byte of its own: then empty frames stay until they do not.
 */
function filledFrames(all: readonly SegFrame[], middle: number, area: number): SegFrame[] {
  const kept = new Set(all.filter(({ rows }) => rows !== undefined));
  const spare = all.filter(({ rows }) => rows === undefined).sort((a, b) => Math.abs(a.slice - middle) - Math.abs(b.slice - middle));
  for (const frame of spare) {
    if (kept.size > 0 && isUnambiguous(kept.size, area)) break;
    kept.add(frame);
  }
  return all.filter((frame) => kept.has(frame));
}

/** Whether the bits of frames fill an even number of bytes, and another number than with each frame padded. */
function isUnambiguous(count: number, area: number): boolean {
  if (area % 8 === 0) return true;
  const bytes = Math.ceil((count * area) / 8);
  return bytes % 2 === 0 && bytes !== count * Math.ceil(area / 8);
}

/** What a label map of DICOM holds for each value of ours: the number of the segment. */
export function labelTable(segments: readonly DicomSegment[]): Uint8Array {
  return tableOf(segments, ({ number }) => number);
}

function tableOf(segments: readonly DicomSegment[], pixelOf: (segment: DicomSegment) => number): Uint8Array {
  const table = new Uint8Array(256);
  for (const segment of segments) for (const value of segment.values) table[value] = pixelOf(segment);
  table[0] = 0;
  return table;
}

/**
 * One bit a pixel, the first in the lowest bit; a frame may begin inside a byte. Even in length.
 *
 * @param labels  `[z, y, x]`
 * @see PS3.5 §8.1.1 and annex D
 */
export function packedBits(labels: Uint8Array, columns: number, rows: number, frames: readonly SegFrame[]): Uint8Array<ArrayBuffer> {
  const area = columns * rows;
  const bytes = Math.ceil((frames.length * area) / 8);
  const out = new Uint8Array(bytes + (bytes % 2));
  for (const [index, { slice, table, rows: filled }] of frames.entries()) {
    if (filled === undefined) continue;
    const [source, target] = [slice * area, index * area];
    const end = (filled[1] + 1) * columns;
    const bitOf = (pixel: number): number => table[labels[source + pixel] ?? 0] ?? 0;
    const putBit = (pixel: number): void => {
      // 2^31 bits and more: no shift of a 32-bit number finds the byte.
      const at = Math.floor((target + pixel) / 8);
      out[at] = (out[at] ?? 0) | (bitOf(pixel) << ((target + pixel) % 8));
    };
    let pixel = filled[0] * columns;
    while (pixel < end && (target + pixel) % 8 !== 0) putBit(pixel++);
    let at = (target + pixel) / 8;
    for (; pixel + 8 <= end; pixel += 8, at++) {
      out[at] = bitOf(pixel) | (bitOf(pixel + 1) << 1) | (bitOf(pixel + 2) << 2) | (bitOf(pixel + 3) << 3)
        | (bitOf(pixel + 4) << 4) | (bitOf(pixel + 5) << 5) | (bitOf(pixel + 6) << 6) | (bitOf(pixel + 7) << 7);
    }
    while (pixel < end) putBit(pixel++);
  }
  return out;
}

/** One byte a pixel, even in length. @param labels  `[z, y, x]` */
export function packedLabels(labels: Uint8Array, columns: number, rows: number, frames: readonly SegFrame[]): Uint8Array<ArrayBuffer> {
  const area = columns * rows;
  const out = new Uint8Array(frames.length * area + ((frames.length * area) % 2));
  for (const [index, { slice, table, rows: filled }] of frames.entries()) {
    if (filled === undefined) continue;
    for (let pixel = filled[0] * columns; pixel < (filled[1] + 1) * columns; pixel++) out[index * area + pixel] = table[labels[slice * area + pixel] ?? 0] ?? 0;
  }
  return out;
}
