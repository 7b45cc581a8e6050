import { createHash } from 'node:crypto';

/** Bits for each key: of keys that are not in it, one in some two thousand seems to be. */
const BITS_PER_KEY = 16;
/** 32 bits of a digest each. */
const PROBES = 6;

/** Remembers any number of keys in two bytes each: what it has not seen, it sometimes takes for seen, but never the other way round. @see Bloom 1970, "Space/time trade-offs in hash coding with allowable errors" */
export class KeyFilter {
  private readonly bits: Uint8Array;

  /** @param keys  about how many will be added */
  constructor(keys: number) {
    this.bits = new Uint8Array(Math.max(1_024, Math.ceil((keys * BITS_PER_KEY) / 8)));
  }

  add(key: string): void {
    for (const bit of this.placesOf(key)) this.bits[bit >>> 3] = (this.bits[bit >>> 3] ?? 0) | (1 << (bit & 7));
  }

  /** false: it was certainly never added. */
  mayHave(key: string): boolean {
    return this.placesOf(key).every((bit) => ((this.bits[bit >>> 3] ?? 0) & (1 << (bit & 7))) !== 0);
  }

  private placesOf(key: string): number[] {
    const digest = createHash('sha256').update(key).digest();
    const size = this.bits.length * 8;
    return Array.from({ length: PROBES }, (_, index) => digest.readUInt32LE(index * 4) % size);
  }
}
