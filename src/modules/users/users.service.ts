import { Injectable } from '@nestjs/common';
import { AppError } from '../../kernel/errors.js';
import { Database } from '../../platform/database/database.js';
import type { Principal } from '../../platform/http/access.js';
import { requireMatch } from '../../platform/http/if-match.js';
import { etagOf } from '../../platform/http/representation.js';
import { AccountsStore } from './accounts.store.js';
import { PrincipalsService } from './principals.service.js';
import { requireGrant } from './roles.js';
import { SessionsStore } from './sessions/sessions.store.js';
import { UsersStore, type User, type UserChange } from './users.store.js';

/** Decides who may change whom. */
@Injectable()
export class UsersService {
  constructor(
    private readonly users: UsersStore,
    private readonly accounts: AccountsStore,
    private readonly sessions: SessionsStore,
    private readonly principals: PrincipalsService,
    private readonly database: Database,
  ) {}

  /**
   * @param ifMatch  the ETag that the caller has read
   * @throws AppError `user-not-found`, `precondition-failed`, `forbidden`; `conflict` for one's own role or state, or for somebody
   *   who is to be active without ever having chosen a password
   */
  async change(principal: Principal, id: string, change: UserChange, ifMatch: string | undefined): Promise<User> {
    const changed = await this.database.transaction(principal, async (tx) => {
      const user = await this.users.lock(tx, id);
      if (user?.institutionId !== principal.institutionId) throw new AppError('user-not-found');
      requireMatch(ifMatch, userETag(user));
      requireChange(principal, user, change);
      if (change.state === 'active' && !(await this.accounts.canSignIn(tx, id))) throw new AppError('conflict', { detail: 'They have not accepted their invitation: send it again.' });
      if (change.state === 'disabled') await this.sessions.endAllOf(tx, id);
      return this.users.change(tx, id, change);
    });
    this.principals.forgetPeople();
    return changed;
  }
}

/** Follows what can be edited, and the second factor; a sign-in is no edit. */
export function userETag({ id, displayName, role, state, secondFactor, updatedAt }: User): string {
  return etagOf(id, displayName, role, state, String(secondFactor), updatedAt.getTime());
}

function requireChange(principal: Principal, user: User, { role, state }: UserChange): void {
  if (user.role === 'platform-admin' && principal.role !== 'platform-admin') throw new AppError('forbidden', { detail: 'Only a platform administrator may change one.' });
  const changesRole = role !== undefined && role !== user.role;
  if (changesRole) requireGrant(role, principal);
  // Whoever may change others stays: an institution cannot lock itself out by mistake.
  if (user.id === principal.userId && (changesRole || state === 'disabled')) throw new AppError('conflict', { detail: 'Nobody changes their own role or disables themselves.' });
}
