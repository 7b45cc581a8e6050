import { createPrivateKey, createPublicKey, createSecretKey, generateKeyPairSync, randomBytes, sign, verify, type KeyObject } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { AppError } from '../../kernel/errors.js';
import { uuidv7 } from '../../kernel/uid.js';
import { MasterKey } from '../crypto/master-key.js';
import { AuditKeysStore, type AuditKeyRow } from './audit-keys.store.js';

const MAC_BYTES = 32;

export interface AuditSigningKey {
  kid: string;
  /** RFC 8037 */
  publicJwk: { kty: 'OKP'; crv: 'Ed25519'; x: string };
  createdAt: Date;
  privateKey: KeyObject;
  publicKey: KeyObject;
}

interface Opened {
  mac: KeyObject | undefined;
  signing: AuditSigningKey[];
}

/**
 * The keys of the audit trail. They are random, and only sealed with the master key: exchanging that one leaves every MAC and signature valid. Public keys come out
 * of what is sealed, so that nobody can put one of their own in the table.
 */
@Injectable()
export class AuditKeys {
  private opened: Promise<Opened> | undefined;

  constructor(
    private readonly store: AuditKeysStore,
    private readonly masterKey: MasterKey,
  ) {}

  /** Of the MACs of events and heads; made at the first use. @throws AppError `configuration-invalid` when it was sealed under another master key */
  async macKey(): Promise<KeyObject> {
    const { mac } = await this.keys();
    if (mac) return mac;
    const bytes = randomBytes(MAC_BYTES);
    await this.add('mac', null, bytes);
    const made = (await this.keys()).mac;
    if (!made) throw new AppError('internal', { detail: 'The audit key could not be made.' });
    return made;
  }

  /** All signing keys, oldest first. */
  async signingKeys(): Promise<readonly AuditSigningKey[]> {
    return (await this.keys()).signing;
  }

  /** Signs with Ed25519 (RFC 8032) by the newest key, which is made at the first use. */
  async sign(textOf: (kid: string) => string): Promise<{ kid: string; signature: Buffer; text: string }> {
    const key = await this.newest();
    const text = textOf(key.kid);
    return { kid: key.kid, text, signature: sign(null, Buffer.from(text), key.privateKey) };
  }

  async isSigned(kid: string, text: string, signature: Uint8Array): Promise<boolean> {
    const key = await this.find(kid);
    return key !== undefined && verify(null, Buffer.from(text), key.publicKey, signature);
  }

  /** Looks again when it is unknown: another process may have made it. */
  async find(kid: string): Promise<AuditSigningKey | undefined> {
    return (await this.signingKeys()).find((one) => one.kid === kid) ?? (await this.again()).signing.find((one) => one.kid === kid);
  }

  /** Seals under MASTER_KEY what MASTER_KEY_PREVIOUS sealed. @returns how many keys */
  async sealAnew(): Promise<number> {
    const foreign = (await this.store.all()).filter(({ masterKeyId }) => masterKeyId !== this.masterKey.id);
    for (const row of foreign) await this.store.sealAnew(row.kid, this.masterKey.seal(this.open(row), contextOf(row)), this.masterKey.id);
    this.opened = undefined;
    return foreign.length;
  }

  /** The one that signs now, made at the first use. */
  async newest(): Promise<AuditSigningKey> {
    const known = (await this.signingKeys()).at(-1);
    if (known) return known;
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const { kty, crv, x } = publicKey.export({ format: 'jwk' });
    // RFC 8037 §2 has these members in every such key.
    await this.add('sign', { kty, crv, x } as AuditSigningKey['publicJwk'], privateKey.export({ format: 'der', type: 'pkcs8' }));
    const made = (await this.signingKeys()).at(-1);
    if (!made) throw new AppError('internal', { detail: 'The signing key of the audit trail could not be made.' });
    return made;
  }

  private async add(use: AuditKeyRow['use'], publicJwk: AuditKeyRow['publicJwk'], bytes: Buffer): Promise<void> {
    const row = { kid: uuidv7(), use, publicJwk, masterKeyId: this.masterKey.id };
    await this.store.addFirst({ ...row, sealed: this.masterKey.seal(bytes, contextOf(row)) });
    this.opened = undefined;
  }

  private keys(): Promise<Opened> {
    this.opened ??= this.load().catch((error: unknown) => {
      this.opened = undefined;
      throw error;
    });
    return this.opened;
  }

  /** Another process may have made a key meanwhile. */
  private again(): Promise<Opened> {
    this.opened = undefined;
    return this.keys();
  }

  private async load(): Promise<Opened> {
    const rows = await this.store.all();
    const mac = rows.find(({ use }) => use === 'mac');
    return {
      mac: mac && createSecretKey(this.open(mac)),
      signing: rows.filter(({ use }) => use === 'sign').map((row) => {
        const privateKey = createPrivateKey({ key: this.open(row), format: 'der', type: 'pkcs8' });
        const publicKey = createPublicKey(privateKey);
        const { kty, crv, x } = publicKey.export({ format: 'jwk' });
        return { kid: row.kid, createdAt: row.createdAt, privateKey, publicKey, publicJwk: { kty, crv, x } as AuditSigningKey['publicJwk'] };
      }),
    };
  }

  private open(row: AuditKeyRow): Buffer {
    try {
      return this.masterKey.open(row.sealed, contextOf(row));
    } catch (cause) {
      throw new AppError('configuration-invalid', { detail: 'The keys of the audit trail cannot be opened with this MASTER_KEY.', cause });
    }
  }
}

function contextOf({ kid, use }: Pick<AuditKeyRow, 'kid' | 'use'>): string {
  return `audit-keys/${use}/${kid}`;
}
