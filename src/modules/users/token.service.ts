import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { Transaction } from '../../kernel/transaction.js';
import { uuidv7 } from '../../kernel/uid.js';
import { Database } from '../../platform/database/database.js';
import { addressOf } from '../../platform/limits/request-limits.js';
import { Metrics } from '../../platform/ops/metrics.js';
import { AccountsStore } from './accounts.store.js';
import { AccessTokens } from './access-token.js';
import { OAuthError } from './oauth-error.js';
import { PrincipalsService } from './principals.service.js';
import { RefreshTokensStore } from './refresh-tokens.store.js';
import { effectivePermissions, permissionsOf } from './roles.js';
import { sha256Hex } from './secrets.js';
import { originOf } from './sessions/request-origin.js';
import { SessionsStore } from './sessions/sessions.store.js';
import { noteTried, SignInService, type Credentials } from './sign-in.service.js';
import { ACCESS_TOKEN_SECONDS } from './token-life.js';
import { UsersStore, type User } from './users.store.js';

/** Each use gives a new one, so this is how long a person may stay away before signing in again. */
const REFRESH_TOKEN_DAYS = 14;

/** RFC 6749 §5.1 */
export interface TokenAnswer {
  access_token: string;
  token_type: 'Bearer';
  expires_in: number;
  refresh_token: string;
  scope: string;
}

type Rotation = { outcome: 'success'; user: User; scope: string; refreshToken: string; familyId: string } | { outcome: 'refused' | 'reused' | 'scope'; user?: User | undefined };

/** Gives out tokens and takes them back. A family is one sign-in: the refresh tokens that followed from it. Its id is the session's. */
@Injectable()
export class TokenService {
  constructor(
    private readonly signIns: SignInService,
    private readonly accounts: AccountsStore,
    private readonly users: UsersStore,
    private readonly refreshTokens: RefreshTokensStore,
    private readonly sessions: SessionsStore,
    private readonly principals: PrincipalsService,
    private readonly accessTokens: AccessTokens,
    private readonly database: Database,
    private readonly metrics: Metrics,
  ) {}

  /** @throws OAuthError `invalid_grant`, `invalid_scope`. @see RFC 6749 §4.3 */
  async forPassword(credentials: Credentials, requestedScope: string | undefined, request: FastifyRequest): Promise<TokenAnswer> {
    const result = await this.signIns.signIn(credentials, 'password', addressOf(request));
    noteTried(request, result.account);
    if (result.outcome === 'second-factor-missing') throw new OAuthError('invalid_grant', 'The parameter otp is missing: a code of the authenticator app, or a recovery code.', { mfaRequired: true });
    if (result.outcome !== 'success') throw signInRefused();
    const { account: user } = result;
    const scope = narrow(requestedScope, permissionsOf(user.role));
    const familyId = uuidv7();
    const refreshToken = await this.database.transaction({ institutionId: user.institutionId }, async (tx) => {
      if (!(await this.accounts.isUnchanged(tx, user))) throw signInRefused();
      await this.sessions.open(tx, { id: familyId, institutionId: user.institutionId, userId: user.id, kind: 'tokens', secretHash: null, ...originOf(request), secondFactor: user.secondFactor, expiresAt: refreshExpiry() });
      return this.addRefreshToken(tx, user, familyId, scope);
    });
    return this.answer(user, scope, refreshToken, familyId);
  }

  /**
   * Trades a refresh token for a new pair. A token that comes twice is in two hands: then all of its family is revoked.
   *
   * @throws OAuthError `invalid_grant`, `invalid_scope`
   * @see RFC 6749 §6, RFC 9700 §4.14.2
   */
  async forRefreshToken(token: string, requestedScope: string | undefined, request: FastifyRequest): Promise<TokenAnswer> {
    const tokenHash = sha256Hex(token);
    const owner = await this.refreshTokens.ownerOf(tokenHash);
    const rotation: Rotation = owner === undefined ? { outcome: 'refused' } : await this.database.transaction('system', (tx) => this.rotate(tx, owner, tokenHash, requestedScope));
    this.metrics.signIns.inc({ grant: 'refresh_token', outcome: rotation.outcome === 'scope' ? 'refused' : rotation.outcome });
    noteTried(request, rotation.user);
    if (rotation.outcome === 'reused') this.principals.forgetPeople();
    if (rotation.outcome === 'scope') throw scopeError();
    if (rotation.outcome !== 'success') throw new OAuthError('invalid_grant', 'The refresh token is not valid (any more).');
    return this.answer(rotation.user, rotation.scope, rotation.refreshToken, rotation.familyId);
  }

  /** Ends the sign-in that a refresh token belongs to; an unknown one is revoked already. @see RFC 7009 §2.2 */
  async revoke(token: string): Promise<void> {
    const tokenHash = sha256Hex(token);
    const owner = await this.refreshTokens.ownerOf(tokenHash);
    if (owner === undefined) return;
    await this.database.transaction('system', async (tx) => {
      await this.users.lock(tx, owner);
      const found = await this.refreshTokens.find(tx, tokenHash);
      if (found) await this.sessions.end(tx, owner, found.familyId);
    });
    this.principals.forgetPeople();
  }

  /** Under the lock on the user, so that of two uses at once one is first, and a revocation misses no token just made. */
  private async rotate(tx: Transaction, userId: string, tokenHash: string, requestedScope: string | undefined): Promise<Rotation> {
    const user = await this.users.lock(tx, userId);
    const token = await this.refreshTokens.find(tx, tokenHash);
    if (!user || token?.revokedAt !== null) return { outcome: 'refused', user };
    if (token.usedAt !== null) {
      await this.sessions.end(tx, userId, token.familyId);
      return { outcome: 'reused', user };
    }
    if (token.expiresAt.getTime() <= Date.now() || user.state !== 'active') return { outcome: 'refused', user };
    const held = [...effectivePermissions(token.scope.split(' '), user.role)];
    if (!isNarrowing(requestedScope, held)) return { outcome: 'scope', user };
    await this.refreshTokens.markUsed(tx, token.id);
    await this.sessions.prolong(tx, { id: token.familyId, institutionId: user.institutionId, userId }, refreshExpiry());
    // RFC 6749 §6: the new refresh token keeps the scope of the old one, however narrow the access token is.
    return { outcome: 'success', user, scope: narrow(requestedScope, held), familyId: token.familyId, refreshToken: await this.addRefreshToken(tx, user, token.familyId, token.scope) };
  }

  private async addRefreshToken(tx: Transaction, user: Pick<User, 'id' | 'institutionId'>, familyId: string, scope: string): Promise<string> {
    const secret = `hvr_${randomBytes(32).toString('base64url')}`;
    await this.refreshTokens.add(tx, { institutionId: user.institutionId, userId: user.id, familyId, tokenHash: sha256Hex(secret), scope, expiresAt: refreshExpiry() });
    return secret;
  }

  private async answer(user: Pick<User, 'id' | 'institutionId' | 'role'>, scope: string, refreshToken: string, sessionId: string): Promise<TokenAnswer> {
    return { access_token: await this.accessTokens.sign(user, scope, sessionId), token_type: 'Bearer', expires_in: ACCESS_TOKEN_SECONDS, refresh_token: refreshToken, scope };
  }
}

function refreshExpiry(): Date {
  return new Date(Date.now() + REFRESH_TOKEN_DAYS * 86_400_000);
}

/** The scope that was asked for; all that is held when none was. @throws OAuthError `invalid_scope` */
function narrow(requested: string | undefined, held: readonly string[]): string {
  if (!isNarrowing(requested, held)) throw scopeError();
  return requested === undefined ? held.join(' ') : [...new Set(scopesOf(requested))].join(' ');
}

function isNarrowing(requested: string | undefined, held: readonly string[]): boolean {
  return requested === undefined || scopesOf(requested).every((scope) => held.includes(scope));
}

function scopesOf(text: string): string[] {
  return text.split(' ').filter((scope) => scope !== '');
}

function signInRefused(): OAuthError {
  return new OAuthError('invalid_grant', 'The user name, the password or the code is wrong, or the account is locked for a while.');
}

function scopeError(): OAuthError {
  return new OAuthError('invalid_scope', 'The scope names a permission that is not held.');
}
