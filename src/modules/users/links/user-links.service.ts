import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { AppError, type Language } from '../../../kernel/errors.js';
import { Database } from '../../../platform/database/database.js';
import { Outbox } from '../../../platform/queue/outbox.js';
import { AccountsStore } from '../accounts.store.js';
import { CredentialChanges } from '../credential-changes.js';
import { hashPassword } from '../password.js';
import { PasswordPolicy } from '../passwords/password-policy.js';
import { sha256Hex } from '../secrets.js';
import { mailRequested } from './mail-requested.js';
import { UserLinksStore, type LinkPurpose, type UsableLink } from './user-links.store.js';

/** The answer to a request for a new password takes this long, whether there is such an account or not. */
const ANSWER_MS = 400;

/** What people do with the links that they were mailed. */
@Injectable()
export class UserLinksService {
  constructor(
    private readonly links: UserLinksStore,
    private readonly accounts: AccountsStore,
    private readonly policy: PasswordPolicy,
    private readonly changes: CredentialChanges,
    private readonly outbox: Outbox,
    private readonly database: Database,
  ) {}

  /** Mails a link to whoever has the address and a password here. The caller learns nothing of that. */
  async requestReset(email: string, language: Language): Promise<void> {
    const answer = sleep(ANSWER_MS);
    const account = await this.accounts.byEmail(email);
    if (account?.state === 'active' && account.institutionState === 'active' && account.passwordHash !== null) {
      const { id: userId, institutionId } = account;
      await this.database.transaction({ institutionId }, (tx) => this.outbox.append(tx, mailRequested({ institutionId, userId, kind: 'password-reset', language, createdBy: null })));
    }
    await answer;
  }

  /** @throws AppError `invitation-not-found` for a link that is used, expired, replaced or never was */
  async find(purpose: LinkPurpose, token: string): Promise<UsableLink> {
    const link = await this.links.find(sha256Hex(token), purpose);
    if (!link) throw new AppError('invitation-not-found');
    return link;
  }

  /**
   * Sets the password of the person whom the link was mailed to, unlocks their account and ends all of their sign-ins.
   *
   * @returns whose link it was
   * @throws AppError `invitation-not-found`, `weak-password`
   */
  async redeem(purpose: LinkPurpose, token: string, password: string, language: Language): Promise<UsableLink> {
    const link = await this.find(purpose, token);
    await this.policy.require(password, link, '/password', language);
    const passwordHash = await hashPassword(password);
    const notice = purpose === 'password-reset' ? { notice: 'password-changed' as const } : {};
    await this.changes.apply({ id: link.userId, institutionId: link.institutionId }, { ...notice, language }, async (tx) => {
      if (!(await this.links.use(tx, link))) throw new AppError('invitation-not-found');
      await this.accounts.setPassword(tx, link.userId, passwordHash);
    });
    return link;
  }
}
