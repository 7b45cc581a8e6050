import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, chown, cp, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/platform/config.js';
import { unprivilegedAccount } from '../../../src/platform/database/embedded-account.js';
import { discardEmbeddedPostgres, openEmbeddedPostgres } from '../../../src/platform/database/embedded-postgres.js';
import type { EmbeddedPostgres } from '../../../src/platform/database/embedded-postgres.js';
import { freePort } from '../../../src/platform/database/embedded-server.js';
import { diffMigrations } from '../../../src/platform/database/migration-engine.js';
import { SCRIPT_LOCK } from '../../../src/platform/database/migration.js';
import { applyMigrations, readMigrations } from '../../../src/platform/database/migrations.js';
import { openDatabase } from '../../../src/platform/database/open-database.js';
import { createLogger } from '../../../src/platform/ops/logger.js';
import { ROOT } from './compile.js';
import { eventually, query } from './processes.js';

const MIGRATIONS = join(ROOT, 'prisma', 'migrations');
const DEBIAN = '/usr/lib/postgresql/15/bin';
const FIRST = `CREATE TABLE doors (id int PRIMARY KEY);
-- A body with semicolons, which must reach the server in one piece.
CREATE FUNCTION doubled(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN n := n * 2; RETURN n; END; $$;`;
const SECOND = 'ALTER TABLE doors ADD COLUMN colour text; -- the end';

let folder: string;
let postgres: EmbeddedPostgres;
let databases = 0;

async function newDatabase(): Promise<string> {
  const name = `test_${String(++databases)}`;
  await query(postgres.url, `CREATE DATABASE ${name}`);
  return postgres.url.replace(/\/healthvision$/, `/${name}`);
}

async function newMigrations(scripts: Record<string, string>): Promise<string> {
  const directory = await mkdtemp(join(folder, 'migrations-'));
  for (const [name, sql] of Object.entries(scripts)) {
    await mkdir(join(directory, name));
    await writeFile(join(directory, name, 'migration.sql'), sql);
  }
  return directory;
}

const recorded = (url: string) =>
  query<{ migration_name: string }>(url, 'SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL ORDER BY 1').then((rows) => rows.map((row) => row.migration_name));

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'healthvision-migrations-')));
  await chmod(folder, 0o755);
  postgres = await openEmbeddedPostgres({ dataDir: join(folder, 'data'), log: () => undefined });
});

afterAll(async () => {
  await postgres.close();
  await discardEmbeddedPostgres(join(folder, 'data'));
  await rm(folder, { recursive: true, force: true });
});

describe("the product's migrations", () => {
  it('lead from an empty database to prisma/schema.prisma', async () => {
    const schema = await readFile(join(ROOT, 'prisma', 'schema.prisma'), 'utf8');
    const rest = await diffMigrations({ connectionString: await newDatabase() }, MIGRATIONS, await readMigrations(MIGRATIONS), schema);
    expect(rest, 'run node prisma/create-migration.mjs NAME').toBe('');
  });

  it('are applied once and found applied afterwards, by a role that may only read their table', async () => {
    const url = await newDatabase();
    const names = (await readMigrations(MIGRATIONS)).map(({ name }) => name);
    expect(await applyMigrations(url)).toEqual({ applied: names, alreadyApplied: 0 });
    await query(url, `CREATE ROLE reader LOGIN PASSWORD 'reads'; GRANT SELECT ON _prisma_migrations TO reader`);
    const reader = url.replace(/\/\/healthvision:[0-9a-f]+@/, '//reader:reads@');
    expect(await applyMigrations(reader)).toEqual({ applied: [], alreadyApplied: names.length });
    expect(await recorded(url)).toEqual(names);
  });

  it('are applied once by processes that start together', async () => {
    const url = await newDatabase();
    const names = (await readMigrations(MIGRATIONS)).map(({ name }) => name);
    const results = await Promise.all(Array.from({ length: 4 }, () => applyMigrations(url)));
    expect(results.flatMap(({ applied }) => applied)).toEqual(names);
    expect(results.filter(({ alreadyApplied }) => alreadyApplied === names.length)).toHaveLength(3);
    expect(await recorded(url)).toEqual(names);
  });

  const onDebian = existsSync(join(DEBIAN, 'postgres')) ? it : it.skip;
  if (!existsSync(join(DEBIAN, 'postgres'))) console.warn(`No PostgreSQL 15 in ${DEBIAN}: the test of another server is skipped.`);

  onDebian('work on a PostgreSQL 15 that DATABASE_URL names', async () => {
    const location = join(folder, 'fifteen');
    await mkdir(location, { mode: 0o700 });
    const account = await unprivilegedAccount(folder, () => undefined);
    if (account) await chown(location, account.uid, account.gid);
    const as = { cwd: '/', ...(account && { uid: account.uid, gid: account.gid }) };
    const created = spawnSync(join(DEBIAN, 'initdb'), ['-D', location, '-U', 'tester', '--auth=trust', '--no-sync', '--encoding=UTF8', '--locale=C'], as);
    expect(created.stderr.toString()).toBe('');
    const port = await freePort();
    const server = spawn(join(DEBIAN, 'postgres'), ['-D', location, '-p', String(port), '-h', '127.0.0.1', '-k', '', '-F'], { ...as, stdio: 'ignore' });
    const ended = new Promise((resolve) => server.once('exit', resolve));
    try {
      const url = `postgresql://tester@127.0.0.1:${String(port)}/postgres`;
      await eventually(() => query(url, 'SELECT 1'));
      const names = (await readMigrations(MIGRATIONS)).map(({ name }) => name);
      expect(await applyMigrations(url)).toEqual({ applied: names, alreadyApplied: 0 });
      expect(await applyMigrations(url)).toEqual({ applied: [], alreadyApplied: names.length });
      const tables = await query<{ name: string }>(url, `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'`);
      expect(tables.map(({ name }) => name)).toContain('studies');
      const opened = await openDatabase(parseConfig({ DATA_DIR: join(folder, 'data'), DATABASE_URL: url }), createLogger('silent'));
      expect(await query(opened.appUrl, `SELECT current_user <> 'tester' AS other, has_table_privilege('studies', 'SELECT') AS reads, row_security_active('studies') AS bound`)).toEqual([{ other: true, reads: true, bound: true }]);
    } finally {
      server.kill('SIGINT');
      await ended;
    }
  });
});

describe('applying migrations', () => {
  it('adds what is new to what is applied, function bodies and trailing comments included', async () => {
    const url = await newDatabase();
    expect(await applyMigrations(url, { migrationsDir: await newMigrations({ '20260101000000_first': FIRST }) })).toEqual({ applied: ['20260101000000_first'], alreadyApplied: 0 });
    const both = await newMigrations({ '20260101000000_first': FIRST, '20260102000000_second': SECOND });
    expect(await applyMigrations(url, { migrationsDir: both })).toEqual({ applied: ['20260102000000_second'], alreadyApplied: 1 });
    expect(await query(url, 'SELECT doubled(4) AS eight')).toEqual([{ eight: 8 }]);
    expect(await applyMigrations(url, { migrationsDir: both })).toEqual({ applied: [], alreadyApplied: 2 });
  });

  it('reports a migration that was edited after it had been applied', async () => {
    const url = await newDatabase();
    const migrationsDir = join(folder, 'edited');
    await cp(await newMigrations({ '20260101000000_first': FIRST }), migrationsDir, { recursive: true });
    await applyMigrations(url, { migrationsDir });
    await writeFile(join(migrationsDir, '20260101000000_first', 'migration.sql'), `${FIRST}\nDROP TABLE doors;`);
    await expect(applyMigrations(url, { migrationsDir })).rejects.toMatchObject({ code: 'configuration-invalid', message: expect.stringContaining('20260101000000_first was edited') as string });
  });

  it('names the migration that fails, with what PostgreSQL says, undoes it whole, and applies it once it is mended', async () => {
    const url = await newDatabase();
    const broken = await newMigrations({ '20260101000000_first': FIRST, '20260102000000_second': 'CREATE TABLE half (id int); ALTER TABLE windows ADD COLUMN colour text;' });
    const failure = { code: 'configuration-invalid', message: 'The migration 20260102000000_second failed: relation "windows" does not exist' };
    await expect(applyMigrations(url, { migrationsDir: broken })).rejects.toMatchObject(failure);
    await expect(applyMigrations(url, { migrationsDir: broken })).rejects.toMatchObject(failure);
    expect(await query(url, `SELECT to_regclass('half') AS half, to_regclass('doors') IS NOT NULL AS doors`)).toEqual([{ half: null, doors: true }]);
    const mended = await newMigrations({ '20260101000000_first': FIRST, '20260102000000_second': SECOND });
    expect(await applyMigrations(url, { migrationsDir: mended })).toEqual({ applied: ['20260102000000_second'], alreadyApplied: 1 });
    expect(await recorded(url)).toEqual(['20260101000000_first', '20260102000000_second']);
  });

  it('goes on after a process was killed in the middle of a migration', async () => {
    const url = await newDatabase();
    const migrationsDir = await newMigrations({ '20260101000000_first': `${FIRST} SELECT pg_sleep(60);` });
    const interrupted = applyMigrations(url, { migrationsDir }).catch((error: unknown) => error);
    await eventually(async () => {
      const ended = await query(url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()`);
      if (ended.length === 0) throw new Error('the migration does not run yet');
    });
    expect(await interrupted).toMatchObject({ code: 'configuration-invalid' });
    // What the killed process would have taken back.
    await query(url, 'UPDATE _prisma_migrations SET rolled_back_at = NULL');
    const quick = await newMigrations({ '20260101000000_first': FIRST });
    expect(await applyMigrations(url, { migrationsDir: quick })).toEqual({ applied: ['20260101000000_first'], alreadyApplied: 0 });
  });

  it('waits for a migration that still runs in the server though its process is dead', async () => {
    const url = await newDatabase();
    const orphan = new pg.Client({ connectionString: url });
    await orphan.connect();
    await orphan.query('SELECT pg_advisory_lock($1)', [SCRIPT_LOCK]);
    let done = false;
    const applying = applyMigrations(url, { migrationsDir: await newMigrations({ '20260101000000_first': FIRST }) }).then(() => (done = true));
    await sleep(700);
    expect(done).toBe(false);
    await orphan.end();
    expect(await applying).toBe(true);
  });

  it('lets those pass who come after it while somebody holds its table, and goes on when they let go', async () => {
    const url = await newDatabase();
    await applyMigrations(url, { migrationsDir: await newMigrations({ '20260101000000_first': FIRST }) });
    const backup = new pg.Client({ connectionString: url });
    await backup.connect();
    await backup.query('BEGIN; SELECT count(*) FROM doors');
    const applying = applyMigrations(url, { migrationsDir: await newMigrations({ '20260101000000_first': FIRST, '20260102000000_second': SECOND }) });
    await eventually(async () => {
      const waiting = await query(url, `SELECT 1 FROM pg_locks WHERE relation = 'doors'::regclass AND mode = 'AccessExclusiveLock' AND NOT granted`);
      if (waiting.length === 0) throw new Error('the migration does not wait yet');
    });
    // Behind a migration that waits for the backup this would wait as long as the backup takes.
    expect(await query(url, 'INSERT INTO doors VALUES (1) RETURNING id')).toEqual([{ id: 1 }]);
    await backup.end();
    expect(await applying).toEqual({ applied: ['20260102000000_second'], alreadyApplied: 1 });
  });

  it('makes an index beside those who write, beside others who wait for their turn, and again after it was broken off', async () => {
    const url = await newDatabase();
    const [first, index] = ['20260101000000_first', '20260102000000_index'];
    const only = await newMigrations({ [first]: FIRST });
    await applyMigrations(url, { migrationsDir: only });
    const both = await newMigrations({ [first]: FIRST, [index]: '-- While everybody works.\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS doors_id ON doors (id);\n' });
    const writer = new pg.Client({ connectionString: url });
    await writer.connect();
    await writer.query('BEGIN; INSERT INTO doors VALUES (7)');
    const applying = applyMigrations(url, { migrationsDir: both });
    await eventually(async () => {
      const made = await query(url, `SELECT 1 FROM pg_class WHERE relname = 'doors_id'`);
      if (made.length === 0) throw new Error('the index is not begun yet');
    });
    const other = applyMigrations(url, { migrationsDir: both });
    await sleep(500);
    await writer.query('COMMIT');
    await writer.end();
    expect(await applying).toEqual({ applied: [index], alreadyApplied: 1 });
    expect(await other).toEqual({ applied: [], alreadyApplied: 2 });
    // As a process leaves it that was killed while it made the index.
    await query(url, `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'doors_id'::regclass; UPDATE _prisma_migrations SET finished_at = NULL WHERE migration_name = '${index}'`);
    expect(await applyMigrations(url, { migrationsDir: both })).toEqual({ applied: [index], alreadyApplied: 1 });
    expect(await query(url, `SELECT indisvalid FROM pg_index WHERE indexrelid = 'doors_id'::regclass`)).toEqual([{ indisvalid: true }]);
    expect(await recorded(url)).toEqual([first, index]);
  });

  it('warns of a migration that a newer version applied, and goes on', async () => {
    const url = await newDatabase();
    await applyMigrations(url, { migrationsDir: await newMigrations({ '20260101000000_first': FIRST, '20260102000000_second': SECOND }) });
    const logs: string[] = [];
    const older = await newMigrations({ '20260101000000_first': FIRST });
    expect(await applyMigrations(url, { migrationsDir: older, log: (level, message) => logs.push(`${level}: ${message}`) })).toEqual({ applied: [], alreadyApplied: 1 });
    expect(logs).toEqual(['warn: The database has a migration that this version does not know.']);
  });

  it('says that PostgreSQL cannot be reached, without the password', async () => {
    const url = `postgresql://healthvision:secret@127.0.0.1:${String(await freePort())}/healthvision`;
    const error: unknown = await applyMigrations(url).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'database-unavailable' });
    expect(String(error)).not.toContain('secret');
  });
});
