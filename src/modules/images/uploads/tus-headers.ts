import { AppError } from '../../../kernel/errors.js';
import type { ByteSource } from '../byte-source.js';
import { IMAGE_FIELD_NAMES } from '../image-fields.js';
import type { UploadPart } from '../upload.service.js';

/** @see https://tus.io/protocols/resumable-upload 1.0.0 */
export const TUS_VERSION = '1.0.0';
export const TUS_PATH = 'api/v1/uploads';
export const TUS_EXTENSIONS = 'creation,creation-with-upload,creation-defer-length,expiration,checksum,termination';
/** What a piece of an upload is sent as. */
export const OFFSET_STREAM = 'application/offset+octet-stream';

export const CHECKSUM_ALGORITHMS = ['sha1', 'sha256'] as const;

/** What a piece must come to. */
export interface Checksum {
  algorithm: (typeof CHECKSUM_ALGORITHMS)[number];
  digest: Buffer;
}

const DIGEST_BYTES: Record<Checksum['algorithm'], number> = { sha1: 20, sha256: 32 };
const MAX_NAME_LENGTH = 1024;

/** The value of a header that counts bytes. @throws AppError `bad-request` */
export function byteCount(name: string, value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw new AppError('bad-request', { detail: `${name} must be a number of bytes.` });
  return Number(value);
}

/** Upload-Checksum: algorithm and digest in base64. @throws AppError `bad-request` */
export function parseChecksum(value: string | undefined): Checksum | undefined {
  if (value === undefined) return undefined;
  const [name, encoded = '', ...rest] = value.trim().split(' ');
  const algorithm = CHECKSUM_ALGORITHMS.find((one) => one === name);
  if (algorithm === undefined) throw new AppError('bad-request', { detail: `Upload-Checksum takes ${CHECKSUM_ALGORITHMS.join(' and ')}.` });
  const digest = Buffer.from(encoded, 'base64');
  if (rest.length > 0 || !isBase64(encoded) || digest.length !== DIGEST_BYTES[algorithm]) throw new AppError('bad-request', { detail: 'Upload-Checksum holds no digest of its algorithm.' });
  return { algorithm, digest };
}

/**
 * Upload-Metadata: pairs of a key and a value in base64, separated by commas. May hold PHI: a file name often names the patient.
 *
 * @throws AppError `bad-request`
 */
export function parseMetadata(value: string | undefined): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>();
  for (const pair of value?.split(',') ?? []) {
    if (pair.trim() === '') continue;
    const [key = '', encoded = '', ...rest] = pair.trim().split(/ +/);
    if (!/^[!-+\--~]+$/.test(key) || rest.length > 0 || !isBase64(encoded)) throw malformed('is a list of pairs, a key and a value in base64');
    if (metadata.has(key)) throw malformed('names a key twice');
    metadata.set(key, Buffer.from(encoded, 'base64').toString('utf8'));
  }
  return metadata;
}

/**
 * What was uploaded as a form with one file, which is what it would have been without tus. Fields that only pictures need are
 * those of `POST /images`; what else clients like to tell (media type, path) is left out.
 */
export function formOf(metadata: ReadonlyMap<string, string>, content: ByteSource): UploadPart[] {
  const fields = IMAGE_FIELD_NAMES.flatMap((name): UploadPart[] => {
    const value = metadata.get(name);
    return value === undefined ? [] : [{ kind: 'field', name, value }];
  });
  const file = [metadata.get('filename'), metadata.get('name')].find((name) => name !== undefined && name !== '') ?? 'unnamed';
  return [...fields, { kind: 'file', name: file.slice(0, MAX_NAME_LENGTH), content }];
}

function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
}

function malformed(what: string): AppError {
  return new AppError('bad-request', { detail: `Upload-Metadata ${what}.` });
}
