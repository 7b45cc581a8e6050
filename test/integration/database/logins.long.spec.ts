import { Queue } from 'bullmq';
import pg from 'pg';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Prisma } from '../../../src/generated/prisma/client.js';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { parseConfig, type Config } from '../../../src/platform/config.js';
import { asLogin } from '../../../src/platform/database/connection.js';
import { Database, prismaOf } from '../../../src/platform/database/database.js';
import { openEmbeddedPostgres, type EmbeddedPostgres } from '../../../src/platform/database/embedded-postgres.js';
import { retireOtherLogins } from '../../../src/platform/database/logins.js';
import { applyMigrations } from '../../../src/platform/database/migrations.js';
import { openDatabase, type OpenedDatabase } from '../../../src/platform/database/open-database.js';
import { QueueConnection } from '../../../src/platform/queue/connection.js';
import { createLogger, type Logger } from '../../../src/platform/ops/logger.js';
import { Metrics } from '../../../src/platform/ops/metrics.js';
import { ROOT, temporaryDirectory } from '../../support/product.js';
import { query } from './processes.js';

const directory = temporaryDirectory();
const masterKey = randomBytes(32).toString('base64');
const [here, there] = [uuidv7(), uuidv7()];
let postgres: EmbeddedPostgres;
let databases = 0;
const open: Database[] = [];

beforeAll(async () => {
  postgres = await openEmbeddedPostgres({ dataDir: directory, log: () => undefined });
});
afterAll(async () => {
  for (const database of open) await database.onApplicationShutdown();
  await postgres.close();
  rmSync(directory, { recursive: true, force: true });
});

/** An empty database. @returns its URL under the superuser */
async function newDatabase(owner?: string): Promise<string> {
  const name = `house_${String(++databases)}`;
  await query(postgres.url, `CREATE DATABASE ${name}${owner === undefined ? '' : ` OWNER ${owner}`}`);
  return postgres.url.replace(/\/healthvision$/, `/${name}`);
}

async function newRole(name: string, attributes = ''): Promise<string> {
  await query(postgres.url, `CREATE ROLE ${name} LOGIN PASSWORD 'secret' ${attributes}`);
  return name;
}

async function start(variables: Record<string, string>): Promise<{ config: Config; opened: OpenedDatabase; database: Database; warnings: string[] }> {
  const warnings: string[] = [];
  const config = parseConfig({ DATA_DIR: directory, MASTER_KEY: masterKey, ...variables });
  const logger = { ...createLogger('silent'), info: () => undefined, warn: (_fields: object, message: string) => { warnings.push(message); } } as unknown as Logger; // What openDatabase calls of it.
  const opened = await openDatabase(config, logger);
  const database = new Database(config, opened);
  open.push(database);
  return { config, opened, database, warnings };
}

/** Two institutions with a patient each, written under their own scopes, and what each scope finds without a filter. */
async function expectWall(database: Database): Promise<void> {
  for (const institutionId of [here, there]) {
    await database.transaction('system', (tx) => prismaOf(tx).institution.create({ data: { id: institutionId, name: 'A hospital' } }));
    await database.transaction({ institutionId }, (tx) => prismaOf(tx).patient.create({ data: { id: uuidv7(), institutionId, patientIdToken: 1n } }));
  }
  const seen = async (scope: Parameters<Database['read']>[0]): Promise<string[]> => (await database.read<{ id: string }>(scope, Prisma.sql`SELECT institution_id AS id FROM patients ORDER BY 1`)).map(({ id }) => id);
  expect([await seen({ institutionId: here }), await seen({ institutionId: there }), await seen('system'), await seen({ institutionId: uuidv7() })]).toEqual([[here], [there], [here, there].sort(), []]);
  await expect(database.write({ institutionId: here }, Prisma.sql`INSERT INTO patients (id, institution_id, patient_id_token) VALUES (gen_random_uuid(), ${there}::uuid, 2)`)).rejects.toMatchObject({ code: '42501' });
  await expect(database.write('system', Prisma.sql`DELETE FROM audit_events`)).rejects.toMatchObject({ code: '42501' });
  await database.transaction('system', (tx) => prismaOf(tx).auditEvent.create({ data: { id: uuidv7(), institutionId: here, at: new Date(), actorKind: 'job', action: 'a', outcome: 'succeeded', mac: Buffer.of(1) } }));
}

/** Jobs can be added, one and many, and are found. */
async function expectQueue(config: Config, opened: OpenedDatabase, name: string): Promise<void> {
  const connection = new QueueConnection(config, opened, new Metrics());
  const queue = new Queue(name, connection.options);
  try {
    await queue.add('one', {});
    await queue.addBulk([{ name: 'two', data: {} }, { name: 'three', data: {} }]);
    expect((await queue.getJobs()).map((job) => job.name).sort()).toEqual(expect.arrayContaining(['one', 'three', 'two']));
  } finally {
    await queue.close();
    await connection.onApplicationShutdown();
  }
}

describe('DATABASE_URL of a superuser', () => {
  it('gives the processes two logins without rights', async () => {
    const { config, opened, database, warnings } = await start({ DATABASE_URL: await newDatabase() });
    expect(new Set([opened.url, opened.appUrl, opened.systemUrl].map((url) => new URL(url).username)).size).toBe(3);
    await expectWall(database);
    await expectQueue(config, opened, 'tested');
    expect(warnings).toEqual([]);
    // No password stands in clear text in what the server keeps.
    const [row] = await query<{ stored: string }>(opened.url, `SELECT rolpassword AS stored FROM pg_authid WHERE rolname = '${new URL(opened.appUrl).username}'`);
    expect(row?.stored).toMatch(/^SCRAM-SHA-256\$4096:/);
  });

  it('changes nothing at a start that finds all as it should be', async () => {
    const url = await newDatabase();
    const { opened } = await start({ DATABASE_URL: url });
    const state = (): Promise<unknown> => query(url, `SELECT relname, xmin::text FROM pg_class WHERE relnamespace IN ('public'::regnamespace, 'bullmq'::regnamespace) UNION ALL SELECT polname, xmin::text FROM pg_policy UNION ALL SELECT rolname, xmin::text FROM pg_authid ORDER BY 1, 2`);
    const before = await state();
    // A transaction that holds locks on everything keeps nobody waiting.
    const holder = new pg.Client({ connectionString: opened.systemUrl });
    await holder.connect();
    await holder.query('BEGIN; SELECT count(*) FROM studies; UPDATE institutions SET name = name; SELECT count(*) FROM bullmq.job');
    await start({ DATABASE_URL: url });
    await holder.end();
    expect(await state()).toEqual(before);
  });

  it('is served by processes that start together', async () => {
    const url = await newDatabase();
    const started = await Promise.all([1, 2, 3, 4].map(() => start({ DATABASE_URL: url })));
    expect(new Set(started.map(({ opened }) => opened.appUrl)).size).toBe(1);
    await expectWall(started[3]?.database ?? expect.fail());
    for (const { database } of started) expect(await database.read({ institutionId: here }, Prisma.sql`SELECT * FROM patients`)).toHaveLength(1);
  });

  it('takes back what a role of ours was given since, and sets a changed password anew', async () => {
    const url = await newDatabase();
    const { opened } = await start({ DATABASE_URL: url });
    const login = new URL(opened.appUrl).username;
    const group = login.replace(/_[0-9a-f]{8}$/, '');
    await query(url, `ALTER ROLE ${login} BYPASSRLS CREATEROLE PASSWORD 'other'; GRANT pg_read_all_data TO ${login}; GRANT ${new URL(opened.url).username} TO ${group}; GRANT TRUNCATE, DELETE ON audit_events TO ${group}; ALTER TABLE studies DISABLE ROW LEVEL SECURITY; DROP POLICY wall_app_v1 ON patients`);
    const { database } = await start({ DATABASE_URL: url });
    await expectWall(database);
    const [row] = await query<Record<string, unknown>>(opened.appUrl, `
      SELECT r.rolbypassrls, r.rolcreaterole, (SELECT count(*)::int FROM pg_auth_members m WHERE m.member = r.oid) AS memberships, (SELECT relrowsecurity FROM pg_class WHERE relname = 'studies') AS secured,
        has_table_privilege('audit_events', 'TRUNCATE') AS truncates FROM pg_roles r WHERE rolname = current_user`);
    expect(row).toEqual({ rolbypassrls: false, rolcreaterole: false, memberships: 1, secured: true, truncates: false });
  });
});

describe('several installations on one server', () => {
  it('have logins of their own, which are not let into the other’s database', async () => {
    const one = await start({ DATABASE_URL: await newDatabase() });
    const other = await start({ DATABASE_URL: await newDatabase(), MASTER_KEY: randomBytes(32).toString('base64') });
    expect(new Set([one, other].flatMap(({ opened }) => [new URL(opened.appUrl).username, new URL(opened.systemUrl).username])).size).toBe(4);
    await expectWall(one.database);
    await expectWall(other.database);
    const abroad = one.opened.systemUrl.replace(/\/[^/]+$/, `/${new URL(other.opened.url).pathname.slice(1)}`);
    await expect(query(abroad, 'SELECT * FROM patients')).rejects.toMatchObject({ code: '42501' });
  });

  it('find new logins under a new master key, beside those of processes that still have the old one', async () => {
    const url = await newDatabase();
    const before = await start({ DATABASE_URL: url });
    const after = await start({ DATABASE_URL: url, MASTER_KEY: randomBytes(32).toString('base64'), MASTER_KEY_PREVIOUS: masterKey });
    expect(after.opened.appUrl).not.toBe(before.opened.appUrl);
    for (const [one, other, name] of [[before, after, 'older'], [after, before, 'newer']] as const) {
      await expectQueue(one.config, one.opened, name);
      await expectQueue(other.config, other.opened, name);
    }
    await expectWall(after.database);
    expect(await before.database.read({ institutionId: here }, Prisma.sql`SELECT * FROM patients`)).toHaveLength(1);
    // Once the rotation is over, the key before opens nothing any more.
    expect([await retireOtherLogins(after.opened), await retireOtherLogins(after.opened)]).toEqual([2, 0]);
    await expect(query(before.opened.systemUrl, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
    expect(await query(after.opened.systemUrl, 'SELECT id FROM institutions')).toHaveLength(2);
  });
});

describe('DATABASE_URL of a role that may make roles and is no superuser', () => {
  it('gives the processes two logins, and still migrates', async () => {
    const role = await newRole('maker', 'CREATEROLE');
    const url = asLogin(await newDatabase(role), role, 'secret');
    const { config, opened, database, warnings } = await start({ DATABASE_URL: url });
    expect(new URL(opened.appUrl).username).toMatch(/^healthvision_app_/);
    await expectWall(database);
    await expectQueue(config, opened, 'tested');
    expect(warnings).toEqual([]);
    expect(await query(url, 'SELECT * FROM patients')).toEqual([]);
    await expectMigrationSeesRows(url);
  });
});

describe('DATABASE_URL of a plain owner', () => {
  it('goes on with this one login behind the wall, and says what would be better', async () => {
    const role = await newRole('plain');
    const url = asLogin(await newDatabase(role), role, 'secret');
    const { config, opened, database, warnings } = await start({ DATABASE_URL: url });
    expect([opened.appUrl, opened.systemUrl]).toEqual([url, url]);
    expect(warnings).toEqual([expect.stringContaining('DATABASE_MIGRATION_URL')]);
    await expectWall(database);
    await expectQueue(config, opened, 'tested');
    expect(await query(url, 'SELECT * FROM patients')).toEqual([]);
    await expectMigrationSeesRows(url);
    // Started once more, and as a superuser later on: then the logins are two.
    expect((await start({ DATABASE_URL: url })).warnings).toHaveLength(1);
    const grown = await start({ DATABASE_URL: asLogin(url, new URL(postgres.url).username, new URL(postgres.url).password) });
    expect(grown.warnings).toEqual([]);
    expect(await grown.database.read({ institutionId: here }, Prisma.sql`SELECT * FROM patients`)).toHaveLength(1);
  });
});

describe('DATABASE_MIGRATION_URL of a plain owner', () => {
  it('makes the role of DATABASE_URL the login of the processes, who need no more than that afterwards', async () => {
    const [owner, login] = [await newRole('landlord'), await newRole('tenant')];
    const bare = await newDatabase(owner);
    const [ownerUrl, url] = [asLogin(bare, owner, 'secret'), asLogin(bare, login, 'secret')];
    await expect(start({ DATABASE_URL: url })).rejects.toMatchObject({ code: 'configuration-invalid' });
    const { config, opened, database, warnings } = await start({ DATABASE_URL: url, DATABASE_MIGRATION_URL: ownerUrl });
    expect(opened).toMatchObject({ url: ownerUrl, appUrl: url, systemUrl: url });
    expect(warnings).toEqual([]);
    await expectWall(database);
    await expectQueue(config, opened, 'tested');
    for (const sql of [`SET ROLE ${owner}`, 'ALTER TABLE studies DISABLE ROW LEVEL SECURITY', 'TRUNCATE audit_events']) await expect(query(url, sql), sql).rejects.toMatchObject({ code: '42501' });
    expect(await query(url, 'SELECT * FROM patients')).toEqual([]);
    await expectMigrationSeesRows(ownerUrl);
    const guest = await start({ DATABASE_URL: url });
    expect(guest.warnings).toEqual([]);
    expect(await guest.database.read({ institutionId: here }, Prisma.sql`SELECT * FROM patients`)).toHaveLength(1);
    await expect(start({ DATABASE_URL: asLogin(bare, await newRole('stranger'), 'secret') })).rejects.toMatchObject({ code: 'configuration-invalid' });
  });

  it('warns of a role that bypasses the wall', async () => {
    const [owner, login] = [await newRole('landlady'), await newRole('giant', 'BYPASSRLS')];
    const bare = await newDatabase(owner);
    const { warnings } = await start({ DATABASE_URL: asLogin(bare, login, 'secret'), DATABASE_MIGRATION_URL: asLogin(bare, owner, 'secret') });
    expect(warnings).toEqual([expect.stringContaining('bypasses row-level security')]);
  });
});

describe('a database from before the wall', () => {
  it('keeps its rows', async () => {
    const url = await newDatabase();
    const migrationsDir = join(directory, 'before');
    const all = join(ROOT, 'prisma', 'migrations');
    for (const name of readdirSync(all)) if (name < '20261124210000' || !/^\d/.test(name)) cpSync(join(all, name), join(migrationsDir, name), { recursive: true });
    await applyMigrations(url, { migrationsDir });
    const user = uuidv7();
    await query(url, `INSERT INTO institutions (id, name) VALUES ('${here}', 'Old');
      INSERT INTO users (id, institution_id, email, display_name, role, updated_at) VALUES ('${user}', '${here}', 'a@b.c', 'A', 'reader', now());
      INSERT INTO patients (id, institution_id, patient_id_token) VALUES (gen_random_uuid(), '${here}', 1);
      INSERT INTO idempotency_records (principal_id, key, request_hash, status) VALUES ('${user}', 'kept', 'x', 200), (gen_random_uuid(), 'whose', 'x', 200)`);
    const { opened, database } = await start({ DATABASE_URL: url });
    expect(opened.migrations.applied).toContain('20261124210000_idempotency_institution');
    for (const table of ['institutions', 'users', 'patients', 'idempotency_records']) expect(await database.read({ institutionId: here }, Prisma.sql`SELECT * FROM ${Prisma.raw(table)}`), table).toHaveLength(1);
  });
});

/** Row-level security binds an owner that is no superuser, and a migration that found no rows would change none, without a word. */
async function expectMigrationSeesRows(ownerUrl: string): Promise<void> {
  const name = '20991231000000_later';
  const migrationsDir = join(directory, `migrations-${String(databases)}`);
  cpSync(join(ROOT, 'prisma', 'migrations'), migrationsDir, { recursive: true });
  mkdirSync(join(migrationsDir, name));
  writeFileSync(join(migrationsDir, name, 'migration.sql'), 'UPDATE patients SET patient_id_token = 7');
  expect((await applyMigrations(ownerUrl, { migrationsDir })).applied).toEqual([name]);
  const superuser = asLogin(ownerUrl, new URL(postgres.url).username, new URL(postgres.url).password);
  expect(await query(superuser, 'SELECT FROM patients WHERE patient_id_token <> 7')).toEqual([]);
  await query(superuser, `DELETE FROM _prisma_migrations WHERE migration_name = '${name}'`);
}
