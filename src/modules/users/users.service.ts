import { Injectable } from '@nestjs/common';
import { AppError } from '../../kernel/errors.js';
import { Database } from '../../platform/database/database.js';
import type { Principal } from '../../platform/http/access.js';
import { requireMatch } from '../../platform/http/if-match.js';
import { etagOf } from '../../platform/http/representation.js';
import { hashPassword } from './password.js';
import { PrincipalsService } from './principals.service.js';
import { RefreshTokensStore } from './refresh-tokens.store.js';
import { mayGrant } from './roles.js';
import type { Role } from './users.contract.js';
import { UsersStore, type User, type UserChange } from './users.store.js';

export interface UserDraft {
  email: string;
  displayName: string;
  role: Role;
  password: string;
}

/** Decides who may make and change whom. */
@Injectable()
export class UsersService {
  constructor(
    private readonly users: UsersStore,
    private readonly refreshTokens: RefreshTokensStore,
    private readonly principals: PrincipalsService,
    private readonly database: Database,
  ) {}

  /** @throws AppError `forbidden` for a role that the caller may not give, `conflict` for a taken address */
  async create(principal: Principal, { password, ...draft }: UserDraft): Promise<User> {
    requireGrant(draft.role, principal);
    const passwordHash = await hashPassword(password);
    return this.database.transaction(principal, async (tx) => {
      const user = await this.users.create(tx, { ...draft, institutionId: principal.institutionId, passwordHash });
      if (!user) throw new AppError('conflict', { detail: 'There is a user with this e-mail address.' });
      return user;
    });
  }

  /**
   * @param ifMatch  the ETag that the caller has read
   * @throws AppError `user-not-found`, `precondition-failed`, `forbidden`; `conflict` for one's own role or state
   */
  async change(principal: Principal, id: string, change: UserChange, ifMatch: string | undefined): Promise<User> {
    const changed = await this.database.transaction(principal, async (tx) => {
      const user = await this.users.lock(tx, id);
      if (user?.institutionId !== principal.institutionId) throw new AppError('user-not-found');
      requireMatch(ifMatch, userETag(user));
      requireChange(principal, user, change);
      if (change.state === 'disabled') await this.refreshTokens.revokeAllOf(tx, id);
      return this.users.change(tx, id, change);
    });
    this.principals.forgetUser(id);
    return changed;
  }
}

/** Follows what can be edited; a sign-in is no edit. */
export function userETag({ id, displayName, role, state, updatedAt }: User): string {
  return etagOf(id, displayName, role, state, updatedAt.getTime());
}

function requireChange(principal: Principal, user: User, { role, state }: UserChange): void {
  if (user.role === 'platform-admin' && principal.role !== 'platform-admin') throw new AppError('forbidden', { detail: 'Only a platform administrator may change one.' });
  const changesRole = role !== undefined && role !== user.role;
  if (changesRole) requireGrant(role, principal);
  // Whoever may change others stays: an institution cannot lock itself out by mistake.
  if (user.id === principal.userId && (changesRole || state === 'disabled')) throw new AppError('conflict', { detail: 'Nobody changes their own role or disables themselves.' });
}

function requireGrant(role: Role, principal: Principal): void {
  if (!mayGrant(role, principal)) throw new AppError('forbidden', { detail: 'A role with permissions that the caller lacks cannot be given.' });
}
