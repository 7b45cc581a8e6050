import { AppError } from '../../kernel/errors.js';

/** Elements, items and fragments of one data set. A thousand frames of an enhanced object have some fifty thousand. */
const MAX_ELEMENTS = 200_000;
/** A single text or number value beyond this is left in the file. Also bounds the values of one element. */
const MAX_VALUE_BYTES = 64 * 1024;
/** All values kept inline, as they lie in the file. */
const MAX_INLINE_BYTES = 8 << 20;
/** All pieces that the inline values are decoded to, see `pieceCount`: a byte can become an object of fifty. */
const MAX_PIECES = 300_000;

/** The last part of the budget is for short top-level values: identifiers and the image description stand behind private bulk. */
const SHORT_BYTES = 1024;
const RESERVED_BYTES = 1 << 20;
const RESERVED_PIECES = 50_000;

const MAX_MISREAD_SEQUENCES = 1000;

interface Spent {
  elements: number;
  bytes: number;
  pieces: number;
  misread: number;
}

/**
 * What may be held of one data set in memory. Values that find no room stay in the file as bulk data, so that a valid
 * file is never refused for its long values; a data set of more elements than any device writes is refused.
 */
export class InlineBudget {
  private spent: Spent = { elements: 0, bytes: 0, pieces: 0, misread: 0 };

  /** @throws AppError `invalid-dicom` beyond 200,000 */
  countElement(): void {
    if (++this.spent.elements > MAX_ELEMENTS) throw new AppError('invalid-dicom', { detail: 'The data set has too many elements' });
  }

  /** Whether a text or number value is short enough to be kept at all. */
  static isShortEnough(length: number): boolean {
    return length <= MAX_VALUE_BYTES;
  }

  hasRoomFor(length: number, topLevel: boolean): boolean {
    return this.spent.bytes + length <= MAX_INLINE_BYTES - (topLevel && length <= SHORT_BYTES ? 0 : RESERVED_BYTES);
  }

  /** Takes the room of a value, or returns false when its pieces are too many. */
  take(length: number, pieces: number, topLevel: boolean): boolean {
    if (this.spent.pieces + pieces > MAX_PIECES - (topLevel && length <= SHORT_BYTES ? 0 : RESERVED_PIECES)) return false;
    this.spent.bytes += length;
    this.spent.pieces += pieces;
    return true;
  }

  /** Reading what may be a sequence and finding that it is none costs an exception; a file gets so many tries. */
  get mayMisread(): boolean {
    return this.spent.misread < MAX_MISREAD_SEQUENCES;
  }

  countMisread(): void {
    this.spent.misread++;
  }

  /** The state to go back to when an element is read again with a larger window. */
  snapshot(): Readonly<Spent> {
    return { ...this.spent };
  }

  restore(snapshot: Readonly<Spent>): void {
    this.spent = { ...snapshot };
  }
}
