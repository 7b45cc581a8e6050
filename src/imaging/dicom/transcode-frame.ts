import { AppError } from '../../kernel/errors.js';
import { text } from './attributes.js';
import { codestreamOf, type Codestream } from './codestream.js';
import { isYbr, upsampled422, ybrToRgb } from './colour.js';
import { explicitElement, textElement, unsignedElement } from './explicit-element.js';
import type { ParsedInstance } from './header.js';
import { reversedUnits } from './piece-list.js';
import { describePixels, is422, type PixelDescription } from './pixel-description.js';
import { byPixel, type Codec, type DecodedFrame } from './pixels.js';
import { bitsOfFrame, fitStoredBits, samplesOf, type PixelArray } from './samples.js';
import type { ElementChanges } from './transcode.js';
import { EXPLICIT_LITTLE, pixelCodingOf, RLE_LOSSLESS } from './transfer-syntax.js';

/** What the Image Pixel module says of a frame; colour by pixel. */
export interface FrameFormat {
  photometric: string;
  bitsAllocated: number;
  bitsStored: number;
  highBit: number;
  signed: boolean;
}

export interface StoredFrame {
  /** Samples in little endian, or a codestream. */
  bytes: Uint8Array;
  format: FrameFormat;
}

/** Compresses one frame without loss. The adapter lives in platform/threads. */
export interface Encoder {
  /**
   * @param samples  `[row, column, sample]`, little endian
   * @throws AppError `unsupported-transfer-syntax` when it has no codec for these samples
   */
  encode(samples: Uint8Array, transferSyntaxUid: string, frame: FrameFormat & { rows: number; columns: number; samplesPerPixel: number }): Uint8Array | Promise<Uint8Array>;
}

/** Transfer syntaxes that frames can be compressed to; all of them here without loss. */
export const ENCODABLE_TRANSFER_SYNTAXES: ReadonlySet<string> = new Set([
  RLE_LOSSLESS,
  '1.2.840.10008.1.2.4.70',
  '1.2.840.10008.1.2.4.80',
  '1.2.840.10008.1.2.4.90',
  '1.2.840.10008.1.2.4.91',
  '1.2.840.10008.1.2.4.201',
  '1.2.840.10008.1.2.4.203',
]);

/** Their codecs cannot but lose. JPEG-LS and JPEG 2000 of the lossy names may have kept all. */
const LOSSY_TRANSFER_SYNTAXES = new Set(['1.2.840.10008.1.2.4.50', '1.2.840.10008.1.2.4.51']);

/**
 * One frame in another transfer syntax: explicit little endian for native samples, else one of `ENCODABLE_TRANSFER_SYNTAXES`.
 * Samples are those that were coded: only where a lossy JPEG or a JPEG 2000 colour transform leaves no other way do they
 * become RGB.
 *
 * @param frameBytes  the ranges of `frameLocation`, joined
 * @param frameIndex  from 0
 * @throws AppError `unsupported-transfer-syntax` when there is no way, `invalid-pixel-data`, `pixel-data-undecodable` and those of describePixels
 */
export async function transcodeFrame(parsed: ParsedInstance, frameBytes: Uint8Array, frameIndex: number, transferSyntaxUid: string, codecs: Codec & Encoder): Promise<StoredFrame> {
  const isNative = parsed.pixelData?.encoding === 'native';
  if (transferSyntaxUid === EXPLICIT_LITTLE) return isNative ? nativeFrame(parsed, frameBytes, frameIndex) : decompressed(parsed, frameBytes, codecs);
  if (!ENCODABLE_TRANSFER_SYNTAXES.has(transferSyntaxUid)) throw new AppError('unsupported-transfer-syntax');
  return compressed(parsed, isNative ? interleaved(parsed, nativeFrame(parsed, frameBytes, frameIndex)) : await decompressed(parsed, frameBytes, codecs), transferSyntaxUid, codecs);
}

/** A frame of uncompressed pixel data as its description has it, in little endian and beginning at a whole byte. */
export function nativeFrame(parsed: ParsedInstance, frameBytes: Uint8Array, frameIndex: number): StoredFrame {
  const description = describePixels(parsed);
  const format = formatOf(description);
  if (description.bitsAllocated === 1) {
    const count = description.rows * description.columns * description.samplesPerPixel;
    const offset = (frameIndex * count) % 8;
    return { format, bytes: offset === 0 && count % 8 === 0 ? frameBytes : packed(bitsOfFrame(frameBytes, count, offset)) };
  }
  if (parsed.encoding.littleEndian) return { format, bytes: frameBytes };
  if (description.bitsAllocated === 8) return { format, bytes: parsed.pixelData?.vr === 'OW' ? reversedUnits(frameBytes, 2) : frameBytes };
  return { format, bytes: reversedUnits(frameBytes, description.bitsAllocated === 64 ? 8 : description.bitsAllocated === 32 ? 4 : 2) };
}

async function decompressed(parsed: ParsedInstance, frameBytes: Uint8Array, codec: Codec): Promise<StoredFrame> {
  const description = describePixels(parsed);
  const coding = pixelCodingOf(parsed.meta.transferSyntaxUid);
  if (coding === undefined || coding === 'native' || parsed.pixelData?.encoding !== 'encapsulated') throw new AppError('unsupported-transfer-syntax');
  const { rows, columns, samplesPerPixel, bitsAllocated } = description;
  if (bitsAllocated === 1) throw new AppError('unsupported-transfer-syntax', { detail: 'Compressed pixels of one bit are not supported' });
  const codestream = coding === 'rle' ? undefined : codestreamOf(frameBytes, coding);
  if (codestream !== undefined && (codestream.rows !== rows || codestream.columns !== columns || codestream.components !== samplesPerPixel)) {
    throw invalid('The compressed image has another size or number of components than its description');
  }
  const decoded = await codec.decode(codestream === undefined ? frameBytes : frameBytes.subarray(codestream.start), parsed.meta.transferSyntaxUid, description);
  if (decoded.data.length < (rows * columns * samplesPerPixel * decoded.bitsAllocated) / 8) throw new AppError('pixel-data-undecodable', { detail: 'The decoder gave too few pixels' });
  const format = decodedFormat(description, codestream, decoded.bitsAllocated);
  const pixels = decodedPixels(decoded, description, codestream, format);
  if (samplesPerPixel === 1) return { bytes: bytesOf(pixels), format };
  const ybr = codestream === undefined ? isYbr(description.photometric) : codestream.isYbr(description.photometric);
  const isPartial = description.photometric === 'YBR_PARTIAL_422';
  // The reduced range has no name without its subsampling.
  if (ybr && (isPartial || LOSSY_TRANSFER_SYNTAXES.has(parsed.meta.transferSyntaxUid))) return { bytes: bytesOf(ybrToRgb(pixels, format.bitsStored, isPartial)), format: { ...format, photometric: 'RGB' } };
  // Codecs give every pixel its own chrominance, and undo the transforms of JPEG 2000.
  return { bytes: bytesOf(pixels), format: { ...format, photometric: ybr ? 'YBR_FULL' : 'RGB' } };
}

/** JPEG 2000 knows its depth and sign; a JPEG of more bits than are stored carries sign or overlay bits above them. As `decodeFrame` has it. */
function decodedFormat(description: PixelDescription, codestream: Codestream | undefined, bitsAllocated: number): FrameFormat {
  const signed = codestream?.signed === true || description.signed;
  const declared = { photometric: description.photometric, bitsAllocated, bitsStored: description.bitsStored, highBit: description.highBit, signed };
  if (codestream === undefined || carriesMore(codestream, description)) return declared;
  const bitsStored = Math.min(codestream.precision, bitsAllocated);
  return { ...declared, bitsStored, highBit: bitsStored - 1 };
}

function carriesMore(codestream: Codestream, description: PixelDescription): boolean {
  return codestream.kind === 'jpeg' && codestream.precision > description.bitsStored;
}

function decodedPixels(decoded: DecodedFrame, description: PixelDescription, codestream: Codestream | undefined, format: FrameFormat): PixelArray {
  const count = description.rows * description.columns * description.samplesPerPixel;
  const pixels = samplesOf(decoded.data, count, { bits: decoded.bitsAllocated, signed: format.signed, kind: 'integer' }, true);
  // What stands beside the stored bits came through the codec unharmed and stays.
  const fitted = codestream === undefined || carriesMore(codestream, description) ? pixels : fitStoredBits(pixels, format);
  return description.samplesPerPixel === 3 && (decoded.planar === 1 || codestream?.byPlane === true) ? byPixel(fitted) : fitted;
}

async function compressed(parsed: ParsedInstance, { bytes, format }: StoredFrame, transferSyntaxUid: string, codecs: Codec & Encoder): Promise<StoredFrame> {
  const description = describePixels(parsed);
  if (description.kind !== 'integer' || description.bitsAllocated === 1) throw new AppError('unsupported-transfer-syntax', { detail: 'These pixels cannot be compressed' });
  const { rows, columns, samplesPerPixel } = description;
  const encoded = await codecs.encode(bytes, transferSyntaxUid, { ...format, rows, columns, samplesPerPixel });
  const coding = pixelCodingOf(transferSyntaxUid);
  const isTransformed = samplesPerPixel === 3 && (coding === 'jpeg-2000' || coding === 'htj2k') && !codestreamOf(encoded, coding).isYbr('YBR_FULL');
  const result = { bytes: encoded, format: isTransformed ? { ...format, photometric: 'YBR_RCT' } : format };
  // Nobody will compare this with the original again, so it is proved here that nothing was lost.
  const back = await decompressed(asStored(parsed, result, transferSyntaxUid), encoded, codecs);
  if (!Buffer.from(back.bytes.buffer, back.bytes.byteOffset, back.bytes.length).equals(bytes) || back.format.bitsStored !== format.bitsStored) {
    throw new AppError('unsupported-transfer-syntax', { detail: 'These pixels cannot be compressed in this way without loss' });
  }
  return result;
}

/** The instance as it would be read back. */
function asStored(parsed: ParsedInstance, { format, bytes }: StoredFrame, transferSyntaxUid: string): ParsedInstance {
  return {
    ...parsed,
    meta: { ...parsed.meta, transferSyntaxUid },
    encoding: { explicit: true, littleEndian: true },
    attributes: {
      ...parsed.attributes,
      '00280004': { vr: 'CS', Value: [format.photometric] },
      '00280006': { vr: 'US', Value: [0] },
      '00280100': { vr: 'US', Value: [format.bitsAllocated] },
      '00280101': { vr: 'US', Value: [format.bitsStored] },
      '00280102': { vr: 'US', Value: [format.highBit] },
      '00280103': { vr: 'US', Value: [format.signed ? 1 : 0] },
    },
    pixelData: { encoding: 'encapsulated', element: 'PixelData', vr: 'OB', basicOffsets: [], fragments: [{ offset: 0, length: bytes.length, startsImage: true }] },
  };
}

/** What a data set must say so that it describes frames of this format; only what it does not say already. */
export function formatChanges(parsed: ParsedInstance, format: FrameFormat): ElementChanges {
  const description = describePixels(parsed);
  const changes = new Map<number, Uint8Array | null>();
  if (text(parsed.attributes, '00280004') !== format.photometric) changes.set(0x00280004, textElement(0x00280004, 'CS', format.photometric));
  if (description.samplesPerPixel === 3 && text(parsed.attributes, '00280006') !== '0') changes.set(0x00280006, unsignedElement(0x00280006, 0));
  if (description.bitsAllocated !== format.bitsAllocated) changes.set(0x00280100, unsignedElement(0x00280100, format.bitsAllocated));
  if (description.bitsStored !== format.bitsStored) changes.set(0x00280101, unsignedElement(0x00280101, format.bitsStored));
  if (description.highBit !== format.highBit) changes.set(0x00280102, unsignedElement(0x00280102, format.highBit));
  if (description.signed !== format.signed) changes.set(0x00280103, unsignedElement(0x00280103, format.signed ? 1 : 0));
  // Once decompressed, nothing else would tell that this image is not what the device took. PS3.3 C.7.6.1.1.5
  if (LOSSY_TRANSFER_SYNTAXES.has(parsed.meta.transferSyntaxUid) && text(parsed.attributes, '00282110') !== '01') changes.set(0x00282110, textElement(0x00282110, 'CS', '01'));
  return changes;
}

export function isSameFormat(a: FrameFormat, b: FrameFormat): boolean {
  return a.photometric === b.photometric && a.bitsAllocated === b.bitsAllocated && a.bitsStored === b.bitsStored && a.highBit === b.highBit && a.signed === b.signed;
}

/** Pixel data of an image in a sequence, native, with what its item must say of them. */
export function nestedChanges(parsed: ParsedInstance, frames: readonly StoredFrame[]): ElementChanges {
  const [first] = frames;
  if (first === undefined) throw new AppError('no-pixel-data');
  if (frames.some(({ format }) => !isSameFormat(format, first.format))) throw invalid('The frames are of different kinds');
  return new Map([...formatChanges(parsed, first.format), [0x7fe00010, explicitElement(0x7fe00010, pixelVrOf(first.format), Buffer.concat(frames.map(({ bytes }) => bytes)))]]);
}

/** @see PS3.5 §8.2 */
export function pixelVrOf({ bitsAllocated }: FrameFormat): 'OB' | 'OW' {
  return bitsAllocated > 8 ? 'OW' : 'OB';
}

function formatOf({ photometric, bitsAllocated, bitsStored, highBit, signed }: PixelDescription): FrameFormat {
  return { photometric, bitsAllocated, bitsStored, highBit, signed };
}

/** Native samples as encoders take them: colour by pixel, a chrominance for every pixel. */
function interleaved(parsed: ParsedInstance, { bytes, format }: StoredFrame): StoredFrame {
  const description = describePixels(parsed);
  const pixels = description.rows * description.columns;
  if (is422(parsed, description)) return { bytes: upsampled422(bytes, pixels), format: { ...format, photometric: 'YBR_FULL' } };
  if (description.samplesPerPixel === 1) return { bytes, format };
  const photometric = format.photometric.endsWith('_422') ? 'YBR_FULL' : format.photometric;
  if (description.planar === 0) return { bytes, format: { ...format, photometric } };
  const samples = samplesOf(bytes, pixels * 3, { bits: description.bitsAllocated, signed: false, kind: 'integer' }, true);
  return { bytes: bytesOf(byPixel(samples)), format: { ...format, photometric } };
}

/** One bit a pixel, lowest first. */
function packed(bits: Uint8Array): Uint8Array {
  const out = new Uint8Array(Math.ceil(bits.length / 8));
  for (const [i, bit] of bits.entries()) if (bit !== 0) out[i >> 3] = (out[i >> 3] ?? 0) | (1 << (i & 7));
  return out;
}

/** The machine is little endian, as are all that Node runs on with onnxruntime. */
function bytesOf(pixels: PixelArray): Uint8Array {
  return new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength);
}

function invalid(detail: string): AppError {
  return new AppError('invalid-pixel-data', { detail });
}
