import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { AppError } from '../../kernel/errors.js';

export const KEY_BYTES = 32;
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;

/** AES-256-GCM with a fresh nonce. @returns nonce, ciphertext, tag */
export function encrypt(key: Uint8Array, plaintext: Uint8Array, context: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** The other way round. @throws AppError `blob-corrupt` when key, context or a bit of it is another */
export function decrypt(key: Uint8Array, sealed: Uint8Array, context: string): Buffer {
  try {
    if (sealed.length < NONCE_BYTES + TAG_BYTES) throw new RangeError('too short');
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES)).setAAD(Buffer.from(context));
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    const plaintext = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES));
    decipher.final();
    return plaintext;
  } catch (cause) {
    throw new AppError('blob-corrupt', { detail: `What is stored for ${context} is not what was written.`, cause });
  }
}

/** The key of one study, or of an institution for what belongs to no study. Held in memory only. */
export class DataKey {
  constructor(
    /** UUID. */
    readonly id: string,
    private readonly bytes: Uint8Array,
  ) {}

  /**
   * Encrypts with AES-256-GCM; the same `context` opens it, so that a value cannot be moved to another place.
   *
   * @param context  names the one thing that is sealed, for example `studies/<id>`; free of PHI, errors quote it
   */
  seal(plaintext: Uint8Array, context: string): Buffer {
    return encrypt(this.bytes, plaintext, context);
  }

  /** @throws AppError `blob-corrupt` */
  open(sealed: Uint8Array, context: string): Buffer {
    return decrypt(this.bytes, sealed, context);
  }
}
