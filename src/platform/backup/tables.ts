import pg from 'pg';
import type { ClientConfig } from 'pg';
import { AppError } from '../../kernel/errors.js';
import { quoted } from '../database/logins.js';

export interface TableShape {
  name: string;
  /** Those that are written, in their order. */
  columns: string[];
}

/** Who has these and the master key reads what is encrypted. A key that is destroyed is to be gone from backups soon. */
export const KEY_TABLES: readonly string[] = ['institution_keys', 'study_keys'];

/** Prisma's record of migrations is made by applying them. */
const RECORD = '_prisma_migrations';

/** So that a value has one text, whatever the server and the role are set to. */
const TEXT_SETTINGS = `SELECT set_config('app.scope', 'system', true), set_config('datestyle', 'ISO, YMD', true), set_config('intervalstyle', 'postgres', true), set_config('timezone', 'UTC', true),
  set_config('extra_float_digits', '3', true), set_config('bytea_output', 'hex', true), set_config('client_encoding', 'UTF8', true), set_config('statement_timeout', '0', true),
  set_config('lock_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)`;

/** @throws AppError `database-unavailable` */
export async function connectAsOwner(ownerUrl: string, ssl: ClientConfig['ssl']): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: ownerUrl, connectionTimeoutMillis: 10_000, keepAlive: true, ...(ssl !== undefined && { ssl }) });
  // The query that is under way, or the next one, reports the loss.
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (cause) {
    throw new AppError('database-unavailable', { detail: 'PostgreSQL cannot be reached.', cause });
  }
  return client;
}

/** Runs `work` in a transaction that sees the rows of all institutions. */
export async function inTransaction<T>(client: pg.Client, kind: 'snapshot' | 'write', work: () => Promise<T>): Promise<T> {
  await client.query(kind === 'snapshot' ? 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY' : 'BEGIN');
  try {
    await client.query(TEXT_SETTINGS);
    const done = await work();
    await client.query('COMMIT');
    return done;
  } catch (error) {
    // Says nothing new when the connection is lost.
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** The tables whose rows last. Unlogged ones are forgotten by every crash, and may be by this. */
export async function tableShapes(client: pg.Client): Promise<TableShape[]> {
  const { rows } = await client.query<TableShape>(`
    SELECT c.relname::text AS name, array_agg(a.attname::text ORDER BY a.attnum) AS columns
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE n.nspname = current_schema() AND c.relkind = 'r' AND c.relpersistence = 'p' AND c.relname <> $1 AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    GROUP BY c.relname ORDER BY c.relname COLLATE "C"`, [RECORD]);
  return rows;
}

export async function appliedMigrations(client: pg.Client): Promise<{ name: string; checksum: string }[]> {
  const { rows: [there] } = await client.query<{ is: boolean }>('SELECT to_regclass($1) IS NOT NULL AS is', [RECORD]);
  if (there?.is !== true) return [];
  const { rows } = await client.query<{ name: string; checksum: string }>(`SELECT migration_name AS name, checksum FROM ${RECORD} WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL ORDER BY migration_name`);
  return rows;
}

/** Names of the tables that hold anything. */
export async function filledTables(client: pg.Client, tables: readonly TableShape[]): Promise<string[]> {
  const filled: string[] = [];
  for (const { name } of tables) {
    const { rows: [found] } = await client.query<{ any: boolean }>(`SELECT EXISTS (SELECT FROM ${quoted(name)}) AS any`);
    if (found?.any === true) filled.push(name);
  }
  return filled;
}

/** Every key that a row names its blob by, in columns; keys inside of JSON are not looked for. */
export async function* referencedBlobs(client: pg.Client, tables: readonly TableShape[]): AsyncGenerator<string> {
  for (const { name, columns } of tables) {
    // A tombstone names what is to go.
    if (!columns.includes('blob_key') || name === 'blob_tombstones') continue;
    await client.query(`DECLARE blob_keys NO SCROLL CURSOR FOR SELECT blob_key FROM ${quoted(name)}`);
    for (;;) {
      const { rows } = await client.query<{ blob_key: string }>('FETCH 10000 FROM blob_keys');
      for (const { blob_key } of rows) yield blob_key;
      if (rows.length === 0) break;
    }
    await client.query('CLOSE blob_keys');
  }
}

/** `"table" ("a", "b")` for COPY. */
export function copyTarget({ name, columns }: TableShape): string {
  return `${quoted(name)} (${columns.map(quoted).join(', ')})`;
}
