import { Injectable } from '@nestjs/common';
import { CompactSign, compactVerify, decodeProtectedHeader, errors } from 'jose';
import { AuditKeys, type AuditSigningKey } from './audit-keys.js';

/** What a receipt says, and whose signature it carries. */
export interface VerifiedReceipt {
  kid: string;
  publicJwk: AuditSigningKey['publicJwk'];
  payload: unknown;
}

/** Signs receipts that have to stand for years, as JWS by the keys of the audit trail. @see RFC 7515, RFC 8037 */
@Injectable()
export class ReceiptSigner {
  constructor(private readonly keys: AuditKeys) {}

  /**
   * Gets the key ready: signing afterwards asks nobody, so that it can be done inside a transaction.
   *
   * @param type  of the receipt, for example `erasure-receipt+jwt`; a receipt of one type is never taken for one of another
   */
  async prepare(type: string): Promise<(payload: object) => Promise<string>> {
    const { kid, privateKey } = await this.keys.newest();
    return (payload) => new CompactSign(Buffer.from(JSON.stringify(payload))).setProtectedHeader({ alg: 'EdDSA', typ: type, kid }).sign(privateKey);
  }

  /** @returns undefined when it is no receipt of this type that this installation has signed */
  async verify(receipt: string, type: string): Promise<VerifiedReceipt | undefined> {
    try {
      const { kid, typ } = decodeProtectedHeader(receipt);
      if (kid === undefined || typ !== type) return undefined;
      const key = await this.keys.find(kid);
      if (!key) return undefined;
      const { payload } = await compactVerify(receipt, key.publicKey, { algorithms: ['EdDSA'] });
      return { kid, publicJwk: key.publicJwk, payload: JSON.parse(Buffer.from(payload).toString('utf8')) as unknown };
    } catch (error) {
      if (error instanceof errors.JOSEError || error instanceof TypeError || error instanceof SyntaxError) return undefined;
      throw error;
    }
  }

  /** All of them, newest first. */
  async publicKeys(): Promise<{ kid: string; publicJwk: AuditSigningKey['publicJwk'] }[]> {
    return (await this.keys.signingKeys()).toReversed().map(({ kid, publicJwk }) => ({ kid, publicJwk }));
  }
}
