import { AppError } from '../../kernel/errors.js';
import { BytesNeeded, type ElementHeader } from './elements.js';
import { elementHeader, explicitElement, textElement } from './explicit-element.js';
import { IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME } from './implementation.js';
import type { ReadRequest, ReadWindow } from './read-window.js';

const PREAMBLE_BYTES = 128;
const GROUP_LENGTH = 0x00020000;
const VERSION = 0x00020001;
const MEDIA_STORAGE_SOP_CLASS = 0x00020002;
const MEDIA_STORAGE_SOP_INSTANCE = 0x00020003;
const TRANSFER_SYNTAX = 0x00020010;
const IMPLEMENTATION_CLASS = 0x00020012;
const IMPLEMENTATION_VERSION = 0x00020013;
const META_ENCODING = { explicit: true, littleEndian: true } as const;

/** Preamble and file meta information as they lie in a file. */
export interface FoundMeta {
  /** Whether the file begins as PS3.10 has it; others are data sets with or without group 0002 in front. */
  isPart10: boolean;
  preamble: Uint8Array;
  /** Elements of group 0002 by tag, header and value, without the group length. */
  elements: ReadonlyMap<number, Uint8Array>;
  dataSetStart: number;
}

/**
 * Reads the elements of group 0002 as bytes. Takes what `readFileMeta` takes.
 *
 * @see PS3.10 §7.1
 */
export function* readMetaElements(window: ReadWindow): Generator<ReadRequest, FoundMeta, Uint8Array> {
  const head = yield* window.peek(0, PREAMBLE_BYTES + 4);
  const isPart10 = ascii(head, PREAMBLE_BYTES) === 'DICM';
  const elements = new Map<number, Uint8Array>();
  let at = isPart10 ? PREAMBLE_BYTES + 4 : ascii(head, 0) === 'DICM' ? 4 : 0;
  while (window.walker.size - at >= 8) {
    const [low, high] = yield* window.peek(at, 2);
    if (low !== 0x02 || high !== 0x00) break;
    const header = yield* metaHeader(window, at);
    const end = header.valueOffset + header.length;
    if (end > window.walker.size) throw new AppError('truncated-file', { detail: 'The file meta information ends beyond the end of the file' });
    const bytes = yield* window.peek(at, end - at);
    if (header.tag !== GROUP_LENGTH) elements.set(header.tag, bytes.slice());
    at = end;
  }
  return { isPart10, preamble: isPart10 ? head.slice(0, PREAMBLE_BYTES) : new Uint8Array(PREAMBLE_BYTES), elements, dataSetStart: at };
}

function* metaHeader(window: ReadWindow, at: number): Generator<ReadRequest, ElementHeader, Uint8Array> {
  for (;;) {
    try {
      return window.walker.header(at, META_ENCODING, false);
    } catch (error) {
      if (!(error instanceof BytesNeeded)) throw error;
      yield* window.fill(at, error.end);
    }
  }
}

function ascii(bytes: Uint8Array, from: number): string {
  return String.fromCharCode(...bytes.subarray(from, from + 4));
}

/**
 * The beginning of a Part 10 file that this product writes: what was found stays but for transfer syntax, writer and group
 * length; what is missing and required is added.
 *
 * @see PS3.10 table 7.1-1
 */
export function part10Head(found: FoundMeta, { transferSyntaxUid, sopClassUid, sopInstanceUid }: { transferSyntaxUid: string; sopClassUid: string; sopInstanceUid: string }): Uint8Array {
  const elements = new Map<number, Uint8Array>([
    [VERSION, explicitElement(VERSION, 'OB', Buffer.of(0, 1))],
    [MEDIA_STORAGE_SOP_CLASS, textElement(MEDIA_STORAGE_SOP_CLASS, 'UI', sopClassUid)],
    [MEDIA_STORAGE_SOP_INSTANCE, textElement(MEDIA_STORAGE_SOP_INSTANCE, 'UI', sopInstanceUid)],
    ...found.elements,
    [TRANSFER_SYNTAX, textElement(TRANSFER_SYNTAX, 'UI', transferSyntaxUid)],
    [IMPLEMENTATION_CLASS, textElement(IMPLEMENTATION_CLASS, 'UI', IMPLEMENTATION_CLASS_UID)],
    [IMPLEMENTATION_VERSION, textElement(IMPLEMENTATION_VERSION, 'SH', IMPLEMENTATION_VERSION_NAME)],
  ]);
  const group = Buffer.concat([...elements].sort(([a], [b]) => a - b).map(([, bytes]) => bytes));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(group.length);
  return Buffer.concat([found.preamble, Buffer.from('DICM'), elementHeader(GROUP_LENGTH, 'UL', 4), length, group]);
}
