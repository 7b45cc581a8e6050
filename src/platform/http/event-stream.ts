import { applyDecorators, Sse, UseInterceptors, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { concatMap, filter, from, interval, mergeMap, take, takeUntil, type Observable } from 'rxjs';
import { RequestTrail } from '../audit/audit-trail.js';
import type { AuthenticatedRequest } from './access.js';

/** In place of `Sse`: the stream is on record before it begins, because it goes past the framework's sending, and ends when its caller may not watch any more. */
export const EventStream = (path?: string): MethodDecorator => applyDecorators(Sse(path), UseInterceptors(EVENT_STREAMS));

/** An answer that lasts is not let in once and for all. */
class EventStreamInterceptor implements NestInterceptor {
  /** How often a stream asks whether its client may still watch: whoever was disabled is cut off within a minute. For tests, which have less time. */
  recheckMs = 20_000;

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>();
    const trail = RequestTrail.of(request);
    const events = trail === undefined ? next.handle() : from(trail.answer(200)).pipe(mergeMap(() => {
      trail.reopen();
      return next.handle();
    }));
    const { mayGoOn } = request;
    if (mayGoOn === undefined) return events;
    return events.pipe(takeUntil(interval(this.recheckMs).pipe(concatMap(() => from(mayGoOn())), filter((may) => !may), take(1))));
  }
}

export const EVENT_STREAMS = new EventStreamInterceptor();
