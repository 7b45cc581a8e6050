import { randomBytes, randomUUID, createHash } from 'node:crypto';

/** PS3.5 §9.1: at most 64 characters, components of digits without leading zeros. */
const UID_PATTERN = /^(0|[1-9]\d*)(\.(0|[1-9]\d*))+$/;

/** Whether a UID keeps to the standard: the form for UIDs that we make. */
export function isDicomUid(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 64 && UID_PATTERN.test(value);
}

/** As PS3.5 §9.1, but for the leading zeros that some devices write. */
const UID_AS_FOUND_PATTERN = /^\d+(\.\d+)+$/;

/** Whether a UID that others made can be worked with: the form to read files and look things up by. */
export function isDicomUidAsFound(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 64 && UID_AS_FOUND_PATTERN.test(value);
}

/** A new DICOM UID under the UUID root. @see PS3.5 B.2 */
export function newDicomUid(): string {
  return uidFromUuid(randomUUID());
}

/** The same text always gives the same UID (version 8 UUID over SHA-256). @see PS3.5 B.2 */
export function derivedDicomUid(text: string): string {
  const bytes = createHash('sha256').update(text).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return `2.25.${BigInt(`0x${bytes.toString('hex')}`).toString(10)}`;
}

function uidFromUuid(uuid: string): string {
  return `2.25.${BigInt(`0x${uuid.replaceAll('-', '')}`).toString(10)}`;
}

const UUID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && UUID_PATTERN.test(value);
}

const MOST_OF_A_MILLISECOND = 0xfff;
let latest = { now: -1, count: 0 };

/** A UUIDv7 (RFC 9562 §5.7) that sorts by creation time: to the millisecond, and within one in the order in which this process made them (§6.2, method 1; of the first two thousand at least). */
export function uuidv7(now: number = Date.now()): string {
  const bytes = randomBytes(16);
  // The upper half of the counter's range is left for counting.
  latest = { now, count: now === latest.now && latest.count < MOST_OF_A_MILLISECOND ? latest.count + 1 : bytes.readUInt16BE(6) & (MOST_OF_A_MILLISECOND >> 1) };
  bytes.writeUIntBE(now, 0, 6);
  bytes.writeUInt16BE(0x7000 | latest.count, 6);
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/**
 * A UUIDv7 that belongs to another one: the same parent and name always give the same id, and it sorts where its parent does.
 * Work that is repeated after a crash thereby finds what it left behind.
 */
export function derivedUuidv7(parent: string, name: string): string {
  const hash = createHash('sha256').update(`${parent}/${name}`).digest('hex');
  const variant = ((Number.parseInt(hash.slice(3, 4), 16) & 0x3) | 0x8).toString(16);
  return `${parent.slice(0, 13).toLowerCase()}-7${hash.slice(0, 3)}-${variant}${hash.slice(4, 7)}-${hash.slice(7, 19)}`;
}
