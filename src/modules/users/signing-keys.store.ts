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
  createdAt: Date;
  /** When it stops verifying: set as soon as a newer key signs in its place. */
  retiredAt: Date | null;
}

interface Row {
  kid: string;
  publicJwk: unknown;
  privateJwk: unknown;
  createdAt: Date;
  retiredAt: Date | null;
}

const VERIFYING = Prisma.sql`SELECT kid, public_jwk AS "publicJwk", private_jwk AS "privateJwk", created_at AS "createdAt", retired_at AS "retiredAt" FROM signing_keys WHERE retired_at IS NULL OR retired_at > now() ORDER BY created_at DESC, kid`;

@Injectable()
export class SigningKeysStore {
  constructor(private readonly database: Database) {}

  /** Those that still verify, newest first. */
  async list(tx?: Transaction): Promise<StoredSigningKey[]> {
    const rows = await (tx ? prismaOf(tx).$queryRaw<Row[]>(VERIFYING) : this.database.read<Row>('system', VERIFYING));
    return rows.map(({ kid, publicJwk, privateJwk, createdAt, retiredAt }) => ({
      kid, createdAt, retiredAt,
      // Both columns are JSON that only `add` below writes.
      publicJwk: publicJwk as PublicJwk,
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
