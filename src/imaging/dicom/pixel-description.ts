import { AppError } from '../../kernel/errors.js';
import { number, text } from './attributes.js';
import type { ParsedInstance } from './header.js';

/** Image Pixel module. @see PS3.3 C.7.6.3 */
export interface PixelDescription {
  rows: number;
  columns: number;
  samplesPerPixel: number;
  bitsAllocated: number;
  bitsStored: number;
  highBit: number;
  signed: boolean;
  photometric: string;
  /** 0: colour by pixel, 1: colour by plane. */
  planar: 0 | 1;
  numberOfFrames: number;
  kind: 'integer' | 'float' | 'double';
}

const MAX_PIXELS_PER_FRAME = 256 * 1024 * 1024;
const MONOCHROME = new Set(['MONOCHROME1', 'MONOCHROME2', 'PALETTE COLOR']);
const COLOUR = new Set(['RGB', 'YBR_FULL', 'YBR_FULL_422', 'YBR_RCT', 'YBR_ICT', 'YBR_PARTIAL_422']);

/**
 * The Image Pixel module, checked.
 *
 * @throws AppError `no-pixel-data`, `invalid-pixel-data`, `image-too-large`, `unsupported-photometric`
 */
export function describePixels(parsed: ParsedInstance): PixelDescription {
  const { attributes, pixelData } = parsed;
  if (pixelData === null) throw new AppError('no-pixel-data');
  const kind = pixelData.element === 'PixelData' ? 'integer' : pixelData.element === 'FloatPixelData' ? 'float' : 'double';
  const integer = (keyword: string, fallback?: number): number => {
    const value = number(attributes, keyword) ?? (attributes[TAGS[keyword] ?? '']?.Value === undefined ? fallback : undefined);
    if (value === undefined || !Number.isInteger(value) || value < 0) throw invalid(`${keyword} is missing or not valid`);
    return value;
  };
  const rows = integer('Rows');
  const columns = integer('Columns');
  if (rows === 0 || columns === 0) throw invalid('The image has no pixels');
  if (rows * columns > MAX_PIXELS_PER_FRAME) throw new AppError('image-too-large', { detail: `${String(columns)} × ${String(rows)} pixels in one frame` });
  const samplesPerPixel = integer('SamplesPerPixel', 1);
  const photometric = text(attributes, 'PhotometricInterpretation') ?? (samplesPerPixel === 3 ? 'RGB' : 'MONOCHROME2');
  const monochrome = MONOCHROME.has(photometric);
  if (!monochrome && !COLOUR.has(photometric)) throw new AppError('unsupported-photometric');
  if (samplesPerPixel !== (monochrome ? 1 : 3)) throw invalid('SamplesPerPixel does not fit the photometric interpretation');

  const numberOfFrames = integer('NumberOfFrames', 1);
  if (numberOfFrames === 0) throw invalid('NumberOfFrames is 0');
  const common = { rows, columns, samplesPerPixel, photometric, numberOfFrames, kind } as const;
  if (kind !== 'integer') {
    const bits = kind === 'float' ? 32 : 64;
    return { ...common, bitsAllocated: bits, bitsStored: bits, highBit: bits - 1, signed: true, planar: 0 };
  }
  const bitsAllocated = integer('BitsAllocated');
  if (![1, 8, 16, 32].includes(bitsAllocated)) throw invalid(`${String(bitsAllocated)} bits allocated are not supported`);
  const bitsStored = integer('BitsStored', bitsAllocated);
  const highBit = integer('HighBit', bitsStored - 1);
  if (bitsStored === 0 || bitsStored > bitsAllocated || highBit >= bitsAllocated || highBit + 1 < bitsStored) throw invalid('The bit depths contradict each other');
  const planar = samplesPerPixel === 3 && integer('PlanarConfiguration', 0) === 1 ? 1 : 0;
  return { ...common, bitsAllocated, bitsStored, highBit, signed: integer('PixelRepresentation', 0) === 1, planar };
}

const TAGS: Record<string, string> = {
  SamplesPerPixel: '00280002',
  NumberOfFrames: '00280008',
  BitsStored: '00280101',
  HighBit: '00280102',
  PixelRepresentation: '00280103',
  PlanarConfiguration: '00280006',
};

/** Frames of the object. Throws as describePixels does. */
export function frameCount(parsed: ParsedInstance): number {
  return describePixels(parsed).numberOfFrames;
}

/** Uncompressed 4:2:2 has two samples a pixel, unless the sender upsampled and kept the name. */
export function is422(parsed: ParsedInstance, description: PixelDescription): boolean {
  if (description.photometric !== 'YBR_FULL_422' && description.photometric !== 'YBR_PARTIAL_422') return false;
  const { pixelData } = parsed;
  if (pixelData?.encoding !== 'native') return false;
  return pixelData.length < description.rows * description.columns * 3 * description.numberOfFrames * (description.bitsAllocated / 8);
}

function invalid(detail: string): AppError {
  return new AppError('invalid-pixel-data', { detail });
}
