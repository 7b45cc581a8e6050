import { decodeText, stretchCount, type CharacterSet } from './charset.js';
import type { DicomJsonElement, DicomJsonValue, PersonName } from './dicom-json.js';

/** Bytes per unit of the VRs that DICOM JSON gives as base64. */
const BINARY_UNITS: Record<string, number> = { OB: 1, UN: 1, OW: 2, OF: 4, OL: 4, OD: 8, OV: 8 };

const NUMBER_WIDTHS: Record<string, number> = { US: 2, SS: 2, UL: 4, SL: 4, FL: 4, FD: 8, UV: 8, SV: 8, AT: 4 };
const CHARSET_VRS = new Set(['PN', 'SH', 'LO', 'UC', 'ST', 'LT', 'UT']);
const SINGLE_VALUE_VRS = new Set(['ST', 'LT', 'UT', 'UR']);
const BACKSLASH = 0x5c;
/** Decoding a stretch of a character set of its own takes as long as making four values. */
const PIECES_PER_STRETCH = 4;
/** Three component groups and the object around them. */
const PIECES_PER_NAME = 4;

export function isBinaryVr(vr: string): boolean {
  return vr in BINARY_UNITS;
}

/**
 * One element value in the DICOM JSON model. Bytes that do not fit the VR give what can be read; nothing is thrown.
 *
 * @see PS3.18 F.2.2, F.2.3
 */
export function decodeValue(bytes: Uint8Array, vr: string, littleEndian: boolean, charset: CharacterSet): DicomJsonElement {
  if (bytes.length === 0) return { vr };
  const unit = BINARY_UNITS[vr];
  if (unit !== undefined) return { vr, InlineBinary: base64(littleEndian || unit === 1 ? bytes : swapped(bytes, unit)) };
  const values = read(bytes, vr, littleEndian, charset);
  return values.length === 0 ? { vr } : { vr, Value: values };
}

/** The values that `decodeValue` makes of the bytes, and the stretches that it decodes apart: its cost beside the bytes. */
export function pieceCount(bytes: Uint8Array, vr: string, charset: CharacterSet): number {
  if (isBinaryVr(vr)) return 1;
  const width = NUMBER_WIDTHS[vr];
  if (width !== undefined) return Math.ceil(bytes.length / width);
  let values = 1;
  if (!SINGLE_VALUE_VRS.has(vr)) for (const byte of bytes) if (byte === BACKSLASH) values++;
  const pieces = vr === 'PN' ? PIECES_PER_NAME * values : values;
  return CHARSET_VRS.has(vr) ? pieces + PIECES_PER_STRETCH * stretchCount(bytes, charset) : pieces;
}

function read(bytes: Uint8Array, vr: string, little: boolean, charset: CharacterSet): DicomJsonValue[] {
  switch (vr) {
    case 'US':
      return fixed(bytes, 2, (view, at) => view.getUint16(at, little));
    case 'SS':
      return fixed(bytes, 2, (view, at) => view.getInt16(at, little));
    case 'UL':
      return fixed(bytes, 4, (view, at) => view.getUint32(at, little));
    case 'SL':
      return fixed(bytes, 4, (view, at) => view.getInt32(at, little));
    case 'FL':
      return fixed(bytes, 4, (view, at) => floating(view.getFloat32(at, little)));
    case 'FD':
      return fixed(bytes, 8, (view, at) => floating(view.getFloat64(at, little)));
    case 'UV':
      return fixed(bytes, 8, (view, at) => long(view.getBigUint64(at, little)));
    case 'SV':
      return fixed(bytes, 8, (view, at) => long(view.getBigInt64(at, little)));
    case 'AT':
      return fixed(bytes, 4, (view, at) =>
        (((view.getUint16(at, little) << 16) | view.getUint16(at + 2, little)) >>> 0).toString(16).toUpperCase().padStart(8, '0'));
    case 'PN':
      return split(decodeText(bytes, charset, true)).map((text) => (text === '' ? null : personNameOf(text)));
    case 'SH':
    case 'LO':
    case 'UC':
      return split(decodeText(bytes, charset)).map(nullIfEmpty);
    case 'ST':
    case 'LT':
    case 'UT': {
      const text = trimEnd(decodeText(bytes, charset));
      return text === '' ? [] : [text];
    }
    case 'UR': {
      const text = trimEnd(ascii(bytes));
      return text === '' ? [] : [text];
    }
    case 'DS':
      return split(ascii(bytes)).map((text) => numeric(text, /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/));
    case 'IS':
      return split(ascii(bytes)).map((text) => numeric(text, /^[+-]?\d+$/));
    default:
      return split(ascii(bytes)).map(nullIfEmpty);
  }
}

function fixed(bytes: Uint8Array, width: number, get: (view: DataView, at: number) => DicomJsonValue): DicomJsonValue[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values: DicomJsonValue[] = [];
  for (let at = 0; at + width <= bytes.length; at += width) values.push(get(view, at));
  return values;
}

/** JSON has no NaN; PS3.18 F.2.3 writes these as strings. */
function floating(value: number): number | string {
  if (Number.isFinite(value)) return value;
  return Number.isNaN(value) ? 'NaN' : value > 0 ? 'inf' : '-inf';
}

function long(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
}

function ascii(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** Padding: NUL for UI, space for the rest; senders mix them up. */
function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && (text.charCodeAt(end - 1) === 0x20 || text.charCodeAt(end - 1) === 0)) end--;
  return end === text.length ? text : text.slice(0, end);
}

function trim(text: string): string {
  const cut = trimEnd(text);
  let start = 0;
  while (start < cut.length && cut.charCodeAt(start) === 0x20) start++;
  return start === 0 ? cut : cut.slice(start);
}

/** All-empty values count as none; an empty one between others keeps its place. */
function split(text: string): string[] {
  if (!text.includes('\\')) {
    const single = trim(text);
    return single === '' ? [] : [single];
  }
  return text.split('\\').map(trim);
}

function nullIfEmpty(text: string): string | null {
  return text === '' ? null : text;
}

function numeric(text: string, pattern: RegExp): DicomJsonValue {
  if (text === '') return null;
  if (!pattern.test(text)) return text;
  const value = Number(text);
  return Number.isFinite(value) ? value : text;
}

/** @see PS3.5 §6.2.1.1 for the component groups */
function personNameOf(text: string): PersonName {
  const [alphabetic = '', ideographic = '', phonetic = ''] = text.split('=', 3).map(trimEnd);
  const name: PersonName = {};
  if (alphabetic !== '') name.Alphabetic = alphabetic;
  if (ideographic !== '') name.Ideographic = ideographic;
  if (phonetic !== '') name.Phonetic = phonetic;
  return name;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** InlineBinary is little endian whatever the file is. PS3.18 F.2.7 */
function swapped(bytes: Uint8Array, unit: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  for (let at = 0; at < bytes.length; at++) {
    const start = at - (at % unit);
    out[at] = bytes[Math.min(start + unit - 1 - (at - start), bytes.length - 1)] ?? 0;
  }
  return out;
}
