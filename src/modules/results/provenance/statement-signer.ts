import { sign } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { AuditKeys } from '../../../platform/audit/audit-keys.js';
import { canonicalJson } from '../../../platform/http/canonical-json.js';
import type { PublicJwk, StatementSignature } from './signed-statement.js';

/** Signs what results say by the installation's key, which verifies for ever; it is the one that signs receipts and checkpoints. */
@Injectable()
export class StatementSigner {
  constructor(private readonly keys: AuditKeys) {}

  /** Gets the key ready: signing afterwards asks nobody, so that it can be done inside a transaction. */
  async prepare(): Promise<(statement: { type: string }) => StatementSignature> {
    const { kid, privateKey } = await this.keys.newest();
    return (statement) => ({ algorithm: 'Ed25519', keyId: kid, value: sign(null, Buffer.from(canonicalJson(statement)), privateKey).toString('base64url') });
  }

  /** undefined for a key that the installation does not have. */
  async publicKey(keyId: string): Promise<PublicJwk | undefined> {
    return (await this.keys.find(keyId))?.publicJwk;
  }
}
