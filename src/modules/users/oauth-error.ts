import { Catch, Inject, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { AppError } from '../../kernel/errors.js';
import { logFieldsOf } from '../../platform/http/access.js';
import { asAppError, type ErrorForm } from '../../platform/http/problem.filter.js';
import { LOGGER, type Logger } from '../../platform/ops/logger.js';

/** RFC 6749 §5.2, RFC 7009 §2.2.1 and, for too many requests, RFC 8628 §3.5; the last two are RFC 6749 §4.1.2.1's words for our own trouble. */
const STATUS = {
  invalid_request: 400, invalid_client: 401, invalid_grant: 400, invalid_scope: 400, unsupported_grant_type: 400,
  unsupported_token_type: 400, slow_down: 429, temporarily_unavailable: 503, server_error: 500,
} as const;

export type OAuthErrorCode = keyof typeof STATUS;

export const oauthErrorSchema = z
  .object({ error: z.enum(Object.keys(STATUS)), error_description: z.string(), mfa_required: z.literal(true).optional().meta({ description: 'With `invalid_grant`: the password is right, and the parameter `otp` is missing' }) })
  .meta({ id: 'OAuthError', description: 'RFC 6749 §5.2' });

/** A refusal in the words of OAuth. Only the token and revocation endpoints throw it. */
export class OAuthError extends Error {
  override readonly name = 'OAuthError';

  constructor(
    readonly code: OAuthErrorCode,
    /** Printable ASCII without `"` and `\`. */
    readonly description: string,
    private readonly options: { retryAfterSeconds?: number | undefined; mfaRequired?: true } = {},
  ) {
    super(description);
  }

  get status(): number {
    return STATUS[this.code];
  }

  get mfaRequired(): true | undefined {
    return this.options.mfaRequired;
  }

  get retryAfterSeconds(): number | undefined {
    return this.options.retryAfterSeconds ?? (this.status === 503 ? 2 : undefined);
  }
}

/** Everything that goes wrong on the OAuth endpoints is answered as RFC 6749 asks, not as problem+json. */
@Catch()
export class OAuthErrorFilter implements ExceptionFilter {
  constructor(@Inject(LOGGER) private readonly logger: Logger) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    answerOAuthError(thrown, host.switchToHttp().getRequest<FastifyRequest>(), host.switchToHttp().getResponse<FastifyReply>(), this.logger);
  }
}

/** The same for what goes wrong before the handler: a body that the parser refuses. */
export const OAuthErrorAnswers = (): MethodDecorator => RouteConfig({ answerError: answerOAuthError } satisfies ErrorForm);

function answerOAuthError(thrown: unknown, request: FastifyRequest, reply: FastifyReply, logger: Logger): void {
  const error = thrown instanceof OAuthError ? thrown : fromProblem(asAppError(thrown));
  if (error.status >= 500) logger.error({ err: thrown, ...logFieldsOf(request), code: error.code }, 'request failed');
  if (error.status === 401) void reply.header('WWW-Authenticate', 'Basic realm="healthvision"');
  if (error.retryAfterSeconds !== undefined) void reply.header('Retry-After', String(error.retryAfterSeconds));
  void reply.status(error.status).headers(NOT_STORED).type('application/json; charset=utf-8').send(JSON.stringify({ error: error.code, error_description: error.description, mfa_required: error.mfaRequired }));
}

/** On every answer that may hold a token, and on the refusals. RFC 6749 §5.1 */
export const NOT_STORED = { 'Cache-Control': 'no-store', 'Pragma': 'no-cache' };

function fromProblem(problem: AppError): OAuthError {
  if (problem.status === 429) return new OAuthError('slow_down', 'Too many requests; Retry-After says when to come again.', { retryAfterSeconds: problem.retryAfterSeconds });
  if (problem.status === 503) return new OAuthError('temporarily_unavailable', 'The server cannot answer now; try again soon.', { retryAfterSeconds: problem.retryAfterSeconds });
  if (problem.status >= 500) return new OAuthError('server_error', 'An unexpected error occurred.');
  const fields = (problem.errors ?? []).map(({ pointer }) => pointer.slice(1)).filter((name) => /^[a-z_]{1,40}$/.test(name));
  return new OAuthError('invalid_request', fields.length > 0 ? `Missing, repeated or malformed: ${fields.join(', ')}.` : 'The request is malformed.');
}
