import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { SSE_METADATA } from '@nestjs/common/constants.js';
import { Reflector } from '@nestjs/core';
import type { FastifyReply } from 'fastify';
import { concatMap, filter, from, interval, take, takeUntil, type Observable } from 'rxjs';
import { AppError } from '../../kernel/errors.js';
import { PERMISSION_KEY, type AuthenticatedRequest } from '../../platform/http/access.js';
import { AccessGuard } from './access.guard.js';

/** Ends event streams of callers whose access has ended since: an answer that lasts is not let in once and for all. */
@Injectable()
export class LiveAccessInterceptor implements NestInterceptor {
  /** How often a stream asks whether its client may still watch: whoever was disabled is cut off within a minute. For tests, which have less time. */
  recheckMs = 20_000;

  constructor(
    private readonly reflector: Reflector,
    private readonly guard: AccessGuard,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (this.reflector.get<boolean | undefined>(SSE_METADATA, context.getHandler()) !== true) return next.handle();
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>();
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    if (!request.principal) return next.handle();
    const permission = this.reflector.getAllAndOverride<string | undefined>(PERMISSION_KEY, [context.getHandler(), context.getClass()]);
    const ended = interval(this.recheckMs).pipe(concatMap(() => from(this.mayWatch(request, reply, permission))), filter((may) => !may), take(1));
    return next.handle().pipe(takeUntil(ended));
  }

  /** The database's trouble ends no stream. */
  private async mayWatch(request: AuthenticatedRequest, reply: FastifyReply, permission: string | undefined): Promise<boolean> {
    try {
      const { permissions, role } = await this.guard.authenticate(request, reply);
      // Who is no platform administrator any more stays at home.
      if (request.principal?.crossing) return role === 'platform-admin' && (permission === undefined || permissions.has(permission));
      // What the stream shows follows from the permissions that it began with.
      return [...(request.principal?.permissions ?? [])].every((one) => permissions.has(one));
    } catch (error) {
      return !(error instanceof AppError) || error.status >= 500;
    }
  }
}
