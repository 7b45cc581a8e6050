import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import type { Transaction } from '../../kernel/transaction.js';
import { Database, prismaOf } from '../../platform/database/database.js';

/** A user with what the password check needs; never leaves the sign-in. */
export interface Account {
  id: string;
  institutionId: string;
  email: string;
  displayName: string;
  role: string;
  state: string;
  institutionState: string;
  /** null until an invitation was accepted, and for people of an external issuer. */
  passwordHash: string | null;
  lockedUntil: Date | null;
  /** Whether a code is asked for beside the password. */
  secondFactor: boolean;
}

const ACCOUNT = Prisma.sql`
  SELECT u.id, u.institution_id AS "institutionId", u.email, u.display_name AS "displayName", u.role, u.state, i.state AS "institutionState",
    u.password_hash AS "passwordHash", u.locked_until AS "lockedUntil", u.totp_confirmed_at IS NOT NULL AS "secondFactor"
  FROM users u JOIN institutions i ON i.id = u.institution_id`;

/** Passwords and codes, and how often codes were guessed. Plain SQL, so that `updated_at` and with it the ETag stay: nobody has edited the user. */
@Injectable()
export class AccountsStore {
  constructor(private readonly database: Database) {}

  /** Whatever the institution: whoever signs in names none. */
  async byEmail(email: string): Promise<Account | undefined> {
    // PostgreSQL's text cannot hold a null character, so no account has one.
    if (email.includes('\0')) return undefined;
    const [row] = await this.database.read<Account>('system', Prisma.sql`${ACCOUNT} WHERE u.email = ${email.toLowerCase()}`);
    return row;
  }

  async byId(institutionId: string, id: string): Promise<Account | undefined> {
    const [row] = await this.database.read<Account>({ institutionId }, Prisma.sql`${ACCOUNT} WHERE u.id = ${id}::uuid AND u.institution_id = ${institutionId}::uuid`);
    return row;
  }

  /** Counts a wrong code, or a wrong confirmation of somebody who is signed in, and locks the account by the number of failures in a row. */
  async recordFailure({ id, institutionId }: Account, lockSeconds: (failures: number) => number): Promise<void> {
    await this.database.transaction({ institutionId }, async (tx) => {
      const client = prismaOf(tx);
      const [row] = await client.$queryRaw<{ failed_sign_ins: number }[]>`
        UPDATE users SET failed_sign_ins = failed_sign_ins + 1 WHERE id = ${id}::uuid RETURNING failed_sign_ins`;
      const seconds = lockSeconds(row?.failed_sign_ins ?? 0);
      if (seconds > 0) await client.$executeRaw`UPDATE users SET locked_until = now() + make_interval(secs => ${seconds}::float8) WHERE id = ${id}::uuid`;
    });
  }

  async recordSuccess({ id, institutionId }: Account): Promise<void> {
    await this.database.transaction({ institutionId }, async (tx) => {
      await prismaOf(tx).$executeRaw`UPDATE users SET failed_sign_ins = 0, locked_until = NULL, last_sign_in_at = now() WHERE id = ${id}::uuid`;
    });
  }

  /**
   * Locks the person, and says whether they still sign in as they did when `account` was read: whoever changes a password ends all sign-ins, and none
   * may begin behind that with the old one.
   */
  async isUnchanged(tx: Transaction, { id, passwordHash, secondFactor }: Account): Promise<boolean> {
    const rows = await prismaOf(tx).$queryRaw<unknown[]>`
      SELECT 1 FROM users WHERE id = ${id}::uuid AND state = 'active' AND password_hash = ${passwordHash} AND (totp_confirmed_at IS NOT NULL) = ${secondFactor}::boolean FOR UPDATE`;
    return rows.length > 0;
  }

  /** Also unlocks the account, makes an invited person an active one, and voids links for a new password: whoever has one of before shall not undo what the person has just done. */
  async setPassword(tx: Transaction, id: string, passwordHash: string): Promise<void> {
    await prismaOf(tx).$executeRaw`
      UPDATE users SET password_hash = ${passwordHash}, password_changed_at = now(), failed_sign_ins = 0, locked_until = NULL,
        state = CASE WHEN state = 'invited' THEN 'active' ELSE state END, updated_at = CASE WHEN state = 'invited' THEN now() ELSE updated_at END
      WHERE id = ${id}::uuid`;
    await prismaOf(tx).$executeRaw`DELETE FROM user_links WHERE user_id = ${id}::uuid AND purpose = 'password-reset' AND used_at IS NULL`;
    await prismaOf(tx).$executeRaw`UPDATE sign_in_places SET failures = 0, locked_until = NULL WHERE user_id = ${id}::uuid`;
  }

  /** Whether the person has chosen a password yet, or an issuer elsewhere vouches for them: they can sign in somehow. */
  async canSignIn(tx: Transaction, id: string): Promise<boolean> {
    const rows = await prismaOf(tx).$queryRaw<unknown[]>`SELECT 1 FROM users WHERE id = ${id}::uuid AND (password_hash IS NOT NULL OR external_issuer IS NOT NULL)`;
    return rows.length > 0;
  }
}
