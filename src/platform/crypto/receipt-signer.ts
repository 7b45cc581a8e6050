import { createPrivateKey, createPublicKey, sign, type KeyObject } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { calculateJwkThumbprint, CompactSign, compactVerify, decodeProtectedHeader, errors, exportJWK, generateKeyPair, type JWK } from 'jose';
import { AppError } from '../../kernel/errors.js';
import { Database } from '../database/database.js';
import { LOGGER, type Logger } from '../ops/logger.js';
import { AuditKeysStore, type AuditKeyRow, type Ed25519PublicJwk } from './audit-keys.store.js';
import { MasterKey } from './master-key.js';

interface OpenKey {
  kid: string;
  privateKey: KeyObject;
}

/** What a receipt says, and whose signature it carries. */
export interface VerifiedReceipt {
  kid: string;
  publicJwk: Ed25519PublicJwk;
  payload: unknown;
}

/**
 * Signs what has to stand for years with an Ed25519 key of the installation: receipts as JWS, anything else as bytes. The key is
 * made when none is there; all keys that there ever were verify. @see RFC 7515, RFC 8037
 */
@Injectable()
export class ReceiptSigner {
  private current: Promise<OpenKey> | undefined;

  constructor(
    private readonly store: AuditKeysStore,
    private readonly database: Database,
    private readonly masterKey: MasterKey,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * Gets the key ready: signing afterwards asks nobody, so that it can be done inside a transaction.
   *
   * @param type  of the receipt, for example `erasure-receipt+jwt`; a receipt of one type is never taken for one of another
   */
  async prepare(type: string): Promise<(payload: object) => Promise<string>> {
    const { kid, privateKey } = await this.key();
    return (payload) => new CompactSign(Buffer.from(JSON.stringify(payload))).setProtectedHeader({ alg: 'EdDSA', typ: type, kid }).sign(privateKey);
  }

  /** Ed25519 over the bytes as they are. */
  async signBytes(bytes: Uint8Array): Promise<{ kid: string; signature: Buffer }> {
    const { kid, privateKey } = await this.key();
    return { kid, signature: sign(null, bytes, privateKey) };
  }

  /** @returns undefined when it is no receipt of this type that this installation has signed */
  async verify(receipt: string, type: string): Promise<VerifiedReceipt | undefined> {
    const keys = await this.store.list();
    try {
      const { kid, typ } = decodeProtectedHeader(receipt);
      const key = keys.find((one) => one.kid === kid);
      if (!key || typ !== type) return undefined;
      const { payload } = await compactVerify(receipt, createPublicKey({ key: { ...key.publicJwk }, format: 'jwk' }), { algorithms: ['EdDSA'] });
      return { kid: key.kid, publicJwk: key.publicJwk, payload: JSON.parse(Buffer.from(payload).toString('utf8')) as unknown };
    } catch (error) {
      if (error instanceof errors.JOSEError || error instanceof TypeError || error instanceof SyntaxError) return undefined;
      throw error;
    }
  }

  /** All of them, newest first. */
  async publicKeys(): Promise<{ kid: string; publicJwk: Ed25519PublicJwk }[]> {
    return (await this.store.list()).map(({ kid, publicJwk }) => ({ kid, publicJwk }));
  }

  private key(): Promise<OpenKey> {
    this.current ??= this.load().catch((error: unknown) => {
      this.current = undefined;
      throw error;
    });
    return this.current;
  }

  private async load(): Promise<OpenKey> {
    const known = this.newestOf(await this.store.list());
    if (known) return known;
    return this.database.transaction('system', async (tx) => {
      const meanwhile = this.newestOf(await this.store.listAlone(tx));
      if (meanwhile) return meanwhile;
      const pair = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
      const privateJwk = await exportJWK(pair.privateKey);
      const { kty, crv, x } = await exportJWK(pair.publicKey);
      // The members that every such key has, RFC 8037 §2.
      const publicJwk = { kty, crv, x } as Ed25519PublicJwk;
      const kid = await calculateJwkThumbprint(publicJwk);
      await this.store.add(tx, { kid, publicJwk, sealedPrivateJwk: this.masterKey.seal(Buffer.from(JSON.stringify(privateJwk)), contextOf(kid)) });
      return { kid, privateKey: createPrivateKey({ key: { ...privateJwk }, format: 'jwk' }) };
    });
  }

  /** A key that was sealed under another master key only verifies. */
  private newestOf(rows: readonly AuditKeyRow[]): OpenKey | undefined {
    for (const { kid, sealedPrivateJwk } of rows) {
      try {
        // Sealed above.
        const jwk = JSON.parse(this.masterKey.open(sealedPrivateJwk, contextOf(kid)).toString()) as JWK & { kty: string };
        return { kid, privateKey: createPrivateKey({ key: { ...jwk }, format: 'jwk' }) };
      } catch (err) {
        if (!(err instanceof AppError)) throw err;
        this.logger.warn({ err, kid }, 'a key that signs receipts cannot be opened: was MASTER_KEY changed?');
      }
    }
    return undefined;
  }
}

function contextOf(kid: string): string {
  return `audit-keys/${kid}`;
}
