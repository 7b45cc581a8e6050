import { applyDecorators, Inject, Injectable, SetMetadata, StreamableFile, UseInterceptors, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiHeader } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { catchError, finalize, from, mergeMap, of, type Observable } from 'rxjs';
import { AppError, ERROR_CODES, type ErrorCode } from '../../kernel/errors.js';
import { LOGGER, type Logger } from '../ops/logger.js';
import type { AuthenticatedRequest } from './access.js';
import { canonicalJson } from './canonical-json.js';
import { IdempotencyStore, type Claim, type RememberedAnswer } from './idempotency.store.js';
import { asAppError } from './problem.filter.js';

const IDEMPOTENT_KEY = 'healthvision:idempotent';
const KEY_PATTERN = /^[\x21-\x7e]{1,255}$/;
const REPEATED_HEADERS = ['location', 'etag'];
const RENEWAL_MS = 20_000;

export interface IdempotencyOptions {
  /**
   * false: the body is a stream that the handler reads, so it is told apart by its length and type only. Without this,
   * requests whose body is not JSON are not remembered.
   */
  body?: boolean;
  /** Names of headers, in lower case, that say what is asked for: another value is another request. */
  requestHeaders?: readonly string[];
  /** Names of headers, in lower case, that belong to the answer beside `location` and `etag`. */
  answerHeaders?: readonly string[];
}

/**
 * The route honours `Idempotency-Key`: the same key and request from the same principal get the first answer again. For POST
 * routes that return their answer (not through `@Res()` alone). Name `conflict` and `idempotency-key-reused` in `problems`.
 */
export const Idempotent = (options: IdempotencyOptions = {}): MethodDecorator => applyDecorators(
  // On its own routes alone: what every other one would pay for it is a tenth of a small request.
  UseInterceptors(IdempotencyInterceptor),
  SetMetadata(IDEMPOTENT_KEY, { body: true, requestHeaders: [], answerHeaders: [], ...options } satisfies Required<IdempotencyOptions>),
  ApiHeader({
    name: 'Idempotency-Key',
    description: 'The same key and body within 24 hours give the first answer again, with `Idempotency-Replayed: true`; the same key and another body are refused.',
    required: false,
    // No example: Swagger UI would send it with every call, and the second would be refused.
    schema: { type: 'string', minLength: 1, maxLength: 255 },
  }),
);

/** Carries out a request with an `Idempotency-Key` once, however often it is sent. @see draft-ietf-httpapi-idempotency-key-header */
@Injectable()
export class IdempotencyInterceptor implements NestInterceptor {
  constructor(
    private readonly reflector: Reflector,
    private readonly store: IdempotencyStore,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** @throws AppError `idempotency-key-reused`, `conflict` while the first is still at work, `bad-request` for a malformed key */
  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const options = this.reflector.get<Required<IdempotencyOptions> | undefined>(IDEMPOTENT_KEY, context.getHandler());
    if (!options || context.getType() !== 'http') return next.handle();
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>();
    const key = request.headers['idempotency-key'];
    if (key === undefined || !request.principal) return next.handle();
    const text = requestText(request, options);
    if (text === undefined) return next.handle();
    if (typeof key !== 'string' || !KEY_PATTERN.test(key)) throw new AppError('bad-request', { detail: 'Idempotency-Key must be 1 to 255 printable ASCII characters.' });
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    const result = await this.store.claim(request.principal, key, text);
    switch (result.outcome) {
      case 'other-request': throw new AppError('idempotency-key-reused');
      case 'in-progress': throw new AppError('conflict', { detail: 'The first request with this Idempotency-Key is still at work.', retryAfterSeconds: 1 });
      case 'answered': return of(replay(result.answer, reply));
      case 'claimed': return this.carryOut(result.claim, next, reply, options);
    }
  }

  private carryOut(first: Claim, next: CallHandler, reply: FastifyReply, { answerHeaders }: Required<IdempotencyOptions>): Observable<unknown> {
    // A mutable holder, because the renewal moves the claim on while the handler works.
    const held = { claim: Promise.resolve(first) };
    const renewal = setInterval(() => {
      held.claim = held.claim.then((claim) => this.store.renew(claim).catch(() => claim));
    }, RENEWAL_MS);
    renewal.unref();
    const settle = async (work: (claim: Claim) => Promise<void>): Promise<void> => {
      clearInterval(renewal);
      // The work is done and its caller must hear so, even if remembering it failed.
      await held.claim.then(work).catch((err: unknown) => { this.logger.warn({ err }, 'an answer could not be remembered'); });
    };
    return next.handle().pipe(
      mergeMap(async (body: unknown) => {
        const answer = answerOf(body, reply, answerHeaders);
        await settle((claim) => (answer ? this.store.complete(claim, answer) : this.store.release(claim)));
        return body;
      }),
      catchError((error: unknown) => from(settle((claim) => {
        const answer = problemAnswer(error);
        return answer ? this.store.complete(claim, answer) : this.store.release(claim);
      }).then(() => { throw error; }))),
      finalize(() => { clearInterval(renewal); }),
    );
  }
}

/** undefined when the request cannot be told from another one with the same key. */
function requestText(request: AuthenticatedRequest, { body, requestHeaders }: Required<IdempotencyOptions>): string | undefined {
  const content = body ? jsonContent(request) : streamContent(request);
  if (content === undefined) return undefined;
  const headers = requestHeaders.flatMap((name) => { const value = request.headers[name]; return value === undefined ? [] : [`${name}: ${String(value)}`]; });
  // The same call in another institution is another one.
  const entered = request.principal?.crossing ? [request.principal.institutionId] : [];
  return [request.method, request.url, ...entered, ...headers, content].join('\n');
}

function jsonContent({ headers: { 'content-type': type }, body }: AuthenticatedRequest): string | undefined {
  return type === undefined || /^application\/([\w.-]+\+)?json\b/i.test(type) ? canonicalJson(body) : undefined;
}

function streamContent({ headers: { 'content-type': type, 'content-length': length } }: AuthenticatedRequest): string | undefined {
  // A boundary is new with every multipart request.
  return length === undefined ? undefined : `${type?.split(';')[0]?.trim().toLowerCase() ?? ''}\n${length}`;
}

/** undefined for what must not be remembered: our own failures, and streams. */
function answerOf(body: unknown, reply: FastifyReply, answerHeaders: readonly string[]): RememberedAnswer | undefined {
  if (reply.statusCode >= 500 || body instanceof StreamableFile || Buffer.isBuffer(body)) return undefined;
  const headers = Object.fromEntries([...REPEATED_HEADERS, ...answerHeaders].flatMap((name) => { const value = reply.getHeader(name); return value === undefined ? [] : [[name, String(value)]]; }));
  return { kind: 'body', status: reply.statusCode, headers, body: body ?? null };
}

/** undefined for failures that a later try may not meet. */
function problemAnswer(thrown: unknown): RememberedAnswer | undefined {
  const error = asAppError(thrown);
  if (error.status >= 500 || error.status === 429 || error.retryAfterSeconds !== undefined) return undefined;
  return { kind: 'problem', code: error.code, ...(error.detail !== undefined && { detail: error.detail }), ...(error.errors && { errors: error.errors }) };
}

function replay(answer: RememberedAnswer, reply: FastifyReply): unknown {
  void reply.header('Idempotency-Replayed', 'true');
  if (answer.kind === 'problem') {
    const code = answer.code in ERROR_CODES ? (answer.code as ErrorCode) : 'conflict'; // `in` has just shown that it is one
    throw new AppError(code, { ...(answer.detail !== undefined && { detail: answer.detail }), ...(answer.errors && { errors: answer.errors }) });
  }
  void reply.status(answer.status).headers(answer.headers);
  return answer.body ?? undefined;
}
