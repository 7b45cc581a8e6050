import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';
import { MasterKey } from '../../platform/crypto/master-key.js';
import { Database } from '../../platform/database/database.js';
import { LOGGER, type Logger } from '../../platform/ops/logger.js';
import { ACCESS_TOKEN_SECONDS } from './token-life.js';
import { SigningKeysStore, type PublicJwk, type StoredSigningKey } from './signing-keys.store.js';

export interface SigningKey {
  kid: string;
  privateKey: KeyObject;
}

interface VerificationKeys {
  readAt: number;
  stored: StoredSigningKey[];
  byKid: ReadonlyMap<string, KeyObject>;
}

/** Keys are re-read this often, so that another process's new or retired key is known soon. */
const FRESH_MS = 10_000;
/** A key signs for so long; then the next token is signed by a new one. */
const SIGNING_DAYS = 90;
/**
 * For how long a key verifies after another signs in its place: the longest life of a token, the time in which other processes
 * notice, and a minute for clocks that differ.
 */
const FAREWELL_MS = ACCESS_TOKEN_SECONDS * 1000 + FRESH_MS + 60_000;
/** A token with an unknown key makes us look at most this often. */
const UNKNOWN_KEY_MS = 1_000;

/** The ES256 keys of the installation: any process signs with the newest, all verify with every one that is not retired yet. */
@Injectable()
export class SigningKeysService {
  private known: VerificationKeys | undefined;
  private reading: Promise<VerificationKeys> | undefined;
  private readonly opened = new Map<string, KeyObject | null>();

  constructor(
    private readonly store: SigningKeysStore,
    private readonly database: Database,
    private readonly masterKey: MasterKey,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** The key that signs now. The first is made here, and the next when this one has signed for 90 days. */
  async current(): Promise<SigningKey> {
    return this.signingKeyOf((await this.keys(FRESH_MS)).stored) ?? this.replace((stored) => this.signingKeyOf(stored));
  }

  /**
   * Makes a new key that signs from now on; other processes follow within 10 s. Nobody is signed out: the keys before verify
   * until the last token of theirs has run out.
   */
  async rotate(): Promise<SigningKey> {
    return this.replace(() => undefined);
  }

  /** undefined when no such key verifies any more. */
  async publicKey(kid: string): Promise<KeyObject | undefined> {
    return (await this.keys(FRESH_MS)).byKid.get(kid) ?? (await this.keys(UNKNOWN_KEY_MS)).byKid.get(kid);
  }

  /** @see RFC 7517 §5 */
  async jwks(): Promise<{ keys: JWK[] }> {
    await this.current();
    const { stored } = await this.keys(FRESH_MS);
    return { keys: stored.map(({ kid, publicJwk }) => ({ ...publicJwk, kid, use: 'sig', alg: 'ES256' })) };
  }

  private async keys(maxAgeMs: number): Promise<VerificationKeys> {
    if (this.known && Date.now() - this.known.readAt < maxAgeMs) return this.known;
    this.reading ??= this.read().finally(() => { this.reading = undefined; });
    return this.reading;
  }

  private async read(): Promise<VerificationKeys> {
    const readAt = Date.now();
    const stored = await this.store.list();
    const byKid = new Map(stored.map(({ kid, publicJwk }) => [kid, this.known?.byKid.get(kid) ?? createPublicKey({ key: { ...publicJwk }, format: 'jwk' })]));
    this.known = { readAt, stored, byKid };
    return this.known;
  }

  /** The newest key that this process can open and that has not served its time. */
  private signingKeyOf(stored: readonly StoredSigningKey[]): SigningKey | undefined {
    const oldest = Date.now() - SIGNING_DAYS * 86_400_000;
    for (const { kid, sealedPrivateJwk, createdAt, retiredAt } of stored) {
      if (retiredAt !== null || createdAt.getTime() < oldest) continue;
      const privateKey = this.open(kid, sealedPrivateJwk);
      if (privateKey) return { kid, privateKey };
    }
    return undefined;
  }

  /** A key sealed under another master key cannot sign here; its tokens stay valid, and this process makes a key of its own. */
  private open(kid: string, sealed: string): KeyObject | null {
    const known = this.opened.get(kid);
    if (known !== undefined) return known;
    let key: KeyObject | null = null;
    try {
      // What `create` sealed under this context is a private JWK.
      const jwk = JSON.parse(this.masterKey.open(Buffer.from(sealed, 'base64'), contextOf(kid)).toString()) as JWK & { kty: string };
      key = createPrivateKey({ key: { ...jwk }, format: 'jwk' });
    } catch (err) {
      this.logger.warn({ err, kid }, 'a signing key cannot be opened: was MASTER_KEY changed?');
    }
    this.opened.set(kid, key);
    return key;
  }

  /**
   * Makes a key, and lets those that it succeeds end. Not those of a process with another master key: they go on signing there.
   *
   * @param meanwhile  a key that makes a new one needless, found once nobody else is at it
   */
  private async replace(meanwhile: (stored: readonly StoredSigningKey[]) => SigningKey | undefined): Promise<SigningKey> {
    const key = await this.database.transaction('system', async (tx) => {
      await this.store.lock(tx);
      const stored = await this.store.list(tx);
      const enough = meanwhile(stored);
      if (enough) return enough;
      const succeeded = stored.filter(({ kid, sealedPrivateJwk }) => this.open(kid, sealedPrivateJwk) !== null).map(({ kid }) => kid);
      await this.store.retire(tx, succeeded, new Date(Date.now() + FAREWELL_MS));
      const pair = await generateKeyPair('ES256', { extractable: true });
      const privateJwk = await exportJWK(pair.privateKey);
      const { kty, crv, x, y } = await exportJWK(pair.publicKey);
      // The members that every EC public key has, RFC 7518 §6.2.1.
      const publicJwk = { kty, crv, x, y } as PublicJwk;
      const kid = await calculateJwkThumbprint(publicJwk);
      const sealedPrivateJwk = this.masterKey.seal(Buffer.from(JSON.stringify(privateJwk)), contextOf(kid)).toString('base64');
      await this.store.add(tx, { kid, publicJwk, sealedPrivateJwk });
      return { kid, privateKey: createPrivateKey({ key: { ...privateJwk }, format: 'jwk' }) };
    });
    this.known = undefined;
    return key;
  }
}

function contextOf(kid: string): string {
  return `signing-keys/${kid}`;
}
