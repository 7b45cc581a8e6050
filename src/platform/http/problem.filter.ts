import { Catch, HttpException, Inject, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError, isNoSpace } from '../../kernel/errors.js';
import { isDatabaseAway } from '../database/database-errors.js';
import { LOGGER, type Logger } from '../ops/logger.js';
import { logFieldsOf } from './access.js';
import { codeForStatus, languageOf, problemOf } from './problem.js';

/** In the Fastify config of a route whose protocol has an error form of its own: it answers what goes wrong before the handler, too. */
export interface ErrorForm {
  answerError: (error: unknown, request: FastifyRequest, reply: FastifyReply, logger: Logger) => void;
}

/** Every error becomes problem+json here, once. Unknown errors are logged without their message and answered as `internal`. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(@Inject(LOGGER) private readonly logger: Logger) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const problem = asAppError(error);
    if (hungUp(error, request)) {
      this.logger.debug(logFieldsOf(request), 'the client hung up');
      reply.raw.destroy();
      return;
    }
    const form = formOf(request);
    if (form && !reply.raw.headersSent) {
      form.answerError(error, request, reply, this.logger);
      return;
    }
    if (problem.status >= 500) this.logger.error({ err: error, ...logFieldsOf(request), code: problem.code }, 'request failed');
    // Headers that were sent cannot be taken back (a stream broke in the middle): cut the connection, so the client knows.
    if (reply.sent || reply.raw.headersSent) {
      reply.raw.destroy();
      return;
    }
    if (problem.retryAfterSeconds !== undefined) void reply.header('Retry-After', String(problem.retryAfterSeconds));
    if (problem.status === 401 && !reply.hasHeader('WWW-Authenticate')) void reply.header('WWW-Authenticate', 'Bearer realm="healthvision"');
    void reply
      .status(problem.status)
      .header('Content-Type', 'application/problem+json; charset=utf-8')
      .send(JSON.stringify(problemOf(problem, request.id, languageOf(request.headers['accept-language']))));
  }
}

function formOf({ routeOptions: { config } }: FastifyRequest): ErrorForm | undefined {
  // Only `ErrorForm` has this name there.
  return 'answerError' in config ? (config as unknown as ErrorForm) : undefined;
}

export function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (isDatabaseAway(error)) return new AppError('database-unavailable', { cause: error, retryAfterSeconds: 2 });
  if (isNoSpace(error)) return new AppError('storage-full', { cause: error });
  const status = statusOf(error);
  if (status === undefined || status >= 500) return new AppError('internal', { cause: error });
  // Messages of the framework below 500 speak of the request's form ("Cannot GET /x", "Unexpected token"), never of its content.
  const detail = status === 404 ? 'There is no such route.' : error instanceof HttpException ? error.message : undefined;
  return new AppError(codeForStatus(status), { cause: error, ...(detail !== undefined && { detail }) });
}

/** The client went away while it sent: nobody is left to be answered, and nothing is wrong here. */
function hungUp(error: unknown, request: FastifyRequest): boolean {
  return request.raw.destroyed && error instanceof Error && 'code' in error && error.code === 'ECONNRESET';
}

function statusOf(error: unknown): number | undefined {
  if (error instanceof HttpException) return error.getStatus();
  // Fastify's own errors carry statusCode.
  if (error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number') return error.statusCode;
  return undefined;
}
