import { Inject, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CONFIG, type Config } from '../config.js';
import { addressOf, RequestLimits } from './request-limits.js';

/** Codes of OAuth and of ours that tell of a secret that is not right. What is malformed or asks for too much tells nothing about one. */
const FAILURES = new Set(['invalid_grant', 'invalid_client', 'invalid-credentials', 'unauthenticated', 'second-factor-invalid', 'invitation-not-found']);

/** Failures a minute for one name, wherever they come from. */
const FAILURES_PER_NAME = 10;

/**
 * Limits how often one may be wrong about a secret: per address, which stops who tries one password on many accounts, and per
 * name, which stops many addresses that try one account.
 */
@Injectable()
export class SignInLimits {
  constructor(
    private readonly limits: RequestLimits,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * Runs an attempt to prove who one is. It counts as failed from its beginning, so that attempts made all at once are as many
   * as those made in turn, and is taken out of the count when it ends in anything but a failure.
   *
   * @param name  of the account or client that the caller claims to be; undefined where the secret alone says it
   * @param prove  throws one of the codes above for a secret that is not right
   * @throws AppError `too-many-requests` without trying, and what `prove` throws
   */
  async attempt<T>(request: FastifyRequest, reply: FastifyReply, name: string | undefined, prove: () => Promise<T>): Promise<T> {
    const most = this.config.RATE_LIMIT_SIGN_IN_FAILURES;
    const counted = [await this.limits.count('sign-in-failures', addressOf(request), most, request, reply)];
    if (name !== undefined) counted.push(await this.limits.count('user-name', name.trim().toLowerCase().slice(0, 320), most === 0 ? 0 : FAILURES_PER_NAME, request, reply));
    const takeBack = (): void => { for (const verdict of counted) verdict?.giveBack(); };
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
