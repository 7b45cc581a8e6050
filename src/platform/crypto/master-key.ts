import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { chownSync, closeSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Inject, Injectable } from '@nestjs/common';
import { AppError } from '../../kernel/errors.js';
import { CONFIG, type Config } from '../config.js';
import { KEY_BYTES, NONCE_BYTES, TAG_BYTES } from './data-key.js';

const FORMAT = 1;

type MasterKeyConfig = Pick<Config, 'MASTER_KEY' | 'isProduction' | 'dataDir'> & Partial<Pick<Config, 'MASTER_KEY_PREVIOUS'>>;

/**
 * The secret of the installation. Nothing is encrypted with it directly: every context gets its own key by HKDF (RFC 5869),
 * so that what was sealed in one place cannot be opened in another.
 */
@Injectable()
export class MasterKey {
  private bytes: Buffer | undefined;

  constructor(@Inject(CONFIG) private readonly config: MasterKeyConfig) {}

  /**
   * Encrypts with AES-256-GCM.
   *
   * @param context  names the one thing that is sealed, for example `signing-keys/<kid>`; the same is needed to open it
   * @returns format byte, nonce, ciphertext, tag
   * @throws AppError `configuration-invalid` when there is no key
   */
  seal(plaintext: Uint8Array, context: string): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', derive(this.current(), 'seal', context), nonce);
    return Buffer.concat([Buffer.of(FORMAT), nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  }

  /**
   * What MASTER_KEY, or MASTER_KEY_PREVIOUS while keys are rotated, has sealed.
   * @throws AppError `internal` when it was sealed under another key or context, or changed since
   */
  open(sealed: Uint8Array, context: string): Buffer {
    let failure: unknown;
    for (const key of [this.current(), ...this.previous()]) {
      try {
        return this.openWith(key, Buffer.from(sealed), context);
      } catch (cause) {
        if (cause instanceof AppError) throw cause;
        failure ??= cause;
      }
    }
    throw new AppError('internal', { detail: `A value sealed for ${context} cannot be opened with this MASTER_KEY.`, cause: failure });
  }

  /** Tells master keys apart without telling what they are. */
  get id(): string {
    return this.fingerprint('', 'master-key-id').toString('hex').slice(0, 16);
  }

  /** HMAC-SHA256, 32 bytes: a fingerprint that nobody without the master key can test guesses against. */
  fingerprint(data: string, context: string): Buffer {
    return createHmac('sha256', derive(this.current(), 'fingerprint', context)).update(data).digest();
  }

  private openWith(key: Buffer, bytes: Buffer, context: string): Buffer {
    if (bytes.length < 1 + NONCE_BYTES + TAG_BYTES || bytes[0] !== FORMAT) throw new RangeError('not a sealed value');
    const decipher = createDecipheriv('aes-256-gcm', derive(key, 'seal', context), bytes.subarray(1, 1 + NONCE_BYTES));
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    return Buffer.concat([decipher.update(bytes.subarray(1 + NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
  }

  private current(): Buffer {
    this.bytes ??= loadMasterKey(this.config);
    return this.bytes;
  }

  private previous(): Buffer[] {
    return this.config.MASTER_KEY_PREVIOUS === undefined ? [] : [Buffer.from(this.config.MASTER_KEY_PREVIOUS, 'base64')];
  }
}

function derive(key: Buffer, use: 'seal' | 'fingerprint', context: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, '', `healthvision/${use}/${context}`, KEY_BYTES));
}

/**
 * `MASTER_KEY`, else the key file of the data directory, which is made when it is missing (never in production).
 *
 * @returns 32 bytes
 * @throws AppError `configuration-invalid`
 */
export function loadMasterKey(config: MasterKeyConfig): Buffer {
  if (config.MASTER_KEY !== undefined) return Buffer.from(config.MASTER_KEY, 'base64');
  if (config.isProduction) throw new AppError('configuration-invalid', { detail: 'MASTER_KEY is required when NODE_ENV=production (openssl rand -base64 32).' });
  const file = join(config.dataDir, 'master.key');
  const existing = readKey(file);
  if (existing) return existing;
  createKey(file, config.dataDir);
  const created = readKey(file);
  if (!created) throw new AppError('configuration-invalid', { detail: `The master key was written to ${file} and cannot be read back.` });
  return created;
}

function readKey(file: string): Buffer | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw new AppError('configuration-invalid', { detail: `The master key ${file} cannot be read.`, cause });
  }
  const key = Buffer.from(text.trim(), 'base64');
  if (key.length !== KEY_BYTES) throw new AppError('configuration-invalid', { detail: `${file} does not hold ${String(KEY_BYTES)} bytes in base64.` });
  return key;
}

/** Written whole beside, then linked: of several processes that start at once one wins, and nobody reads half a key. */
function createKey(file: string, dataDir: string): void {
  mkdirSync(dataDir, { recursive: true });
  const draft = `${file}.${String(process.pid)}.${randomBytes(4).toString('hex')}`;
  const descriptor = openSync(draft, 'wx', 0o600);
  try {
    writeSync(descriptor, `${randomBytes(KEY_BYTES).toString('base64')}\n`);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  try {
    // So that the owner of DATA_DIR can run HealthVision there after root did.
    const owner = statSync(dataDir);
    if (process.getuid?.() === 0) chownSync(draft, owner.uid, owner.gid);
    linkSync(draft, file);
    const directory = openSync(dataDir, 'r');
    fsyncSync(directory);
    closeSync(directory);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}
