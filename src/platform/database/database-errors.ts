import pg from 'pg';
import { Prisma } from '../../generated/prisma/client.js';
import { AppError } from '../../kernel/errors.js';

/** True for a violated unique constraint. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Error && ((error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002') || originalCode(error) === '23505');
}

/** Serialisation failures and deadlocks. */
export function isConflict(error: unknown): boolean {
  return error instanceof Error && ((error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2034') || ['40001', '40P01'].includes(originalCode(error) ?? ''));
}

/** True for a statement that came after a refused one; or goes by a name that it was not given, because it came after a refused one the first time. */
export function isInFailedTransaction(error: unknown): boolean {
  return error instanceof Error && ['25P02', '26000'].includes(originalCode(error) ?? '');
}

/** True when PostgreSQL would not take a value as it is: out of range, badly encoded, too large for an index. @see PostgreSQL, Appendix A, classes 22 and 54 */
export function isUnstorable(error: unknown): boolean {
  return error instanceof Error && /^(22|54)/.test(originalCode(error) ?? '');
}

const UNREACHABLE_CODES = new Set(['P1000', 'P1001', 'P1002', 'P1008', 'P1010', 'P1017', 'P2024', 'P2028', 'ECONNREFUSED', '57P01', '57P02', '57P03', '08006', '08001', '53300']);
/** Of any socket or file: they speak of the database only inside an error of its client. */
const SOCKET_CODES = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOENT']);

/** SQLSTATEs of a server that stops, starts, cuts connections, has none left, or is not the primary any more. @see PostgreSQL, Appendix A */
const AWAY_STATES = /^(57P0\d|08\d{3}|53300|25006)$/;

/** The SQLSTATE of a driver's error, or that Prisma keeps of it. */
function originalCode(error: Error): string | undefined {
  if (error instanceof pg.DatabaseError) return error.code;
  if (!(error instanceof Prisma.PrismaClientKnownRequestError)) return undefined;
  // Not typed by Prisma.
  const meta = error.meta as { code?: unknown; driverAdapterError?: { cause?: { originalCode?: unknown } } } | undefined;
  const code = meta?.driverAdapterError?.cause?.originalCode ?? meta?.code;
  return typeof code === 'string' ? code : undefined;
}

/** Maps "PostgreSQL is away" in its many shapes to one code; other errors pass. */
export function translate(error: unknown): unknown {
  return isDatabaseAway(error) ? new AppError('database-unavailable', { cause: error, retryAfterSeconds: 2 }) : error;
}

/** As `translate`, for errors that come straight from the connection: there a socket's trouble is the database's. */
export function translateDirect(error: unknown): unknown {
  const ofSocket = error instanceof Error && 'code' in error && typeof error.code === 'string' && SOCKET_CODES.has(error.code);
  return ofSocket ? new AppError('database-unavailable', { cause: error, retryAfterSeconds: 2 }) : translate(error);
}

export function isDatabaseAway(error: unknown): boolean {
  const ofClient = error instanceof Error && /^(PrismaClient|DriverAdapterError)/.test(error.name);
  for (let current: unknown = error, depth = 0; current instanceof Error && depth < 5; current = current.cause, depth++) {
    if ('code' in current && typeof current.code === 'string' && (UNREACHABLE_CODES.has(current.code) || (ofClient && SOCKET_CODES.has(current.code)))) return true;
    if (current.name === 'PrismaClientInitializationError') return true;
    if (AWAY_STATES.test(originalCode(current) ?? '')) return true;
    if (/Connection terminated|terminating connection|not queryable|Code: `(57P0\d|08\d{3}|53300|25006)`|Can't reach database|server closed the connection|the database system is (starting up|shutting down|in recovery)|timeout exceeded when trying to connect|ECONNREFUSED|DatabaseNotReachable|ConnectionClosed/i.test(current.message)) return true;
  }
  return false;
}
