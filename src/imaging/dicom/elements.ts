import { AppError } from '../../kernel/errors.js';
import { characterSetOf, DEFAULT_CHARACTER_SET, type CharacterSet } from './charset.js';
import type { DicomJson, DicomJsonElement } from './dicom-json.js';
import { dictionaryVr, tagHex } from './dictionary.js';
import { InlineBudget } from './inline-budget.js';
import { decodeValue, isBinaryVr, pieceCount } from './values.js';

export interface Encoding {
  readonly explicit: boolean;
  readonly littleEndian: boolean;
}

/** A value that was left where it is; offsets count from the start of the data set's file (or of the inflated data set). */
export interface BulkDataEntry {
  /** Tags and item indices: `"54000100/0/54001010"`. */
  readonly path: string;
  readonly vr: string;
  readonly offset: number;
  readonly length: number;
}

export const UNDEFINED_LENGTH = 0xffffffff;
const ITEM = 0xfffee000;
const ITEM_DELIMITER = 0xfffee00d;
const SEQUENCE_DELIMITER = 0xfffee0dd;
const SPECIFIC_CHARACTER_SET = 0x00080005;
const PIXEL_REPRESENTATION = 0x00280103;

const MAX_DEPTH = 32;
/** Side by side in one item or data set; PS3.6 knows five thousand. Objects of very many keys are slow to build. */
const MAX_SIBLINGS = 20_000;
const MAX_UNKNOWN_SEQUENCE_BYTES = 16 << 20;
/** A sequence is read as one stretch of the file; longer ones of known length are left there. */
const MAX_SEQUENCE_BYTES = 32 << 20;

/** VRs whose explicit form has two reserved bytes and a 32-bit length. PS3.5 table 7.1-1 */
const LONG_VRS = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV']);
const SHORT_VRS = new Set(['AE', 'AS', 'AT', 'CS', 'DA', 'DS', 'DT', 'FD', 'FL', 'IS', 'LO', 'LT', 'PN', 'SH', 'SL', 'SS', 'ST', 'TM', 'UI', 'UL', 'US']);

export function isKnownVr(vr: string): boolean {
  return LONG_VRS.has(vr) || SHORT_VRS.has(vr);
}

/** Thrown to the driver of the walker when a value lies in the file but not yet in the window. */
export class BytesNeeded extends Error {
  constructor(readonly end: number) {
    super('more bytes are needed');
  }
}

/** What an item passes on to the items nested in it. */
interface Scope {
  charset: CharacterSet;
  signed: boolean;
}

export interface ElementHeader {
  tag: number;
  /** Empty for items and delimiters. */
  vr: string;
  length: number;
  valueOffset: number;
}

/**
 * Walks the elements of a data set over a window of the file. Every offset is absolute.
 * The walker trusts nothing: lengths are checked against their container, depth, elements and what is kept of them are bounded.
 */
export class ElementWalker {
  readonly bulkData: BulkDataEntry[] = [];
  private bytes: Uint8Array = new Uint8Array(0);
  private view: DataView = new DataView(new ArrayBuffer(0));
  private windowStart = 0;
  private topLevelElements = 0;
  private readonly budget = new InlineBudget();
  private readonly rootScope: Scope = { charset: DEFAULT_CHARACTER_SET, signed: false };

  constructor(
    readonly size: number,
    readonly inlineBinaryLimit: number,
  ) {}

  setWindow(start: number, bytes: Uint8Array): void {
    this.windowStart = start;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Whether the window holds the range. */
  covers(offset: number, end: number): boolean {
    return offset >= this.windowStart && end <= this.windowStart + this.bytes.length;
  }

  /** The bytes of a range as a view of the window. */
  slice(offset: number, length: number): Uint8Array {
    this.need(offset, length);
    const from = offset - this.windowStart;
    return this.bytes.subarray(from, from + length);
  }

  private need(offset: number, length: number): void {
    const end = offset + length;
    if (end > this.size) throw new AppError('truncated-file', { detail: 'An element ends beyond the end of the file' });
    if (!this.covers(offset, end)) throw new BytesNeeded(end);
  }

  header(offset: number, encoding: Encoding, signed: boolean): ElementHeader {
    this.need(offset, 8);
    const at = offset - this.windowStart;
    const little = encoding.littleEndian;
    const tag = ((this.view.getUint16(at, little) << 16) | this.view.getUint16(at + 2, little)) >>> 0;
    if (tag >>> 16 === 0xfffe) return { tag, vr: '', length: this.view.getUint32(at + 4, little), valueOffset: offset + 8 };
    if (encoding.explicit) {
      const vr = String.fromCharCode(this.view.getUint8(at + 4), this.view.getUint8(at + 5));
      if (SHORT_VRS.has(vr)) return { tag, vr, length: this.view.getUint16(at + 6, little), valueOffset: offset + 8 };
      if (LONG_VRS.has(vr)) {
        this.need(offset, 12);
        return { tag, vr, length: this.view.getUint32(at + 8, little), valueOffset: offset + 12 };
      }
      if (/^[A-Z]{2}$/.test(vr)) return this.unknownVrHeader(offset, tag, little);
      // Two bytes that are no letters: a writer that left this element implicit.
    }
    return { tag, vr: dictionaryVr(tag, signed), length: this.view.getUint32(at + 4, little), valueOffset: offset + 8 };
  }

  /** VRs of later editions have the long form (PS3.5 §7.1.2); misspelt ones of this edition the short form. */
  private unknownVrHeader(offset: number, tag: number, little: boolean): ElementHeader {
    const at = offset - this.windowStart;
    const short = this.view.getUint16(at + 6, little);
    if (short !== 0) return { tag, vr: 'UN', length: short, valueOffset: offset + 8 };
    this.need(offset, 12);
    return { tag, vr: 'UN', length: this.view.getUint32(at + 8, little), valueOffset: offset + 12 };
  }

  /** The scope of the outermost data set: grows as character set and pixel representation are met. */
  get signed(): boolean {
    return this.rootScope.signed;
  }

  /**
   * Reads one top-level element into `target` and returns the offset behind it.
   * May throw BytesNeeded; nothing has changed then, and the call can be repeated with a larger window.
   */
  readTopLevel(header: ElementHeader, encoding: Encoding, target: DicomJson): number {
    const spent = this.budget.snapshot();
    const bulk = this.bulkData.length;
    try {
      const end = this.readElement(header, encoding, this.rootScope, target, '', 0, this.size);
      if (++this.topLevelElements > MAX_SIBLINGS) throw invalid('The data set has too many elements');
      return end;
    } catch (error) {
      if (error instanceof BytesNeeded) {
        this.budget.restore(spent);
        this.bulkData.length = bulk;
      }
      throw error;
    }
  }

  private readElement(header: ElementHeader, encoding: Encoding, scope: Scope, target: DicomJson, path: string, depth: number, limit: number): number {
    this.budget.countElement();
    const { tag, valueOffset, length } = header;
    const hex = tagHex(tag);
    let { vr } = header;
    if (length === UNDEFINED_LENGTH) {
      if (vr === 'OB' || vr === 'OW') {
        // Encapsulated pixels inside a sequence, such as an icon: fragments, which nobody reads from here.
        target[hex] = { vr };
        return this.skipFragments(valueOffset, encoding, limit);
      }
      if (vr !== 'SQ' && vr !== 'UN') throw invalid(`Undefined length is not allowed for ${vr}`);
      // UN of undefined length is a sequence in implicit little endian. PS3.5 §6.2.2 note
      const inner = vr === 'UN' && encoding.explicit ? IMPLICIT_LITTLE : encoding;
      return this.readSequence(hex, valueOffset, UNDEFINED_LENGTH, inner, scope, target, path, depth, limit);
    }
    const end = valueOffset + length;
    if (end > limit) {
      throw limit === this.size
        ? new AppError('truncated-file', { detail: 'An element ends beyond the end of the file' })
        : invalid('An element is longer than the item that contains it');
    }
    if (vr === 'SQ' && length > MAX_SEQUENCE_BYTES) return this.leave(hex, vr, valueOffset, length, target, path);
    if (vr === 'SQ') return this.readSequence(hex, valueOffset, length, encoding, scope, target, path, depth, limit);
    if (vr === 'UN' && encoding.explicit) {
      const known = dictionaryVr(tag, scope.signed);
      if (known === 'SQ' && length <= MAX_UNKNOWN_SEQUENCE_BYTES && this.budget.mayMisread) return this.readUnknownSequence(hex, valueOffset, length, scope, target, path, depth);
      // A relay without a dictionary wrote UN over what PS3.6 knows; its bytes are implicit little endian.
      if (known !== 'UN' && known !== 'SQ' && length < 0x10000) {
        vr = known;
        encoding = IMPLICIT_LITTLE;
      }
    }
    const topLevel = path === '';
    const shortEnough = isBinaryVr(vr) ? length <= this.inlineBinaryLimit : InlineBudget.isShortEnough(length);
    if (!shortEnough || !this.budget.hasRoomFor(length, topLevel)) return this.leave(hex, vr, valueOffset, length, target, path);
    const bytes = this.slice(valueOffset, length);
    if (!this.budget.take(length, pieceCount(bytes, vr, scope.charset), topLevel)) return this.leave(hex, vr, valueOffset, length, target, path);
    const element = decodeValue(bytes, vr, encoding.littleEndian, scope.charset);
    if (tag === SPECIFIC_CHARACTER_SET) scope.charset = characterSetOf((element.Value ?? []).map((value) => (typeof value === 'string' ? value : '')));
    else if (tag === PIXEL_REPRESENTATION) scope.signed = element.Value?.[0] === 1;
    if ((tag & 0xffff) !== 0) target[hex] = element;
    return end;
  }

  /** Leaves a value in the file and returns the offset behind it. */
  private leave(hex: string, vr: string, offset: number, length: number, target: DicomJson, path: string): number {
    target[hex] = { vr };
    this.bulkData.push({ path: path + hex, vr, offset, length });
    return offset + length;
  }

  private readSequence(
    hex: string, offset: number, length: number, encoding: Encoding, scope: Scope, target: DicomJson, path: string, depth: number, limit: number,
  ): number {
    if (depth >= MAX_DEPTH) throw invalid('Sequences are nested too deeply');
    const end = length === UNDEFINED_LENGTH ? limit : offset + length;
    const items: DicomJson[] = [];
    let at = offset;
    while (length === UNDEFINED_LENGTH || at < end) {
      if (at + 8 > end) throw this.unclosed(end, 'A sequence has no end');
      const header = this.header(at, encoding, false);
      if (header.tag === SEQUENCE_DELIMITER) {
        at = header.valueOffset;
        if (length === UNDEFINED_LENGTH) break;
        continue;
      }
      if (header.tag !== ITEM) throw invalid('A sequence holds something other than items');
      this.budget.countElement();
      const item: DicomJson = {};
      at = this.readItem(item, header, encoding, scope, `${path}${hex}/${String(items.length)}/`, depth + 1, end);
      items.push(item);
    }
    const element: DicomJsonElement = { vr: 'SQ' };
    if (items.length > 0) element.Value = items;
    target[hex] = element;
    return length === UNDEFINED_LENGTH ? at : end;
  }

  private readItem(item: DicomJson, header: ElementHeader, encoding: Encoding, outer: Scope, path: string, depth: number, limit: number): number {
    const open = header.length === UNDEFINED_LENGTH;
    const end = open ? limit : header.valueOffset + header.length;
    if (end > limit) throw this.unclosed(limit, 'An item is longer than its sequence');
    const scope: Scope = { charset: outer.charset, signed: outer.signed };
    let at = header.valueOffset;
    let siblings = 0;
    while (open || at < end) {
      if (at + 8 > end) throw this.unclosed(end, 'An item has no end');
      const next = this.header(at, encoding, scope.signed);
      if (next.tag === ITEM_DELIMITER) return next.valueOffset;
      if (next.tag >>> 16 === 0xfffe) throw invalid('An item holds a misplaced delimiter');
      if (++siblings > MAX_SIBLINGS) throw invalid('An item has too many elements');
      at = this.readElement(next, encoding, scope, item, path, depth, end);
    }
    return end;
  }

  /** A sequence hidden in UN: read if it reads cleanly, else kept as the bytes that it is. */
  private readUnknownSequence(hex: string, offset: number, length: number, scope: Scope, target: DicomJson, path: string, depth: number): number {
    const bulk = this.bulkData.length;
    this.slice(offset, length);
    try {
      return this.readSequence(hex, offset, length, IMPLICIT_LITTLE, scope, target, path, depth, offset + length);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      this.bulkData.length = bulk;
      this.budget.countMisread();
      return this.leave(hex, 'UN', offset, length, target, path);
    }
  }

  private skipFragments(offset: number, encoding: Encoding, limit: number): number {
    let at = offset;
    for (;;) {
      if (at + 8 > limit) throw this.unclosed(limit, 'Encapsulated data have no end');
      this.budget.countElement();
      const header = this.header(at, encoding, false);
      if (header.tag === SEQUENCE_DELIMITER) return header.valueOffset;
      if (header.tag !== ITEM || header.length === UNDEFINED_LENGTH) throw invalid('Encapsulated data hold something other than fragments');
      at = header.valueOffset + header.length;
    }
  }

  private unclosed(end: number, detail: string): AppError {
    return end === this.size ? new AppError('truncated-file', { detail }) : invalid(detail);
  }
}

const IMPLICIT_LITTLE: Encoding = { explicit: false, littleEndian: true };

function invalid(detail: string): AppError {
  return new AppError('invalid-dicom', { detail });
}
