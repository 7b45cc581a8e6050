import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import { Database, prismaOf } from '../database/database.js';

export interface AuditKeyRow {
  kid: string;
  use: 'mac' | 'sign';
  publicJwk: { kty: 'OKP'; crv: 'Ed25519'; x: string } | null;
  sealed: Uint8Array;
  masterKeyId: string;
  createdAt: Date;
}

/** Keys of the audit trail. They belong to the installation. */
@Injectable()
export class AuditKeysStore {
  constructor(private readonly database: Database) {}

  /** Oldest first. */
  async all(): Promise<AuditKeyRow[]> {
    return this.database.read<AuditKeyRow>('system', Prisma.sql`
      SELECT kid, use, public_jwk AS "publicJwk", sealed, master_key_id AS "masterKeyId", created_at AS "createdAt" FROM audit_keys ORDER BY created_at, kid`);
  }

  /** Keeps the first of several processes that make a key of one use at once. */
  async addFirst({ kid, use, publicJwk, sealed, masterKeyId }: Omit<AuditKeyRow, 'createdAt'>): Promise<void> {
    const jwk = publicJwk === null ? null : JSON.stringify(publicJwk);
    await this.database.transaction('system', async (tx) => {
      await prismaOf(tx).$queryRaw`SELECT 1 FROM pg_advisory_xact_lock(hashtext('healthvision-audit-keys'))`;
      await prismaOf(tx).$executeRaw`
        INSERT INTO audit_keys (kid, use, public_jwk, sealed, master_key_id)
        SELECT ${kid}, ${use}, ${jwk}::jsonb, ${sealed}, ${masterKeyId} WHERE NOT EXISTS (SELECT FROM audit_keys WHERE use = ${use})`;
    });
  }

  async sealAnew(kid: string, sealed: Uint8Array, masterKeyId: string): Promise<void> {
    await this.database.transaction('system', (tx) => prismaOf(tx).$executeRaw`UPDATE audit_keys SET sealed = ${sealed}, master_key_id = ${masterKeyId} WHERE kid = ${kid}`);
  }
}
