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
}

@Injectable()
export class SigningKeysStore {
  constructor(private readonly database: Database) {}

  /** Those that are not retired, newest first. */
  async list(tx?: Transaction): Promise<StoredSigningKey[]> {
    const rows = await (tx ? prismaOf(tx) : this.database.client).signingKey.findMany({ where: { retiredAt: null }, orderBy: [{ createdAt: 'desc' }, { kid: 'asc' }] });
    return rows.map(({ kid, publicJwk, privateJwk }) => ({
      kid,
      // Both columns are JSON that only `add` below writes.
      publicJwk: publicJwk as unknown as PublicJwk,
      sealedPrivateJwk: (privateJwk as { sealed: string }).sealed,
    }));
  }

  /** One caller at a time, until the transaction ends. */
  async lock(tx: Transaction): Promise<void> {
    await prismaOf(tx).$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended('healthvision:signing-keys', 0))`;
  }

  async add(tx: Transaction, { kid, publicJwk, sealedPrivateJwk }: StoredSigningKey): Promise<void> {
    await prismaOf(tx).signingKey.create({ data: { kid, publicJwk: { ...publicJwk }, privateJwk: { sealed: sealedPrivateJwk } } });
  }
}
