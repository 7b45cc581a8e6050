import { AppError } from '../../kernel/errors.js';
import { codestreamOf, type Codestream } from './codestream.js';
import { isYbr, upsampled422, ybrToRgb } from './colour.js';
import type { ParsedInstance } from './header.js';
import { bitsOfFrame, fitStoredBits, samplesOf, type PixelArray } from './samples.js';
import { describePixels, is422, type PixelDescription } from './pixel-description.js';
import { pixelCodingOf } from './transfer-syntax.js';

export type { PixelArray } from './samples.js';
export { frameLocation, type ByteRange } from './frame-location.js';
export { describePixels, frameCount, type PixelDescription } from './pixel-description.js';

/** What a codec gives back: samples as they are coded, before any colour conversion. */
export interface DecodedFrame {
  rows: number;
  columns: number;
  samplesPerPixel: number;
  /** 8, 16 or 32; samples are little endian. */
  bitsAllocated: number;
  planar: 0 | 1;
  data: Uint8Array;
}

/** Decompresses one frame. The adapter lives in platform/threads. */
export interface Codec {
  /** @throws AppError `pixel-data-undecodable`, `unsupported-transfer-syntax` */
  decode(frame: Uint8Array, transferSyntaxUid: string, description: PixelDescription): DecodedFrame | Promise<DecodedFrame>;
}

/** Row by row, colour by pixel: `[row, column, sample]`. */
export interface PixelFrame {
  rows: number;
  columns: number;
  samplesPerPixel: 1 | 3;
  /** Stored values; high bits masked, signs extended. */
  pixels: PixelArray;
  /** Never one of the YBR family: those are RGB by now. */
  photometric: string;
  bitsStored: number;
  signed: boolean;
}

/**
 * Stored values of one frame.
 *
 * @param frameBytes  the ranges of `frameLocation`, joined
 * @param frameIndex  from 0; matters for 1-bit pixels alone, whose frames may begin inside a byte
 * @throws AppError `unsupported-transfer-syntax`, `invalid-pixel-data`, `pixel-data-undecodable` and those of describePixels
 */
export async function decodeFrame(parsed: ParsedInstance, frameBytes: Uint8Array, codec: Codec, frameIndex = 0): Promise<PixelFrame> {
  const description = describePixels(parsed);
  const { transferSyntaxUid } = parsed.meta;
  const coding = pixelCodingOf(transferSyntaxUid);
  if (coding === undefined) throw new AppError('unsupported-transfer-syntax');
  const encapsulated = parsed.pixelData?.encoding === 'encapsulated';
  if (encapsulated !== (coding !== 'native')) throw invalid('The form of the pixel data contradicts the transfer syntax');
  if (coding === 'native') return nativeFrame(parsed, description, frameBytes, frameIndex);

  const codestream = coding === 'rle' ? undefined : codestreamOf(frameBytes, coding);
  if (codestream !== undefined) checkCodestream(codestream, description);
  const decoded = await codec.decode(codestream === undefined ? frameBytes : frameBytes.subarray(codestream.start), transferSyntaxUid, description);
  return frameOf(decoded, description, codestream);
}

function checkCodestream(codestream: Codestream, description: PixelDescription): void {
  if (codestream.rows !== description.rows || codestream.columns !== description.columns) throw invalid('The compressed image has another size than its description');
  if (codestream.components !== description.samplesPerPixel) throw invalid('The compressed image has another number of components than its description');
}

function frameOf(decoded: DecodedFrame, description: PixelDescription, codestream: Codestream | undefined): PixelFrame {
  const { rows, columns, samplesPerPixel } = description;
  const count = rows * columns * samplesPerPixel;
  if (decoded.data.length < (count * decoded.bitsAllocated) / 8) throw new AppError('pixel-data-undecodable', { detail: 'The decoder gave too few pixels' });
  // JPEG 2000 carries sign and depth of its own; where the data set disagrees, the codestream is right.
  const signed = codestream?.signed === true || description.signed;
  const [bitsStored, highBit] = storedBits(description, codestream, decoded.bitsAllocated);
  let pixels = samplesOf(decoded.data, count, { bits: decoded.bitsAllocated, signed, kind: 'integer' }, true);
  pixels = fitStoredBits(pixels, { bitsAllocated: decoded.bitsAllocated, bitsStored, highBit, signed });
  if (samplesPerPixel === 3 && (decoded.planar === 1 || codestream?.byPlane === true)) pixels = byPixel(pixels);
  return finish(pixels, description, bitsStored, signed, codestream === undefined ? isYbr(description.photometric) : codestream.isYbr(description.photometric));
}

/** JPEG 2000 knows its depth; a JPEG of more bits than are stored carries sign or overlay bits above them. */
function storedBits(description: PixelDescription, codestream: Codestream | undefined, bitsAllocated: number): [bitsStored: number, highBit: number] {
  if (codestream === undefined) return [description.bitsStored, description.highBit];
  if (codestream.kind === 'jpeg' && codestream.precision > description.bitsStored) return [description.bitsStored, description.highBit];
  const bits = Math.min(codestream.precision, bitsAllocated);
  return [bits, bits - 1];
}

function nativeFrame(parsed: ParsedInstance, description: PixelDescription, bytes: Uint8Array, frameIndex: number): PixelFrame {
  const { rows, columns, samplesPerPixel, bitsAllocated, bitsStored, signed, kind } = description;
  const count = rows * columns * samplesPerPixel;
  const { littleEndian } = parsed.encoding;
  if (bitsAllocated === 1) return finish(bitsOfFrame(bytes, count, (frameIndex * count) % 8), description, 1, false, false);
  // Bytes written as words come swapped in big endian. PS3.5 §8.1.1
  const ordered = bitsAllocated === 8 && !littleEndian && parsed.pixelData?.vr === 'OW' ? swappedPairs(bytes) : bytes;
  if (is422(parsed, description)) {
    if (bitsAllocated !== 8) throw invalid('YBR_FULL_422 needs 8 bits');
    if (ordered.length < rows * columns * 2) throw invalid('The frame is shorter than its description');
    return finish(upsampled422(ordered, rows * columns), description, bitsStored, false, true);
  }
  if (ordered.length < (count * bitsAllocated) / 8) throw invalid('The frame is shorter than its description');
  let pixels = samplesOf(ordered, count, { bits: bitsAllocated, signed, kind }, littleEndian);
  if (kind === 'integer') pixels = fitStoredBits(pixels, description);
  if (samplesPerPixel === 3 && description.planar === 1) pixels = byPixel(pixels);
  return finish(pixels, description, bitsStored, signed, isYbr(description.photometric));
}

function finish(pixels: PixelArray, description: PixelDescription, bitsStored: number, signed: boolean, ybr: boolean): PixelFrame {
  const { rows, columns, samplesPerPixel, photometric } = description;
  if (samplesPerPixel === 1) return { rows, columns, samplesPerPixel, pixels, photometric, bitsStored, signed };
  const rgb = ybr ? ybrToRgb(pixels, bitsStored, photometric === 'YBR_PARTIAL_422') : pixels;
  return { rows, columns, samplesPerPixel: 3, pixels: rgb, photometric: 'RGB', bitsStored, signed };
}

/** RRR…GGG…BBB… to RGBRGB… */
export function byPixel(planes: PixelArray): PixelArray {
  const out = planes.slice();
  const count = planes.length / 3;
  for (let sample = 0; sample < 3; sample++) {
    for (let i = 0, from = sample * count, to = sample; i < count; i++, from++, to += 3) out[to] = planes[from] ?? 0;
  }
  return out;
}

function swappedPairs(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length);
  for (let i = 0; i + 1 < bytes.length; i += 2) {
    out[i] = bytes[i + 1] ?? 0;
    out[i + 1] = bytes[i] ?? 0;
  }
  return out;
}

function invalid(detail: string): AppError {
  return new AppError('invalid-pixel-data', { detail });
}
