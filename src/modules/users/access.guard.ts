import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { SSE_METADATA } from '@nestjs/common/constants.js';
import { Reflector } from '@nestjs/core';
import type { FastifyReply } from 'fastify';
import { AppError } from '../../kernel/errors.js';
import { noteForAudit } from '../../platform/audit/audit-note.js';
import { AUTHENTICATED_KEY, BEFORE_SECOND_FACTOR_KEY, ENTERS_KEY, PERMISSION_KEY, PUBLIC_KEY, type AuthenticatedRequest, type Principal } from '../../platform/http/access.js';
import { RequestLimits } from '../../platform/limits/request-limits.js';
import { LOGGER, type Logger } from '../../platform/ops/logger.js';
import { Metrics } from '../../platform/ops/metrics.js';
import { AccessTokenStrategy } from './access-token.strategy.js';
import { certificateOf } from './clients/client-certificate.js';
import { ClientPrincipals } from './clients/client-principals.js';
import { Crossings } from './crossings.js';
import { ExternalPrincipals } from './external/external-principals.js';
import { PrincipalsService } from './principals.service.js';
import { PageCookies } from './sessions/page-cookies.js';

type Access = { kind: 'public' } | { kind: 'authenticated' } | { kind: 'permission'; permission: string } | { kind: 'undeclared' };

/** Who calls, and may they. In front of every route; a route that declares nothing refuses everybody. */
@Injectable()
export class AccessGuard implements CanActivate {
  private readonly reported = new Set<string>();

  constructor(
    private readonly reflector: Reflector,
    private readonly tokens: AccessTokenStrategy,
    private readonly principals: PrincipalsService,
    private readonly clients: ClientPrincipals,
    private readonly external: ExternalPrincipals,
    private readonly crossings: Crossings,
    private readonly cookies: PageCookies,
    private readonly limits: RequestLimits,
    private readonly metrics: Metrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** @throws AppError `unauthenticated`, `forbidden`, `too-many-requests`, `institution-suspended`, `second-factor-required`, `csrf-token-invalid`, as `Crossings.enter`; `bad-request` when a token and a key come together */
  async canActivate(context: ExecutionContext): Promise<boolean> {
    const access = this.accessOf(context);
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>();
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    if (access.kind === 'public') {
      await this.limits.atPublicRoute(request, reply);
      return true;
    }
    try {
      const principal = await this.authenticate(request, reply);
      // Before it is decided, so that a refusal, too, is on record as theirs.
      request.principal = principal;
      await this.limits.atPrincipal(request, reply);
      const named = this.reflector.get<string | undefined>(ENTERS_KEY, context.getHandler());
      // Fastify types the parameters as unknown; they are texts by name.
      request.principal = await this.crossings.enter(request, principal, named === undefined ? undefined : (request.params as Record<string, string | undefined>)[named]);
      const may = this.decide(access, context, request.principal, reply);
      if (this.reflector.get<boolean | undefined>(SSE_METADATA, context.getHandler())) request.mayGoOn = () => this.mayGoOn(request, reply, access);
      return may;
    } catch (error) {
      this.count(error, request);
      throw error;
    }
  }

  /** The database's trouble ends no stream. */
  private async mayGoOn(request: AuthenticatedRequest, reply: FastifyReply, access: Access): Promise<boolean> {
    try {
      const { permissions, role } = await this.authenticate(request, reply);
      // Who is no platform administrator any more stays at home.
      if (request.principal?.crossing) return role === 'platform-admin' && (access.kind !== 'permission' || permissions.has(access.permission));
      // What the stream shows follows from the permissions that it began with.
      return [...(request.principal?.permissions ?? [])].every((one) => permissions.has(one));
    } catch (error) {
      return !(error instanceof AppError) || error.status >= 500;
    }
  }

  private decide(access: Access, context: ExecutionContext, principal: Principal, reply: FastifyReply): boolean {
    if (access.kind === 'undeclared') {
      this.reportUndeclared(`${context.getClass().name}.${context.getHandler().name}`);
      throw new AppError('forbidden', { detail: 'This route is open to nobody.' });
    }
    if (principal.lacksSecondFactor && !this.reflector.get<boolean | undefined>(BEFORE_SECOND_FACTOR_KEY, context.getHandler())) throw new AppError('second-factor-required', { detail: 'Your institution asks for a second factor: set it up on /account, or with POST /api/v1/users/me/second-factor.' });
    if (access.kind === 'permission' && !principal.permissions.has(access.permission)) {
      // RFC 6750 §3.1
      if (principal.kind !== 'api-key') void reply.header('WWW-Authenticate', `Bearer realm="healthvision", error="insufficient_scope", scope="${access.permission}"`);
      throw new AppError('forbidden', { detail: `This needs the permission ${access.permission}.` });
    }
    const { breakGlass } = principal;
    if (breakGlass && access.kind === 'permission' && breakGlass.permissions.has(access.permission)) {
      noteForAudit(context.switchToHttp().getRequest<AuthenticatedRequest>(), { purpose: 'emergency', reason: breakGlass.reason, details: { breakGlassId: breakGlass.id } });
    }
    return true;
  }

  /** The handler's own declaration goes before its controller's. */
  private accessOf(context: ExecutionContext): Access {
    for (const target of [context.getHandler(), context.getClass()]) {
      const permission = this.reflector.get<string | undefined>(PERMISSION_KEY, target);
      if (permission !== undefined) return { kind: 'permission', permission };
      if (this.reflector.get<boolean | undefined>(AUTHENTICATED_KEY, target)) return { kind: 'authenticated' };
      if (this.reflector.get<boolean | undefined>(PUBLIC_KEY, target)) return { kind: 'public' };
    }
    return { kind: 'undeclared' };
  }

  /** @throws AppError `unauthenticated`, `too-many-requests`, `csrf-token-invalid`; `bad-request` when a token and a key come together */
  async authenticate(request: AuthenticatedRequest, reply: FastifyReply): Promise<Principal> {
    const { authorization, 'x-api-key': apiKey } = request.headers;
    if (authorization !== undefined && apiKey !== undefined) throw new AppError('bad-request', { detail: 'Send either Authorization or X-API-Key.' });
    if (authorization === undefined && apiKey === undefined && this.cookies.secretOf(request) !== undefined) return this.ofCookie(request, reply);
    const certificate = authorization === undefined && apiKey === undefined ? certificateOf(request) : undefined;
    if (authorization === undefined && apiKey === undefined && certificate === undefined) throw new AppError('unauthenticated');
    const principal = certificate !== undefined ? await this.clients.ofCertificate(certificate, request.ip)
      : typeof apiKey === 'string' ? await this.principals.ofApiKey(apiKey, request.ip)
      : await this.ofToken(request, reply);
    if (principal) return principal;
    await this.limits.atRefusal(request, reply);
    // One answer for every fault: what exactly is wrong with a forged token helps only its forger. RFC 6750 §3.1.
    void reply.header('WWW-Authenticate', 'Bearer realm="healthvision", error="invalid_token"');
    throw new AppError('unauthenticated', { detail: `The ${certificate !== undefined ? 'client certificate' : apiKey === undefined ? 'access token' : 'API key'} is not valid (any more).` });
  }

  /** @throws AppError `unauthenticated`; `csrf-token-invalid` for a change that no page of ours has sent */
  private async ofCookie(request: AuthenticatedRequest, reply: FastifyReply): Promise<Principal> {
    const secret = this.cookies.secretOf(request);
    const principal = secret === undefined ? null : await this.principals.ofCookie(secret);
    if (!principal || secret === undefined) {
      await this.limits.atRefusal(request, reply);
      throw new AppError('unauthenticated', { detail: 'You are signed out.' });
    }
    if (!this.cookies.isOurs(request, secret)) throw new AppError('csrf-token-invalid');
    return principal;
  }

  private async ofToken(request: AuthenticatedRequest, reply: FastifyReply): Promise<Principal | null> {
    if (this.external.concerns(request)) return this.external.principalOf(request);
    const claims = await this.tokens.check(request, reply);
    if (!claims) return null;
    return claims.client_id === undefined ? this.principals.ofToken(claims) : this.clients.ofToken(claims, request.ip);
  }

  private count(error: unknown, { principal, headers }: AuthenticatedRequest): void {
    if (!(error instanceof AppError) || (error.status !== 401 && error.status !== 403)) return;
    const shown = headers['x-api-key'] !== undefined ? 'api-key' : headers.authorization !== undefined ? 'token' : 'nothing';
    this.metrics.accessRefusals.inc({ reason: error.status === 401 ? 'unauthenticated' : 'forbidden', kind: principal?.kind ?? shown });
  }

  private reportUndeclared(route: string): void {
    if (this.reported.has(route)) return;
    this.reported.add(route);
    this.logger.error({ route }, 'a route declares no access and refuses everybody');
  }
}
