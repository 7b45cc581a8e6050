import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { setTimeout as wait } from 'node:timers/promises';
import { PrismaPg } from '@prisma/adapter-pg';
import { ColumnTypeEnum, DriverAdapterError, bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import type { SqlDriverAdapter, SqlMigrationAwareDriverAdapterFactory } from '@prisma/driver-adapter-utils';
import * as bindings from '@prisma/schema-engine-wasm/schema_engine_bg';
import pg from 'pg';
import type { ClientConfig } from 'pg';
import { AppError } from '../../kernel/errors.js';
import { SCRIPT_LOCK, type Migration } from './migration.js';

const NO_FILTERS = { externalTables: [], externalEnums: [] };
/** Type "char" (oid 18) of PostgreSQL's catalogue, which the adapter refuses to pass on. */
const CHAR_OID = 18;
const TEXT_OID = 25;

/**
 * How long a migration waits for a table that somebody uses. Everybody who comes after it waits behind it, so it gives up soon, lets them pass, and tries again.
 */
const LOCK_WAIT_MS = 1_000;
const LOCK_PAUSE_MS = 2_000;
const LOCK_PATIENCE_MS = 600_000;
/** SQLSTATE */
const LOCK_NOT_AVAILABLE = '55P03';

/**
 * Applies the migrations that are missing and records them in Prisma's table `_prisma_migrations`.
 *
 * @returns the names that were applied
 * @throws AppError `configuration-invalid` with the migration's name and PostgreSQL's message; the migration left nothing behind
 */
export async function runMigrations(connection: ClientConfig, migrationsDir: string, migrations: readonly Migration[]): Promise<string[]> {
  let failure: AppError | undefined;
  const execute = async (pool: pg.Pool, script: string): Promise<void> => {
    const migration = migrations.find(({ sql }) => sql === script);
    try {
      if (migration === undefined) await pool.query(script);
      else await runScript(pool, migration);
    } catch (error) {
      if (migration !== undefined) failure = failureOf(migration, error);
      throw toAdapterError(error);
    }
  };
  try {
    return await withEngine(connection, execute, async (engine) => {
      const { appliedMigrationNames } = await engine.applyMigrations({ migrationsList: toList(migrationsDir, migrations), filters: NO_FILTERS });
      return appliedMigrationNames;
    });
  } catch (error) {
    throw failure ?? error;
  }
}

/**
 * What leads from the migrations to a schema, as SQL; an empty string when they agree.
 *
 * @param connection  an empty database to replay the migrations in
 */
export async function diffMigrations(connection: ClientConfig, migrationsDir: string, migrations: readonly Migration[], schema: string): Promise<string> {
  const execute: Execute = async (pool, script) => {
    await pool.query(script);
  };
  return withEngine(connection, execute, async (engine) => {
    const { stdout } = await engine.diff({
      from: { tag: 'migrations', ...toList(migrationsDir, migrations) },
      to: { tag: 'schemaDatamodel', files: [{ path: 'schema.prisma', content: schema }] },
      script: true,
      exitCode: null,
      filters: NO_FILTERS,
    });
    const sql = (stdout ?? '').trim();
    return sql === '-- This is an empty migration.' ? '' : sql;
  });
}

type Execute = (pool: pg.Pool, script: string) => Promise<void>;

/** The one kind of statement that must be alone: an index made beside those who write. */
const CONCURRENT_INDEX = /^CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+IF\s+NOT\s+EXISTS\s+"?([a-z0-9_]+)"?\s[^;]*;?$/i;

async function runScript(pool: pg.Pool, { sql }: Migration): Promise<void> {
  const statement = sql.replaceAll(/^\s*--.*$/gm, '').trim();
  const index = CONCURRENT_INDEX.exec(statement)?.[1];
  if (index !== undefined) {
    await makeIndex(pool, index, statement);
    return;
  }
  for (const until = Date.now() + LOCK_PATIENCE_MS; ;) {
    try {
      await pool.query(inOneTransaction(sql));
      return;
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || error.code !== LOCK_NOT_AVAILABLE || Date.now() > until) throw error;
      await wait(LOCK_PAUSE_MS);
    }
  }
}

/** What was broken off left an index that nobody uses and everybody keeps up to date. */
async function makeIndex(pool: pg.Pool, name: string, statement: string): Promise<void> {
  const { rows } = await pool.query<{ invalid: boolean }>({ text: 'SELECT NOT indisvalid AS invalid FROM pg_index WHERE indexrelid = to_regclass($1)', values: [pg.escapeIdentifier(name)] });
  if (rows[0]?.invalid === true) await pool.query(`DROP INDEX CONCURRENTLY ${pg.escapeIdentifier(name)}`);
  await pool.query(statement);
}

/**
 * PostgreSQL runs a query of several statements as one transaction. With the row that records the migration inside it, a
 * migration has happened exactly when it is recorded, whenever the process dies.
 */
function inOneTransaction(script: string): string {
  // Row-level security binds an owner that is no superuser; it lets the scope of the system through.
  return `SELECT pg_advisory_xact_lock(${SCRIPT_LOCK}), set_config('app.scope', 'system', true), set_config('lock_timeout', '${String(LOCK_WAIT_MS)}', true);\n${script}\n;UPDATE _prisma_migrations SET finished_at = now() WHERE finished_at IS NULL AND rolled_back_at IS NULL`;
}

async function withEngine<T>(connection: ClientConfig, execute: Execute, work: (engine: bindings.SchemaEngine) => Promise<T>): Promise<T> {
  await loadEngine();
  const inner = new PrismaPg({ ...connection, max: 2 });
  const adapters: PgAdapter[] = [];
  const connect = async (): Promise<SqlDriverAdapter> => {
    const adapter = await inner.connect();
    adapters.push(adapter);
    return withWholeScripts(adapter, execute);
  };
  // The adapter's own shadow database is the main one when the connection is given as a URL, because pg lets the URL win.
  const factory: SqlMigrationAwareDriverAdapterFactory = { adapterName: inner.adapterName, provider: inner.provider, connect, connectToShadowDb: connect };
  const panic = new Promise<never>((_resolve, reject) => {
    // The engine reports a panic here, and its promise is never settled.
    Object.assign(globalThis, { PRISMA_WASM_PANIC_REGISTRY: { set_message: (message: string) => { reject(new Error(message)); } } });
  });
  try {
    const engine = await bindings.SchemaEngine.new({ datamodels: undefined }, () => undefined, bindMigrationAwareSqlAdapterFactory(factory));
    const result = await Promise.race([work(engine), panic]);
    engine.free();
    return result;
  } finally {
    // Ends the sessions, one of which holds the engine's advisory lock. The engine has ended that of a shadow database itself.
    await Promise.all(adapters.filter((adapter) => !adapter.underlyingDriver().ending).map((adapter) => adapter.dispose()));
  }
}

type PgAdapter = Awaited<ReturnType<PrismaPg['connect']>>;

/** The adapter cuts scripts at every semicolon, also inside function bodies, and refuses the catalogue's "char". */
function withWholeScripts(adapter: PgAdapter, execute: Execute): SqlDriverAdapter {
  const pool = adapter.underlyingDriver();
  // One of the overloads of query, all of which are the same function.
  const query = pool.query.bind(pool) as (config: unknown) => Promise<pg.QueryResult | pg.QueryResult[]>;
  /** Which columns of a result, known by its rows, are "char". */
  const charColumns = new WeakMap<object, number[]>();
  Object.assign(pool, {
    query: async (config: unknown) => {
      const result = await query(config);
      if (Array.isArray(result)) return result;
      charColumns.set(result.rows, result.fields.flatMap((field, column) => (field.dataTypeID === CHAR_OID ? [column] : [])));
      for (const field of result.fields) if (field.dataTypeID === CHAR_OID) field.dataTypeID = TEXT_OID;
      return result;
    },
  });
  const queryRaw = adapter.queryRaw.bind(adapter);
  adapter.queryRaw = async (sql) => {
    const result = await queryRaw(sql);
    for (const column of charColumns.get(result.rows) ?? []) result.columnTypes[column] = ColumnTypeEnum.Character;
    return result;
  };
  adapter.executeScript = (script) => execute(pool, script);
  return adapter;
}

function toList(baseDir: string, migrations: readonly Migration[]) {
  return {
    baseDir,
    lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"\n' },
    shadowDbInitScript: '',
    migrationDirectories: migrations.map(({ name, sql }) => ({
      path: name,
      migrationFile: { path: 'migration.sql', content: { tag: 'ok' as const, value: sql } },
    })),
  };
}

function failureOf(migration: Migration, error: unknown): AppError {
  const isHeld = error instanceof pg.DatabaseError && error.code === LOCK_NOT_AVAILABLE;
  const reason = isHeld ? `its tables were in use for ${String(LOCK_PATIENCE_MS / 1000)} s without a pause, as by a backup or a long report; run it again later` : error instanceof Error ? error.message : String(error);
  return new AppError('configuration-invalid', { detail: `The migration ${migration.name} failed: ${reason}`, cause: error });
}

function toAdapterError(error: unknown): unknown {
  if (!(error instanceof pg.DatabaseError)) return error;
  const { code = 'XX000', severity = 'ERROR', message, detail, column, hint } = error;
  return new DriverAdapterError({ kind: 'postgres', code, severity, message, detail, column, hint, originalCode: code, originalMessage: message });
}

// TypeScript knows WebAssembly from the browser's library only.
declare const WebAssembly: {
  compile(bytes: Uint8Array): Promise<object>;
  instantiate(module: object, imports: object): Promise<{ exports: { __wbindgen_start(): void } }>;
};

let loaded: Promise<void> | undefined;

/** The package expects a bundler to import its WebAssembly; Node cannot yet, so it is compiled here. */
function loadEngine(): Promise<void> {
  loaded ??= (async () => {
    const script = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg');
    const wasm = await WebAssembly.compile(await readFile(script.replace(/\.js$/, '.wasm')));
    const { exports } = await WebAssembly.instantiate(wasm, { './schema_engine_bg.js': bindings });
    bindings.__wbg_set_wasm(exports);
    exports.__wbindgen_start();
  })();
  return loaded;
}
