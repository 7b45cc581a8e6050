import { AppError } from '../../kernel/errors.js';
import { UNDEFINED_LENGTH, type Encoding } from './elements.js';
import type { ReadRequest, ReadWindow } from './read-window.js';

export interface Fragment {
  /** Of the fragment's bytes, behind its item header. */
  offset: number;
  length: number;
  /** It begins with JPEG's SOI or JPEG 2000's SOC marker. */
  startsImage: boolean;
}

interface PixelElement {
  element: 'PixelData' | 'FloatPixelData' | 'DoubleFloatPixelData';
  vr: string;
}

export interface NativePixelData extends PixelElement {
  encoding: 'native';
  offset: number;
  length: number;
}

/** Offsets in the tables count from the item header of the first fragment. @see PS3.5 A.4, PS3.3 C.7.6.3.1.8 */
export interface EncapsulatedPixelData extends PixelElement {
  encoding: 'encapsulated';
  basicOffsets: number[];
  extendedOffsets?: number[];
  extendedLengths?: number[];
  fragments: Fragment[];
}

export type PixelDataLocation = NativePixelData | EncapsulatedPixelData;

/** Of one object: half a million, more than the tiles of the largest slides. */
export const MAX_FRAGMENTS = 1 << 19;
const ITEM_WINDOW = 4096;
const ITEM_HEADER = 8;

/**
 * Walks the items of encapsulated pixel data by their headers alone.
 *
 * @throws AppError `truncated-file` when a fragment or the sequence delimiter is missing, `invalid-dicom` for anything that is no item
 * @see PS3.5 A.4
 */
export function* locateFragments(
  window: ReadWindow, start: number, encoding: Encoding,
): Generator<ReadRequest, { basicOffsets: number[]; fragments: Fragment[] }, Uint8Array> {
  const { walker } = window;
  const fragments: Fragment[] = [];
  let basicOffsets: number[] | undefined;
  let at = start;
  for (;;) {
    if (at + ITEM_HEADER > walker.size) throw truncated('The pixel data have no end');
    const visible = Math.min(at + ITEM_HEADER + 4, walker.size);
    if (!walker.covers(at, visible)) yield* window.fill(at, visible, ITEM_WINDOW);
    const { tag, length, valueOffset } = walker.header(at, encoding, false);
    if (tag === 0xfffee0dd) return { basicOffsets: basicOffsets ?? [], fragments };
    if (tag !== 0xfffee000 || length === UNDEFINED_LENGTH) throw new AppError('invalid-dicom', { detail: 'The pixel data hold something other than fragments' });
    const end = valueOffset + length;
    if (end > walker.size) throw truncated('A fragment ends beyond the end of the file');
    if (basicOffsets === undefined) {
      // A table of more fragments than there may be is no table; the fragments tell where frames begin without it.
      const tableBytes = length <= MAX_FRAGMENTS * 4 ? length : 0;
      if (!walker.covers(valueOffset, valueOffset + tableBytes)) yield* window.fill(at, end);
      basicOffsets = uint32s(walker.slice(valueOffset, tableBytes), encoding.littleEndian);
    } else {
      if (fragments.length === MAX_FRAGMENTS) throw new AppError('invalid-dicom', { detail: 'The pixel data have too many fragments' });
      fragments.push({ offset: valueOffset, length, startsImage: length >= 4 && startsImage(walker.slice(valueOffset, 4)) });
    }
    at = end;
  }
}

/** JPEG family: FF D8 FF. JPEG 2000 family: FF 4F FF 51, or the signature box of JP2. */
function startsImage(head: Uint8Array): boolean {
  const [a, b, c, d] = head;
  return (a === 0xff && b === 0xd8 && c === 0xff) || (a === 0xff && b === 0x4f && c === 0xff && d === 0x51) || (a === 0 && b === 0 && c === 0 && d === 0x0c);
}

function uint32s(bytes: Uint8Array, littleEndian: boolean): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out: number[] = [];
  for (let at = 0; at + 4 <= bytes.length; at += 4) out.push(view.getUint32(at, littleEndian));
  return out;
}

function truncated(detail: string): AppError {
  return new AppError('truncated-file', { detail });
}
