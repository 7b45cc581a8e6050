import { AppError } from '../../kernel/errors.js';
import { text } from './attributes.js';
import type { DicomJson } from './dicom-json.js';
import { BytesNeeded, ElementWalker, isKnownVr } from './elements.js';
import { ReadWindow, type ReadRequest } from './read-window.js';

/** File Meta Information. @see PS3.10 §7.1 */
export interface FileMeta {
  /** As declared, or as found when the file does not say. */
  transferSyntaxUid: string;
  mediaStorageSopClassUid?: string;
  mediaStorageSopInstanceUid?: string;
  implementationClassUid?: string;
  implementationVersionName?: string;
  sourceApplicationEntityTitle?: string;
}

const META_ENCODING = { explicit: true, littleEndian: true } as const;

/**
 * Reads preamble and group 0002. Files that begin with group 0002 or with the data set itself are accepted
 * when the first two elements leave no doubt; `transferSyntaxUid` is empty where nothing declares it.
 *
 * @throws AppError `not-dicom`
 */
export function* readFileMeta(window: ReadWindow): Generator<ReadRequest, { meta: FileMeta; dataSetStart: number; isPart10: boolean }, Uint8Array> {
  const head = yield* window.peek(0, 1024);
  const isPart10 = startsWith(head, 128, 'DICM');
  let at: number;
  if (isPart10) at = 132;
  else if (startsWith(head, 0, 'DICM')) at = 4;
  else if (looksLikeElements(head)) at = 0;
  else throw new AppError('not-dicom');

  const json: DicomJson = {};
  const { walker } = window;
  while (walker.size - at >= 8) {
    const tagBytes = yield* window.peek(at, 2);
    if (tagBytes[0] !== 0x02 || tagBytes[1] !== 0x00) break;
    try {
      // The group length (0002,0000) is often wrong; the end of the group is where another group begins.
      at = walker.readTopLevel(walker.header(at, META_ENCODING, false), META_ENCODING, json);
    } catch (error) {
      if (!(error instanceof BytesNeeded)) throw error;
      yield* window.fill(at, error.end);
    }
  }
  return { meta: metaOf(json), dataSetStart: at, isPart10 };
}

/**
 * Where the data set of a file begins, in bytes. A coroutine as `parseInstance` is.
 *
 * @throws AppError `not-dicom`
 */
export function* dataSetStart(size: number): Generator<ReadRequest, number, Uint8Array> {
  return (yield* readFileMeta(new ReadWindow(new ElementWalker(size, 0)))).dataSetStart;
}

function metaOf(json: DicomJson): FileMeta {
  const meta: FileMeta = { transferSyntaxUid: text(json, '00020010') ?? '' };
  const optional = [
    ['mediaStorageSopClassUid', '00020002'],
    ['mediaStorageSopInstanceUid', '00020003'],
    ['implementationClassUid', '00020012'],
    ['implementationVersionName', '00020013'],
    ['sourceApplicationEntityTitle', '00020016'],
  ] as const;
  for (const [key, tag] of optional) {
    const value = text(json, tag);
    if (value !== undefined) meta[key] = value;
  }
  return meta;
}

function startsWith(bytes: Uint8Array, offset: number, ascii: string): boolean {
  for (let i = 0; i < ascii.length; i++) if (bytes[offset + i] !== ascii.charCodeAt(i)) return false;
  return true;
}

/** Two elements in ascending order, the first of group 0002 or 0008, in one of the three encodings. */
function looksLikeElements(head: Uint8Array): boolean {
  if (head.length < 16) return false;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  return [true, false].some((little) => {
    const group = view.getUint16(0, little);
    const element = view.getUint16(2, little);
    if (group !== 0x0008 && group !== 0x0002) return false;
    const explicit = isKnownVr(String.fromCharCode(head[4] ?? 0, head[5] ?? 0));
    if (!explicit && !little) return false;
    const length = explicit ? view.getUint16(6, little) : view.getUint32(4, little);
    const next = 8 + length;
    if (next + 8 > head.length) return false;
    const nextGroup = view.getUint16(next, little);
    const nextElement = view.getUint16(next + 2, little);
    return nextGroup > group ? nextGroup <= 0x0010 : nextGroup === group && nextElement > element;
  });
}
