import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { AppError } from '../../../kernel/errors.js';
import { uuidv7 } from '../../../kernel/uid.js';
import { Database } from '../../../platform/database/database.js';
import type { Principal } from '../../../platform/http/access.js';
import { AccountsStore, type Account } from '../accounts.store.js';
import { PrincipalsService } from '../principals.service.js';
import { sha256Hex } from '../secrets.js';
import { UsersStore, type User } from '../users.store.js';
import type { RequestOrigin } from './request-origin.js';
import { COOKIE_HOURS, SessionsStore } from './sessions.store.js';

/** Begins sign-ins of browsers, and ends sign-ins of any kind: at once in this process, within 15 seconds in others. */
@Injectable()
export class SessionsService {
  constructor(
    private readonly accounts: AccountsStore,
    private readonly sessions: SessionsStore,
    private readonly users: UsersStore,
    private readonly principals: PrincipalsService,
    private readonly database: Database,
  ) {}

  /**
   * @returns the secret that the cookie holds: a new one with every sign-in, so that none can be foisted on anybody
   * @throws AppError `invalid-credentials` when the password or second factor was changed since `account` was read
   */
  async openCookie(account: Account, origin: RequestOrigin): Promise<string> {
    const { id: userId, institutionId, secondFactor } = account;
    const secret = randomBytes(32).toString('base64url');
    const expiresAt = new Date(Date.now() + COOKIE_HOURS * 3_600_000);
    await this.database.transaction({ institutionId }, async (tx) => {
      if (!(await this.accounts.isUnchanged(tx, account))) throw new AppError('invalid-credentials');
      await this.sessions.open(tx, { id: uuidv7(), institutionId, userId, kind: 'cookie', secretHash: sha256Hex(secret), ...origin, secondFactor, expiresAt });
    });
    return secret;
  }

  /** @throws AppError `session-not-found` when the person has no such sign-in that lives */
  async end(institutionId: string, userId: string, sessionId: string): Promise<void> {
    await this.database.transaction({ institutionId }, async (tx) => {
      await this.users.lock(tx, userId);
      if (!(await this.sessions.end(tx, userId, sessionId))) throw new AppError('session-not-found');
    });
    this.principals.forgetPeople();
  }

  /** @param except  the sign-in that goes on */
  async endAll(institutionId: string, userId: string, except?: string): Promise<void> {
    await this.database.transaction({ institutionId }, async (tx) => {
      await this.users.lock(tx, userId);
      await this.sessions.endAllOf(tx, userId, except);
    });
    this.principals.forgetPeople();
  }

  /** Somebody of the caller's institution whose sign-ins the caller may end. @throws AppError `user-not-found`, `forbidden` for a platform administrator */
  async subject(principal: Principal, userId: string): Promise<User> {
    const user = await this.users.findIn(principal.institutionId, userId);
    if (!user) throw new AppError('user-not-found');
    if (user.role === 'platform-admin' && principal.role !== 'platform-admin') throw new AppError('forbidden', { detail: 'Only a platform administrator may change one.' });
    return user;
  }
}
