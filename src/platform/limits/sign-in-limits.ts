import { Inject, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CONFIG, type Config } from '../config.js';
import type { Verdict } from './rate-limiter.js';
import { addressOf, RequestLimits } from './request-limits.js';
import { Turns } from './turns.js';

/** Codes of OAuth and of ours that tell of a secret that is not right. What is malformed or asks for too much tells nothing about one. */
const FAILURES = new Set(['invalid_grant', 'invalid_client', 'invalid-credentials', 'unauthenticated', 'second-factor-invalid', 'invitation-not-found']);

/** Failures a minute for one name from all addresses that are strange to it, and from each of them. */
const FAILURES_PER_NAME = 10;
const FAILURES_PER_NAME_AND_ADDRESS = 5;

/** Of the failures that an address has, this part may be in question at once in a process: what is in flight in one is not free for the others. */
const IN_FLIGHT_SHARE = 6;

/** Who claims to be somebody. */
export type Claimant =
  /** A system, whose secret nobody guesses: its failures are counted apart from those of people at the same address. */
  | { kind: 'client' }
  | {
    kind: 'person';
    /** undefined where the secret alone says who it is. */
    name?: string | undefined;
    /** Whether the person with this name signs in from this address; never told. */
    isUsualPlace?: (name: string, address: string) => Promise<boolean>;
  };

/**
 * Limits how often one may be wrong about a secret: per address, which stops who tries one password on many accounts, and per
 * name, which stops many addresses that try one account, and is nothing to the person at an address of theirs.
 */
@Injectable()
export class SignInLimits {
  private readonly turns = new Turns();

  constructor(
    private readonly limits: RequestLimits,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * Runs an attempt to prove who one is. Only failures count. While it is not known whether it is one, an attempt holds the place of a failure, so that attempts made all
   * at once are as many as those made in turn; few do so at a time, and the others wait rather than be refused for what may go well.
   *
   * @param prove  throws one of the codes above for a secret that is not right
   * @throws AppError `too-many-requests` without trying, and what `prove` throws
   */
  async attempt<T>(request: FastifyRequest, reply: FastifyReply, claimant: Claimant, prove: () => Promise<T>): Promise<T> {
    const most = this.config.RATE_LIMIT_SIGN_IN_FAILURES;
    if (most === 0) return prove();
    const address = addressOf(request);
    const atOnce = Math.max(1, Math.floor(most / IN_FLIGHT_SHARE));
    if (claimant.kind === 'client') {
      return this.turns.run(`client:${address}`, atOnce, () => this.counted([() => this.limits.count('client-failures', address, most, request, reply)], prove));
    }
    const name = claimant.name?.trim().toLowerCase().slice(0, 320);
    const byAddress = (): Promise<Verdict | undefined> => this.limits.count('sign-in-failures', address, most, request, reply);
    if (name === undefined) return this.turns.run(`person:${address}`, atOnce, () => this.counted([byAddress], prove));
    // First for the name: somebody who waits for their turn with it keeps no place of the address.
    return this.turns.run(`name:${address} ${name}`, 1, () => this.turns.run(`person:${address}`, atOnce, async () => {
      const isUsual = (await claimant.isUsualPlace?.(name, address)) ?? false;
      const byName = isUsual ? [] : [
        () => this.limits.count('user-name-address', `${address} ${name}`, FAILURES_PER_NAME_AND_ADDRESS, request, reply),
        () => this.limits.count('user-name', name, FAILURES_PER_NAME, request, reply),
      ];
      return this.counted([byAddress, ...byName], prove);
    }));
  }

  /** Takes what was counted out again when it was no failure, and what was counted before a limit that is reached. */
  private async counted<T>(counts: readonly (() => Promise<Verdict | undefined>)[], prove: () => Promise<T>): Promise<T> {
    const taken: (Verdict | undefined)[] = [];
    const takeBack = (): void => { for (const verdict of taken) verdict?.giveBack(); };
    try {
      for (const count of counts) taken.push(await count());
    } catch (error) {
      takeBack();
      throw error;
    }
    try {
      const proven = await prove();
      takeBack();
      return proven;
    } catch (error) {
      if (!isFailure(error)) takeBack();
      throw error;
    }
  }
}

function isFailure(error: unknown): boolean {
  return error instanceof Error && 'code' in error && FAILURES.has(String(error.code));
}
