import { createCipheriv, createDecipheriv } from 'node:crypto';
import { AppError } from '../../kernel/errors.js';
import { NONCE_BYTES, TAG_BYTES } from '../crypto/data-key.js';

/**
 * How a blob lies on disk or S3: a header of 96 bytes, then chunks of 64 KiB, each encrypted with AES-256-GCM and followed by
 * its tag. A chunk's nonce is its number and whether it is the last (the STREAM construction), so that chunks cannot be
 * reordered, left out or cut off; the key is the blob's own, so that no nonce comes twice.
 *
 * Header: `HVB1`, log2 of the chunk size, three zeros, id of the data key (16), the blob's key sealed with the data key
 * under the name of the blob (60), zeros.
 *
 * @see Hoang, Reyhanitabar, Rogaway, Vizár 2015, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance"
 */
export const HEADER_BYTES = 96;
const CHUNK_LOG2 = 16;
export const CHUNK_BYTES = 1 << CHUNK_LOG2;
export const STORED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES;
const MAGIC = Buffer.from('HVB1');
const KEY_ID_OFFSET = 8;
const SEALED_KEY_OFFSET = 24;
const SEALED_KEY_BYTES = NONCE_BYTES + 32 + TAG_BYTES;

export interface BlobHeader {
  /** UUID. */
  keyId: string;
  sealedKey: Uint8Array;
}

export function encodeHeader({ keyId, sealedKey }: BlobHeader): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header[4] = CHUNK_LOG2;
  Buffer.from(keyId.replaceAll('-', ''), 'hex').copy(header, KEY_ID_OFFSET);
  header.set(sealedKey, SEALED_KEY_OFFSET);
  return header;
}

/** @throws AppError `blob-corrupt` */
export function decodeHeader(bytes: Uint8Array): BlobHeader {
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (header.length < HEADER_BYTES || !header.subarray(0, 4).equals(MAGIC) || header[4] !== CHUNK_LOG2) throw corrupt('Its header is damaged.');
  const hex = header.toString('hex', KEY_ID_OFFSET, KEY_ID_OFFSET + 16);
  return {
    keyId: [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-'),
    sealedKey: header.subarray(SEALED_KEY_OFFSET, SEALED_KEY_OFFSET + SEALED_KEY_BYTES),
  };
}

/** Bytes before encryption of a stored object of `storedBytes`. @throws AppError `blob-corrupt` */
export function plainSize(storedBytes: number): number {
  const body = storedBytes - HEADER_BYTES;
  const chunks = Math.ceil(body / STORED_CHUNK_BYTES);
  const size = body - chunks * TAG_BYTES;
  if (body < TAG_BYTES || size < 0 || chunkCount(size) !== chunks) throw corrupt('It has been cut off.');
  return size;
}

/** An empty blob has one chunk, which proves that it is empty. */
export function chunkCount(plainBytes: number): number {
  return Math.max(1, Math.ceil(plainBytes / CHUNK_BYTES));
}

/** @returns ciphertext and tag */
export function encryptChunk(key: Uint8Array, index: number, isLast: boolean, plaintext: Uint8Array): [Buffer, Buffer] {
  const cipher = createCipheriv('aes-256-gcm', key, nonceOf(index, isLast));
  const ciphertext = cipher.update(plaintext);
  cipher.final();
  return [ciphertext, cipher.getAuthTag()];
}

/** @throws AppError `blob-corrupt` */
export function decryptChunk(key: Uint8Array, index: number, isLast: boolean, stored: Uint8Array): Buffer {
  const end = stored.length - TAG_BYTES;
  if (end < 0) throw corrupt('It has been cut off.');
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(index, isLast)).setAuthTag(stored.subarray(end));
    const plaintext = decipher.update(stored.subarray(0, end));
    decipher.final();
    return plaintext;
  } catch (cause) {
    throw corrupt(`Chunk ${String(index)} is damaged.`, cause);
  }
}

function nonceOf(index: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeUInt32BE(index, 7);
  nonce[11] = isLast ? 1 : 0;
  return nonce;
}

export function corrupt(detail: string, cause?: unknown): AppError {
  return new AppError('blob-corrupt', { detail, cause });
}

/** A blob's key opens under the name of the blob only: exchanged files are noticed. */
export function blobContext(key: string): string {
  return `blobs/${key}`;
}
