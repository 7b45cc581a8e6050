import { AppError } from '../../kernel/errors.js';
import type { ElementWalker } from './elements.js';

/** A range of the file that the parser wants; the answer may be shorter at the end of the file. */
export interface ReadRequest {
  offset: number;
  length: number;
}

const FIRST_BYTES = 64 * 1024;
/** Nothing that has to be read in one piece, which is a sequence, is larger than this. */
const MAX_WINDOW_BYTES = 64 * 1024 * 1024;
/** Deflated files are held whole while they are inflated. */
const MAX_DEFLATED_BYTES = 512 * 1024 * 1024;

/** The part of the file that the walker sees. Grows by four when one element does not fit. */
export class ReadWindow {
  private lastRequest: ReadRequest = { offset: -1, length: 0 };

  constructor(readonly walker: ElementWalker) {}

  /** Moves the window to `from` so that it reaches at least to `end`. */
  *fill(from: number, end: number, usual = FIRST_BYTES): Generator<ReadRequest, void, Uint8Array> {
    const { size } = this.walker;
    if (end - from > MAX_WINDOW_BYTES) throw new AppError('invalid-dicom', { detail: 'An element is too large to be read' });
    const wanted = from === this.lastRequest.offset ? this.lastRequest.length * 4 : usual;
    const length = Math.min(Math.max(end - from, Math.min(wanted, MAX_WINDOW_BYTES)), size - from);
    this.lastRequest = { offset: from, length };
    const bytes = yield this.lastRequest;
    if (from + bytes.length < end) throw new AppError('truncated-file', { detail: 'The file is shorter than announced' });
    this.walker.setWindow(from, bytes);
  }

  /** Up to `length` bytes at `from`, fewer at the end of the file. */
  *peek(from: number, length: number): Generator<ReadRequest, Uint8Array, Uint8Array> {
    const end = Math.min(from + length, this.walker.size);
    if (from >= end) return new Uint8Array(0);
    if (!this.walker.covers(from, end)) yield* this.fill(from, end);
    return this.walker.slice(from, end - from);
  }

  /** Everything from an offset to the end of the file. */
  *readAll(from: number): Generator<ReadRequest, Uint8Array, Uint8Array> {
    const length = this.walker.size - from;
    if (length > MAX_DEFLATED_BYTES) throw new AppError('archive-bomb', { detail: 'The deflated data set is too large' });
    if (length <= 0) throw new AppError('truncated-file', { detail: 'The data set is missing' });
    if (this.walker.covers(from, from + length)) return this.walker.slice(from, length);
    const bytes = yield { offset: from, length };
    if (bytes.length < length) throw new AppError('truncated-file', { detail: 'The file is shorter than announced' });
    return bytes;
  }
}
