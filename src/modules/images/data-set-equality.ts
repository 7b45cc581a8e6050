import { dataSetStart } from '../../imaging/dicom/file-meta.js';
import type { ReadRequest } from '../../imaging/dicom/read-window.js';
import type { ByteRange } from '../../platform/storage/blob-store.js';

/** A file that can be read in any order. */
export interface ReadableFile {
  sizeBytes: number;
  read(range: ByteRange): Promise<Uint8Array>;
}

const STRETCH_BYTES = 1024 * 1024;

/**
 * Whether two files hold the same data set, byte for byte, behind their File Meta Information: this says how a file came here,
 * by DIMSE or over the web, and through which system.
 *
 * @throws AppError `not-dicom`
 */
export async function haveSameDataSet(one: ReadableFile, other: ReadableFile): Promise<boolean> {
  const [start, otherStart] = [await startOf(one), await startOf(other)];
  const length = one.sizeBytes - start;
  if (length !== other.sizeBytes - otherStart) return false;
  for (let at = 0; at < length; at += STRETCH_BYTES) {
    const [left, right] = await Promise.all([one.read({ offset: start + at, length: STRETCH_BYTES }), other.read({ offset: otherStart + at, length: STRETCH_BYTES })]);
    if (!Buffer.from(left.buffer, left.byteOffset, left.byteLength).equals(right)) return false;
  }
  return true;
}

async function startOf(file: ReadableFile): Promise<number> {
  const parser: Generator<ReadRequest, number, Uint8Array> = dataSetStart(file.sizeBytes);
  let step = parser.next();
  while (step.done !== true) step = parser.next(await file.read(step.value));
  return step.value;
}
