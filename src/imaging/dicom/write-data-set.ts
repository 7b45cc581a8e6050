import { AppError } from '../../kernel/errors.js';
import type { DicomJson, DicomJsonElement, DicomJsonValue, PersonName } from './dicom-json.js';
import { UNDEFINED_LENGTH } from './elements.js';
import { elementHeader, itemHeader } from './explicit-element.js';
import { part10Head } from './part10-meta.js';

const BINARY_VRS = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'UN']);
/** Text in the character set of the data set; that of all other VRs is ASCII. */
const CHARSET_VRS = new Set(['LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UT']);
const LONGEST_DECIMAL = 16;

const SPECIFIC_CHARACTER_SET = '00080005';
const UTF_8 = 'ISO_IR 192';
const PREAMBLE_BYTES = 128;

const ITEM = 0xfffee000;

export interface FileIdentity {
  sopClassUid: string;
  sopInstanceUid: string;
  transferSyntaxUid: string;
}

/** An empty preamble, the prefix and group 0002 with nothing of where the file came from. @see PS3.10 §7.1 */
export function encodeFileHead(identity: FileIdentity): Uint8Array {
  return part10Head({ isPart10: true, preamble: new Uint8Array(PREAMBLE_BYTES), elements: new Map(), dataSetStart: 0 }, identity);
}

/** The value of an element where it is not in the attributes: anything of a length in bytes. */
type BulkOf<Bulk> = (path: string, element: DicomJsonElement) => Bulk | undefined;
type Pieces<Bulk> = (Uint8Array | Bulk)[];

/**
 * A data set in Explicit VR Little Endian: text in UTF-8, elements in ascending order, every value of even length, sequences and
 * items of defined length. Values that are not in memory are left to the caller, in their place.
 *
 * @param attributes  whose values have the types that `readDicomJson` wants
 * @param bulk  the value of the element at a path (`54000100/0/54001010`) where it is not in `attributes`: anything of a length in bytes
 * @returns the data set in pieces: bytes, and what `bulk` gave, to be replaced by as many bytes as its length says
 * @throws AppError `invalid-dicom` when a value or an item is longer than 32 bits can say
 * @see PS3.5 §7 and A.2
 */
export function encodeDataSet<Bulk extends { length: number }>(attributes: DicomJson, bulk: BulkOf<Bulk> = () => undefined): Pieces<Bulk> {
  const pieces: Pieces<Bulk> = [];
  encodeElements({ ...attributes, [SPECIFIC_CHARACTER_SET]: { vr: 'CS', Value: [UTF_8] } }, '', bulk, pieces);
  return joined(pieces);
}

/** Appends to `out`. @returns the length of what it appended, in bytes */
function encodeElements<Bulk extends { length: number }>(attributes: DicomJson, path: string, bulk: BulkOf<Bulk>, out: Pieces<Bulk>): number {
  let length = 0;
  for (const tag of Object.keys(attributes).sort()) {
    const element = attributes[tag];
    if (element === undefined) continue;
    length += encodeBehindHeader(out, () => encodeValue(element, path + tag, bulk, out), (valueLength) => elementHeader(Number.parseInt(tag, 16), element.vr, valueLength));
  }
  return length;
}

/** A header says how long what follows it is, so its place is kept until that is known. @returns the length of both */
function encodeBehindHeader(out: Pieces<unknown>, encode: () => number, header: (length: number) => Uint8Array): number {
  const place = out.push(new Uint8Array(0)) - 1;
  const length = encode();
  if (length >= UNDEFINED_LENGTH) throw new AppError('invalid-dicom', { detail: 'A value is longer than an element can be' });
  const bytes = header(length);
  out[place] = bytes;
  return bytes.length + length;
}

/** As `encodeElements`. */
function encodeValue<Bulk extends { length: number }>(element: DicomJsonElement, path: string, bulk: BulkOf<Bulk>, out: Pieces<Bulk>): number {
  const value = bulk(path, element) ?? (element.vr === 'SQ' ? undefined : valueBytes(element));
  if (value === undefined) return encodeItems(element, path, bulk, out);
  out.push(value);
  if (value.length % 2 === 0) return value.length;
  out.push(new Uint8Array(1));
  return value.length + 1;
}

function encodeItems<Bulk extends { length: number }>({ Value = [] }: DicomJsonElement, path: string, bulk: BulkOf<Bulk>, out: Pieces<Bulk>): number {
  let length = 0;
  for (const [index, item] of Value.entries()) {
    // The values of SQ are items. Their text is in the character set of the whole.
    const { [SPECIFIC_CHARACTER_SET]: _, ...attributes } = item as DicomJson;
    length += encodeBehindHeader(out, () => encodeElements(attributes, `${path}/${String(index)}/`, bulk, out), (itemLength) => itemHeader(ITEM, itemLength));
  }
  return length;
}

/** The value of an element that is no sequence, of even length. */
function valueBytes({ vr, Value = [], InlineBinary }: DicomJsonElement): Uint8Array {
  if (BINARY_VRS.has(vr)) return padded(Buffer.from(InlineBinary ?? '', 'base64'), 0);
  if (Value.length === 0) return new Uint8Array(0);
  const numbers = encodeNumbers(vr, Value);
  if (numbers !== undefined) return numbers;
  const text = Value.map((value) => textOf(vr, value)).join('\\');
  return padded(Buffer.from(text, CHARSET_VRS.has(vr) ? 'utf8' : 'latin1'), vr === 'UI' ? 0 : 0x20);
}

function encodeNumbers(vr: string, values: readonly DicomJsonValue[]): Uint8Array | undefined {
  const write = (width: number, put: (out: Buffer, value: DicomJsonValue, at: number) => void): Uint8Array => {
    const out = Buffer.alloc(values.length * width);
    for (const [index, value] of values.entries()) put(out, value, index * width);
    return out;
  };
  switch (vr) {
    case 'US':
      return write(2, (out, value, at) => out.writeUInt16LE(Number(value) & 0xffff, at));
    case 'SS':
      return write(2, (out, value, at) => out.writeUInt16LE(Number(value) & 0xffff, at));
    case 'UL':
      return write(4, (out, value, at) => out.writeUInt32LE(Number(value) >>> 0, at));
    case 'SL':
      return write(4, (out, value, at) => out.writeInt32LE(Number(value) | 0, at));
    case 'FL':
      return write(4, (out, value, at) => out.writeFloatLE(floating(value), at));
    case 'FD':
      return write(8, (out, value, at) => out.writeDoubleLE(floating(value), at));
    case 'UV':
      return write(8, (out, value, at) => out.writeBigUInt64LE(BigInt.asUintN(64, integer(value)), at));
    case 'SV':
      return write(8, (out, value, at) => out.writeBigInt64LE(BigInt.asIntN(64, integer(value)), at));
    case 'AT':
      return write(4, (out, value, at) => {
        const tag = Number.parseInt(typeof value === 'string' ? value : '0', 16);
        out.writeUInt16LE(tag >>> 16, at);
        out.writeUInt16LE(tag & 0xffff, at + 2);
      });
    default:
      return undefined;
  }
}

/** JSON has no NaN; PS3.18 F.2.3 writes these as strings. */
function floating(value: DicomJsonValue): number {
  if (value === 'inf') return Infinity;
  return value === '-inf' ? -Infinity : Number(value ?? 0);
}

function integer(value: DicomJsonValue): bigint {
  if (typeof value === 'string' && /^-?\d+$/.test(value)) return BigInt(value);
  return typeof value === 'number' && Number.isFinite(value) ? BigInt(Math.trunc(value)) : 0n;
}

function textOf(vr: string, value: DicomJsonValue): string {
  if (value === null) return '';
  if (typeof value === 'number') return vr === 'DS' ? decimalString(value) : String(value);
  return typeof value === 'string' ? value : nameOf(value);
}

/** @see PS3.5 §6.2.1.1 for the component groups */
function nameOf({ Alphabetic = '', Ideographic = '', Phonetic = '' }: PersonName): string {
  return [Alphabetic, Ideographic, Phonetic].join('=').replace(/=+$/, '');
}

/** A number in the sixteen characters of DS, as precisely as they allow. */
export function decimalString(value: number): string {
  const shortest = String(value);
  if (shortest.length <= LONGEST_DECIMAL) return shortest;
  for (let digits = LONGEST_DECIMAL; digits > 1; digits--) {
    for (const text of [value.toPrecision(digits), value.toExponential(digits - 1)]) if (text.length <= LONGEST_DECIMAL) return text;
  }
  return value.toExponential(0);
}

function padded(bytes: Buffer, padding: number): Uint8Array {
  return bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.of(padding)]);
}

/** Neighbouring bytes as one piece. */
function joined<Bulk>(pieces: Readonly<Pieces<Bulk>>): Pieces<Bulk> {
  const out: Pieces<Bulk> = [];
  let open: Uint8Array[] = [];
  const close = (): void => {
    if (open.length > 0) out.push(Buffer.concat(open));
    open = [];
  };
  for (const piece of pieces) {
    if (piece instanceof Uint8Array) open.push(piece);
    else {
      close();
      out.push(piece);
    }
  }
  close();
  return out;
}
