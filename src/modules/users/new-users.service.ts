import { Injectable } from '@nestjs/common';
import { AppError, type Language } from '../../kernel/errors.js';
import { Database } from '../../platform/database/database.js';
import type { Principal } from '../../platform/http/access.js';
import { Outbox } from '../../platform/queue/outbox.js';
import { AccountsStore } from './accounts.store.js';
import { mailRequested } from './links/mail-requested.js';
import { hashPassword } from './password.js';
import { PasswordPolicy } from './passwords/password-policy.js';
import { requireGrant } from './roles.js';
import type { Role } from './users.contract.js';
import { UsersStore, type User } from './users.store.js';

export interface UserDraft {
  email: string;
  displayName: string;
  role: Role;
  /** Without one the person is invited, and chooses it. */
  password?: string | undefined;
}

/** Adds people to an institution. */
@Injectable()
export class NewUsersService {
  constructor(
    private readonly users: UsersStore,
    private readonly accounts: AccountsStore,
    private readonly policy: PasswordPolicy,
    private readonly outbox: Outbox,
    private readonly database: Database,
  ) {}

  /** @throws AppError `forbidden` for a role that the caller may not give, `weak-password`, `conflict` for a taken address */
  async create(principal: Principal, { password, ...draft }: UserDraft, language: Language): Promise<User> {
    requireGrant(draft.role, principal);
    if (password !== undefined) await this.policy.require(password, draft, '/password', language);
    const passwordHash = password === undefined ? null : await hashPassword(password);
    return this.database.transaction(principal, async (tx) => {
      const user = await this.users.create(tx, { ...draft, institutionId: principal.institutionId, passwordHash });
      if (!user) throw new AppError('conflict', { detail: 'There is a user with this e-mail address.' });
      if (user.state === 'invited') await this.outbox.append(tx, invitationOf(user, language, principal));
      return user;
    });
  }

  /** Sends the invitation again; also to somebody who was disabled before they had accepted it. @throws AppError `user-not-found`, `forbidden` for a platform administrator, `conflict` for those who have */
  async invite(principal: Principal, id: string, language: Language): Promise<void> {
    await this.database.transaction(principal, async (tx) => {
      const user = await this.users.lock(tx, id);
      if (user?.institutionId !== principal.institutionId) throw new AppError('user-not-found');
      if (user.role === 'platform-admin' && principal.role !== 'platform-admin') throw new AppError('forbidden', { detail: 'Only a platform administrator may change one.' });
      if (await this.accounts.canSignIn(tx, id)) throw new AppError('conflict', { detail: 'They can sign in already.' });
      if (user.state !== 'invited') await this.users.change(tx, id, { state: 'invited' });
      await this.outbox.append(tx, invitationOf(user, language, principal));
    });
  }
}

/** The event that has a person invited. */
export function invitationOf({ id: userId, institutionId }: User, language: Language, { userId: createdBy }: Principal): ReturnType<typeof mailRequested> {
  return mailRequested({ institutionId, userId, kind: 'invitation', language, createdBy });
}
