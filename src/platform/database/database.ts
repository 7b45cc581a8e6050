import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { PrismaPg } from '@prisma/adapter-pg';
import { createHash } from 'node:crypto';
import pg from 'pg';
import { Prisma, PrismaClient } from '../../generated/prisma/client.js';
import { AppError } from '../../kernel/errors.js';
import type { RowCondition, Transaction } from '../../kernel/transaction.js';
import { CONFIG, type Config } from '../config.js';
import { DATABASE_URLS, POOL_WAIT_MS, poolOptions, type DatabaseUrls } from './connection.js';
import type { PoolCounts } from '../ops/pool-connections.js';
import { inOneTrip, type TripStatement } from './one-trip.js';
import { inScope, SCOPE_SQL, ScopedClient, type ScopeSettings } from './scoped-client.js';

export type PrismaTransaction = Prisma.TransactionClient;

/** Whose rows a transaction may touch: one institution, or `system` for work that serves all of them. */
export type Scope = { institutionId: string } | 'system';

/** Each connection keeps the plans it was given a name for; lists of changing length must not fill its memory. */
const MOST_NAMED_STATEMENTS = 500;

export interface Written<Row> {
  /** Of RETURNING. */
  rows: Row[];
  /** How many rows were touched. */
  count: number;
}

/** Work that serves all institutions holds a connection for as long as a batch takes; people wait behind it to sign in. */
const MIN_SYSTEM_CONNECTIONS = 3;

/** Columns come as Prisma gives them: 64-bit integers as bigint. */
const READ_TYPES = new pg.TypeOverrides();
READ_TYPES.setTypeParser(pg.types.builtins.INT8, BigInt);

/**
 * The way to the rows. What is asked for in the scope of an institution goes out under a login that sees this institution's rows and no others,
 * whatever the statement says; the scope `system` has a login and connections of its own. Stores use it; services hold transactions
 * without looking inside.
 */
@Injectable()
export class Database implements OnApplicationShutdown {
  private readonly app: Side;
  private readonly system: Side;
  /** Whether each scope has a login of its own. */
  private readonly hasLogins: boolean;
  private readonly statementNames = new Map<string, string>();

  constructor(@Inject(CONFIG) config: Config, @Inject(DATABASE_URLS) { appUrl, systemUrl }: DatabaseUrls) {
    this.hasLogins = appUrl !== systemUrl;
    const name = (sql: string): string => this.statementName(sql);
    this.app = new Side(appUrl, config, config.DATABASE_POOL_SIZE, name);
    this.system = new Side(systemUrl, config, Math.max(MIN_SYSTEM_CONNECTIONS, Math.ceil(config.DATABASE_POOL_SIZE / 3)), name);
  }

  /**
   * One SELECT under a scope; PostgreSQL parses it once per connection. Transaction, scope and statement travel together, so that it costs one round trip: for what
   * people and viewers wait for.
   *
   * @throws AppError `database-unavailable` when PostgreSQL does not answer
   */
  async read<Row extends pg.QueryResultRow>(scope: Scope, sql: Prisma.Sql): Promise<Row[]> {
    const [result] = await this.inOneTrip<Row>('read', scope, [sql]);
    return result?.rows ?? [];
  }

  /**
   * As `read`, for SELECTs none of which needs another's answer. Each sees what is committed when it begins.
   *
   * @returns the rows of each
   * @throws AppError `database-unavailable` when PostgreSQL does not answer
   */
  async readAll(scope: Scope, statements: readonly Prisma.Sql[]): Promise<pg.QueryResultRow[][]> {
    return (await this.inOneTrip('read', scope, statements)).map(({ rows }) => rows);
  }

  /**
   * As `read`, for one INSERT, UPDATE or DELETE; serialisation failures and deadlocks are tried again.
   *
   * @throws AppError `database-unavailable` when PostgreSQL does not answer
   */
  async write<Row extends pg.QueryResultRow = never>(scope: Scope, sql: Prisma.Sql): Promise<Written<Row>> {
    for (let attempt = 1; ; attempt++) {
      try {
        const [result] = await this.inOneTrip<Row>('write', scope, [sql]);
        return { rows: result?.rows ?? [], count: result?.rowCount ?? 0 };
      } catch (error) {
        if (attempt >= 3 || !isConflict(error)) throw error;
      }
    }
  }

  /**
   * Statements of one transaction, none of which needs another's answer. They travel together, so that they cost one round trip and are durable after it.
   *
   * @returns the rows of each
   * @throws AppError `database-unavailable` when PostgreSQL does not answer; whether anything was written is not known then
   */
  async writeAll(scope: Scope, statements: readonly Prisma.Sql[]): Promise<pg.QueryResultRow[][]> {
    return (await this.inOneTrip('write', scope, statements)).map(({ rows }) => rows);
  }

  /**
   * Runs `work` in one transaction whose scope PostgreSQL knows (`app.institution_id`), retrying serialisation failures and
   * deadlocks up to three times; so `work` must have no effect outside the database.
   *
   * @throws AppError `database-unavailable` when PostgreSQL does not answer
   */
  async transaction<T>(scope: Scope, work: (tx: Transaction) => Promise<T>): Promise<T> {
    const settings = settingsOf(scope);
    const isSet = scope === 'system' && this.hasLogins;
    for (let attempt = 1; ; attempt++) {
      try {
        return await inScope(isSet ? undefined : settings, () => this.sideOf(scope).prisma.$transaction(
          // The brand exists only in the type system; a transaction is Prisma's client under an opaque name.
          (client) => work(client as unknown as Transaction),
          { maxWait: POOL_WAIT_MS, timeout: 60_000 },
        ));
      } catch (error) {
        if (attempt < 3 && isConflict(error)) continue;
        throw translate(error);
      }
    }
  }

  /** Wakes whoever listens to a channel. Nothing is read or written, so it has no scope. @throws AppError `database-unavailable` */
  async notify(channel: string, payloads: readonly string[]): Promise<void> {
    await this.app.pool.query({ name: 'notify', text: 'SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload', values: [channel, payloads] }).catch((error: unknown) => { throw translateDirect(error); });
  }

  /** What time it is for all processes: each one's own clock may be wrong. In milliseconds since 1970. @throws AppError `database-unavailable` */
  async nowMs(): Promise<number> {
    const [row] = await this.read<{ now: Date }>('system', Prisma.sql`SELECT clock_timestamp() AS now`);
    return row?.now.getTime() ?? Date.now();
  }

  /** @throws AppError `database-unavailable` */
  async ping(): Promise<void> {
    await this.app.pool.query('SELECT 1').catch((error: unknown) => { throw translateDirect(error); });
  }

  /** For metrics. */
  get pools(): Readonly<Record<'app' | 'system', PoolCounts>> {
    return { app: this.app.pool, system: this.system.pool };
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.app.close(), this.system.close()]);
  }

  private sideOf(scope: Scope): Side {
    return scope === 'system' ? this.system : this.app;
  }

  private async inOneTrip<Row extends pg.QueryResultRow>(kind: 'read' | 'write', scope: Scope, statements: readonly Prisma.Sql[]): Promise<pg.QueryResult<Row>[]> {
    const client = await this.sideOf(scope).pool.connect().catch((error: unknown) => { throw translateDirect(error); });
    const opening = this.opening(kind, scope);
    try {
      const results = await inOneTrip(client, [...opening, ...statements.map(({ text, values }) => ({ name: this.statementName(text), text, values }))], READ_TYPES);
      client.release();
      return results.slice(opening.length);
    } catch (error) {
      // PostgreSQL's own refusal leaves the connection as it was; what else went wrong may not.
      client.release(!(error instanceof pg.DatabaseError));
      throw translateDirect(error);
    }
  }

  /** What comes before the statements: the login of `system` needs none, unless one login serves both scopes. */
  private opening(kind: 'read' | 'write', scope: Scope): TripStatement[] {
    if (scope === 'system' && this.hasLogins) return [];
    const values = settingsOf(scope);
    return [kind === 'read' ? { name: 'scope-read', text: `${SCOPE_SQL}, set_config('transaction_read_only', 'on', true)`, values } : { name: 'scope', text: SCOPE_SQL, values }];
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

/** The connections of one login, and Prisma on top of them, each made when it is first needed. */
class Side {
  readonly pool: pg.Pool;
  private client: PrismaClient | undefined;

  constructor(url: string, config: Config, max: number, private readonly nameOf: (sql: string) => string) {
    this.pool = new pg.Pool({ ...poolOptions(url, config), Client: ScopedClient, max, pipeline: true });
    // A connection that breaks ends its queries with an error; the event beside that would end the process.
    this.pool.on('error', ignore);
    this.pool.on('connect', (client) => { client.on('error', ignore); });
  }

  get prisma(): PrismaClient {
    this.client ??= new PrismaClient({
      adapter: new PrismaPg(this.pool, { onPoolError: () => undefined, onConnectionError: () => undefined, statementNameGenerator: ({ sql }) => this.nameOf(sql) }),
    });
    return this.client;
  }

  async close(): Promise<void> {
    await this.client?.$disconnect();
    await this.pool.end();
  }
}

function ignore(): void {
  // See the constructor.
}

/** The institution, and the name of the scope, which only the policies for a login that serves both scopes look at. */
function settingsOf(scope: Scope): ScopeSettings {
  return scope === 'system' ? ['', 'system'] : [scope.institutionId, ''];
}

/** The Prisma client behind a transaction; for stores only. */
export function prismaOf(tx: Transaction): PrismaTransaction {
  // See Database.transaction: this is the other side of the brand.
  return tx as unknown as PrismaTransaction;
}

/** For stores only, as `sqlOf`. @param query  gives a row when the condition holds; may lock it */
export function conditionOf(query: Prisma.Sql): RowCondition {
  // See prismaOf.
  return query as unknown as RowCondition;
}

/** The query behind a condition. */
export function sqlOf(condition: RowCondition): Prisma.Sql {
  return condition as unknown as Prisma.Sql;
}

/** True for a violated unique constraint. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Error && ((error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002') || originalCode(error) === '23505');
}

/** Serialisation failures and deadlocks; of raw statements Prisma gives the SQLSTATE alone. */
function isConflict(error: unknown): boolean {
  return error instanceof Error && ((error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2034') || ['40001', '40P01'].includes(originalCode(error) ?? ''));
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

/** The SQLSTATE of a driver's error, or that Prisma keeps of it (P2010, P2039). */
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
    if (/Connection terminated|terminating connection|not queryable|Code: `(57P0\d|08\d{3}|53300|25006)`|Can't reach database|server closed the connection|the database system is (starting up|shutting down|in recovery)|timeout exceeded when trying to connect|ECONNREFUSED|DatabaseNotReachable|ConnectionClosed/i.test(current.message)) return true;
  }
  return false;
}
