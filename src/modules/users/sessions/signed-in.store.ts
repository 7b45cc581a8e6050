import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import { Database } from '../../../platform/database/database.js';
import { IS_LIVE } from './sessions.store.js';

/** A person, and the sign-in that a request belongs to, as far as they decide what the request may do. */
export interface SignedIn {
  id: string;
  institutionId: string;
  role: string;
  state: string;
  /** Whether they have a second factor. */
  secondFactor: boolean;
  /** Whether their institution asks for one. */
  requireSecondFactor: boolean;
  /** null when the request names no sign-in, or an unknown one. */
  sessionId: string | null;
  sessionLives: boolean | null;
  lastSeenAt: Date | null;
}

const SIGNED_IN = Prisma.sql`
  SELECT u.id, u.institution_id AS "institutionId", u.role, u.state, u.totp_confirmed_at IS NOT NULL AS "secondFactor", i.require_second_factor AS "requireSecondFactor",
    s.id AS "sessionId", ${IS_LIVE} AS "sessionLives", s.last_seen_at AS "lastSeenAt"
  FROM users u JOIN institutions i ON i.id = u.institution_id`;

/** For the guard, who learns the institution from the row. One round trip each. */
@Injectable()
export class SignedInStore {
  constructor(private readonly database: Database) {}

  async find(userId: string, sessionId: string | null): Promise<SignedIn | undefined> {
    const [row] = await this.database.read<SignedIn>('system', Prisma.sql`${SIGNED_IN} LEFT JOIN sign_in_sessions s ON s.user_id = u.id AND s.id = ${sessionId}::uuid WHERE u.id = ${userId}::uuid`);
    return row;
  }

  /** @param secretHash  of a cookie */
  async findByCookie(secretHash: string): Promise<SignedIn | undefined> {
    const [row] = await this.database.read<SignedIn>('system', Prisma.sql`${SIGNED_IN} JOIN sign_in_sessions s ON s.user_id = u.id WHERE s.secret_hash = ${secretHash} AND s.kind = 'cookie'`);
    return row;
  }
}
