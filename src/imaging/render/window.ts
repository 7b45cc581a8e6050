import { number, numbers, sequence, text } from '../dicom/attributes.js';
import type { DicomJson } from '../dicom/dicom-json.js';
import type { PixelArray, PixelFrame } from '../dicom/pixels.js';
import { lookUp, readLookupTable } from './lookup-table.js';
import { expandPalette } from './palette.js';

/** 8 bits a channel, row by row; grey where larger is brighter. */
export interface DisplayImage {
  width: number;
  height: number;
  channels: 1 | 3;
  data: Uint8Array;
}

/** In modality units (Hounsfield units for CT). */
export interface Window {
  center: number;
  width: number;
  /** @see PS3.3 C.11.2.1.2, C.11.2.1.3 */
  shape?: 'LINEAR' | 'LINEAR_EXACT' | 'SIGMOID';
}

export interface DisplayOptions {
  window?: Window;
}

type Transform = (value: number) => number;

/**
 * Stored values as modality values, `[row, column]`: Hounsfield units for CT, or what Rescale Type names.
 * Pass `frameAttributes(…)` for enhanced multi-frame objects.
 *
 * @throws AppError `invalid-dicom` for a damaged modality LUT
 * @see PS3.3 C.11.1
 */
export function modalityValues(frame: PixelFrame, attributes: DicomJson): Float32Array {
  const transform = modalityTransform(frame, attributes);
  const values = Float32Array.from(frame.pixels);
  if (transform !== undefined) for (let i = 0; i < values.length; i++) values[i] = transform(values[i] ?? 0);
  return values;
}

/** Undefined when the stored values are the modality values. */
function modalityTransform(frame: PixelFrame, attributes: DicomJson): Transform | undefined {
  const item = sequence(attributes, 'ModalityLUTSequence')[0];
  if (item !== undefined) {
    const table = readLookupTable(item, 'LUTDescriptor', 'LUTData', frame.signed);
    return (value) => lookUp(table, value);
  }
  const slope = number(attributes, 'RescaleSlope') ?? 1;
  const intercept = number(attributes, 'RescaleIntercept') ?? 0;
  // A slope of 0 would erase the image; no writer means it.
  if (slope === 0 || (slope === 1 && intercept === 0)) return undefined;
  return (value) => value * slope + intercept;
}

/**
 * A frame as a screen shows it: modality LUT, VOI LUT or window, presentation shape, palette.
 * An 8-bit MONOCHROME2 image without VOI attributes comes out unchanged.
 *
 * @param options.window  instead of the object's own
 * @throws AppError `invalid-dicom` for damaged lookup tables
 * @see PS3.3 C.11.1, C.11.2, C.11.6; PS3.4 N.2
 */
export function toDisplay(frame: PixelFrame, attributes: DicomJson, options: DisplayOptions = {}): DisplayImage {
  const size = { width: frame.columns, height: frame.rows };
  if (frame.samplesPerPixel === 3) return { ...size, channels: 3, data: colourBytes(frame) };
  if (frame.photometric === 'PALETTE COLOR') return { ...size, channels: 3, data: expandPalette(frame, attributes) };
  const modality = modalityTransform(frame, attributes);
  const voi = voiTransform(frame, attributes, modality, options.window);
  const inverse = frame.photometric === 'MONOCHROME1' || text(attributes, 'PresentationLUTShape') === 'INVERSE';
  const toByte = (stored: number): number => {
    const level = Math.round(voi(modality === undefined ? stored : modality(stored)));
    const byte = level <= 0 ? 0 : level >= 255 ? 255 : level;
    return inverse ? 255 - byte : byte;
  };
  return { ...size, channels: 1, data: mapped(frame.pixels, toByte) };
}

/** Images with more pixels than they have levels go through a table of the levels, which is many times faster. */
function mapped(pixels: PixelArray, toByte: Transform): Uint8Array {
  const out = new Uint8Array(pixels.length);
  const levels = 256 ** pixels.BYTES_PER_ELEMENT;
  if (levels <= out.length) {
    const offset = pixels instanceof Int8Array ? 128 : pixels instanceof Int16Array ? 32_768 : 0;
    const table = new Uint8Array(levels);
    for (let i = 0; i < levels; i++) table[i] = toByte(i - offset);
    for (let i = 0; i < out.length; i++) out[i] = table[(pixels[i] ?? 0) + offset] ?? 0;
    return out;
  }
  for (let i = 0; i < out.length; i++) out[i] = toByte(pixels[i] ?? 0);
  return out;
}

/** Modality values to 0–255, not yet rounded or clamped. */
function voiTransform(frame: PixelFrame, attributes: DicomJson, modality: Transform | undefined, wanted: Window | undefined): Transform {
  const window = wanted ?? declaredWindow(attributes);
  if (window !== undefined) return windowTransform(window);
  const item = sequence(attributes, 'VOILUTSequence')[0];
  if (item !== undefined) {
    const table = readLookupTable(item, 'LUTDescriptor', 'LUTData', frame.signed || modality !== undefined);
    const scale = 255 / (2 ** table.bits - 1);
    return (value) => lookUp(table, value) * scale;
  }
  if (modality === undefined && !frame.signed && frame.bitsStored === 8 && frame.pixels instanceof Uint8Array) return (value) => value;
  // Masks of one bit show black and white.
  if (frame.bitsStored === 1) return (value) => value * 255;
  return windowTransform(defaultWindow(frame, attributes, modality));
}

/** The object's first window, if it has a usable one. */
export function declaredWindow(attributes: DicomJson): Window | undefined {
  const center = numbers(attributes, 'WindowCenter')[0];
  const width = numbers(attributes, 'WindowWidth')[0];
  if (center === undefined || width === undefined || width <= 0) return undefined;
  const shape = text(attributes, 'VOILUTFunction');
  return { center, width, shape: shape === 'SIGMOID' || shape === 'LINEAR_EXACT' ? shape : 'LINEAR' };
}

/** @see PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID), C.11.2.1.3.2 (LINEAR_EXACT) */
export function windowTransform({ center, width, shape = 'LINEAR' }: Window): Transform {
  if (shape === 'SIGMOID') return (value) => 255 / (1 + Math.exp((-4 * (value - center)) / width));
  // LINEAR is undefined below a width of 1; scaled float data carry such windows and mean the exact form.
  if (shape === 'LINEAR_EXACT' || width < 1) return (value) => ((value - center) / width + 0.5) * 255;
  if (width === 1) return (value) => (value <= center - 0.5 ? 0 : 255);
  return (value) => ((value - (center - 0.5)) / (width - 1) + 0.5) * 255;
}

const LOW_PERCENTILE = 0.001;
const HIGH_PERCENTILE = 0.999;
const HISTOGRAM_BINS = 4096;

/** Spans all but the outermost thousandths of the values, padding left aside. */
function defaultWindow(frame: PixelFrame, attributes: DicomJson, modality: Transform | undefined): Window {
  const isPadding = paddingTest(attributes);
  const { pixels } = frame;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let counted = 0;
  for (const value of pixels) {
    if (isPadding(value) || !Number.isFinite(value)) continue;
    if (value < min) min = value;
    if (value > max) max = value;
    counted++;
  }
  if (counted === 0 || min === max) return { center: counted === 0 ? 0 : (modality?.(min) ?? min), width: 1, shape: 'LINEAR_EXACT' };
  const bins = new Uint32Array(HISTOGRAM_BINS);
  const perBin = (max - min) / HISTOGRAM_BINS;
  for (const value of pixels) {
    if (isPadding(value) || !Number.isFinite(value)) continue;
    const bin = Math.min(Math.floor((value - min) / perBin), HISTOGRAM_BINS - 1);
    bins[bin] = (bins[bin] ?? 0) + 1;
  }
  const edge = (share: number): number => {
    let sum = 0;
    for (let bin = 0; bin < HISTOGRAM_BINS; bin++) {
      sum += bins[bin] ?? 0;
      if (sum >= share * counted) return bin;
    }
    return HISTOGRAM_BINS - 1;
  };
  const low = min + edge(LOW_PERCENTILE) * perBin;
  const high = min + (edge(HIGH_PERCENTILE) + 1) * perBin;
  const [a, b] = [modality?.(low) ?? low, modality?.(high) ?? high];
  return { center: (a + b) / 2, width: Math.max(Math.abs(b - a), Number.EPSILON), shape: 'LINEAR_EXACT' };
}

/** @see PS3.3 C.7.5.1.1.2 */
function paddingTest(attributes: DicomJson): (stored: number) => boolean {
  const value = number(attributes, 'PixelPaddingValue');
  if (value === undefined) return () => false;
  const limit = number(attributes, 'PixelPaddingRangeLimit') ?? value;
  const [low, high] = [Math.min(value, limit), Math.max(value, limit)];
  return (stored) => stored >= low && stored <= high;
}

function colourBytes(frame: PixelFrame): Uint8Array {
  if (frame.pixels instanceof Uint8Array) return frame.pixels;
  const scale = 255 / (2 ** frame.bitsStored - 1);
  return Uint8Array.from(frame.pixels, (value) => Math.round(Math.min(Math.max(value * scale, 0), 255)));
}
