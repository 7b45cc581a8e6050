import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import type { Transaction } from '../../kernel/transaction.js';
import { Database, prismaOf } from '../database/database.js';

/** The members of an Ed25519 public key. @see RFC 8037 §2 */
export interface Ed25519PublicJwk {
  kty: string;
  crv: string;
  x: string;
}

export interface AuditKeyRow {
  kid: string;
  publicJwk: Ed25519PublicJwk;
  /** The private JWK, sealed with the master key. */
  sealedPrivateJwk: Uint8Array;
}

const COLUMNS = Prisma.raw('kid, public_jwk AS "publicJwk", sealed_private_jwk AS "sealedPrivateJwk"');

/** Keys that sign receipts and checkpoints; they belong to the installation. */
@Injectable()
export class AuditKeysStore {
  constructor(private readonly database: Database) {}

  /** Newest first. */
  async list(): Promise<AuditKeyRow[]> {
    return this.database.read<AuditKeyRow>('system', Prisma.sql`SELECT ${COLUMNS} FROM audit_keys ORDER BY created_at DESC, kid`);
  }

  /** As `list`; one caller at a time, until the transaction ends. */
  async listAlone(tx: Transaction): Promise<AuditKeyRow[]> {
    const client = prismaOf(tx);
    await client.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended('healthvision:audit-keys', 0))`;
    return client.$queryRaw<AuditKeyRow[]>`SELECT ${COLUMNS} FROM audit_keys ORDER BY created_at DESC, kid`;
  }

  async add(tx: Transaction, { kid, publicJwk, sealedPrivateJwk }: AuditKeyRow): Promise<void> {
    await prismaOf(tx).$executeRaw`INSERT INTO audit_keys (kid, public_jwk, sealed_private_jwk) VALUES (${kid}, ${JSON.stringify(publicJwk)}::jsonb, ${sealedPrivateJwk})`;
  }
}
