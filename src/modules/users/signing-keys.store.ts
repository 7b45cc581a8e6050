import { Injectable } from '@nestjs/common';
import type { Transaction } from '../../kernel/transaction.js';
import { Database, prismaOf } from '../../platform/database/database.js';

/** The members of an EC public key. @see RFC 7518 §6.2 */
export interface PublicJwk {
  kty: string;
  crv: string;
  x: string;
  y: string;
}

export interface StoredSigningKey {
  kid: string;
  publicJwk: PublicJwk;
  /** The private JWK, sealed with the master key, base64. */
  sealedPrivateJwk: string;
  createdAt: Date;
  /** When it stops verifying: set as soon as a newer key signs in its place. */
  retiredAt: Date | null;
}

@Injectable()
export class SigningKeysStore {
  constructor(private readonly database: Database) {}

  /** Those that still verify, newest first. */
  async list(tx?: Transaction): Promise<StoredSigningKey[]> {
    if (!tx) return this.database.transaction('system', (own) => this.list(own));
    const rows = await prismaOf(tx).signingKey.findMany({ where: { OR: [{ retiredAt: null }, { retiredAt: { gt: new Date() } }] }, orderBy: [{ createdAt: 'desc' }, { kid: 'asc' }] });
    return rows.map(({ kid, publicJwk, privateJwk, createdAt, retiredAt }) => ({
      kid, createdAt, retiredAt,
      // Both columns are JSON that only `add` below writes.
      publicJwk: publicJwk as unknown as PublicJwk,
      sealedPrivateJwk: (privateJwk as { sealed: string }).sealed,
    }));
  }

  /** One caller at a time, until the transaction ends. */
  async lock(tx: Transaction): Promise<void> {
    await prismaOf(tx).$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended('healthvision:signing-keys', 0))`;
  }

  async add(tx: Transaction, { kid, publicJwk, sealedPrivateJwk }: Pick<StoredSigningKey, 'kid' | 'publicJwk' | 'sealedPrivateJwk'>): Promise<void> {
    await prismaOf(tx).signingKey.create({ data: { kid, publicJwk: { ...publicJwk }, privateJwk: { sealed: sealedPrivateJwk } } });
  }

  /** Keys of which one is retired already keep their time. */
  async retire(tx: Transaction, kids: readonly string[], at: Date): Promise<void> {
    await prismaOf(tx).signingKey.updateMany({ where: { kid: { in: [...kids] }, retiredAt: null }, data: { retiredAt: at } });
  }
}
