import codecs from 'dcmjs-codecs';
import { AppError } from '../../kernel/errors.js';
import type { Codec, DecodedFrame, PixelDescription } from '../../imaging/dicom/pixels.js';
import type { Encoder } from '../../imaging/dicom/transcode-frame.js';
import { pixelCodingOf, RLE_LOSSLESS, type PixelCoding } from '../../imaging/dicom/transfer-syntax.js';

const { Context, NativeCodecs } = codecs;

const DECODERS = {
  rle: 'decodeRle',
  jpeg: 'decodeJpeg',
  'jpeg-ls': 'decodeJpegLs',
  'jpeg-2000': 'decodeJpeg2000',
  htj2k: 'decodeHtJpeg2000',
} as const satisfies Record<Exclude<PixelCoding, 'native'>, keyof typeof NativeCodecs>;

/** Whose output other decoders read alike, each with what makes it lossless. */
const ENCODERS: Record<string, { encode: 'encodeRle' | 'encodeJpeg' | 'encodeJpegLs' | 'encodeJpeg2000' | 'encodeHtJpeg2000'; maxBits: number }> = {
  [RLE_LOSSLESS]: { encode: 'encodeRle', maxBits: 32 },
  '1.2.840.10008.1.2.4.70': { encode: 'encodeJpeg', maxBits: 16 },
  '1.2.840.10008.1.2.4.80': { encode: 'encodeJpegLs', maxBits: 16 },
  '1.2.840.10008.1.2.4.90': { encode: 'encodeJpeg2000', maxBits: 16 },
  '1.2.840.10008.1.2.4.91': { encode: 'encodeJpeg2000', maxBits: 16 },
  '1.2.840.10008.1.2.4.201': { encode: 'encodeHtJpeg2000', maxBits: 16 },
  '1.2.840.10008.1.2.4.203': { encode: 'encodeHtJpeg2000', maxBits: 16 },
};

/** A refused frame leaves its buffers behind in the module's memory; after so many bytes the module is made anew. */
const MAX_LEFT_BEHIND_BYTES = 256 * 1024 * 1024;
/** WebAssembly memory never shrinks: after a frame this large the module is made anew too. */
const LARGE_FRAME_BYTES = 24 * 1024 * 1024;

let ready: Promise<void> | undefined;
let leftBehindBytes = 0;

/** Compiles the WebAssembly module at the first call of a thread (about 0.1 s). */
function initialized(): Promise<void> {
  ready ??= NativeCodecs.initializeAsync({ logCodecsInfo: false, logCodecsTrace: false });
  return ready;
}

function discard(): void {
  ready = undefined;
  leftBehindBytes = 0;
  NativeCodecs.release();
}

/**
 * The `Codec` port over dcmjs-codecs: libjpeg (8, 12 and 16 bit, lossless), CharLS, OpenJPEG, OpenJPH and its own RLE, all
 * WebAssembly, so that a hostile frame can at worst break the sandbox of its thread.
 */
export const nativeCodec: Codec = {
  async decode(frame: Uint8Array, transferSyntaxUid: string, description: PixelDescription): Promise<DecodedFrame> {
    const coding = pixelCodingOf(transferSyntaxUid);
    if (coding === undefined || coding === 'native') throw new AppError('unsupported-transfer-syntax');
    await initialized();
    const { rows, columns, samplesPerPixel, bitsAllocated } = description;
    try {
      const context = contextOf(description, { encodedBuffer: frame });
      const decoded = NativeCodecs[DECODERS[coding]](context, { convertColorspaceToRgb: false });
      const data = decoded.getDecodedBuffer();
      if (data === undefined) throw new Error('no pixels');
      if (data.length >= LARGE_FRAME_BYTES) discard();
      return { rows, columns, samplesPerPixel, bitsAllocated: decoded.getBitsAllocated() ?? bitsAllocated, planar: 0, data };
    } catch (error) {
      // A codec that says no throws a plain Error; a trap leaves the memory in any state.
      leftBehindBytes += frame.length + (rows * columns * samplesPerPixel * bitsAllocated) / 8;
      if (isTrap(error) || leftBehindBytes >= MAX_LEFT_BEHIND_BYTES) discard();
      throw new AppError('pixel-data-undecodable', { cause: error });
    }
  },
};

/** The `Encoder` port over the same codecs. */
export const nativeEncoder: Encoder = {
  async encode(samples, transferSyntaxUid, description): Promise<Uint8Array> {
    const { bitsAllocated } = description;
    const encoder = Object.hasOwn(ENCODERS, transferSyntaxUid) ? ENCODERS[transferSyntaxUid] : undefined;
    if (encoder === undefined || bitsAllocated > encoder.maxBits) throw new AppError('unsupported-transfer-syntax');
    await initialized();
    try {
      const context = contextOf(description, { decodedBuffer: samples });
      const encoded = NativeCodecs[encoder.encode](context, { lossy: false }).getEncodedBuffer();
      if (encoded === undefined) throw new Error('no codestream');
      if (samples.length >= LARGE_FRAME_BYTES) discard();
      return encoded;
    } catch (error) {
      leftBehindBytes += 2 * samples.length;
      if (isTrap(error) || leftBehindBytes >= MAX_LEFT_BEHIND_BYTES) discard();
      throw new AppError('unsupported-transfer-syntax', { detail: 'These pixels cannot be compressed in this way', cause: error });
    }
  },
};

/** What the codecs are told of a frame, and its bytes on the side that is given. */
function contextOf(
  { rows, columns, samplesPerPixel, bitsAllocated, bitsStored, signed, photometric }: Parameters<Encoder['encode']>[2], buffer: { encodedBuffer: Uint8Array } | { decodedBuffer: Uint8Array },
): InstanceType<typeof Context> {
  return new Context({
    width: columns,
    height: rows,
    bitsAllocated,
    bitsStored,
    samplesPerPixel,
    pixelRepresentation: signed ? 1 : 0,
    planarConfiguration: 0,
    photometricInterpretation: photometric,
    ...buffer,
  });
}

function isTrap(error: unknown): boolean {
  return error instanceof Error && (error.name === 'RuntimeError' || error.name === 'RangeError');
}
