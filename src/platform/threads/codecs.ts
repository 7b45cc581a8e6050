import codecs from 'dcmjs-codecs';
import { AppError } from '../../kernel/errors.js';
import type { Codec, DecodedFrame, PixelDescription } from '../../imaging/dicom/pixels.js';
import { pixelCodingOf, type PixelCoding } from '../../imaging/dicom/transfer-syntax.js';

const { Context, NativeCodecs } = codecs;

const DECODERS = {
  rle: 'decodeRle',
  jpeg: 'decodeJpeg',
  'jpeg-ls': 'decodeJpegLs',
  'jpeg-2000': 'decodeJpeg2000',
  htj2k: 'decodeHtJpeg2000',
} as const satisfies Record<Exclude<PixelCoding, 'native'>, keyof typeof NativeCodecs>;

let ready: Promise<void> | undefined;

/** Compiles the WebAssembly module at the first call of a thread (about 0.1 s). */
function initialized(): Promise<void> {
  ready ??= NativeCodecs.initializeAsync({ logCodecsInfo: false, logCodecsTrace: false });
  return ready;
}

/** Forgets a WebAssembly instance that trapped: its memory may be in any state. */
function discard(): void {
  ready = undefined;
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
    const { rows, columns, samplesPerPixel, bitsAllocated, bitsStored, signed, photometric } = description;
    try {
      const context = new Context({
        width: columns,
        height: rows,
        bitsAllocated,
        bitsStored,
        samplesPerPixel,
        pixelRepresentation: signed ? 1 : 0,
        planarConfiguration: 0,
        photometricInterpretation: photometric,
        encodedBuffer: frame,
      });
      const decoded = NativeCodecs[DECODERS[coding]](context, { convertColorspaceToRgb: false });
      const data = decoded.getDecodedBuffer();
      if (data === undefined) throw new Error('no pixels');
      return { rows, columns, samplesPerPixel, bitsAllocated: decoded.getBitsAllocated() ?? bitsAllocated, planar: 0, data };
    } catch (error) {
      discard();
      throw new AppError('pixel-data-undecodable', { cause: error });
    }
  },
};
