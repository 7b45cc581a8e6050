import { AppError } from '../../../kernel/errors.js';
import { parseInstanceBytes } from '../../dicom/header.js';
import { decodeFrame, frameLocation, type Codec } from '../../dicom/pixels.js';
import { toDisplay, type DisplayImage } from '../../render/window.js';
import { notAnalysable, type NotAnalysable } from '../analysis.js';

/** Grey levels that a radiograph must span; below it is an empty exposure or a blank page. */
const MIN_LEVELS = 4;

/**
 * The radiograph as a reader sees it: 8 bits, bone bright, the object's own window.
 *
 * @param frame  from 1
 * @throws AppError of parsing and decoding
 */
export async function decodeRadiograph(bytes: Uint8Array, frame: number, codec: Codec): Promise<DisplayImage> {
  const parsed = parseInstanceBytes(bytes);
  const source = parsed.inflated ?? bytes;
  const ranges = frameLocation(parsed, frame - 1);
  const pixels = await decodeFrame(parsed, joined(source, ranges), codec, frame - 1);
  return toDisplay(pixels, parsed.attributes);
}

/** Undefined when the image shows something. */
export function qualityFault(image: DisplayImage): NotAnalysable | undefined {
  const seen = new Set<number>();
  for (const value of image.data) {
    seen.add(value);
    if (seen.size >= MIN_LEVELS) return undefined;
  }
  return notAnalysable('low-image-quality', seen.size <= 1 ? 'The image is blank: all its pixels are equal.' : `The image has no more than ${MIN_LEVELS - 1} grey levels.`);
}

function joined(source: Uint8Array, ranges: readonly { offset: number; length: number }[]): Uint8Array {
  const [first] = ranges;
  if (first === undefined) throw new AppError('no-pixel-data');
  if (ranges.length === 1) return source.subarray(first.offset, first.offset + first.length);
  return Uint8Array.from(Buffer.concat(ranges.map(({ offset, length }) => source.subarray(offset, offset + length))));
}
