import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { PrismaPg } from '@prisma/adapter-pg';
import { createHash } from 'node:crypto';
import type { Writable } from 'node:stream';
import pg from 'pg';
import { Prisma, PrismaClient } from '../../generated/prisma/client.js';
import { AppError } from '../../kernel/errors.js';
import type { Transaction } from '../../kernel/transaction.js';
import { CONFIG, type Config } from '../config.js';
import { DATABASE_URL, POOL_WAIT_MS, poolOptions } from './connection.js';

export type PrismaTransaction = Prisma.TransactionClient;

/** Whose rows a transaction may touch: one institution, or `system` for work that serves all of them. */
export type Scope = { institutionId: string } | 'system';

/** Each connection keeps the plans it was given a name for; lists of changing length must not fill its memory. */
const MOST_NAMED_STATEMENTS = 500;

/** Columns come as Prisma gives them: 64-bit integers as bigint. */
const READ_TYPES = new pg.TypeOverrides();
READ_TYPES.setTypeParser(pg.types.builtins.INT8, BigInt);

/** The one Prisma client of the process. Stores use it; services hold transactions without looking inside. */
@Injectable()
export class Database implements OnApplicationShutdown {
  private readonly pool: pg.Pool;
  private readonly prisma: PrismaClient;
  private readonly statementNames = new Map<string, string>();

  constructor(@Inject(CONFIG) config: Config, @Inject(DATABASE_URL) url: string) {
    this.pool = new pg.Pool({ ...poolOptions(url, config), max: config.DATABASE_POOL_SIZE, pipeline: true });
    // A connection that breaks ends its queries with an error; the event beside that would end the process.
    this.pool.on('error', ignore);
    this.pool.on('connect', (client) => { client.on('error', ignore); });
    this.prisma = new PrismaClient({
      adapter: new PrismaPg(this.pool, { onPoolError: () => undefined, onConnectionError: () => undefined, statementNameGenerator: ({ sql }) => this.statementName(sql) }),
    });
  }

  /**
   * One SELECT under a scope; PostgreSQL parses it once per connection. Transaction, scope and statement travel together, so that it costs one round trip: for what
   * people and viewers wait for.
   *
   * @throws AppError `database-unavailable` when PostgreSQL does not answer
   */
  read<Row extends pg.QueryResultRow>(scope: Scope, sql: Prisma.Sql): Promise<Row[]> {
    return this.alone('BEGIN READ ONLY', scope, sql);
  }

  /**
   * As `read`, for one statement that changes something and needs no retry when it conflicts with another.
   *
   * @throws AppError `database-unavailable` when PostgreSQL does not answer
   */
  write<Row extends pg.QueryResultRow>(scope: Scope, sql: Prisma.Sql): Promise<Row[]> {
    return this.alone('BEGIN', scope, sql);
  }

  private async alone<Row extends pg.QueryResultRow>(begin: 'BEGIN' | 'BEGIN READ ONLY', scope: Scope, { text, values }: Prisma.Sql): Promise<Row[]> {
    const client = await this.pool.connect().catch((error: unknown) => { throw translateDirect(error); });
    const [begun, scoped, rows, ended] = await Promise.allSettled(inOneWrite(client, () => [
      client.query(begin),
      client.query({ name: 'scope', text: `SELECT set_config('app.institution_id', $1, true)`, values: [institutionOf(scope)] }),
      client.query<Row>({ name: this.statementName(text), text, values, types: READ_TYPES }),
      client.query('COMMIT'),
    ] as const));
    const failure = [begun, scoped, rows, ended].find((outcome) => outcome.status === 'rejected');
    // A connection whose transaction did not end as asked is not used again.
    client.release(failure !== undefined);
    if (failure) throw translateDirect(failure.reason);
    return rows.status === 'fulfilled' ? rows.value.rows : [];
  }

  /**
   * Runs `work` in one transaction whose scope PostgreSQL knows (`app.institution_id`), retrying serialisation failures and
   * deadlocks up to three times; so `work` must have no effect outside the database.
   *
   * @throws AppError `database-unavailable` when PostgreSQL does not answer
   */
  async transaction<T>(scope: Scope, work: (tx: Transaction) => Promise<T>): Promise<T> {
    const institution = institutionOf(scope);
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.prisma.$transaction(
          async (client) => {
            await client.$executeRaw`SELECT set_config('app.institution_id', ${institution}, true)`;
            // The brand exists only in the type system; a transaction is Prisma's client under an opaque name.
            return work(client as unknown as Transaction);
          },
          { maxWait: POOL_WAIT_MS, timeout: 60_000 },
        );
      } catch (error) {
        if (attempt < 3 && isConflict(error)) continue;
        throw translate(error);
      }
    }
  }

  /** Reads and single statements without a transaction of their own. */
  get client(): PrismaClient {
    return this.prisma;
  }

  /** @throws AppError `database-unavailable` */
  async ping(): Promise<void> {
    try {
      await this.prisma.$queryRaw`SELECT 1`;
    } catch (error) {
      throw translate(error);
    }
  }

  async onApplicationShutdown(): Promise<void> {
    await this.prisma.$disconnect();
    await this.pool.end();
  }

  /** Empty = not prepared. */
  private statementName(sql: string): string {
    const known = this.statementNames.get(sql);
    if (known !== undefined) return known;
    if (this.statementNames.size >= MOST_NAMED_STATEMENTS) return '';
    const name = `p${createHash('sha256').update(sql).digest('base64url').slice(0, 32)}`;
    this.statementNames.set(sql, name);
    return name;
  }
}

function ignore(): void {
  // See the constructor.
}

/** What `send` hands to the connection goes out together: each write of its own would wake PostgreSQL and wait for the processor. */
function inOneWrite<T>(client: pg.PoolClient, send: () => T): T {
  // Not in the types; the socket, or TLS on top of it.
  const { stream } = (client as unknown as { connection: { stream: Writable } }).connection;
  stream.cork();
  try {
    return send();
  } finally {
    stream.uncork();
  }
}

function institutionOf(scope: Scope): string {
  return scope === 'system' ? '' : scope.institutionId;
}

/** The Prisma client behind a transaction; for stores only. */
export function prismaOf(tx: Transaction): PrismaTransaction {
  // See Database.transaction: this is the other side of the brand.
  return tx as unknown as PrismaTransaction;
}

/** True for a violated unique constraint. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002';
}

/** Serialisation failures and deadlocks; of raw statements Prisma gives the SQLSTATE alone. */
function isConflict(error: unknown): boolean {
  return error instanceof Prisma.PrismaClientKnownRequestError && (error.code === 'P2034' || ['40001', '40P01'].includes(originalCode(error) ?? ''));
}

/** True when PostgreSQL would not take a value as it is: out of range, badly encoded, too large for an index. @see PostgreSQL, Appendix A, classes 22 and 54 */
export function isUnstorable(error: unknown): boolean {
  return error instanceof Error && /^(22|54)/.test(originalCode(error) ?? '');
}

const UNREACHABLE_CODES = new Set(['P1000', 'P1001', 'P1002', 'P1008', 'P1010', 'P1017', 'P2024', 'P2028', 'ECONNREFUSED', '57P01', '57P02', '57P03', '08006', '08001', '53300']);
/** Of any socket or file: they speak of the database only inside an error of its client. */
const SOCKET_CODES = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOENT']);

/** SQLSTATEs of a server that stops, starts, cuts connections or has none left. @see PostgreSQL, Appendix A */
const AWAY_STATES = /^(57P0\d|08\d{3}|53300)$/;

/** The SQLSTATE that Prisma keeps of a driver's error (P2010, P2039). */
function originalCode(error: Error): string | undefined {
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
function translateDirect(error: unknown): unknown {
  const ofSocket = error instanceof Error && 'code' in error && typeof error.code === 'string' && SOCKET_CODES.has(error.code);
  return ofSocket ? new AppError('database-unavailable', { cause: error, retryAfterSeconds: 2 }) : translate(error);
}

export function isDatabaseAway(error: unknown): boolean {
  const ofClient = error instanceof Error && /^(PrismaClient|DriverAdapterError)/.test(error.name);
  for (let current: unknown = error, depth = 0; current instanceof Error && depth < 5; current = current.cause, depth++) {
    if ('code' in current && typeof current.code === 'string' && (UNREACHABLE_CODES.has(current.code) || (ofClient && SOCKET_CODES.has(current.code)))) return true;
    if (current.name === 'PrismaClientInitializationError') return true;
    if (AWAY_STATES.test(originalCode(current) ?? '')) return true;
    if (/Connection terminated|terminating connection|not queryable|Code: `(57P0\d|08\d{3}|53300)`|Can't reach database|server closed the connection|the database system is (starting up|shutting down|in recovery)|timeout exceeded when trying to connect|ECONNREFUSED|DatabaseNotReachable|ConnectionClosed/i.test(current.message)) return true;
  }
  return false;
}
