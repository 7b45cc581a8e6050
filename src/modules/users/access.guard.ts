import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyReply } from 'fastify';
import { AppError } from '../../kernel/errors.js';
import { noteForAudit } from '../../platform/audit/audit-note.js';
import { AUTHENTICATED_KEY, PERMISSION_KEY, PUBLIC_KEY, type AuthenticatedRequest, type Principal } from '../../platform/http/access.js';
import { LOGGER, type Logger } from '../../platform/ops/logger.js';
import { AccessTokenStrategy } from './access-token.strategy.js';
import { PrincipalsService } from './principals.service.js';

type Access = { kind: 'public' } | { kind: 'authenticated' } | { kind: 'permission'; permission: string } | { kind: 'undeclared' };

/** Who calls, and may they. In front of every route; a route that declares nothing refuses everybody. */
@Injectable()
export class AccessGuard implements CanActivate {
  private readonly reported = new Set<string>();

  constructor(
    private readonly reflector: Reflector,
    private readonly tokens: AccessTokenStrategy,
    private readonly principals: PrincipalsService,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** @throws AppError `unauthenticated`, `forbidden`; `bad-request` when a token and a key come together */
  async canActivate(context: ExecutionContext): Promise<boolean> {
    const access = this.accessOf(context);
    if (access.kind === 'public') return true;
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>();
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    const principal = await this.authenticate(request, reply);
    request.principal = principal;
    if (access.kind === 'undeclared') {
      this.reportUndeclared(`${context.getClass().name}.${context.getHandler().name}`);
      throw new AppError('forbidden', { detail: 'This route is open to nobody.' });
    }
    if (access.kind === 'permission' && !principal.permissions.has(access.permission)) {
      // RFC 6750 §3.1
      if (principal.kind === 'user') void reply.header('WWW-Authenticate', `Bearer realm="healthvision", error="insufficient_scope", scope="${access.permission}"`);
      throw new AppError('forbidden', { detail: `This needs the permission ${access.permission}.` });
    }
    const { breakGlass } = principal;
    if (breakGlass && access.kind === 'permission' && breakGlass.permissions.has(access.permission)) {
      noteForAudit(request, { purpose: 'emergency', reason: breakGlass.reason, details: { breakGlassId: breakGlass.id } });
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

  /** @throws AppError `unauthenticated`; `bad-request` when a token and a key come together */
  async authenticate(request: AuthenticatedRequest, reply: FastifyReply): Promise<Principal> {
    const { authorization, 'x-api-key': apiKey } = request.headers;
    if (authorization !== undefined && apiKey !== undefined) throw new AppError('bad-request', { detail: 'Send either Authorization or X-API-Key.' });
    if (authorization === undefined && apiKey === undefined) throw new AppError('unauthenticated');
    const principal = typeof apiKey === 'string' ? await this.principals.ofApiKey(apiKey) : await this.ofToken(request, reply);
    if (principal) return principal;
    // One answer for every fault: what exactly is wrong with a forged token helps only its forger. RFC 6750 §3.1.
    void reply.header('WWW-Authenticate', 'Bearer realm="healthvision", error="invalid_token"');
    throw new AppError('unauthenticated', { detail: apiKey === undefined ? 'The access token is not valid (any more).' : 'The API key is not valid (any more).' });
  }

  private async ofToken(request: AuthenticatedRequest, reply: FastifyReply): Promise<Principal | null> {
    const claims = await this.tokens.check(request, reply);
    return claims && this.principals.ofToken(claims);
  }

  private reportUndeclared(route: string): void {
    if (this.reported.has(route)) return;
    this.reported.add(route);
    this.logger.error({ route }, 'a route declares no access and refuses everybody');
  }
}
