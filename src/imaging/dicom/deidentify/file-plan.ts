import { AppError } from '../../../kernel/errors.js';
import { elementHeader, itemHeader } from '../explicit-element.js';
import type { BulkDataEntry, ParsedInstance } from '../header.js';
import { reversedUnits, type ByteUnit } from '../piece-list.js';
import { describePixels, frameCount, type PixelFrame } from '../pixels.js';
import type { EncapsulatedPixelData, NativePixelData } from '../pixel-location.js';
import { EXPLICIT_LITTLE, pixelCodingOf } from '../transfer-syntax.js';
import { encodeDataSet, encodeFileHead } from '../write-data-set.js';
import { decodedImagePixel, nativePainter, type BlackOut } from './black-out.js';
import { codestreamScrubber } from './codestream-scrubber.js';
import type { DeidentifiedInstance } from './deidentify.js';

/** A stretch of the file that an export writes. */
export type FilePiece =
  | { kind: 'bytes'; bytes: Uint8Array; length: number }
  /** Of the original, or of its inflated data set; offsets count there. */
  | { kind: 'copy'; offset: number; length: number; change?: () => Change }
  /** All frames, decoded and blacked out. */
  | { kind: 'frames'; area: BlackOut; length: number };

/**
 * Made anew for a piece that begins. Changes bytes that pass by, without changing how many they are. Called with one stretch after the other, the second argument
 * being where it begins in the piece; all but the last are multiples of eight bytes. May work in place.
 */
export type Change = (stretch: Uint8Array, offset: number) => Uint8Array;

const ITEM = 0xfffee000;
const SEQUENCE_DELIMITER = 0xfffee0dd;
const UNDEFINED_LENGTH = 0xffffffff;
const PIXEL_TAGS = { PixelData: 0x7fe00010, FloatPixelData: 0x7fe00008, DoubleFloatPixelData: 0x7fe00009 } as const;
const OFFSET_TABLES = ['7FE00001', '7FE00002'];

const UNITS: Record<string, ByteUnit> = { US: 2, SS: 2, OW: 2, AT: 2, UL: 4, SL: 4, FL: 4, OF: 4, OL: 4, FD: 8, OD: 8, OV: 8, SV: 8, UV: 8 };

/**
 * The Part 10 file of a de-identified instance, piece by piece, so that large pixel data need not be in memory.
 *
 * @param firstFrame  for instances whose pixels are decoded: their first frame; all others must have its size and form
 */
export function filePlanOf(parsed: ParsedInstance, instance: DeidentifiedInstance, firstFrame?: PixelFrame): FilePiece[] {
  const { pixelData } = parsed;
  const transferSyntaxUid = firstFrame !== undefined || pixelCodingOf(parsed.meta.transferSyntaxUid) === 'native' || pixelData?.encoding === 'native' ? EXPLICIT_LITTLE : parsed.meta.transferSyntaxUid;
  const attributes = firstFrame === undefined ? instance.attributes : { ...instance.attributes, ...decodedImagePixel(firstFrame) };
  const tablesHold = pixelData?.encoding === 'encapsulated' && firstFrame === undefined && offsetsHold(pixelData);
  const kept = tablesHold ? attributes : Object.fromEntries(Object.entries(attributes).filter(([tag]) => !OFFSET_TABLES.includes(tag)));
  const data = encodeDataSet<BulkDataEntry>(kept, (path) => instance.bulk.get(path));
  return [
    bytesOf(encodeFileHead({ sopClassUid: instance.sopClassUid, sopInstanceUid: instance.sopInstanceUid, transferSyntaxUid })),
    ...data.map((piece): FilePiece => (piece instanceof Uint8Array ? bytesOf(piece) : copied(piece.offset, piece.length, parsed.encoding.littleEndian ? 1 : (UNITS[piece.vr] ?? 1)))),
    ...pixelPieces(parsed, instance, firstFrame),
  ];
}

function pixelPieces(parsed: ParsedInstance, { pixels }: DeidentifiedInstance, firstFrame: PixelFrame | undefined): FilePiece[] {
  const { pixelData } = parsed;
  if (pixelData === null) return [];
  const tag = PIXEL_TAGS[pixelData.element];
  if (firstFrame !== undefined) {
    const area = pixels.kind === 'decode' ? pixels.area : { black: [] };
    const length = firstFrame.pixels.byteLength * frameCount(parsed);
    if (length >= UNDEFINED_LENGTH - 1) throw new AppError('image-too-large', { detail: 'The decoded frames are more than an element can hold' });
    return [bytesOf(elementHeader(tag, firstFrame.pixels.BYTES_PER_ELEMENT > 1 ? 'OW' : 'OB', even(length))), { kind: 'frames', area, length }, ...padding(length)];
  }
  return pixelData.encoding === 'native' ? native(parsed, pixelData, tag, pixels.kind === 'paint' ? pixels.area : undefined) : encapsulated(pixelData, tag);
}

function native(parsed: ParsedInstance, { vr, offset, length, element }: NativePixelData, tag: number, area: BlackOut | undefined): FilePiece[] {
  const unit: ByteUnit = parsed.encoding.littleEndian ? 1 : unitOf(parsed, vr, element);
  const piece = copied(offset, length, unit);
  if (area !== undefined && piece.kind === 'copy') {
    piece.change = () => {
      const paint = nativePainter(describePixels(parsed), area);
      return (stretch, at) => {
        const own = Uint8Array.from(stretch);
        paint(own, at);
        return own;
      };
    };
  }
  return [bytesOf(elementHeader(tag, vr, even(length))), piece, ...padding(length)];
}

/** Big endian files hold cells of 32 bits in their own order, bytes in OW in pairs. PS3.5 §8.1.1 */
function unitOf(parsed: ParsedInstance, vr: string, element: NativePixelData['element']): ByteUnit {
  if (element === 'FloatPixelData') return 4;
  if (element === 'DoubleFloatPixelData') return 8;
  const bits = Number(parsed.attributes['00280100']?.Value?.[0] ?? 16);
  if (bits > 16) return bits > 32 ? 8 : 4;
  return vr === 'OB' ? 1 : 2;
}

function encapsulated(pixelData: EncapsulatedPixelData, tag: number): FilePiece[] {
  const { fragments } = pixelData;
  const offsets = offsetsHold(pixelData) ? pixelData.basicOffsets : [];
  const table = Buffer.alloc(offsets.length * 4);
  for (const [index, value] of offsets.entries()) table.writeUInt32LE(value, index * 4);
  return [
    bytesOf(Buffer.concat([elementHeader(tag, 'OB', UNDEFINED_LENGTH), itemHeader(ITEM, table.length), table])),
    ...fragments.flatMap(({ offset, length, startsImage }): FilePiece[] => [
      bytesOf(itemHeader(ITEM, even(length))),
      { kind: 'copy', offset, length, ...(startsImage && { change: scrubbing }) },
      ...padding(length),
    ]),
    bytesOf(itemHeader(SEQUENCE_DELIMITER, 0)),
  ];
}

/** Fragments of odd length, which no file should have, become even, and what follows moves. */
function offsetsHold({ fragments }: EncapsulatedPixelData): boolean {
  return fragments.every(({ length }) => length % 2 === 0);
}

function scrubbing(): Change {
  const scrub = codestreamScrubber();
  return (stretch) => {
    const own = Uint8Array.from(stretch);
    scrub(own);
    return own;
  };
}

function copied(offset: number, length: number, unit: ByteUnit): FilePiece {
  return { kind: 'copy', offset, length, ...(unit > 1 && { change: () => (stretch: Uint8Array) => reversedUnits(stretch, unit) }) };
}

function bytesOf(bytes: Uint8Array): FilePiece {
  return { kind: 'bytes', bytes, length: bytes.length };
}

function even(length: number): number {
  return length + (length % 2);
}

function padding(length: number): FilePiece[] {
  return length % 2 === 0 ? [] : [bytesOf(new Uint8Array(1))];
}
