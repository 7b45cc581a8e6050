import { createHash, randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const API_KEY_PATTERN = /^hv_([0-9A-Za-z]{40})([0-9A-Za-z]{6})$/;
const API_KEY_RANDOM_LENGTH = 40;
const CHECKSUM_LENGTH = 6;

/** Text of `length` characters, 5.95 bits of chance each. */
export function randomBase62(length: number): string {
  return Array.from({ length }, () => BASE62[randomInt(BASE62.length)]).join('');
}

/** Hex. For secrets that are random themselves; passwords need argon2id. */
export function sha256Hex(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** `hv_`, 40 random characters (238 bits), 6 characters of CRC-32, by which scanners and we tell a key from a typing error. */
export function newApiKey(): string {
  const random = randomBase62(API_KEY_RANDOM_LENGTH);
  return `hv_${random}${checksum(random)}`;
}

/** Of an OAuth client: 256 bits of chance. */
export function newClientSecret(): string {
  return `hvs_${randomBytes(32).toString('base64url')}`;
}

/** Whether two digests of one length are the same, in a time that does not tell how much of them is. */
export function isSameDigest(one: string, other: string): boolean {
  const [left, right] = [Buffer.from(one), Buffer.from(other)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Whether the text can be a key at all, without asking the database. */
export function isApiKey(text: string): boolean {
  const [, random, sum] = API_KEY_PATTERN.exec(text) ?? [];
  return random !== undefined && sum === checksum(random);
}

function checksum(text: string): string {
  let value = crc32(text);
  let sum = '';
  for (let index = 0; index < CHECKSUM_LENGTH; index++) {
    sum = `${BASE62[value % BASE62.length] ?? ''}${sum}`;
    value = Math.floor(value / BASE62.length);
  }
  return sum;
}
