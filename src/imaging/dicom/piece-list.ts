/**
 * A stretch of a file that is made out of another: bytes that were written anew, bytes that are taken over (those of each
 * `unit` in the opposite order), or the place where the frames of the pixel data go.
 */
export type Piece =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'copy'; readonly offset: number; readonly length: number; readonly unit: ByteUnit }
  | { readonly kind: 'frames' };

/** Bytes of one value that change places when the byte order does; 1 leaves them as they are. */
export type ByteUnit = 1 | 2 | 4 | 8;

const FIRST_CAPACITY = 256;

/** Collects pieces in order; what is written bytewise comes together in one piece. */
export class PieceList {
  private readonly finished: Piece[] = [];
  private open = Buffer.alloc(0);
  private used = 0;
  private total = 0;

  /** Bytes of all pieces; of the frames, nothing is known here. */
  get length(): number {
    return this.total;
  }

  write(bytes: Uint8Array): void {
    const needed = this.used + bytes.length;
    if (needed > this.open.length) {
      const grown = Buffer.allocUnsafe(Math.max(FIRST_CAPACITY, needed, this.open.length * 2));
      this.open.copy(grown, 0, 0, this.used);
      this.open = grown;
    }
    this.open.set(bytes, this.used);
    this.used = needed;
    this.total += bytes.length;
  }

  copy(offset: number, length: number, unit: ByteUnit = 1): void {
    if (length === 0) return;
    this.close();
    this.total += length;
    const last = this.finished.at(-1);
    if (last?.kind === 'copy' && last.unit === unit && last.offset + last.length === offset) {
      this.finished[this.finished.length - 1] = { ...last, length: last.length + length };
    } else {
      this.finished.push({ kind: 'copy', offset, length, unit });
    }
  }

  frames(): void {
    this.close();
    this.finished.push({ kind: 'frames' });
  }

  append(other: PieceList): void {
    for (const piece of other.pieces()) {
      if (piece.kind === 'bytes') this.write(piece.bytes);
      else if (piece.kind === 'copy') this.copy(piece.offset, piece.length, piece.unit);
      else this.frames();
    }
  }

  pieces(): readonly Piece[] {
    this.close();
    return this.finished;
  }

  private close(): void {
    if (this.used === 0) return;
    this.finished.push({ kind: 'bytes', bytes: this.open.subarray(0, this.used) });
    this.open = Buffer.alloc(0);
    this.used = 0;
  }
}

/** The bytes of each `unit` in the opposite order; what is left over at the end stays. Copies. */
export function reversedUnits(bytes: Uint8Array, unit: ByteUnit): Uint8Array {
  const out = Buffer.from(bytes);
  const whole = out.subarray(0, out.length - (out.length % unit));
  if (unit === 2) whole.swap16();
  else if (unit === 4) whole.swap32();
  else if (unit === 8) whole.swap64();
  return out;
}
