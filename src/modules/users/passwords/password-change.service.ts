import { Injectable } from '@nestjs/common';
import { AppError, type Language } from '../../../kernel/errors.js';
import { homeOf, type Principal } from '../../../platform/http/access.js';
import { AccountsStore } from '../accounts.store.js';
import { CredentialChanges } from '../credential-changes.js';
import { hashPassword } from '../password.js';
import { SignInService } from '../sign-in.service.js';
import { PasswordPolicy } from './password-policy.js';

/** A person's own password. */
@Injectable()
export class PasswordChangeService {
  constructor(
    private readonly accounts: AccountsStore,
    private readonly signIns: SignInService,
    private readonly policy: PasswordPolicy,
    private readonly changes: CredentialChanges,
  ) {}

  /** The sign-in that asks goes on; all others end. @throws AppError `weak-password`; as `SignInService.prove` */
  async change(principal: Principal, currentPassword: string, newPassword: string, language: Language): Promise<void> {
    const account = await this.accounts.byId(homeOf(principal).institutionId, principal.userId);
    if (!account) throw new AppError('user-not-found');
    if (account.passwordHash === null) throw new AppError('conflict', { detail: 'You sign in elsewhere: your password is there, too.' });
    await this.signIns.prove(account, { password: currentPassword });
    await this.policy.require(newPassword, account, '/newPassword', language);
    const passwordHash = await hashPassword(newPassword);
    await this.changes.apply(account, { keptSession: principal.sessionId, notice: 'password-changed', language }, (tx) => this.accounts.setPassword(tx, account.id, passwordHash));
  }
}
