import { AppError } from '../../kernel/errors.js';
import { DEFAULT_CHARACTER_SET } from './charset.js';
import type { DicomJson } from './dicom-json.js';
import { tagHex } from './dictionary.js';
import { BytesNeeded, ElementWalker, UNDEFINED_LENGTH, type ElementHeader, type Encoding } from './elements.js';
import { elementHeader, itemHeader } from './explicit-element.js';
import { part10Head, readMetaElements } from './part10-meta.js';
import { PieceList, reversedUnits, type ByteUnit, type Piece } from './piece-list.js';
import type { Fragment, PixelDataLocation } from './pixel-location.js';
import { ReadWindow, type ReadRequest } from './read-window.js';
import { decodeValue } from './values.js';

export { reversedUnits, type ByteUnit, type Piece } from './piece-list.js';

/** Elements by tag, whole and in explicit little endian, that replace those of a data set or join them; null takes one away. */
export type ElementChanges = ReadonlyMap<number, Uint8Array | null>;

/** What becomes of the pixel data of a file that is rewritten. */
export type PixelTarget =
  /** They stay as they are but for the byte order. Of native ones only. */
  | { readonly form: 'kept'; readonly bitsAllocated: number }
  /** The caller's frames, together so many bytes. */
  | { readonly form: 'native'; readonly vr: 'OB' | 'OW'; readonly bytes: number }
  /** The caller's frames, each behind a `fragmentHeader`. */
  | { readonly form: 'encapsulated' };

export interface Identity {
  transferSyntaxUid: string;
  sopClassUid: string;
  sopInstanceUid: string;
}

export interface RewriteSource {
  /** Bytes of the whole file. */
  size: number;
  encoding: Encoding;
  pixelData: PixelDataLocation | null;
  /** The data set of a deflated file; then all offsets count in here. */
  inflated?: Uint8Array | undefined;
}

export interface RewriteTarget extends Identity {
  changes: ElementChanges;
  pixels: PixelTarget;
  /** Changes to items of sequences, by the `itemOffset` of `nestedImages`. */
  itemChanges: ReadonlyMap<number, ElementChanges>;
}

/** An image inside a sequence, such as an icon, that is compressed as the pixel data are. */
export interface NestedImage {
  /** Where the item's first element lies; names the image. */
  itemOffset: number;
  vr: string;
  fragments: readonly Fragment[];
  /** The item's elements of group 0028. */
  attributes: DicomJson;
}

export interface RewritePlan {
  pieces: readonly Piece[];
  /** Bytes of all pieces but the frames. */
  length: number;
  /** Left as they are, which no native transfer syntax allows: decompress them and plan again with `itemChanges`. */
  nestedImages: readonly NestedImage[];
}

const ITEM = 0xfffee000;
const ITEM_DELIMITER = 0xfffee00d;
const SEQUENCE_DELIMITER = 0xfffee0dd;
const LENGTH_TO_END = 0x00080001;
const PIXEL_REPRESENTATION = 0x00280103;
const PIXEL_DATA = 0x7fe00010;
const PIXEL_TAGS = { PixelData: PIXEL_DATA, FloatPixelData: 0x7fe00008, DoubleFloatPixelData: 0x7fe00009 } as const satisfies Record<PixelDataLocation['element'], number>;
/** Group lengths, and the tables that go along with fragments: untrue once the pixel data change. PS3.5 §7.2, PS3.3 C.7.6.3.1.8 */
const UNTRUE_WITH_OTHER_PIXELS = new Set([0x00280000, 0x7fe00000, 0x7fe00001, 0x7fe00002, 0x7fe00003]);

const IMPLICIT_LITTLE: Encoding = { explicit: false, littleEndian: true };
const NO_CHANGES: ElementChanges = new Map();
/** Values up to this many bytes come along with the headers around them; longer ones are taken over in place. */
const MAX_HELD_VALUE = 16 * 1024;
const MAX_DESCRIPTION_VALUE = 64;
const MAX_DEPTH = 64;
/** Twice what a stored file may have before its pixel data, for what stands behind them. */
const MAX_ELEMENTS = 400_000;

const UNITS: Record<string, ByteUnit> = { US: 2, SS: 2, OW: 2, AT: 2, UL: 4, SL: 4, FL: 4, OF: 4, OL: 4, FD: 8, OD: 8, OV: 8, SV: 8, UV: 8 };

/** Stands before a frame that is one fragment; an odd frame is followed by a zero byte. */
export function fragmentHeader(bytes: number): Uint8Array {
  return itemHeader(ITEM, bytes + (bytes % 2));
}

/**
 * Plans a Part 10 file with the same data set in another transfer syntax: explicit little endian, with the caller's frames.
 * What the source has in explicit little endian is taken over byte for byte, private, nested and odd elements too; implicit
 * and big endian elements are written anew. Group lengths that no longer hold are left out.
 *
 * @throws AppError `invalid-dicom`, `truncated-file` where the elements cannot be followed
 * @see PS3.5 §7 and Annex A, PS3.10 §7
 */
export function* planRewrite(source: RewriteSource, target: RewriteTarget): Generator<ReadRequest, RewritePlan, Uint8Array> {
  const fileWindow = new ReadWindow(new ElementWalker(source.size, 0));
  const meta = yield* readMetaElements(fileWindow);
  const out = new PieceList();
  out.write(part10Head(meta, target));
  const rewriter = new Rewriter(source.inflated === undefined ? fileWindow : windowOver(source.inflated), source, target);
  yield* rewriter.dataSet(source.inflated === undefined ? meta.dataSetStart : 0, out);
  return { pieces: out.pieces(), length: out.length, nestedImages: rewriter.nestedImages };
}

/** The beginning of a stored file. */
export interface FileHead {
  /** Preamble and prefix are there; other files are data sets, with or without meta information in front. */
  isPart10: boolean;
  dataSetStart: number;
  /** What a Part 10 file has before its data set. */
  head: Uint8Array;
}

/** Reads what stands before the data set, and makes what should stand there. @throws AppError `truncated-file` */
export function* readFileHead(size: number, identity: Identity): Generator<ReadRequest, FileHead, Uint8Array> {
  const meta = yield* readMetaElements(new ReadWindow(new ElementWalker(size, 0)));
  return { isPart10: meta.isPart10, dataSetStart: meta.dataSetStart, head: part10Head(meta, identity) };
}

function windowOver(bytes: Uint8Array): ReadWindow {
  const walker = new ElementWalker(bytes.length, 0);
  walker.setWindow(0, bytes);
  return new ReadWindow(walker);
}

/** Where a run of elements ends: before `limit`, or with a delimiter when `open`. */
interface Extent {
  limit: number;
  open: boolean;
}

class Rewriter {
  readonly nestedImages: NestedImage[] = [];
  private signed = false;
  private elementCount = 0;
  private changedItems = 0;
  private readonly encoding: Encoding;
  /** Nothing needs to be written anew. */
  private readonly asFound: boolean;
  private readonly looksForImages: boolean;

  constructor(
    private readonly window: ReadWindow,
    private readonly source: RewriteSource,
    private readonly target: RewriteTarget,
  ) {
    this.encoding = source.encoding;
    this.asFound = source.encoding.explicit && source.encoding.littleEndian;
    this.looksForImages = source.pixelData?.encoding === 'encapsulated' && target.pixels.form === 'native';
  }

  *dataSet(start: number, out: PieceList): Generator<ReadRequest, void, Uint8Array> {
    const { walker } = this.window;
    const changes = new PendingChanges(this.target.changes);
    const pixelTag = this.source.pixelData === null ? undefined : PIXEL_TAGS[this.source.pixelData.element];
    let behindPixels = false;
    let at = start;
    while (walker.size - at >= 8) {
      if (behindPixels && this.asFound) break;
      const header = yield* this.header(at, this.encoding);
      // Zeros that fill the file up are no elements.
      if (behindPixels && header.tag === 0) break;
      changes.before(header.tag, out);
      if (header.tag === pixelTag && !behindPixels) {
        at = yield* this.pixelData(header, at, out);
        behindPixels = true;
      } else if (changes.replaces(header.tag, out) || (this.target.pixels.form !== 'kept' && UNTRUE_WITH_OTHER_PIXELS.has(header.tag))) {
        at = yield* this.endOf(header, this.encoding, walker.size, 0);
      } else {
        at = yield* this.element(header, at, this.encoding, { limit: walker.size, open: false }, 0, out);
      }
    }
    changes.before(Number.POSITIVE_INFINITY, out);
    if (this.asFound) out.copy(at, walker.size - at);
  }

  private *pixelData(header: ElementHeader, start: number, out: PieceList): Generator<ReadRequest, number, Uint8Array> {
    const end = yield* this.endOf(header, this.encoding, this.window.walker.size, 0);
    const { pixels } = this.target;
    switch (pixels.form) {
      case 'kept':
        if (this.asFound) out.copy(start, end - start);
        else {
          out.write(elementHeader(header.tag, header.vr, header.length));
          out.copy(header.valueOffset, header.length, this.encoding.littleEndian ? 1 : pixelUnit(header.vr, pixels.bitsAllocated));
        }
        break;
      case 'native':
        out.write(elementHeader(PIXEL_DATA, pixels.vr, pixels.bytes + (pixels.bytes % 2)));
        out.frames();
        if (pixels.bytes % 2 === 1) out.write(Uint8Array.of(0));
        break;
      case 'encapsulated':
        out.write(elementHeader(PIXEL_DATA, 'OB', UNDEFINED_LENGTH));
        // An empty offset table: how long the frames will be is not known yet. PS3.5 A.4
        out.write(itemHeader(ITEM, 0));
        out.frames();
        out.write(itemHeader(SEQUENCE_DELIMITER, 0));
    }
    return end;
  }

  /** Writes one element and returns the offset behind it. */
  private *element(header: ElementHeader, start: number, encoding: Encoding, extent: Extent, depth: number, out: PieceList): Generator<ReadRequest, number, Uint8Array> {
    if (++this.elementCount > MAX_ELEMENTS) throw invalid('The data set has too many elements');
    const { tag, vr, length, valueOffset } = header;
    if (vr === 'SQ' && (length === UNDEFINED_LENGTH || !this.asFound || this.looksForImages)) return yield* this.sequence(header, start, encoding, extent.limit, depth, out);
    const end = yield* this.endOf(header, encoding, extent.limit, depth);
    if (this.asFound) {
      out.copy(start, end - start);
      return end;
    }
    if (tag === PIXEL_REPRESENTATION && length >= 2) {
      const value = yield* this.bytes(valueOffset, 2);
      this.signed = value[encoding.littleEndian ? 0 : 1] === 1;
    }
    if ((tag & 0xffff) === 0 || tag === LENGTH_TO_END) return end;
    out.write(elementHeader(tag, vr, length));
    yield* this.value(valueOffset, end - valueOffset, encoding.littleEndian || length === UNDEFINED_LENGTH ? 1 : valueUnit(vr), out);
    return end;
  }

  private *value(offset: number, length: number, unit: ByteUnit, out: PieceList): Generator<ReadRequest, void, Uint8Array> {
    if (length > MAX_HELD_VALUE) {
      out.copy(offset, length, unit);
      return;
    }
    const bytes = yield* this.bytes(offset, length);
    out.write(unit === 1 ? bytes : reversedUnits(bytes, unit));
  }

  private *sequence(header: ElementHeader, start: number, encoding: Encoding, limit: number, depth: number, out: PieceList): Generator<ReadRequest, number, Uint8Array> {
    if (depth >= MAX_DEPTH) throw invalid('Sequences are nested too deeply');
    const open = header.length === UNDEFINED_LENGTH;
    const end = open ? limit : header.valueOffset + header.length;
    if (end > limit) throw truncated('A sequence ends beyond what contains it');
    const items = new PieceList();
    const changedBefore = this.changedItems;
    let at = header.valueOffset;
    while (open || at < end) {
      if (at + 8 > end) throw truncated('A sequence has no end');
      const item = yield* this.header(at, encoding);
      if (item.tag === SEQUENCE_DELIMITER) {
        at = item.valueOffset;
        if (open) break;
      } else if (item.tag === ITEM) {
        at = yield* this.item(item, encoding, end, depth + 1, items);
      } else {
        throw invalid('A sequence holds something other than items');
      }
    }
    if (this.asFound && this.changedItems === changedBefore) {
      out.copy(start, at - start);
      return at;
    }
    const known = !open && items.length < UNDEFINED_LENGTH;
    out.write(elementHeader(header.tag, 'SQ', known ? items.length : UNDEFINED_LENGTH));
    out.append(items);
    if (!known) out.write(itemHeader(SEQUENCE_DELIMITER, 0));
    return at;
  }

  private *item(header: ElementHeader, encoding: Encoding, limit: number, depth: number, out: PieceList): Generator<ReadRequest, number, Uint8Array> {
    const open = header.length === UNDEFINED_LENGTH;
    const extent: Extent = { open, limit: open ? limit : header.valueOffset + header.length };
    if (extent.limit > limit) throw truncated('An item ends beyond its sequence');
    const elements = new PieceList();
    const { signed } = this;
    const at = yield* this.itemElements(header.valueOffset, encoding, extent, depth, elements);
    this.signed = signed;
    const known = !open && elements.length < UNDEFINED_LENGTH;
    out.write(itemHeader(ITEM, known ? elements.length : UNDEFINED_LENGTH));
    out.append(elements);
    if (!known) out.write(itemHeader(ITEM_DELIMITER, 0));
    return at;
  }

  private *itemElements(start: number, encoding: Encoding, extent: Extent, depth: number, out: PieceList): Generator<ReadRequest, number, Uint8Array> {
    const given = this.target.itemChanges.get(start);
    if (given !== undefined) this.changedItems++;
    const changes = new PendingChanges(given ?? NO_CHANGES);
    const attributes: DicomJson = {};
    let at = start;
    while (extent.open || at < extent.limit) {
      if (at + 8 > extent.limit) throw truncated('An item has no end');
      const header = yield* this.header(at, encoding);
      if (header.tag === ITEM_DELIMITER) {
        at = header.valueOffset;
        break;
      }
      if (header.tag >>> 16 === 0xfffe) throw invalid('An item holds a misplaced delimiter');
      changes.before(header.tag, out);
      if (changes.replaces(header.tag, out)) {
        at = yield* this.endOf(header, encoding, extent.limit, depth);
        continue;
      }
      if (this.looksForImages && header.tag === PIXEL_DATA && header.length === UNDEFINED_LENGTH && (header.vr === 'OB' || header.vr === 'OW')) {
        const { fragments } = yield* this.fragments(header.valueOffset, encoding, extent.limit);
        this.nestedImages.push({ itemOffset: start, vr: header.vr, fragments, attributes });
      }
      if (this.looksForImages && header.tag >>> 16 === 0x0028 && header.length <= MAX_DESCRIPTION_VALUE && header.vr !== 'SQ') {
        attributes[tagHex(header.tag)] = decodeValue(yield* this.bytes(header.valueOffset, header.length), header.vr, encoding.littleEndian, DEFAULT_CHARACTER_SET);
      }
      at = yield* this.element(header, at, encoding, extent, depth, out);
    }
    changes.before(Number.POSITIVE_INFINITY, out);
    return at;
  }

  /** The offset behind an element that is not looked into. */
  private *endOf(header: ElementHeader, encoding: Encoding, limit: number, depth: number): Generator<ReadRequest, number, Uint8Array> {
    const { vr, length, valueOffset } = header;
    if (length !== UNDEFINED_LENGTH) {
      if (valueOffset + length > limit) throw truncated('An element ends beyond what contains it');
      return valueOffset + length;
    }
    const known = this.source.pixelData;
    if (known?.encoding === 'encapsulated' && known.fragments[0] !== undefined && depth === 0 && header.tag === PIXEL_DATA) {
      // Where half a million fragments end was found out when the file was stored.
      const last = known.fragments.at(-1) ?? known.fragments[0];
      return (yield* this.header(last.offset + last.length, encoding)).valueOffset;
    }
    if (vr === 'OB' || vr === 'OW') return (yield* this.fragments(valueOffset, encoding, limit)).end;
    if (vr !== 'SQ' && vr !== 'UN') throw invalid(`Undefined length is not allowed for ${vr}`);
    // The value of UN of undefined length is a sequence in implicit little endian, whatever is around it. PS3.5 §6.2.2
    return yield* this.endOfItems(valueOffset, vr === 'UN' ? IMPLICIT_LITTLE : encoding, limit, depth + 1, SEQUENCE_DELIMITER);
  }

  /** Follows items, or the elements of one, to the delimiter. */
  private *endOfItems(start: number, encoding: Encoding, limit: number, depth: number, delimiter: number): Generator<ReadRequest, number, Uint8Array> {
    if (depth > 2 * MAX_DEPTH) throw invalid('Sequences are nested too deeply');
    let at = start;
    for (;;) {
      if (at + 8 > limit) throw truncated('A sequence has no end');
      if (++this.elementCount > MAX_ELEMENTS) throw invalid('The data set has too many elements');
      const header = yield* this.header(at, encoding);
      if (header.tag === delimiter) return header.valueOffset;
      if (header.tag !== ITEM) at = yield* this.endOf(header, encoding, limit, depth);
      else if (header.length !== UNDEFINED_LENGTH) at = header.valueOffset + header.length;
      else at = yield* this.endOfItems(header.valueOffset, encoding, limit, depth + 1, ITEM_DELIMITER);
    }
  }

  /** The fragments behind the offset table, and the offset behind their delimiter. */
  private *fragments(start: number, encoding: Encoding, limit: number): Generator<ReadRequest, { fragments: Fragment[]; end: number }, Uint8Array> {
    const fragments: Fragment[] = [];
    let at = start;
    for (let isTable = true; ; isTable = false) {
      if (at + 8 > limit) throw truncated('Encapsulated data have no end');
      if (++this.elementCount > MAX_ELEMENTS) throw invalid('The data set has too many elements');
      const { tag, length, valueOffset } = yield* this.header(at, encoding);
      if (tag === SEQUENCE_DELIMITER) return { fragments, end: valueOffset };
      if (tag !== ITEM || length === UNDEFINED_LENGTH) throw invalid('Encapsulated data hold something other than fragments');
      if (!isTable) fragments.push({ offset: valueOffset, length, startsImage: false });
      at = valueOffset + length;
    }
  }

  private *header(at: number, encoding: Encoding): Generator<ReadRequest, ElementHeader, Uint8Array> {
    for (;;) {
      try {
        return this.window.walker.header(at, encoding, this.signed);
      } catch (error) {
        if (!(error instanceof BytesNeeded)) throw error;
        yield* this.window.fill(at, error.end);
      }
    }
  }

  private *bytes(offset: number, length: number): Generator<ReadRequest, Uint8Array, Uint8Array> {
    const { walker } = this.window;
    if (!walker.covers(offset, offset + length)) yield* this.window.fill(offset, offset + length);
    return walker.slice(offset, length);
  }
}

/** Changes in the order of their tags, each given out once. */
class PendingChanges {
  private readonly sorted: (readonly [number, Uint8Array | null])[];
  private next = 0;

  constructor(private readonly changes: ElementChanges) {
    this.sorted = [...changes].sort(([a], [b]) => a - b);
  }

  /** Writes those that come before `tag` and were not there. */
  before(tag: number, out: PieceList): void {
    for (let change = this.sorted[this.next]; change !== undefined && change[0] < tag; change = this.sorted[++this.next]) if (change[1] !== null) out.write(change[1]);
  }

  /** Writes what replaces `tag`; false when nothing does. */
  replaces(tag: number, out: PieceList): boolean {
    const change = this.changes.get(tag);
    if (change === undefined) return false;
    if (this.sorted[this.next]?.[0] === tag) {
      if (change !== null) out.write(change);
      this.next++;
    }
    return true;
  }
}

/** Bytes of a value that change places between big and little endian. */
export function valueUnit(vr: string): ByteUnit {
  return UNITS[vr] ?? 1;
}

/** As `valueUnit` for pixel data, as the frames are read: bytes written as words come swapped, and larger samples whole. PS3.5 §8.1.1 */
export function pixelUnit(vr: string, bitsAllocated: number): ByteUnit {
  if (bitsAllocated === 8) return vr === 'OW' ? 2 : 1;
  return bitsAllocated === 16 ? 2 : bitsAllocated === 32 ? 4 : bitsAllocated === 64 ? 8 : 1;
}

function invalid(detail: string): AppError {
  return new AppError('invalid-dicom', { detail });
}

function truncated(detail: string): AppError {
  return new AppError('truncated-file', { detail });
}
