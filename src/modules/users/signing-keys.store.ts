import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
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

interface Row {
  kid: string;
  publicJwk: unknown;
  privateJwk: unknown;
}

const NOT_RETIRED = Prisma.sql`SELECT kid, public_jwk AS "publicJwk", private_jwk AS "privateJwk" FROM signing_keys WHERE retired_at IS NULL ORDER BY created_at DESC, kid`;

@Injectable()
export class SigningKeysStore {
  constructor(private readonly database: Database) {}

  /** Those that are not retired, newest first. */
  async list(tx?: Transaction): Promise<StoredSigningKey[]> {
    const rows = await (tx ? prismaOf(tx).$queryRaw<Row[]>(NOT_RETIRED) : this.database.read<Row>('system', NOT_RETIRED));
    return rows.map(({ kid, publicJwk, privateJwk }) => ({
      kid,
      // Both columns are JSON that only `add` below writes.
      publicJwk: publicJwk as PublicJwk,
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
