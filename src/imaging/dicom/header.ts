import { AppError } from '../../kernel/errors.js';
import { isDicomUidAsFound } from '../../kernel/uid.js';
import { text } from './attributes.js';
import type { DicomJson } from './dicom-json.js';
import { BytesNeeded, ElementWalker, isKnownVr, UNDEFINED_LENGTH, type BulkDataEntry, type ElementHeader, type Encoding } from './elements.js';
import { readFileMeta, type FileMeta } from './file-meta.js';
import { inflateDataSet } from './inflate.js';
import { locateFragments, MAX_FRAGMENTS, type PixelDataLocation } from './pixel-location.js';
import { ReadWindow, type ReadRequest } from './read-window.js';
import { DEFLATED_EXPLICIT_LITTLE, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE } from './transfer-syntax.js';

export type { ReadRequest } from './read-window.js';
export type { BulkDataEntry } from './elements.js';
export type { FileMeta } from './file-meta.js';
export type { PixelDataLocation } from './pixel-location.js';

export interface ParsedInstance {
  meta: FileMeta;
  /** The data set up to the pixel data, as DICOM JSON; what `bulkData` lists has a VR and no value. */
  attributes: DicomJson;
  studyInstanceUid: string;
  seriesInstanceUid: string;
  sopInstanceUid: string;
  sopClassUid: string;
  pixelData: PixelDataLocation | null;
  /** Values that were left in place. Offsets as in `pixelData`. */
  bulkData: readonly BulkDataEntry[];
  /** Of the data set as found, which may differ from what the transfer syntax promises. */
  encoding: Encoding;
  /** Deflated files only: the data set after inflation. Then every offset counts in here, not in the file. */
  inflated?: Uint8Array;
  /** Bytes before the pixel data element; the whole size when there is none. */
  headerLength: number;
  /** No preamble and prefix stand in front, so that it is no file as PS3.10 has it. */
  isBare?: true;
}

export interface ParseOptions {
  /** Binary values up to this many bytes come along as InlineBinary. */
  inlineBinaryLimit?: number;
  /** Bytes that a deflated data set may have when inflated; 1 GiB without it. */
  maxInflatedBytes?: number;
}

const PIXEL_DATA = 0x7fe00010;
const FLOAT_PIXEL_DATA = 0x7fe00008;
const DOUBLE_FLOAT_PIXEL_DATA = 0x7fe00009;
const EXTENDED_OFFSET_TABLE = 0x7fe00001;
const EXTENDED_OFFSET_TABLE_LENGTHS = 0x7fe00002;

/**
 * Reads a DICOM file up to its pixel data and finds where these lie. A coroutine: it asks for byte ranges and is answered
 * with the bytes, so that it runs over files, sockets and encrypted blobs alike and never holds more than a window.
 * The offsets it asks for never decrease.
 *
 * @param size  bytes of the whole file
 * @throws AppError `empty-file`, `not-dicom`, `invalid-dicom`, `truncated-file`, `missing-uid`, `missing-sop-class`, `archive-bomb`
 * @see PS3.10 §7, PS3.5 §7 and Annex A
 */
export function* parseInstance(size: number, options: ParseOptions = {}): Generator<ReadRequest, ParsedInstance, Uint8Array> {
  if (size === 0) throw new AppError('empty-file');
  const limit = options.inlineBinaryLimit ?? 1024;
  const fileWalker = new ElementWalker(size, limit);
  const fileWindow = new ReadWindow(fileWalker);
  const { meta, dataSetStart, isPart10 } = yield* readFileMeta(fileWindow);

  let walker = fileWalker;
  let window = fileWindow;
  let start = dataSetStart;
  let inflated: Uint8Array | undefined;
  if (meta.transferSyntaxUid === DEFLATED_EXPLICIT_LITTLE) {
    // A deflate stream cannot be entered in the middle, so this one kind of file is held whole.
    inflated = inflateDataSet(yield* fileWindow.readAll(dataSetStart), options.maxInflatedBytes);
    walker = new ElementWalker(inflated.length, limit);
    walker.setWindow(0, inflated);
    window = new ReadWindow(walker);
    start = 0;
  }

  const encoding = yield* encodingOf(window, start, meta.transferSyntaxUid);
  if (meta.transferSyntaxUid === '') meta.transferSyntaxUid = transferSyntaxOf(encoding);
  const attributes: DicomJson = {};
  const { pixel, offset, tables } = yield* walkDataSet(window, start, encoding, attributes);
  const uids = requiredUids(attributes);
  const pixelData = pixel === null ? null : yield* locatePixelData(window, pixel, encoding, tables);
  return {
    meta,
    attributes,
    ...uids,
    pixelData,
    bulkData: walker.bulkData,
    encoding,
    ...(inflated === undefined ? {} : { inflated }),
    headerLength: offset,
    ...(isPart10 ? {} : { isBare: true }),
  };
}

/** `parseInstance` over a file in memory. Throws as it does. */
export function parseInstanceBytes(bytes: Uint8Array, options: ParseOptions = {}): ParsedInstance {
  const parser = parseInstance(bytes.length, options);
  let step = parser.next();
  while (step.done !== true) {
    const { offset, length } = step.value;
    step = parser.next(bytes.subarray(offset, offset + length));
  }
  return step.value;
}

function* encodingOf(window: ReadWindow, start: number, transferSyntaxUid: string): Generator<ReadRequest, Encoding, Uint8Array> {
  const head = yield* window.peek(start, 8);
  const declared: Encoding = {
    explicit: transferSyntaxUid !== IMPLICIT_LITTLE,
    littleEndian: transferSyntaxUid !== EXPLICIT_BIG,
  };
  if (head.length < 8) return declared;
  const hasVr = isKnownVr(String.fromCharCode(head[4] ?? 0, head[5] ?? 0));
  if (transferSyntaxUid === '') return { explicit: hasVr, littleEndian: !(hasVr && head[0] === 0 && head[1] !== 0) };
  // Writers that declare one form and write the other are common; the first element tells them apart.
  if (declared.littleEndian && hasVr !== declared.explicit) return { explicit: hasVr, littleEndian: true };
  return declared;
}

function transferSyntaxOf(encoding: Encoding): string {
  if (!encoding.explicit) return IMPLICIT_LITTLE;
  return encoding.littleEndian ? EXPLICIT_LITTLE : EXPLICIT_BIG;
}

interface OffsetTables {
  offsets?: number[];
  lengths?: number[];
}

function* walkDataSet(window: ReadWindow, start: number, encoding: Encoding, attributes: DicomJson): Generator<
  ReadRequest,
  { pixel: ElementHeader | null; offset: number; tables: OffsetTables },
  Uint8Array
> {
  const { walker } = window;
  const tables: OffsetTables = {};
  let at = start;
  // Fewer than eight bytes hold no element: padding behind the last one.
  while (walker.size - at >= 8) {
    try {
      const header = walker.header(at, encoding, walker.signed);
      const { tag } = header;
      if (tag === PIXEL_DATA || tag === FLOAT_PIXEL_DATA || tag === DOUBLE_FLOAT_PIXEL_DATA) return { pixel: header, offset: at, tables };
      if (tag >>> 16 === 0xfffe) throw new AppError('invalid-dicom', { detail: 'A delimiter stands outside of any sequence' });
      if ((tag === EXTENDED_OFFSET_TABLE || tag === EXTENDED_OFFSET_TABLE_LENGTHS) && header.length <= MAX_FRAGMENTS * 8) {
        const entries = uint64s(walker.slice(header.valueOffset, header.length), encoding.littleEndian);
        if (tag === EXTENDED_OFFSET_TABLE) tables.offsets = entries;
        else tables.lengths = entries;
      }
      at = walker.readTopLevel(header, encoding, attributes);
    } catch (error) {
      if (!(error instanceof BytesNeeded)) throw error;
      yield* window.fill(at, error.end);
    }
  }
  return { pixel: null, offset: walker.size, tables };
}

function uint64s(bytes: Uint8Array, littleEndian: boolean): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out: number[] = [];
  for (let at = 0; at + 8 <= bytes.length; at += 8) out.push(Number(view.getBigUint64(at, littleEndian)));
  return out;
}

function* locatePixelData(window: ReadWindow, pixel: ElementHeader, encoding: Encoding, tables: OffsetTables): Generator<ReadRequest, PixelDataLocation, Uint8Array> {
  const element = pixel.tag === PIXEL_DATA ? 'PixelData' : pixel.tag === FLOAT_PIXEL_DATA ? 'FloatPixelData' : 'DoubleFloatPixelData';
  if (pixel.length !== UNDEFINED_LENGTH) {
    if (pixel.valueOffset + pixel.length > window.walker.size) {
      throw new AppError('truncated-file', { detail: 'The pixel data end beyond the end of the file' });
    }
    return { encoding: 'native', element, vr: pixel.vr, offset: pixel.valueOffset, length: pixel.length };
  }
  const { basicOffsets, fragments } = yield* locateFragments(window, pixel.valueOffset, encoding);
  return {
    encoding: 'encapsulated',
    element,
    vr: pixel.vr,
    basicOffsets,
    ...(tables.offsets !== undefined && tables.offsets.length > 0 ? { extendedOffsets: tables.offsets } : {}),
    ...(tables.lengths !== undefined && tables.lengths.length > 0 ? { extendedLengths: tables.lengths } : {}),
    fragments,
  };
}

function requiredUids(attributes: DicomJson): Pick<ParsedInstance, 'studyInstanceUid' | 'seriesInstanceUid' | 'sopInstanceUid' | 'sopClassUid'> {
  const sopClassUid = text(attributes, 'SOPClassUID');
  if (sopClassUid === undefined) throw new AppError('missing-sop-class');
  if (!isDicomUidAsFound(sopClassUid)) throw new AppError('missing-sop-class', { detail: 'The SOP Class UID is not a UID' });
  const required = (keyword: string): string => {
    const uid = text(attributes, keyword);
    if (uid === undefined) throw new AppError('missing-uid', { detail: `${keyword} is missing` });
    if (!isDicomUidAsFound(uid)) throw new AppError('missing-uid', { detail: `${keyword} is not a UID` });
    return uid;
  };
  return {
    sopClassUid,
    sopInstanceUid: required('SOPInstanceUID'),
    studyInstanceUid: required('StudyInstanceUID'),
    seriesInstanceUid: required('SeriesInstanceUID'),
  };
}
