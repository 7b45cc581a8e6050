import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Metrics } from '../../platform/ops/metrics.js';
import { KeyedQueue } from './keyed-queue.js';
import { lockSeconds, verifyPassword } from './password.js';
import { UsersStore, type User } from './users.store.js';

/** A refusal takes at least this long, so that its time does not tell whether there is such an account. */
const REFUSAL_MS = 200;

@Injectable()
export class SignInService {
  /**
   * Guesses at one account are checked one after the other: sent all at once, they would be tried before the first failures
   * are counted. Other processes have queues of their own, which lets through one guess more for each.
   */
  private readonly guesses = new KeyedQueue();

  constructor(
    private readonly users: UsersStore,
    private readonly metrics: Metrics,
  ) {}

  /**
   * Checks an e-mail address and password. Five failures in a row lock the account for 30 s, each further one for twice as
   * long, up to 15 min; meanwhile the right password is refused too.
   *
   * @returns null for a wrong password, an unknown, disabled or locked account: the caller is not told which
   */
  async signIn(email: string, password: string): Promise<User | null> {
    const refusal = sleep(REFUSAL_MS);
    const { user, outcome } = await this.guesses.run(email.toLowerCase(), () => this.check(email, password));
    this.metrics.signIns.inc({ grant: 'password', outcome });
    if (!user) await refusal;
    return user;
  }

  private async check(email: string, password: string): Promise<{ user: User | null; outcome: 'success' | 'refused' | 'locked' | 'disabled' }> {
    // PostgreSQL's text cannot hold a null character, so no account has one.
    const account = email.includes('\0') ? undefined : await this.users.findAccount(email);
    const matches = await verifyPassword(account?.passwordHash ?? undefined, password);
    if (!account) return { user: null, outcome: 'refused' };
    if (account.lockedUntil !== null && account.lockedUntil.getTime() > Date.now()) return { user: null, outcome: 'locked' };
    if (!matches) {
      await this.users.recordFailure(account.id, lockSeconds);
      return { user: null, outcome: 'refused' };
    }
    if (account.state !== 'active') return { user: null, outcome: 'disabled' };
    await this.users.recordSuccess(account.id);
    return { user: account, outcome: 'success' };
  }
}
