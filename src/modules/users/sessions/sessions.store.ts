import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { Database, prismaOf } from '../../../platform/database/database.js';
import type { PageQuery } from '../../../platform/http/page.js';

/** A page's cookie ends after this long without a request. */
export const COOKIE_IDLE_MINUTES = 60;
/** And after this long in any case. */
export const COOKIE_HOURS = 12;

/** Ended sign-ins are kept this long, for whoever looks into what happened. */
const KEPT_DAYS = 30;

export interface Session {
  id: string;
  kind: string;
  address: string | null;
  userAgent: string | null;
  secondFactor: boolean;
  createdAt: Date;
  lastSeenAt: Date;
  expiresAt: Date;
}

export interface NewSession {
  /** Of the family of refresh tokens that goes with it, if any. */
  id: string;
  institutionId: string;
  userId: string;
  kind: 'tokens' | 'cookie';
  /** sha256 of the cookie's secret, hex. */
  secretHash: string | null;
  address: string | null;
  userAgent: string | null;
  /** Whether a code was shown beside the password. */
  secondFactor: boolean;
  expiresAt: Date;
}

/** Not ended, not expired, and for cookies not idle for too long. */
export const IS_LIVE = Prisma.raw(`(s.revoked_at IS NULL AND s.expires_at > now() AND (s.kind <> 'cookie' OR s.last_seen_at > now() - interval '${String(COOKIE_IDLE_MINUTES)} minutes'))`);

const SESSION = Prisma.sql`
  SELECT s.id, s.kind, s.address, s.user_agent AS "userAgent", s.second_factor AS "secondFactor", s.created_at AS "createdAt", s.last_seen_at AS "lastSeenAt", s.expires_at AS "expiresAt"
  FROM sign_in_sessions s`;

/** Sign-ins of people. One that ends takes its refresh tokens along. */
@Injectable()
export class SessionsStore {
  constructor(private readonly database: Database) {}

  /** Also forgets sign-ins of the person that ended long ago. */
  async open(tx: Transaction, session: NewSession): Promise<void> {
    const client = prismaOf(tx);
    const { id, institutionId, userId, kind, secretHash, address, userAgent, secondFactor, expiresAt } = session;
    await client.$executeRaw`DELETE FROM sign_in_sessions WHERE user_id = ${userId}::uuid AND (expires_at < now() - make_interval(days => ${KEPT_DAYS}) OR revoked_at < now() - make_interval(days => ${KEPT_DAYS}))`;
    await client.$executeRaw`
      INSERT INTO sign_in_sessions (id, institution_id, user_id, kind, secret_hash, address, user_agent, second_factor, expires_at)
      VALUES (${id}::uuid, ${institutionId}::uuid, ${userId}::uuid, ${kind}, ${secretHash}, ${address}, ${userAgent}, ${secondFactor}, ${expiresAt})`;
  }

  /** Lets a sign-in last longer; makes it where it is older than the table of sign-ins. */
  async prolong(tx: Transaction, { id, institutionId, userId }: Pick<NewSession, 'id' | 'institutionId' | 'userId'>, expiresAt: Date): Promise<void> {
    await prismaOf(tx).$executeRaw`
      INSERT INTO sign_in_sessions (id, institution_id, user_id, kind, expires_at) VALUES (${id}::uuid, ${institutionId}::uuid, ${userId}::uuid, 'tokens', ${expiresAt})
      ON CONFLICT (id) DO UPDATE SET expires_at = EXCLUDED.expires_at, last_seen_at = now()`;
  }

  /** Those that live. The page's rows and one more, oldest first. */
  async list(institutionId: string, userId: string, { limit, cursor }: PageQuery): Promise<Session[]> {
    return this.database.read<Session>({ institutionId }, Prisma.sql`
      ${SESSION} WHERE s.user_id = ${userId}::uuid AND s.institution_id = ${institutionId}::uuid AND ${IS_LIVE} ${cursor === undefined ? Prisma.empty : Prisma.sql`AND s.id > ${cursor}::uuid`}
      ORDER BY s.id LIMIT ${limit + 1}::int`);
  }

  /** @returns false when the person has no such sign-in that lives */
  async end(tx: Transaction, userId: string, id: string): Promise<boolean> {
    const client = prismaOf(tx);
    await client.$executeRaw`UPDATE refresh_tokens SET revoked_at = now() WHERE family_id = ${id}::uuid AND user_id = ${userId}::uuid AND revoked_at IS NULL`;
    return (await client.$executeRaw`UPDATE sign_in_sessions s SET revoked_at = now() WHERE s.id = ${id}::uuid AND s.user_id = ${userId}::uuid AND ${IS_LIVE}`) > 0;
  }

  /** @param except  the one that goes on */
  async endAllOf(tx: Transaction, userId: string, except?: string): Promise<void> {
    const client = prismaOf(tx);
    const kept = except ?? null;
    await client.$executeRaw`UPDATE refresh_tokens SET revoked_at = now() WHERE user_id = ${userId}::uuid AND family_id IS DISTINCT FROM ${kept}::uuid AND revoked_at IS NULL`;
    await client.$executeRaw`UPDATE sign_in_sessions SET revoked_at = now() WHERE user_id = ${userId}::uuid AND id IS DISTINCT FROM ${kept}::uuid AND revoked_at IS NULL`;
  }

  /** Writes at most once a minute, however many processes see the sign-in used. */
  async touch(institutionId: string, id: string): Promise<void> {
    await this.database.transaction({ institutionId }, async (tx) => {
      await prismaOf(tx).$executeRaw`UPDATE sign_in_sessions SET last_seen_at = now() WHERE id = ${id}::uuid AND last_seen_at < now() - interval '1 minute'`;
    });
  }
}
