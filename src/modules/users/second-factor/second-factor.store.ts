import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { uuidv7 } from '../../../kernel/uid.js';
import { Database, prismaOf } from '../../../platform/database/database.js';

export interface SecondFactor {
  sealedSecret: Uint8Array | null;
  /** null while it is only being set up. */
  confirmedAt: Date | null;
  recoveryCodesLeft: number;
}

/** Secrets of authenticator apps and what is left of the recovery codes. Plain SQL, so that the ETag of a user stays: nobody has edited them. */
@Injectable()
export class SecondFactorStore {
  constructor(private readonly database: Database) {}

  async find(institutionId: string, userId: string): Promise<SecondFactor | undefined> {
    const [row] = await this.database.read<SecondFactor>({ institutionId }, Prisma.sql`
      SELECT u.sealed_totp_secret AS "sealedSecret", u.totp_confirmed_at AS "confirmedAt",
        (SELECT count(*)::int FROM recovery_codes c WHERE c.user_id = u.id AND c.used_at IS NULL) AS "recoveryCodesLeft"
      FROM users u WHERE u.id = ${userId}::uuid AND u.institution_id = ${institutionId}::uuid`);
    return row;
  }

  /** Keeps a secret that is not in force yet; a second one replaces the first. @returns false when one is in force */
  async start(tx: Transaction, userId: string, sealedSecret: Uint8Array): Promise<boolean> {
    return (await prismaOf(tx).$executeRaw`UPDATE users SET sealed_totp_secret = ${sealedSecret}, totp_last_step = NULL WHERE id = ${userId}::uuid AND totp_confirmed_at IS NULL`) > 0;
  }

  /** Puts the secret in force. @returns false when one is in force, or another secret has come in between */
  async confirm(tx: Transaction, userId: string, sealedSecret: Uint8Array, step: number): Promise<boolean> {
    return (await prismaOf(tx).$executeRaw`
      UPDATE users SET totp_confirmed_at = now(), totp_last_step = ${step}::bigint
      WHERE id = ${userId}::uuid AND totp_confirmed_at IS NULL AND sealed_totp_secret = ${sealedSecret}`) > 0;
  }

  /** The sign-in in which a code was shown just now. */
  async markShown(tx: Transaction, sessionId: string): Promise<void> {
    await prismaOf(tx).$executeRaw`UPDATE sign_in_sessions SET second_factor = true WHERE id = ${sessionId}::uuid`;
  }

  /** @returns false when there was none */
  async remove(tx: Transaction, userId: string): Promise<boolean> {
    const client = prismaOf(tx);
    await client.$executeRaw`DELETE FROM recovery_codes WHERE user_id = ${userId}::uuid`;
    return (await client.$executeRaw`
      UPDATE users SET sealed_totp_secret = NULL, totp_confirmed_at = NULL, totp_last_step = NULL WHERE id = ${userId}::uuid AND sealed_totp_secret IS NOT NULL`) > 0;
  }

  async replaceRecoveryCodes(tx: Transaction, institutionId: string, userId: string, hashes: readonly string[]): Promise<void> {
    const client = prismaOf(tx);
    await client.$executeRaw`DELETE FROM recovery_codes WHERE user_id = ${userId}::uuid`;
    await client.recoveryCode.createMany({ data: hashes.map((codeHash) => ({ id: uuidv7(), institutionId, userId, codeHash })) });
  }

  /** Of several uses of one code one is first. @returns false when the code, or a newer one, was taken before. @see RFC 6238 §5.2 */
  async takeStep(institutionId: string, userId: string, step: number): Promise<boolean> {
    return this.database.transaction({ institutionId }, async (tx) => (await prismaOf(tx).$executeRaw`
      UPDATE users SET totp_last_step = ${step}::bigint WHERE id = ${userId}::uuid AND (totp_last_step IS NULL OR totp_last_step < ${step}::bigint)`) > 0);
  }

  /** @returns false when there is no such code that is unused */
  async takeRecoveryCode(institutionId: string, userId: string, codeHash: string): Promise<boolean> {
    return this.database.transaction({ institutionId }, async (tx) => (await prismaOf(tx).$executeRaw`
      UPDATE recovery_codes SET used_at = now() WHERE user_id = ${userId}::uuid AND code_hash = ${codeHash} AND used_at IS NULL`) > 0);
  }
}
