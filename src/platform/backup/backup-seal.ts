import { webcrypto } from 'node:crypto';
import { Decrypter, Encrypter, identityToRecipient } from 'age-encryption';
import { AppError } from '../../kernel/errors.js';
import type { MasterKey } from '../crypto/master-key.js';
import type { BackupManifest } from './backup-manifest.js';

/** PKCS #8 of an X25519 key, up to its 32 bytes. @see RFC 8410 §7 */
const X25519_PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');

/** For whom a backup is sealed. */
export type Sealing = { recipients: readonly string[] } | { passphrase: string } | { masterKey: MasterKey };

/** What a backup is opened with. */
export interface Opening {
  identities?: readonly string[];
  passphrase?: string;
  /** Of the installation that made the backup. */
  masterKeys?: readonly MasterKey[];
}

/** As the manifest has it. */
export function sealedFor(sealing: Sealing): BackupManifest['sealedFor'] {
  if ('recipients' in sealing) return [...sealing.recipients];
  return 'passphrase' in sealing ? 'passphrase' : 'installation';
}

/**
 * Encrypts a stream in the age format, which the tool `age` reads too; without recipients or a passphrase for an identity that follows from the master key.
 *
 * @throws AppError `configuration-invalid` for a recipient that is none
 * @see https://age-encryption.org/v1
 */
export async function sealer(sealing: Sealing): Promise<(source: AsyncIterable<Uint8Array>) => AsyncGenerator<Uint8Array>> {
  const encrypter = new Encrypter();
  if ('passphrase' in sealing) encrypter.setPassphrase(sealing.passphrase);
  else {
    const recipients = 'recipients' in sealing ? sealing.recipients : [await identityToRecipient(await identityOf(sealing.masterKey))];
    for (const recipient of recipients) {
      try {
        encrypter.addRecipient(recipient);
      } catch (cause) {
        throw new AppError('configuration-invalid', { detail: `${recipient.slice(0, 80)} is no age recipient.`, cause });
      }
    }
  }
  return async function* (source) {
    yield* await encrypter.encrypt(ReadableStream.from(source));
  };
}

/** Decrypts what `sealer` or the tool `age` wrote. @throws AppError `configuration-invalid` for an identity that is none */
export async function opener({ identities = [], passphrase, masterKeys = [] }: Opening): Promise<(source: AsyncIterable<Uint8Array>) => AsyncGenerator<Uint8Array>> {
  const decrypter = new Decrypter();
  if (passphrase !== undefined) decrypter.addPassphrase(passphrase);
  for (const masterKey of masterKeys) decrypter.addIdentity(await identityOf(masterKey));
  for (const identity of identities) {
    try {
      decrypter.addIdentity(identity);
    } catch (cause) {
      throw new AppError('configuration-invalid', { detail: 'A line of the identity file is no age identity (AGE-SECRET-KEY-1…).', cause });
    }
  }
  return async function* (source) {
    let isOpen = false;
    try {
      const plain = await decrypter.decrypt(ReadableStream.from(source));
      isOpen = true;
      yield* plain;
    } catch (error) {
      if (error instanceof AppError || isFromSystem(error)) throw error;
      if (!isOpen && /no identity matched|no passphrase matched/.test(messageOf(error))) throw new AppError('backup-identity-wrong', { cause: error });
      throw new AppError('backup-corrupt', { detail: 'The encrypted part is not what was written.', cause: error });
    }
  };
}

/** Of whoever has the master key. */
async function identityOf(masterKey: MasterKey): Promise<webcrypto.CryptoKey> {
  const scalar = masterKey.fingerprint('', 'backup-identity');
  return webcrypto.subtle.importKey('pkcs8', Buffer.concat([X25519_PKCS8, scalar]), { name: 'X25519' }, false, ['deriveBits']);
}

function isFromSystem(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : '';
}
