import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { Database, prismaOf } from '../../../platform/database/database.js';

export type LinkPurpose = 'invitation' | 'password-reset';

const LIFETIME_HOURS: Record<LinkPurpose, number> = { 'invitation': 7 * 24, 'password-reset': 1 };

/** Nobody gets a second link of a kind within this time, however often it is asked for. */
const PAUSE_SECONDS = 60;

export interface NewLink {
  /** Of the request that it answers. */
  id: string;
  institutionId: string;
  userId: string;
  purpose: LinkPurpose;
  /** sha256 of the secret, hex. */
  tokenHash: string;
  createdBy: string | null;
}

/** A link that can be used now, and whose it is. */
export interface UsableLink {
  id: string;
  institutionId: string;
  userId: string;
  email: string;
  displayName: string;
  role: string;
  institution: string;
}

/** To whom a mail goes. */
export interface Recipient {
  email: string;
  displayName: string;
  state: string;
  hasPassword: boolean;
  institution: string;
  institutionState: string;
}

/** An invitation is for those who are invited, a new password for those who are active, and nothing for people of a suspended institution. */
const FITS = Prisma.raw("(l.used_at IS NULL AND l.expires_at > now() AND i.state = 'active' AND u.state = CASE l.purpose WHEN 'invitation' THEN 'invited' ELSE 'active' END)");

/** Links that were mailed. What lies here opens nothing: the secret is in the mail alone. */
@Injectable()
export class UserLinksStore {
  constructor(private readonly database: Database) {}

  async recipient(institutionId: string, userId: string): Promise<Recipient | undefined> {
    const [row] = await this.database.read<Recipient>({ institutionId }, Prisma.sql`
      SELECT u.email, u.display_name AS "displayName", u.state, u.password_hash IS NOT NULL AS "hasPassword", i.name AS institution, i.state AS "institutionState"
      FROM users u JOIN institutions i ON i.id = u.institution_id WHERE u.id = ${userId}::uuid AND u.institution_id = ${institutionId}::uuid`);
    return row;
  }

  /**
   * Replaces the person's links of the purpose; when the same request comes again, its own, too.
   * @returns false when another request has just been answered
   */
  async replace(tx: Transaction, { id, institutionId, userId, purpose, tokenHash, createdBy }: NewLink): Promise<boolean> {
    const client = prismaOf(tx);
    await client.$queryRaw`SELECT id FROM users WHERE id = ${userId}::uuid FOR UPDATE`;
    const fresh = await client.$queryRaw<unknown[]>`
      SELECT 1 FROM user_links WHERE user_id = ${userId}::uuid AND purpose = ${purpose} AND id <> ${id}::uuid AND used_at IS NULL AND created_at > now() - make_interval(secs => ${PAUSE_SECONDS})`;
    if (fresh.length > 0) return false;
    await client.$executeRaw`DELETE FROM user_links WHERE user_id = ${userId}::uuid AND purpose = ${purpose}`;
    await client.$executeRaw`
      INSERT INTO user_links (id, institution_id, user_id, purpose, token_hash, expires_at, created_by)
      VALUES (${id}::uuid, ${institutionId}::uuid, ${userId}::uuid, ${purpose}, ${tokenHash}, now() + make_interval(hours => ${LIFETIME_HOURS[purpose]}), ${createdBy}::uuid)`;
    return true;
  }

  /** Whatever the institution: whoever holds the link names none. */
  async find(tokenHash: string, purpose: LinkPurpose): Promise<UsableLink | undefined> {
    const [row] = await this.database.read<UsableLink>('system', Prisma.sql`
      SELECT l.id, l.institution_id AS "institutionId", l.user_id AS "userId", u.email, u.display_name AS "displayName", u.role, i.name AS institution
      FROM user_links l JOIN users u ON u.id = l.user_id JOIN institutions i ON i.id = l.institution_id
      WHERE l.token_hash = ${tokenHash} AND l.purpose = ${purpose} AND ${FITS}`);
    return row;
  }

  /** Of several uses at once one is first. All other links of the person go, too. @returns false when it can be used no more */
  async use(tx: Transaction, { id, userId }: Pick<UsableLink, 'id' | 'userId'>): Promise<boolean> {
    const client = prismaOf(tx);
    const used = await client.$executeRaw`
      UPDATE user_links l SET used_at = now() FROM users u, institutions i WHERE l.id = ${id}::uuid AND u.id = l.user_id AND i.id = l.institution_id AND ${FITS}`;
    await client.$executeRaw`DELETE FROM user_links WHERE user_id = ${userId}::uuid AND id <> ${id}::uuid`;
    return used > 0;
  }
}
