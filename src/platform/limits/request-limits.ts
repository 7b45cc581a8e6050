import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { TLSSocket } from 'node:tls';
import { AppError } from '../../kernel/errors.js';
import { CONFIG, type Config } from '../config.js';
import type { AuthenticatedRequest } from '../http/access.js';
import { Metrics } from '../ops/metrics.js';
import { callerAddress } from './caller-address.js';
import { RateLimiter, type Verdict } from './rate-limiter.js';
import { WINDOW_MS } from './window-store.js';

export type LimitKind = 'principal' | 'address' | 'anonymous' | 'sign-in' | 'sign-in-failures' | 'client-failures' | 'user-name' | 'user-name-address';

const PRUNE_MS = 60_000;
/** Probes and scrapers come from inside, and are needed most when there is trouble. */
const UNLIMITED = new Set(['/health', '/ready', '/metrics']);
/** Where people and systems prove who they are. */
const SIGN_IN = /^\/(oauth2\/(token|revoke)|session|api\/v1\/invitations\/:[^/]+\/accept|api\/v1\/password-resets(\/:[^/]+)?)$/;
/** Their refusals have a form of their own (RFC 6749), which the guard's refusals get and a hook's do not. */
const OWN_FORM = '/oauth2/';

/**
 * The limits in front of every route but those of probes: per address before anything is looked at, per address and more
 * strictly for who shows no valid credentials or signs in, per principal once it is known.
 */
@Injectable()
export class RequestLimits implements OnModuleInit, OnApplicationShutdown {
  /** How full the fullest limit is that the headers of a request's answer tell of. */
  private readonly told = new WeakMap<FastifyRequest, number>();
  private readonly countedAnonymous = new WeakSet<FastifyRequest>();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly limiter: RateLimiter,
    private readonly metrics: Metrics,
    private readonly host: HttpAdapterHost,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  onModuleInit(): void {
    const fastify: FastifyInstance = this.host.httpAdapter.getInstance();
    fastify.addHook('onRequest', async (request, reply) => {
      const route = request.routeOptions.url;
      if (route === undefined || !(UNLIMITED.has(route) || route.startsWith(OWN_FORM))) await this.beforeAuthentication(request, reply);
    });
    this.timer = setInterval(() => { void this.limiter.prune(); }, PRUNE_MS);
    this.timer.unref();
  }

  onApplicationShutdown(): void {
    clearInterval(this.timer);
  }

  /** For the guard: a route that asks for no credentials. @throws AppError `too-many-requests` */
  async atPublicRoute(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const route = request.routeOptions.url ?? '';
    if (UNLIMITED.has(route)) return;
    if (route.startsWith(OWN_FORM)) await this.beforeAuthentication(request, reply);
    await this.countAnonymous(request, reply);
  }

  /** For the guard: credentials that are not valid. @throws AppError `too-many-requests` */
  async atRefusal(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    await this.countAnonymous(request, reply);
  }

  /** For the guard: who makes the request is known. @throws AppError `too-many-requests` */
  async atPrincipal(request: AuthenticatedRequest, reply: FastifyReply): Promise<void> {
    if (!request.principal) return;
    this.metrics.activeUsers.see(request.principal.id);
    await this.count('principal', request.principal.id, this.config.RATE_LIMIT_PRINCIPAL, request, reply);
  }

  /** @returns undefined when the limit is off. @throws AppError `too-many-requests` */
  async count(kind: LimitKind, whom: string, limit: number, request: FastifyRequest, reply: FastifyReply): Promise<Verdict | undefined> {
    if (limit === 0) return undefined;
    const verdict = await this.limiter.take(`${kind}:${whom}`, limit);
    this.tell(verdict, request, reply);
    if (verdict.admitted) return verdict;
    this.metrics.rateLimited.inc({ limit: kind });
    this.metrics.accessRefusals.inc({ reason: 'rate-limit', kind });
    if (kind === 'principal') this.metrics.rateLimitedPrincipals.see(whom);
    throw new AppError('too-many-requests', { retryAfterSeconds: verdict.resetSeconds });
  }

  private async beforeAuthentication(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const address = addressOf(request);
    await this.count('address', address, this.config.RATE_LIMIT_ADDRESS, request, reply);
    if (signsIn(request)) await this.count('sign-in', address, this.config.RATE_LIMIT_SIGN_IN, request, reply);
    else if (!showsCredentials(request)) await this.countAnonymous(request, reply);
  }

  /** Once a request. Ways to sign in have a limit of their own: others who look around at the same address must not shut them. */
  private async countAnonymous(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    if (this.countedAnonymous.has(request) || signsIn(request)) return;
    this.countedAnonymous.add(request);
    await this.count('anonymous', addressOf(request), this.config.RATE_LIMIT_ANONYMOUS, request, reply);
  }

  /** Of several limits the one that is closest to its end speaks. @see draft-ietf-httpapi-ratelimit-headers-03 */
  private tell({ admitted, limit, remaining, resetSeconds }: Verdict, request: FastifyRequest, reply: FastifyReply): void {
    const left = admitted ? remaining / limit : -1;
    if (left >= (this.told.get(request) ?? Infinity)) return;
    this.told.set(request, left);
    void reply.headers({
      'RateLimit-Limit': String(limit), 'RateLimit-Remaining': String(admitted ? remaining : 0), 'RateLimit-Reset': String(resetSeconds), 'RateLimit-Policy': `${String(limit)};w=${String(WINDOW_MS / 1000)}`,
    });
  }
}

export function addressOf(request: FastifyRequest): string {
  return callerAddress(request.ip, request.socket.remoteAddress);
}

function signsIn({ method, routeOptions }: FastifyRequest): boolean {
  return method === 'POST' && SIGN_IN.test(routeOptions.url ?? '');
}

/** Whether they are good is for the guard to find out, which counts those that are not. */
function showsCredentials({ headers, raw }: FastifyRequest): boolean {
  // Undefined on a plain connection.
  const { authorized } = raw.socket as Partial<TLSSocket>;
  return headers.authorization !== undefined || headers['x-api-key'] !== undefined || headers.cookie !== undefined || authorized === true;
}
