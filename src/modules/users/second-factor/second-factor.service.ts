import { Injectable } from '@nestjs/common';
import { AppError, type Language } from '../../../kernel/errors.js';
import { Database } from '../../../platform/database/database.js';
import { homeOf, type Principal } from '../../../platform/http/access.js';
import { AccountsStore, type Account } from '../accounts.store.js';
import { CredentialChanges } from '../credential-changes.js';
import { SignInService } from '../sign-in.service.js';
import { CodeCheckService } from './code-check.service.js';
import { newRecoveryCodes, recoveryCodeHash } from './recovery-codes.js';
import { SecondFactorStore, type SecondFactor } from './second-factor.store.js';
import { newTotpSecret, stepOfCode, totpUri } from './totp.js';

/** A person's second factor: an authenticator app (RFC 6238), and recovery codes for the day that it is lost. */
@Injectable()
export class SecondFactorService {
  constructor(
    private readonly store: SecondFactorStore,
    private readonly codes: CodeCheckService,
    private readonly accounts: AccountsStore,
    private readonly signIns: SignInService,
    private readonly changes: CredentialChanges,
    private readonly database: Database,
  ) {}

  /** @throws AppError `user-not-found` */
  async of(principal: Principal): Promise<SecondFactor> {
    const found = await this.store.find(homeOf(principal).institutionId, principal.userId);
    if (!found) throw new AppError('user-not-found');
    return found;
  }

  /** Makes a secret that is in force once it is confirmed. @throws AppError `conflict` when one is, or when the person has no password here */
  async start(principal: Principal): Promise<{ secret: string; uri: string }> {
    const account = await this.accounts.byId(homeOf(principal).institutionId, principal.userId);
    if (!account) throw new AppError('user-not-found');
    if (account.passwordHash === null) throw new AppError('conflict', { detail: 'You sign in elsewhere: your second factor is there, too.' });
    const secret = newTotpSecret();
    const sealed = await this.codes.seal(account, secret);
    if (!(await this.database.transaction(homeOf(principal), (tx) => this.store.start(tx, account.id, sealed)))) throw new AppError('conflict', { detail: 'There is a second factor: remove it first.' });
    return { secret, uri: totpUri(secret, account.email) };
  }

  /**
   * Puts the secret in force and ends the person's other sign-ins, which showed no code.
   *
   * @returns recovery codes, which nobody can read again
   * @throws AppError `second-factor-invalid`; `conflict` when there is nothing to confirm
   */
  async confirm(principal: Principal, code: string, language: Language): Promise<string[]> {
    const person = personOf(principal);
    const { sealedSecret, confirmedAt } = await this.of(principal);
    if (sealedSecret === null || confirmedAt !== null) throw new AppError('conflict', { detail: 'There is no second factor to confirm.' });
    const step = await stepOfCode(await this.codes.open(person, sealedSecret), code.replace(/\s/g, ''));
    if (step === null) throw new AppError('second-factor-invalid');
    const recoveryCodes = newRecoveryCodes();
    await this.changes.apply(person, { keptSession: principal.sessionId, notice: 'second-factor-added', language }, async (tx) => {
      if (!(await this.store.confirm(tx, person.id, sealedSecret, step))) throw new AppError('conflict', { detail: 'There is no second factor to confirm.' });
      await this.store.replaceRecoveryCodes(tx, person.institutionId, person.id, hashesOf(person.id, recoveryCodes));
      if (principal.sessionId !== undefined) await this.store.markShown(tx, principal.sessionId);
    });
    return recoveryCodes;
  }

  /** @throws as `SignInService.prove`; AppError `conflict` when there is none */
  async remove(principal: Principal, code: string, language: Language): Promise<void> {
    await this.requireOne(principal);
    await this.signIns.prove(personOf(principal), { code });
    await this.changes.apply(personOf(principal), { keptSession: principal.sessionId, notice: 'second-factor-removed', language }, async (tx, user) => { await this.store.remove(tx, user.id); });
  }

  /** For somebody who has lost app and codes. All of their sign-ins end. @throws AppError `user-not-found`, `forbidden` for a platform administrator, `conflict` when there is none */
  async reset(principal: Principal, userId: string, language: Language): Promise<void> {
    await this.changes.apply({ id: userId, institutionId: principal.institutionId }, { notice: 'second-factor-removed', language }, async (tx, user) => {
      if (user.role === 'platform-admin' && principal.role !== 'platform-admin') throw new AppError('forbidden', { detail: 'Only a platform administrator may change one.' });
      if (!(await this.store.remove(tx, user.id))) throw new AppError('conflict', { detail: 'There is no second factor.' });
    });
  }

  /** A new set; the old one is void. @throws as `remove` */
  async renewRecoveryCodes(principal: Principal, code: string): Promise<string[]> {
    await this.requireOne(principal);
    const { id, institutionId } = personOf(principal);
    await this.signIns.prove({ id, institutionId }, { code });
    const recoveryCodes = newRecoveryCodes();
    await this.database.transaction({ institutionId }, (tx) => this.store.replaceRecoveryCodes(tx, institutionId, id, hashesOf(id, recoveryCodes)));
    return recoveryCodes;
  }

  private async requireOne(principal: Principal): Promise<void> {
    if ((await this.of(principal)).confirmedAt === null) throw new AppError('conflict', { detail: 'There is no second factor.' });
  }
}

function personOf(principal: Principal): Pick<Account, 'id' | 'institutionId'> {
  return { id: principal.userId, ...homeOf(principal) };
}

function hashesOf(userId: string, codes: readonly string[]): string[] {
  // What was made just now is well-formed.
  return codes.flatMap((code) => recoveryCodeHash(userId, code) ?? []);
}
