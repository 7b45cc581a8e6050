import sharp from 'sharp';
import { AppError } from '../../kernel/errors.js';
import { parseInstanceBytes, type ParsedInstance } from '../../imaging/dicom/header.js';
import type { DicomJson } from '../../imaging/dicom/dicom-json.js';
import { frameAttributes } from '../../imaging/dicom/functional-groups.js';
import { decodeFrame, frameLocation, type PixelFrame } from '../../imaging/dicom/pixels.js';
import { transcodeFrame, type StoredFrame } from '../../imaging/dicom/transcode-frame.js';
import { inflateDataSet } from '../../imaging/dicom/inflate.js';
import { overlayHeatMap, type HeatMap } from '../../imaging/render/overlay.js';
import { fitWithin, resize } from '../../imaging/render/resize.js';
import { applyViewport, type Viewport } from '../../imaging/render/viewport.js';
import { toDisplay, type DisplayImage, type Window } from '../../imaging/render/window.js';
import { sidesOf } from '../../imaging/render/orientation.js';
import type { SegmentPlane } from '../../imaging/render/segments.js';
import { unpackSlice, type PackedSegmentation } from '../../imaging/volume/packed-labels.js';
import { nativeCodec, nativeEncoder } from './codecs.js';
import type { PreviewLegend } from './legend.js';
import { drawPreview } from './preview.js';

/** A whole file, or the header that was read from one with the bytes of the frame alone (for objects of many frames). */
export type FrameSource = Uint8Array | { parsed: ParsedInstance; frameBytes: Uint8Array };

export interface RenderOptions {
  /** From 0. */
  frame: number;
  /** Instead of the object's own window, in modality units. */
  window?: Window;
  maxWidth?: number;
  maxHeight?: number;
  /** Instead of a largest size. */
  viewport?: Viewport;
  heatMap?: HeatMap;
  format: 'png' | 'jpeg';
  /** 1–100, JPEG only. */
  quality?: number;
}

export interface PreviewOptions {
  /** From 0. */
  frame: number;
  heatMap?: HeatMap;
  segmentation?: PreviewSegmentation;
  /** Null for the image alone, as JPEG. */
  legend: PreviewLegend | null;
}

/** The stored label map, and what of it is shown. */
export interface PreviewSegmentation extends Pick<PackedSegmentation, 'slices' | 'grid' | 'packed'> {
  slice: number;
  segments: SegmentPlane['segments'];
}

/** Samples `[row, column, channel]`. */
export interface RasterImage {
  pixels: Uint8Array | Uint16Array;
  width: number;
  height: number;
  channels: 1 | 3;
  bits: 8 | 16;
}

/** Lookup tables of 65,536 words are needed for rendering; headers read for indexing leave them out. */
const LOOKUP_TABLE_BYTES = 256 * 1024;
const MAX_IMAGE_PIXELS = 256 * 1024 * 1024;

// One image at a time in each thread: parallelism is the pool's affair, and a cache would only hold patients' images.
sharp.concurrency(1);
sharp.cache(false);

interface LocatedFrame {
  parsed: ParsedInstance;
  frameBytes: Uint8Array;
}

function locate(source: FrameSource, frame: number): LocatedFrame {
  if (!(source instanceof Uint8Array)) return source;
  const parsed = parseInstanceBytes(source, { inlineBinaryLimit: LOOKUP_TABLE_BYTES });
  const ranges = frameLocation(parsed, frame);
  const bytes = parsed.inflated ?? source;
  const [only] = ranges;
  if (ranges.length === 1 && only !== undefined) return { parsed, frameBytes: bytes.subarray(only.offset, only.offset + only.length) };
  return { parsed, frameBytes: Buffer.concat(ranges.map(({ offset, length }) => bytes.subarray(offset, offset + length))) };
}

export async function decode(source: FrameSource, frame: number): Promise<PixelFrame> {
  const { parsed, frameBytes } = locate(source, frame);
  return decodeFrame(parsed, frameBytes, nativeCodec, frame);
}

/** One frame in another transfer syntax. */
export async function transcode(source: FrameSource, frame: number, transferSyntaxUid: string): Promise<StoredFrame> {
  const { parsed, frameBytes } = locate(source, frame);
  return transcodeFrame(parsed, frameBytes, frame, transferSyntaxUid, { ...nativeCodec, ...nativeEncoder });
}

/** The data set of a deflated file. */
export function inflate(deflated: Uint8Array, maxBytes: number): Uint8Array {
  return inflateDataSet(deflated, maxBytes);
}

export async function render(source: FrameSource, options: RenderOptions): Promise<Buffer> {
  const { image } = await display(source, options);
  const { width, height } = fitWithin(image.width, image.height, options.maxWidth, options.maxHeight);
  const sized = options.viewport === undefined ? resize(image, width, height) : applyViewport(image, options.viewport);
  return encode(options.heatMap === undefined ? sized : overlayHeatMap(sized, options.heatMap), options);
}

/** A frame with its heat map and legend, as PNG. */
export async function preview(source: FrameSource, { frame, heatMap, segmentation, legend }: PreviewOptions): Promise<Buffer> {
  const { image, attributes } = await display(source, { frame });
  return drawPreview({ image, heatMap, segments: segmentation && planeOf(segmentation), legend, sides: sidesOf(attributes) });
}

/** undefined where the slice shows nothing that was segmented. */
function planeOf({ slices, grid, packed, slice, segments }: PreviewSegmentation): SegmentPlane | undefined {
  const labels = unpackSlice({ slices, grid, packed }, slice);
  return labels && { width: grid.size[0], height: grid.size[1], labels, segments };
}

async function display(source: FrameSource, { frame, window }: Pick<RenderOptions, 'frame' | 'window'>): Promise<{ image: DisplayImage; attributes: DicomJson }> {
  const { parsed, frameBytes } = locate(source, frame);
  const pixels = await decodeFrame(parsed, frameBytes, nativeCodec, frame);
  const attributes = frameAttributes(parsed.attributes, frame);
  return { image: toDisplay(pixels, attributes, window === undefined ? {} : { window }), attributes };
}

async function encode(image: DisplayImage, { format, quality }: RenderOptions): Promise<Buffer> {
  const { width, height, channels } = image;
  const raster = sharp(image.data, { raw: { width, height, channels } });
  if (channels === 1) raster.toColourspace('b-w');
  return format === 'png' ? raster.png({ compressionLevel: 6 }).toBuffer() : raster.jpeg({ quality: quality ?? 90, chromaSubsampling: '4:4:4' }).toBuffer();
}

/**
 * Decodes a PNG or JPEG picture of an X-ray; alpha is dropped, palettes are expanded, colour profiles are ignored
 * (the grey levels are data, not a look).
 */
export async function readImage(bytes: Uint8Array): Promise<RasterImage> {
  // Looked at before libvips is: it would also load SVG and whatever else it was built with.
  if (!isPng(bytes) && !isJpeg(bytes)) throw new AppError('invalid-image', { detail: 'Only PNG and JPEG images are read' });
  try {
    const source = sharp(bytes, { limitInputPixels: MAX_IMAGE_PIXELS, ignoreIcc: true, failOn: 'error', autoOrient: true });
    const { depth, channels: sourceChannels, width, height, hasAlpha } = await source.metadata();
    if (width * height > MAX_IMAGE_PIXELS) throw new AppError('image-too-large');
    const wide = depth === 'ushort';
    const grey = sourceChannels - (hasAlpha ? 1 : 0) === 1;
    const pipeline = source.removeAlpha().toColourspace(grey ? (wide ? 'grey16' : 'b-w') : wide ? 'rgb16' : 'srgb').raw({ depth: wide ? 'ushort' : 'uchar' });
    const { data, info } = await pipeline.toBuffer({ resolveWithObject: true });
    if (info.channels !== 1 && info.channels !== 3) throw new AppError('invalid-image', { detail: `${String(info.channels)} channels` });
    // Copied out of the pool of buffers, so that the pixels can move to the caller.
    const copy = new Uint8Array(data);
    return { pixels: wide ? new Uint16Array(copy.buffer) : copy, width: info.width, height: info.height, channels: info.channels, bits: wide ? 16 : 8 };
  } catch (error) {
    if (error instanceof AppError) throw error;
    if (error instanceof Error && /pixel limit/i.test(error.message)) throw new AppError('image-too-large', { cause: error });
    throw new AppError('invalid-image', { cause: error });
  }
}

function isPng(bytes: Uint8Array): boolean {
  return bytes[0] === 0x89 && bytes[1] === 0x50 && bytes[2] === 0x4e && bytes[3] === 0x47;
}

function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff;
}
