import { AppError } from '../../kernel/errors.js';
import { isYbr } from './colour.js';
import type { PixelCoding } from './transfer-syntax.js';

/** What a compressed frame says of itself. Checked against the data set before a decoder sees the frame. */
export interface Codestream {
  kind: 'jpeg' | 'jpeg-2000';
  /** Where the codestream begins; behind the boxes when a JP2 file was embedded. */
  start: number;
  rows: number;
  columns: number;
  components: number;
  precision: number;
  signed: boolean;
  /** JPEG-LS with one scan a component, which decoders give back plane by plane. */
  byPlane: boolean;
  /** Whether the decoded components are still YCbCr. */
  isYbr(photometric: string): boolean;
}

/**
 * Reads the header of a JPEG, JPEG-LS or JPEG 2000 codestream.
 *
 * @throws AppError `pixel-data-undecodable` when the frame is not of that kind
 */
export function codestreamOf(frame: Uint8Array, coding: PixelCoding): Codestream {
  return coding === 'jpeg-2000' || coding === 'htj2k' ? jpeg2000(frame) : jpeg(frame);
}

/** @see ITU-T T.81 Annex B, T.87 Annex C */
function jpeg(frame: Uint8Array): Codestream {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (frame[0] !== 0xff || frame[1] !== 0xd8) throw undecodable('The frame does not begin like a JPEG image');
  let at = 2;
  let jfif = false;
  let adobe: number | undefined;
  while (at + 4 <= frame.length) {
    if (frame[at] !== 0xff) throw undecodable('The JPEG header is damaged');
    const marker = frame[at + 1] ?? 0;
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    const length = view.getUint16(at + 2);
    const body = at + 4;
    if (length < 2 || at + 2 + length > frame.length) break;
    if (marker === 0xe0 && ascii(frame, body, 4) === 'JFIF') jfif = true;
    // A shortened Adobe segment, as one writer makes them, says nothing of the colour transform.
    if (marker === 0xee && length >= 14 && ascii(frame, body, 5) === 'Adobe') adobe = frame[body + 11];
    if (isStartOfFrame(marker)) return jpegFrame(frame, view, body, length - 2, { jfif, adobe });
    if (marker === 0xda || marker === 0xd9) break;
    at += 2 + length;
  }
  throw undecodable('The JPEG header is not complete');
}

/** SOF0–SOF15 but DHT, JPG and DAC, which share the range; SOF55 is JPEG-LS. */
function isStartOfFrame(marker: number): boolean {
  return marker === 0xf7 || (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc);
}

function jpegFrame(frame: Uint8Array, view: DataView, body: number, length: number, marks: { jfif: boolean; adobe: number | undefined }): Codestream {
  const components = frame[body + 5] ?? 0;
  if (length < 6 + 3 * components) throw undecodable('The JPEG header is damaged');
  const identifiers: number[] = [];
  let subsampled = false;
  for (let i = 0; i < components; i++) {
    identifiers.push(frame[body + 6 + 3 * i] ?? 0);
    if (frame[body + 7 + 3 * i] !== frame[body + 7]) subsampled = true;
  }
  const named = String.fromCharCode(...identifiers) === 'RGB';
  return {
    kind: 'jpeg',
    start: 0,
    precision: frame[body] ?? 0,
    rows: view.getUint16(body + 1),
    columns: view.getUint16(body + 3),
    components,
    signed: false,
    byPlane: frame[body - 3] === 0xf7 && components > 1 && componentsOfFirstScan(frame, view, body + length) === 1,
    // What the codestream itself declares goes before what the data set claims: conversions often forget the latter.
    isYbr: (photometric) => {
      if (components !== 3) return false;
      if (marks.adobe !== undefined) return marks.adobe !== 0;
      if (marks.jfif) return true;
      if (named) return false;
      return subsampled || isYbr(photometric);
    },
  };
}

function componentsOfFirstScan(frame: Uint8Array, view: DataView, from: number): number | undefined {
  let at = from;
  while (at + 5 <= frame.length && frame[at] === 0xff) {
    if (frame[at + 1] === 0xda) return frame[at + 4];
    at += 2 + view.getUint16(at + 2);
  }
  return undefined;
}

/** @see ITU-T T.800 Annex A (markers) and I (JP2) */
function jpeg2000(frame: Uint8Array): Codestream {
  const start = startOfJpeg2000(frame);
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  // SOC, then SIZ: marker 2, Lsiz 2, Rsiz 2, Xsiz 4, Ysiz 4, XOsiz 4, YOsiz 4, tile 16, Csiz 2, then 3 a component.
  if (start + 45 > frame.length || view.getUint16(start) !== 0xff4f || view.getUint16(start + 2) !== 0xff51) throw undecodable('The JPEG 2000 header is damaged');
  const components = view.getUint16(start + 40);
  const depth = frame[start + 42] ?? 0;
  const multiComponentTransform = hasMultiComponentTransform(frame, view, start + 4 + view.getUint16(start + 4));
  return {
    kind: 'jpeg-2000',
    start,
    columns: view.getUint32(start + 8) - view.getUint32(start + 16),
    rows: view.getUint32(start + 12) - view.getUint32(start + 20),
    components,
    precision: (depth & 0x7f) + 1,
    byPlane: false,
    signed: (depth & 0x80) !== 0,
    // The decoder undoes RCT and ICT itself.
    isYbr: (photometric) => components === 3 && !multiComponentTransform && isYbr(photometric) && photometric !== 'YBR_RCT' && photometric !== 'YBR_ICT',
  };
}

function startOfJpeg2000(frame: Uint8Array): number {
  if (frame[0] === 0xff) return 0;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  let at = 0;
  while (at + 8 <= frame.length) {
    const length = view.getUint32(at);
    if (ascii(frame, at + 4, 4) === 'jp2c') return at + (length === 1 ? 16 : 8);
    if (length < 8) break;
    at += length;
  }
  throw undecodable('The frame holds no JPEG 2000 codestream');
}

/** Reads the COD segment of the main header. */
function hasMultiComponentTransform(frame: Uint8Array, view: DataView, from: number): boolean {
  let at = from;
  while (at + 10 <= frame.length) {
    const marker = view.getUint16(at);
    if (marker === 0xff52) return frame[at + 8] === 1;
    if (marker === 0xff90 || marker >> 8 !== 0xff) return false;
    at += 2 + view.getUint16(at + 2);
  }
  return false;
}

function ascii(bytes: Uint8Array, from: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(from, from + length));
}

function undecodable(detail: string): AppError {
  return new AppError('pixel-data-undecodable', { detail });
}
