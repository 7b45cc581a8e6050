import { pipeline } from 'node:stream/promises';
import copyStreams from 'pg-copy-streams';
import pg from 'pg';
import { AppError } from '../../kernel/errors.js';
import { quoted } from '../database/logins.js';
import { tarFiles, type TarFile } from '../packs/tar-reader.js';
import type { TableCopy } from './backup-manifest.js';
import { RowDigest } from './row-digest.js';
import { copyTarget, filledTables, inTransaction, tableShapes } from './tables.js';

const PIECE = /^tables\/([^/]+)\/\d{6,}\.copy$/;

/** Tables, and what hands over the archive that they are in. */
export interface TablePart {
  tables: readonly TableCopy[];
  unpack: (take: (archive: AsyncIterable<Uint8Array>) => Promise<void>) => Promise<void>;
}

/**
 * Fills the tables of an empty database, in one transaction: all of it or nothing. Row-level security and foreign keys are out of the way inside of
 * it, and stand as they did when it ends; what the keys promise is checked by PostgreSQL as they come back.
 *
 * @param client  as the owner of the tables, whose migrations are those of the backup
 * @param parts  archives as `dumpTables` writes them
 * @throws AppError `restore-target-not-empty`; `backup-corrupt` when rows, counts or digests are not those of the manifest
 */
export async function loadTables(client: pg.Client, parts: readonly TablePart[]): Promise<void> {
  const tables = parts.flatMap((part) => part.tables);
  try {
    await inTransaction(client, 'write', async () => {
      await assertSame(client, tables);
      // An owner that is the login of the processes too has been left few rights; the wall takes these away again.
      await client.query(`DO $$ BEGIN EXECUTE format('GRANT ALL ON ALL TABLES IN SCHEMA %I TO CURRENT_USER; GRANT ALL ON ALL SEQUENCES IN SCHEMA %1$I TO CURRENT_USER', current_schema()); END $$`);
      await client.query(`LOCK TABLE ${tables.map(({ name }) => quoted(name)).join(', ')} IN ACCESS EXCLUSIVE MODE`);
      const filled = await filledTables(client, tables);
      if (filled.length > 0) throw new AppError('restore-target-not-empty', { detail: `There are rows in ${filled.slice(0, 5).join(', ')}.` });
      const standAgain = await standAside(client);
      for (const part of parts) await part.unpack((archive) => copyAll(client, part.tables, archive));
      for (const statement of standAgain) await client.query(statement);
      await advanceSequences(client);
    });
  } catch (error) {
    // What the rows are refused for: of a backup that was taken of one snapshot there is nothing to refuse.
    if (error instanceof pg.DatabaseError && /^2[23]|^42P01/.test(error.code ?? '')) throw new AppError('backup-corrupt', { detail: `PostgreSQL refuses the rows of ${error.table ?? 'a table'} (${error.code ?? ''}).`, cause: error });
    if (error instanceof AppError && ['invalid-archive', 'truncated-file', 'unsafe-archive-path'].includes(error.code)) throw new AppError('backup-corrupt', { detail: 'The archive of the tables is damaged.', cause: error });
    throw error;
  }
  await client.query(`ANALYZE ${tables.map(({ name }) => quoted(name)).join(', ')}`);
}

/** @throws AppError `backup-corrupt` when the backup's tables are not those that its migrations make */
async function assertSame(client: pg.Client, tables: readonly TableCopy[]): Promise<void> {
  const text = (shapes: readonly { name: string; columns: string[] }[]): string[] => shapes.map((shape) => copyTarget({ ...shape, columns: [...shape.columns].sort() })).sort();
  const [ours, theirs] = [text(await tableShapes(client)), text(tables)];
  if (JSON.stringify(ours) !== JSON.stringify(theirs)) throw new AppError('backup-corrupt', { detail: 'Its tables are not those that its migrations make.' });
}

/**
 * COPY FROM is refused under row-level security, and a foreign key would be asked for every row, in whatever order the tables come.
 *
 * @returns what puts everything back
 */
async function standAside(client: pg.Client): Promise<string[]> {
  const { rows: forced } = await client.query<{ name: string }>(`SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema() AND c.relforcerowsecurity`);
  const { rows: keys } = await client.query<{ name: string; relation: string; definition: string }>(`
    SELECT k.conname AS name, c.relname AS relation, pg_get_constraintdef(k.oid) AS definition FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema() AND k.contype = 'f' ORDER BY k.oid`);
  for (const { name } of forced) await client.query(`ALTER TABLE ${quoted(name)} NO FORCE ROW LEVEL SECURITY`);
  for (const { name, relation } of keys) await client.query(`ALTER TABLE ${quoted(relation)} DROP CONSTRAINT ${quoted(name)}`);
  return [
    ...keys.map(({ name, relation, definition }) => `ALTER TABLE ${quoted(relation)} ADD CONSTRAINT ${quoted(name)} ${definition}`),
    ...forced.map(({ name }) => `ALTER TABLE ${quoted(name)} FORCE ROW LEVEL SECURITY`),
  ];
}

/** Behind the highest number that rows have. */
async function advanceSequences(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ name: string; relation: string; column: string }>(`
    SELECT s.oid::regclass::text AS name, d.refobjid::regclass::text AS relation, a.attname AS column
    FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
      JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE s.relkind = 'S' AND s.relnamespace = current_schema()::regnamespace`);
  for (const { name, relation, column } of rows) await client.query(`SELECT setval($1::regclass, max(${quoted(column)})) FROM ${relation} HAVING max(${quoted(column)}) IS NOT NULL`, [name]);
}

async function copyAll(client: pg.Client, tables: readonly TableCopy[], archive: AsyncIterable<Uint8Array>): Promise<void> {
  const missing = new Map(tables.map((table) => [table.name, table]));
  const files = tarFiles(archive);
  let file = await nextOf(files);
  while (file) {
    const name = tableOf(file);
    const table = missing.get(name);
    if (!table) throw new AppError('backup-corrupt', { detail: 'The archive holds a table twice, or one that the manifest does not know.' });
    missing.delete(name);
    const digest = new RowDigest();
    const rows = async function* (): AsyncGenerator<Uint8Array> {
      for (; file && tableOf(file) === name; file = await nextOf(files)) {
        for await (const chunk of file.content) {
          digest.update(chunk);
          if (digest.sizeBytes > table.sizeBytes) throw mismatch(table);
          yield chunk;
        }
      }
    };
    await pipeline(rows, client.query(copyStreams.from(`COPY ${copyTarget(table)} FROM STDIN`)));
    if (digest.rows !== table.rows || digest.hex !== table.digest) throw mismatch(table);
  }
  for (const table of missing.values()) if (table.rows > 0) throw mismatch(table);
}

function mismatch({ name }: TableCopy): AppError {
  return new AppError('backup-corrupt', { detail: `The rows of ${name} are not those that were counted and digested.` });
}

async function nextOf(files: AsyncGenerator<TarFile>): Promise<TarFile | undefined> {
  const step = await files.next();
  return step.done === true ? undefined : step.value;
}

function tableOf({ path }: TarFile): string {
  return PIECE.exec(path)?.[1] ?? '';
}
