import { createHmac } from 'node:crypto';

/**
 * Searchable fingerprints of encrypted values: the first 64 bits of HMAC-SHA256 under the institution's index key. Equal values
 * of one field give equal tokens within one institution and nowhere else; without the key nothing can be tried out.
 */
export class BlindIndex {
  constructor(private readonly key: Uint8Array) {}

  /**
   * @param kind  what the value is of the field: the whole, a prefix, a 3-gram
   * @param value  normalised by the caller, who must do it alike for storing and for searching
   * @returns signed, as PostgreSQL's bigint is
   */
  token(field: string, kind: string, value: string): bigint {
    return createHmac('sha256', this.key).update(`${field}\0${kind}\0${value}`).digest().readBigInt64BE(0);
  }
}
