import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import type { ClientConfig } from 'pg';
import { AppError } from '../../kernel/errors.js';
import { threadEntry } from '../threads/thread-entry.js';
import { ThreadPool } from '../threads/thread-pool.js';
import { SCRIPT_LOCK, type Migration } from './migration.js';
import type { MigrationTask } from './migration-thread.js';

/** One number for every HealthVision, whatever its version; random. Prisma's own engine uses 72707369. */
const ADVISORY_LOCK = '5183429067143387';

/** How often a process that waits for its turn asks. */
const TURN_MS = 200;

/** A migration takes as long as it takes: the most that a timer can wait. */
const LONGEST_MS = 2 ** 31 - 1;

type Log = (level: 'info' | 'warn' | 'error', message: string, fields?: object) => void;

export interface MigrationOptions {
  /** Default: `prisma/migrations` of this package. */
  migrationsDir?: string;
  /** TLS settings of the connection, when the URL does not say enough. */
  ssl?: Exclude<ClientConfig['ssl'], undefined>;
  log?: Log;
  /** Names of those to apply; default: all. */
  only?: ReadonlySet<string>;
  /** Runs when the schema is the newest, on the same connection and before other processes get their turn. */
  afterwards?: (client: pg.Client) => Promise<void>;
}

export interface MigrationOutcome {
  /** Names of the migrations that were applied now. */
  applied: string[];
  /** How many had been applied before. */
  alreadyApplied: number;
}

/**
 * Brings the database to the newest schema. Replicas that start together wait for each other and migrate once. When nothing
 * is to be done it costs one query; Prisma's engine is loaded only to apply something.
 *
 * @throws AppError `configuration-invalid` when a migration fails, was edited after it had been applied, or is unknown to this
 *   version; `database-unavailable` when PostgreSQL does not answer
 */
export async function applyMigrations(databaseUrl: string, options: MigrationOptions = {}): Promise<MigrationOutcome> {
  const { log = () => undefined, migrationsDir = packagedMigrations(), afterwards = () => Promise.resolve() } = options;
  const migrations = (await readMigrations(migrationsDir)).filter(({ name }) => options.only?.has(name) ?? true);
  const connection: ClientConfig = { connectionString: databaseUrl, ...(options.ssl !== undefined && { ssl: options.ssl }) };
  const client = new pg.Client({ ...connection, connectionTimeoutMillis: 10_000, keepAlive: true });
  // A connection that breaks while it only holds the lock; the next query on it reports the loss.
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    throw new AppError('database-unavailable', { detail: `PostgreSQL cannot be reached: ${messageOf(error)}`, cause: error });
  }
  try {
    await takeTurn(client, log);
    const alreadyApplied = await compare(client, migrations, log);
    const applied = alreadyApplied === migrations.length ? [] : await applyMissing(client, connection, migrationsDir, migrations);
    if (applied.length > 0) log('info', 'The database was migrated.', { applied });
    await afterwards(client);
    return { applied, alreadyApplied };
  } finally {
    // Ending the session gives the lock back.
    await client.end().catch(() => undefined);
  }
}

/**
 * Held by the session: a replica that dies here lets go of it. Whoever waits asks again and again, for a statement that waits has a snapshot, and what the other one does
 * may be CREATE INDEX CONCURRENTLY, which waits for every snapshot.
 */
async function takeTurn(client: pg.Client, log: Log): Promise<void> {
  for (let isWaiting = false; ; isWaiting = true) {
    const { rows } = await client.query<{ had: boolean }>('SELECT pg_try_advisory_lock($1) AS had', [ADVISORY_LOCK]);
    if (rows[0]?.had === true) return;
    if (!isWaiting) log('info', 'Waiting for another process that migrates the database.');
    await wait(TURN_MS);
  }
}

async function applyMissing(client: pg.Client, connection: ClientConfig, migrationsDir: string, migrations: readonly Migration[]): Promise<string[]> {
  // The migration of a process that was killed may still run in the server.
  await client.query('SELECT pg_advisory_lock($1), pg_advisory_unlock($1)', [SCRIPT_LOCK]);
  await forgetUnfinished(client);
  // Prisma's engine is WebAssembly that takes 70 MB for as long as its thread lives, and is needed once.
  const threads = new ThreadPool(threadEntry(import.meta.url, './migration-thread'), { threads: 1, timeoutMs: LONGEST_MS });
  try {
    const task: MigrationTask = { connection, migrationsDir, migrations };
    // The thread answers with the names.
    return (await threads.run(task)) as string[];
  } catch (error) {
    await forgetUnfinished(client).catch(() => undefined);
    if (error instanceof AppError && (error.code === 'configuration-invalid' || error.code === 'database-unavailable')) throw error;
    // Of a thread that could not even start, the cause says why.
    throw new AppError('configuration-invalid', { detail: `The database cannot be migrated: ${messageOf(error instanceof AppError ? (error.cause ?? error) : error)}`, cause: error });
  } finally {
    await threads.close();
  }
}

/** The migrations of a folder in the order of their names. */
export async function readMigrations(migrationsDir: string): Promise<Migration[]> {
  const entries = await readdir(migrationsDir, { withFileTypes: true }).catch((error: unknown) => {
    throw new AppError('configuration-invalid', { detail: `The migrations are missing from ${migrationsDir}.`, cause: error });
  });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(names.sort().map(async (name) => ({ name, sql: await readFile(join(migrationsDir, name, 'migration.sql'), 'utf8') })));
}

/** `prisma/migrations` beside the nearest package.json: the same folder from the sources and from what is compiled. */
export function packagedMigrations(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'prisma', 'migrations')) && folder !== dirname(folder)) folder = dirname(folder);
  return join(folder, 'prisma', 'migrations');
}

interface AppliedRow {
  migration_name: string;
  checksum: string;
}

/** @returns how many of the migrations are applied */
async function compare(client: pg.Client, migrations: readonly Migration[], log: Log): Promise<number> {
  const known = new Map(migrations.map(({ name, sql }) => [name, createHash('sha256').update(sql).digest('hex')]));
  let applied = 0;
  for (const row of await finishedRows(client)) {
    const checksum = known.get(row.migration_name);
    if (checksum === undefined) {
      // A newer version migrated: a roll-back or a rolling update, which additive migrations allow.
      log('warn', 'The database has a migration that this version does not know.', { migration: row.migration_name });
    } else if (checksum === row.checksum) {
      applied++;
    } else {
      throw new AppError('configuration-invalid', { detail: `The migration ${row.migration_name} was edited after it had been applied: restore its migration.sql.` });
    }
  }
  return applied;
}

async function finishedRows(client: pg.Client): Promise<AppliedRow[]> {
  try {
    const { rows } = await client.query<AppliedRow>(
      'SELECT migration_name, checksum FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL ORDER BY migration_name',
    );
    return rows;
  } catch (error) {
    // A new database.
    if (isUndefinedTable(error)) return [];
    if (error instanceof pg.DatabaseError && error.code === '42501') {
      throw new AppError('configuration-invalid', { detail: 'The role of the database URL neither owns the tables nor was let in by their owner: run `healthvision migrate` with the URL of the owner as DATABASE_MIGRATION_URL.', cause: error });
    }
    throw error;
  }
}

/** A migration is one transaction with its record: what is unfinished has left nothing behind and may be tried again. */
async function forgetUnfinished(client: pg.Client): Promise<void> {
  try {
    await client.query('UPDATE _prisma_migrations SET rolled_back_at = now() WHERE finished_at IS NULL AND rolled_back_at IS NULL');
  } catch (error) {
    if (!isUndefinedTable(error)) throw error;
  }
}

function isUndefinedTable(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '42P01';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
