import type { LoggerService } from '@nestjs/common';
import { pino, type Logger as PinoLogger } from 'pino';

export type Logger = PinoLogger;

/** Dependency-injection token of the process's pino logger. */
export const LOGGER = Symbol('Logger');

/** Names of headers, fields and parameters whose values never stand in a log, wherever they come. */
const SECRETS = [
  'authorization', 'cookie', 'set-cookie', 'x-api-key', 'x-csrf-token', 'proxy-authorization', 'password', 'newPassword', 'currentPassword', 'passwordHash', 'otp', 'totp', 'recoveryCode', 'recoveryCodes',
  'secret', 'clientSecret', 'client_secret', 'client_assertion', 'assertion', 'token', 'accessToken', 'access_token', 'refreshToken', 'refresh_token', 'id_token', 'key', 'apiKey', 'privateKey', 'private_key', 'csrfToken',
];

/**
 * JSON lines on standard output (standard error for one-shot commands, or any other open file). Secrets are redacted; PHI must not get here at all.
 *
 * @param surroundings  asked for every line what else it says, such as the trace that it is written in
 */
export function createLogger(level: string, bindings: Record<string, unknown> = {}, destination = 1, surroundings?: () => object): Logger {
  return pino(
    {
      level,
      base: { ...bindings, pid: process.pid },
      ...(surroundings && { mixin: surroundings }),
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: safeError },
      redact: { paths: SECRETS.flatMap((name) => [`["${name}"]`, `*["${name}"]`, `*.*["${name}"]`]), censor: '[secret]' },
    },
    pino.destination({ fd: destination, sync: true }),
  );
}

/**
 * Type, code and stack of an error. Messages of libraries may quote values of a row or a data set (a unique constraint
 * names the key), so only our own errors keep theirs.
 */
export function safeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error };
  const own = error.name === 'AppError' || error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
  return {
    type: error.name,
    ...('code' in error && { code: error.code }),
    ...(own && { message: error.message }),
    stack: (error.stack ?? '').split('\n').filter((line) => line.trimStart().startsWith('at ')).slice(0, 12).join('\n'),
    ...(error.cause !== undefined && { cause: safeError(error.cause) }),
  };
}

/** Lets Nest write through pino. */
export class NestLogger implements LoggerService {
  constructor(private readonly logger: Logger) {}
  log(message: unknown, context?: string): void { this.logger.debug({ context }, String(message)); }
  error(message: unknown, stack?: string, context?: string): void { this.logger.error({ context, stack }, message instanceof Error ? message.name : String(message)); }
  warn(message: unknown, context?: string): void { this.logger.warn({ context }, String(message)); }
  debug(message: unknown, context?: string): void { this.logger.debug({ context }, String(message)); }
  verbose(message: unknown, context?: string): void { this.logger.trace({ context }, String(message)); }
}
