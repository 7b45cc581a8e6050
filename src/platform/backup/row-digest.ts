import { createHash } from 'node:crypto';

const NEWLINE = 0x0a;
const MASK = (1n << 256n) - 1n;

/**
 * Counts the rows of a COPY in text format and digests them, whatever their order: the sum of the SHA-256 of each, modulo 2^256. It tells copies from
 * each other that went wrong; against somebody who makes them up, the MAC of the backup stands.
 *
 * In that format a line feed ends a row and stands nowhere else.
 */
export class RowDigest {
  rows = 0;
  sizeBytes = 0;
  private sum = 0n;
  private hash = createHash('sha256');

  update(chunk: Uint8Array): void {
    this.sizeBytes += chunk.byteLength;
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      this.hash.update(chunk.subarray(from, end));
      this.sum = (this.sum + BigInt(`0x${this.hash.digest('hex')}`)) & MASK;
      this.hash = createHash('sha256');
      this.rows++;
      from = end + 1;
    }
    if (from < chunk.byteLength) this.hash.update(chunk.subarray(from));
  }

  /** 64 hex digits. */
  get hex(): string {
    return this.sum.toString(16).padStart(64, '0');
  }
}
