import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { SSE_METADATA } from '@nestjs/common/constants.js';
import { Reflector } from '@nestjs/core';
import type { FastifyReply } from 'fastify';
import { concatMap, filter, from, interval, take, takeUntil, type Observable } from 'rxjs';
import { AppError } from '../../kernel/errors.js';
import { PERMISSION_KEY, type AuthenticatedRequest } from '../../platform/http/access.js';
import { AccessGuard } from './access.guard.js';

/** How often a stream asks whether its client may still watch: whoever was disabled is cut off within a minute. */
const RECHECK_MS = 20_000;

/** Ends event streams of callers whose access has ended since: an answer that lasts is not let in once and for all. */
@Injectable()
export class LiveAccessInterceptor implements NestInterceptor {
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
    const ended = interval(RECHECK_MS).pipe(concatMap(() => from(this.mayWatch(request, reply, permission))), filter((may) => !may), take(1));
    return next.handle().pipe(takeUntil(ended));
  }

  /** The database's trouble ends no stream. */
  private async mayWatch(request: AuthenticatedRequest, reply: FastifyReply, permission: string | undefined): Promise<boolean> {
    try {
      const { permissions, role } = await this.guard.authenticate(request, reply);
      // Who is no platform administrator any more stays at home.
      if (request.principal?.crossing && role !== 'platform-admin') return false;
      return permission === undefined || permissions.has(permission);
    } catch (error) {
      return !(error instanceof AppError) || error.status >= 500;
    }
  }
}
