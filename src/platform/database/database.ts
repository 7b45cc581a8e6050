import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Prisma } from '../../generated/prisma/client.js';
import { AppError } from '../../kernel/errors.js';
import type { RowCondition, Transaction } from '../../kernel/transaction.js';
import { withinTime } from '../../kernel/within-time.js';
import { CONFIG, type Config } from '../config.js';
import { DATABASE_URLS, poolOptions, type DatabaseUrls } from './connection.js';
import type { PoolCounts } from '../ops/pool-connections.js';
import { soon } from '../ops/soon.js';
import { isConflict, translate, translateDirect } from './database-errors.js';
import { LentConnections } from './lent-connections.js';
import { inOneTrip, type TripStatement } from './one-trip.js';
import { OpenTransaction } from './open-transaction.js';

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

/** A transaction that is not over then is rolled back. */
const TRANSACTION_MS = 60_000;
/** So long somebody waits who has to hear of an error anyway. */
const ROLLBACK_MS = 2_000;

/** What row-level security asks for, until the transaction ends: the institution, and the name of the scope; either may be empty. */
const SCOPE_SQL = `SELECT set_config('app.institution_id', $1, true), set_config('app.scope', $2, true)`;

/** 64-bit integers come as bigint, as Prisma gives them. */
const READ_TYPES = new pg.TypeOverrides();
READ_TYPES.setTypeParser(pg.types.builtins.INT8, BigInt);

/**
 * The way to the rows. What is asked for in the scope of an institution goes out under a login that sees this institution's rows and no others,
 * whatever the statement says; the scope `system` has a login and connections of its own. Stores use it; services hold transactions
 * without looking inside.
 */
@Injectable()
export class Database implements OnApplicationShutdown {
  private readonly app: pg.Pool;
  private readonly system: pg.Pool;
  private readonly lent: LentConnections;
  /** Whether each scope has a login of its own. */
  private readonly hasLogins: boolean;
  private readonly statementNames = new Map<string, string>();

  /** Of transactions. */
  protected readonly patienceMs: number = TRANSACTION_MS;

  constructor(@Inject(CONFIG) config: Config, @Inject(DATABASE_URLS) { appUrl, systemUrl }: DatabaseUrls) {
    this.hasLogins = appUrl !== systemUrl;
    this.app = connectionsTo(appUrl, config, config.DATABASE_POOL_SIZE);
    this.system = connectionsTo(systemUrl, config, Math.max(MIN_SYSTEM_CONNECTIONS, Math.ceil(config.DATABASE_POOL_SIZE / 3)));
    this.lent = new LentConnections((sql) => this.statementName(sql));
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
        await yieldToOther(attempt);
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
   * @throws AppError `database-unavailable` when PostgreSQL does not answer; where that was at the end, whether anything was written is not known
   */
  async transaction<T>(scope: Scope, work: (tx: Transaction) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.once(scope, work);
      } catch (error) {
        if (attempt >= 3 || !isConflict(error)) throw translate(error);
        await yieldToOther(attempt);
      }
    }
  }

  /** Wakes whoever listens to a channel. Nothing is read or written, so it has no scope. @throws AppError `database-unavailable` */
  async notify(channel: string, payloads: readonly string[]): Promise<void> {
    await this.app.query({ name: 'notify', text: 'SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload', values: [channel, payloads] }).catch((error: unknown) => { throw translateDirect(error); });
  }

  /** What time it is for all processes: each one's own clock may be wrong. In milliseconds since 1970. @throws AppError `database-unavailable` */
  async nowMs(): Promise<number> {
    const [row] = await this.read<{ now: Date }>('system', Prisma.sql`SELECT clock_timestamp() AS now`);
    return row?.now.getTime() ?? Date.now();
  }

  /** @throws AppError `database-unavailable` */
  async ping(): Promise<void> {
    await this.app.query('SELECT 1').catch((error: unknown) => { throw translateDirect(error); });
  }

  /** For metrics. */
  get pools(): Readonly<Record<'app' | 'system', PoolCounts>> {
    return { app: this.app, system: this.system };
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.app.end(), this.system.end()]);
    await this.lent.close();
  }

  private poolOf(scope: Scope): pg.Pool {
    return scope === 'system' ? this.system : this.app;
  }

  private connection(scope: Scope): Promise<pg.PoolClient> {
    return this.poolOf(scope).connect().catch((error: unknown) => { throw translateDirect(error); });
  }

  private async once<T>(scope: Scope, work: (tx: Transaction) => Promise<T>): Promise<T> {
    const connection = await this.connection(scope);
    const transaction = new OpenTransaction(connection, { opening: this.opening('write', scope), types: READ_TYPES, nameOf: (sql) => this.statementName(sql), lent: this.lent });
    try {
      // The brand exists only in the type system: an `OpenTransaction` under an opaque name.
      const value = await withinTime(transaction.run(() => work(transaction as unknown as Transaction)), this.patienceMs, tooLong);
      connection.release();
      return value;
    } catch (error) {
      // The connection stays taken until PostgreSQL has answered, however long that takes: it would hold up another one in its place, too.
      await soon(transaction.rollBack().then((isOfUse) => { connection.release(!isOfUse); }, () => { connection.release(true); }), ROLLBACK_MS);
      throw error;
    }
  }

  private async inOneTrip<Row extends pg.QueryResultRow>(kind: 'read' | 'write', scope: Scope, statements: readonly Prisma.Sql[]): Promise<pg.QueryResult<Row>[]> {
    const client = await this.connection(scope);
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

  /** What comes before the statements: the login of `system` needs nothing, unless one login serves both scopes. */
  private opening(kind: 'read' | 'write', scope: Scope): TripStatement[] {
    if (scope === 'system' && this.hasLogins) return [];
    // The name is what the policies for a login that serves both scopes look at.
    const values = scope === 'system' ? ['', 'system'] : [scope.institutionId, ''];
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

/** The connections of one login. */
function connectionsTo(url: string, config: Config, max: number): pg.Pool {
  const pool = new pg.Pool({ ...poolOptions(url, config), max, pipeline: true });
  // A connection that breaks ends its queries with an error; the event beside that would end the process.
  pool.on('error', ignore);
  pool.on('connect', (client) => { client.on('error', ignore); });
  return pool;
}

function tooLong(): AppError {
  return new AppError('database-unavailable', { detail: 'A transaction took too long.', retryAfterSeconds: 2 });
}

function ignore(): void {
  // See `connectionsTo`.
}

/** The Prisma client behind a transaction; for stores only. */
export function prismaOf(tx: Transaction): PrismaTransaction {
  return openOf(tx).client;
}

/** Whoever comes back at once takes the row again before the other has woken for it, and both exclude each other anew. */
function yieldToOther(attempt: number): Promise<void> {
  return sleep(attempt * (20 + Math.random() * 60));
}

/** For stores only: sends a statement whose answer nobody needs. What PostgreSQL says against it, the transaction fails with when it ends. */
export function sendAlong(tx: Transaction, sql: Prisma.Sql): void {
  openOf(tx).sendAlong(sql);
}

function openOf(tx: Transaction): OpenTransaction {
  // See Database.once: this is the other side of the brand.
  return tx as unknown as OpenTransaction;
}

/** For stores only, as `sqlOf`. @param query  gives a row when the condition holds; may lock it */
export function conditionOf(query: Prisma.Sql): RowCondition {
  // See openOf.
  return query as unknown as RowCondition;
}

/** The query behind a condition. */
export function sqlOf(condition: RowCondition): Prisma.Sql {
  return condition as unknown as Prisma.Sql;
}
