import { AppError } from '../../kernel/errors.js';
import type { ParsedInstance } from './header.js';
import type { EncapsulatedPixelData, Fragment } from './pixel-location.js';
import { describePixels, is422, type PixelDescription } from './pixel-description.js';

/** A range of the file, or of `inflated` where a parsed instance has it. */
export interface ByteRange {
  offset: number;
  length: number;
}

/** Fragment index at which each frame begins, one more than there are frames. Kept, since readers ask frame by frame. */
const framesOf = new WeakMap<EncapsulatedPixelData, number[]>();

/**
 * Where the bytes of one frame are; more than one range when the frame is spread over fragments.
 *
 * @param frameIndex  from 0
 * @throws AppError `frame-not-found`, `invalid-pixel-data` when the fragments cannot be told apart, and those of describePixels
 * @see PS3.5 A.4
 */
export function frameLocation(parsed: ParsedInstance, frameIndex: number): ByteRange[] {
  const description = describePixels(parsed);
  const { pixelData } = parsed;
  if (pixelData === null) throw new AppError('no-pixel-data');
  if (!Number.isInteger(frameIndex) || frameIndex < 0 || frameIndex >= description.numberOfFrames) throw new AppError('frame-not-found');
  if (pixelData.encoding === 'native') {
    if (pixelData.length === 0) throw new AppError('no-pixel-data');
    const bits = bitsPerFrame(parsed, description);
    const first = Math.floor((frameIndex * bits) / 8);
    const end = Math.ceil(((frameIndex + 1) * bits) / 8);
    if (end > pixelData.length) throw new AppError('invalid-pixel-data', { detail: 'The pixel data are shorter than their description' });
    return [{ offset: pixelData.offset + first, length: end - first }];
  }
  let starts = framesOf.get(pixelData);
  if (starts === undefined) {
    starts = frameStarts(pixelData, description.numberOfFrames);
    framesOf.set(pixelData, starts);
  }
  const ranges = pixelData.fragments.slice(starts[frameIndex], starts[frameIndex + 1]).map(({ offset, length }) => ({ offset, length }));
  return trimmed(ranges, pixelData.extendedLengths?.[frameIndex]);
}

function bitsPerFrame(parsed: ParsedInstance, description: PixelDescription): number {
  const { rows, columns, samplesPerPixel, bitsAllocated } = description;
  return rows * columns * (is422(parsed, description) ? 2 : samplesPerPixel) * bitsAllocated;
}

function frameStarts(pixelData: EncapsulatedPixelData, frames: number): number[] {
  const { fragments } = pixelData;
  if (fragments.length === 0) throw new AppError('no-pixel-data');
  const byTable = startsFromTable(pixelData.extendedOffsets, fragments, frames) ?? startsFromTable(pixelData.basicOffsets, fragments, frames);
  if (byTable !== undefined) return byTable;
  if (fragments.length === frames) return Array.from({ length: frames + 1 }, (_, i) => i);
  if (frames === 1) return [0, fragments.length];
  const marked = fragments.flatMap((fragment, index) => (fragment.startsImage ? [index] : []));
  if (marked.length === frames && marked[0] === 0) return [...marked, fragments.length];
  throw new AppError('invalid-pixel-data', { detail: 'The fragments cannot be assigned to frames' });
}

/** Undefined when the table does not fit the fragments; wrong tables are common enough to be ignored rather than believed. */
function startsFromTable(table: readonly number[] | undefined, fragments: readonly Fragment[], frames: number): number[] | undefined {
  const base = fragments[0]?.offset;
  if (table === undefined || base === undefined || table.length !== frames || table[0] !== 0) return undefined;
  const starts: number[] = [];
  let fragment = 0;
  for (const offset of table) {
    while (fragment < fragments.length && (fragments[fragment]?.offset ?? 0) - base < offset) fragment++;
    if ((fragments[fragment]?.offset ?? -1) - base !== offset) return undefined;
    if (starts.length > 0 && starts.at(-1) === fragment) return undefined;
    starts.push(fragment);
  }
  return [...starts, fragments.length];
}

/** The extended table gives exact lengths, without the padding byte. */
function trimmed(ranges: ByteRange[], length: number | undefined): ByteRange[] {
  if (length === undefined || length === 0) return ranges;
  let left = length;
  const out: ByteRange[] = [];
  for (const range of ranges) {
    if (left <= 0) break;
    out.push({ offset: range.offset, length: Math.min(range.length, left) });
    left -= range.length;
  }
  return out;
}
