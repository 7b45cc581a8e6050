import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { AppError } from '../../kernel/errors.js';
import { noteForAudit } from '../../platform/audit/audit-note.js';
import type { Claimant } from '../../platform/limits/sign-in-limits.js';
import { Metrics } from '../../platform/ops/metrics.js';
import { AccountsStore, type Account } from './accounts.store.js';
import { KeyedQueue } from './keyed-queue.js';
import { lockSeconds, strangersLockSeconds, verifyPassword } from './password.js';
import { CodeCheckService } from './second-factor/code-check.service.js';
import { SignInPlacesStore } from './sessions/sign-in-places.store.js';

/** A refusal takes at least this long, so that its time does not tell whether there is such an account. */
const REFUSAL_MS = 200;

export interface Credentials {
  email: string;
  password: string;
  /** Of an authenticator app, or a recovery code. */
  otp?: string | undefined;
}

/** With the account that was tried, where there is one: for the audit, never for the caller. */
export type SignIn = { outcome: 'success'; account: Account } | { outcome: 'second-factor-missing' | 'refused'; account: Account | undefined };

type Verdict = 'success' | 'refused' | 'unknown' | 'locked' | 'invited' | 'disabled' | 'suspended' | 'second-factor-missing' | 'second-factor-wrong';

/** What a signed-in person shows once more, before something that a thief of their session should not do. */
export type Proof = { password: string } | { code: string };

@Injectable()
export class SignInService {
  /**
   * Guesses from one place at one account are checked one after the other: sent all at once, they would be tried before the first failures
   * are counted. Other processes have queues of their own, which lets through one guess more for each.
   */
  private readonly guesses = new KeyedQueue();
  /** The same for codes, and for what signed-in people confirm, wherever they come from: who has come so far knows a password, or has somebody's sign-in. */
  private readonly proofs = new KeyedQueue();

  constructor(
    private readonly accounts: AccountsStore,
    private readonly codes: CodeCheckService,
    private readonly places: SignInPlacesStore,
    private readonly metrics: Metrics,
  ) {}

  /**
   * Checks an e-mail address, a password, and a code where the account has a second factor. Five wrong passwords in a row from one place have
   * that place wait for 30 s, each further one for twice as long, up to 15 min; meanwhile the right password is refused there too, and nowhere
   * else: a stranger who knows a name keeps nobody out. Places that are new to the account wait together besides (`strangersLockSeconds`). Five
   * wrong codes lock the account everywhere, because whoever tries them has the password.
   *
   * @param grant  for the metrics: how it came in
   * @param address  as `callerAddress` gives it
   * @returns `refused` for a wrong password or code, an unknown, disabled or locked account: the caller is not told which
   */
  async signIn({ email, password, otp }: Credentials, grant: 'password' | 'cookie', address: string): Promise<SignIn> {
    const refusal = sleep(REFUSAL_MS);
    const { account, verdict } = await this.guesses.run(JSON.stringify([email.toLowerCase(), address]), async () => {
      const found = await this.accounts.byEmail(email);
      return { account: found, verdict: await this.check(found, password, otp, address) };
    });
    this.metrics.signIns.inc({ grant, outcome: verdict });
    if (verdict === 'success' && account) return { outcome: 'success', account };
    await refusal;
    return { outcome: verdict === 'second-factor-missing' ? verdict : 'refused', account };
  }

  /** Who signs in, for the limits. @param name  an e-mail address, where one is given */
  claimant(name: string | undefined): Claimant {
    return { kind: 'person', name, isUsualPlace: (email, address) => this.places.isUsual(email, address) };
  }

  /**
   * Asks somebody who is signed in already. A wrong answer counts as a failed sign-in does.
   *
   * @throws AppError `password-incorrect`, `second-factor-invalid`; `too-many-requests` while the account is locked; `user-not-found`
   */
  async prove({ institutionId, id }: Pick<Account, 'institutionId' | 'id'>, proof: Proof): Promise<void> {
    const named = await this.accounts.byId(institutionId, id);
    if (!named) throw new AppError('user-not-found');
    await this.proofs.run(id, async () => {
      const account = (await this.accounts.byId(institutionId, id)) ?? named;
      const lockedMs = (account.lockedUntil?.getTime() ?? 0) - Date.now();
      if (lockedMs > 0) throw new AppError('too-many-requests', { detail: 'Too many wrong answers: the account is locked for a while.', retryAfterSeconds: Math.ceil(lockedMs / 1000) });
      const isRight = 'password' in proof ? await verifyPassword(account.passwordHash ?? undefined, proof.password) : await this.codes.take(account, proof.code);
      if (isRight) return;
      await this.accounts.recordFailure(account, lockSeconds);
      throw new AppError('password' in proof ? 'password-incorrect' : 'second-factor-invalid');
    });
  }

  private async check(account: Account | undefined, password: string, otp: string | undefined, address: string): Promise<Verdict> {
    const matches = await verifyPassword(account?.passwordHash ?? undefined, password);
    if (!account) return 'unknown';
    if (isLocked(account) || (await this.hasToWait(account, address))) return 'locked';
    if (!matches) {
      await this.places.recordFailure(account, address, lockSeconds);
      return 'refused';
    }
    if (account.state !== 'active') return account.state === 'invited' ? 'invited' : 'disabled';
    if (account.institutionState !== 'active') return 'suspended';
    if (account.secondFactor && otp === undefined) return 'second-factor-missing';
    const wrong = account.secondFactor && otp !== undefined ? await this.proofs.run(account.id, () => this.tryCode(account, otp)) : undefined;
    if (wrong !== undefined) return wrong;
    await Promise.all([this.accounts.recordSuccess(account), this.places.recordSuccess(account, address)]);
    return 'success';
  }

  /** Alone for the account: another code may have locked it since it was read. */
  private async tryCode(account: Account, otp: string): Promise<Verdict | undefined> {
    if (isLocked((await this.accounts.byId(account.institutionId, account.id)) ?? account)) return 'locked';
    if (await this.codes.take(account, otp)) return undefined;
    await this.accounts.recordFailure(account, lockSeconds);
    return 'second-factor-wrong';
  }

  private async hasToWait(account: Account, address: string): Promise<boolean> {
    const { lockedUntil, isUsual, strangeFailures, strangeFailedAt } = await this.places.standing(account, address);
    if (lockedUntil !== null && lockedUntil.getTime() > Date.now()) return true;
    return !isUsual && strangeFailedAt !== null && strangeFailedAt.getTime() + strangersLockSeconds(strangeFailures) * 1000 > Date.now();
  }
}

function isLocked({ lockedUntil }: Account): boolean {
  return lockedUntil !== null && lockedUntil.getTime() > Date.now();
}

/** Whoever watches over the institution of an account sees who tries it. */
export function noteTried(request: FastifyRequest, account: Pick<Account, 'id' | 'institutionId'> | undefined): void {
  if (account) noteForAudit(request, { institutionId: account.institutionId, object: account.id });
}
