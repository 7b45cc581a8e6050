import { Inject, Injectable } from '@nestjs/common';
// For its additions to Fastify's types.
import type {} from '@fastify/cookie';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CONFIG, type Config } from '../../../platform/config.js';
import { MasterKey } from '../../../platform/crypto/master-key.js';
import { isSameDigest } from '../secrets.js';
import { COOKIE_HOURS } from './sessions.store.js';

/** Holds the secret of a sign-in; scripts cannot read it. */
export const SESSION_COOKIE = 'hv_session';
/** Holds what a page's script sends along as `X-CSRF-Token`; a page of another origin can read neither. */
export const CSRF_COOKIE = 'hv_csrf';

const SECRET = /^[\w-]{43}$/;
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** The cookies of pages, and the token that goes with them. */
@Injectable()
export class PageCookies {
  constructor(
    private readonly masterKey: MasterKey,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** undefined without a cookie, or with one that cannot be ours. */
  secretOf({ cookies }: FastifyRequest): string | undefined {
    const secret = cookies[SESSION_COOKIE];
    return secret !== undefined && SECRET.test(secret) ? secret : undefined;
  }

  /** Follows from the secret and says nothing about it. */
  csrfTokenOf(secret: string): string {
    return this.masterKey.fingerprint(secret, 'csrf').toString('base64url');
  }

  /** Whether a call that comes with this secret was made by a page of ours: it only reads, or shows the token. */
  isOurs(request: FastifyRequest, secret: string, shown: unknown = request.headers['x-csrf-token']): boolean {
    return SAFE_METHODS.has(request.method) || (typeof shown === 'string' && isSameDigest(shown, this.csrfTokenOf(secret)));
  }

  set(request: FastifyRequest, reply: FastifyReply, secret: string): void {
    const options = { path: '/', sameSite: 'strict', secure: this.isSecure(request), maxAge: COOKIE_HOURS * 3_600 } as const;
    void reply.setCookie(SESSION_COOKIE, secret, { ...options, httpOnly: true });
    void reply.setCookie(CSRF_COOKIE, this.csrfTokenOf(secret), options);
  }

  clear(request: FastifyRequest, reply: FastifyReply): void {
    for (const name of [SESSION_COOKIE, CSRF_COOKIE]) void reply.clearCookie(name, { path: '/', sameSite: 'strict', secure: this.isSecure(request) });
  }

  private isSecure({ protocol }: FastifyRequest): boolean {
    return protocol === 'https' || this.config.PUBLIC_URL?.startsWith('https://') === true;
  }
}
