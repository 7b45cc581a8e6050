import pg from 'pg';
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Prisma, type PrismaClient } from '../../../src/generated/prisma/client.js';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { parseConfig, type Config } from '../../../src/platform/config.js';
import { Database, prismaOf } from '../../../src/platform/database/database.js';
import { openDatabase, type OpenedDatabase } from '../../../src/platform/database/open-database.js';
import { createLogger, type Logger } from '../../../src/platform/ops/logger.js';
import { ownerOf } from '../../support/owner.js';
import { temporaryDirectory } from '../../support/product.js';
import { query } from './processes.js';

const UNDERSTOOD = { here: uuidv7(), there: uuidv7() };
const { here, there } = UNDERSTOOD;
const APPEND_ONLY = ['audit_events', 'audit_seals', 'audit_checkpoints'];

let directory: string;
let config: Config;
let opened: OpenedDatabase;
let owner: PrismaClient;
let database: Database;
/** Bare connections under the logins of the product. */
let app: pg.Client;
let system: pg.Client;

const studyOf = (institutionId: string, uid: string) => ({ id: uuidv7(), institutionId, studyInstanceUid: uid, keyId: uuidv7(), sealed: Buffer.of(1), lastInstanceAt: new Date() });
const eventOf = (institutionId: string) => ({ id: uuidv7(), institutionId, at: new Date(), actorKind: 'job', action: 'test', outcome: 'succeeded', mac: Buffer.of(1) });

async function connected(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  return client;
}

/** Runs a statement in a transaction of an institution, which is undone. */
async function within(client: pg.Client, institutionId: string, sql: string, values: unknown[] = []): Promise<pg.QueryResult> {
  await client.query('BEGIN');
  try {
    await client.query(`SELECT set_config('app.institution_id', $1, true)`, [institutionId]);
    return await client.query(sql, values);
  } finally {
    await client.query('ROLLBACK');
  }
}

beforeAll(async () => {
  directory = temporaryDirectory();
  config = parseConfig({ DATA_DIR: directory, LOG_LEVEL: 'silent' });
  opened = await openDatabase(config, createLogger('silent'));
  owner = ownerOf(opened);
  database = new Database(config, opened);
  [app, system] = [await connected(opened.appUrl), await connected(opened.systemUrl)];
  for (const id of [here, there]) {
    await owner.institution.create({ data: { id, name: id === here ? 'Here' : 'There' } });
    await owner.study.createMany({ data: [studyOf(id, `1.2.${id === here ? '1' : '2'}.1`), studyOf(id, `1.2.${id === here ? '1' : '2'}.2`)] });
    await owner.blobTombstone.create({ data: { blobKey: `${id}/x/y` } });
    await owner.auditEvent.create({ data: eventOf(id) });
    await owner.auditSeal.create({ data: { institutionId: id, position: 1n, eventId: uuidv7(), hash: Buffer.of(1) } });
    await owner.auditCheckpoint.create({ data: { id: uuidv7(), institutionId: id, number: 1n, position: 1n, hash: Buffer.of(1), at: new Date(), kid: 'k', signature: Buffer.of(1) } });
    await owner.auditHead.create({ data: { institutionId: id, position: 1n, sequence: 1n, checkpoints: 0n, updatedAt: new Date(), hash: Buffer.of(1), mac: Buffer.of(1) } });
  }
});

afterAll(async () => {
  await Promise.all([app.end(), system.end(), owner.$disconnect(), database.onApplicationShutdown()]);
  await opened.close();
  rmSync(directory, { recursive: true, force: true });
});

describe('a query without any filter', () => {
  it.each(['studies', 'institutions', 'blob_tombstones', 'audit_events'])('finds the rows of its own institution only, through the pool of the product: %s', async (table) => {
    const text = Prisma.raw(`SELECT t::text AS line FROM ${table} t`);
    const of = async (institutionId: string): Promise<string[]> => (await database.read<{ line: string }>({ institutionId }, Prisma.sql`${text}`)).map(({ line }) => line);
    const [ours, theirs] = [await of(here), await of(there)];
    for (const [lines, own, foreign] of [[ours, here, there], [theirs, there, here]] as const) {
      expect(lines.length).toBeGreaterThan(0);
      expect(lines.every((line) => line.includes(own) && !line.includes(foreign))).toBe(true);
    }
    expect((await database.read('system', Prisma.sql`${text}`)).length).toBe(ours.length + theirs.length);
    expect(await database.read({ institutionId: uuidv7() }, Prisma.sql`${text}`)).toEqual([]);
  });

  it('finds them by Prisma alike', async () => {
    const found = await database.transaction({ institutionId: here }, (tx) => prismaOf(tx).study.findMany());
    expect(found.map(({ institutionId }) => institutionId)).toEqual([here, here]);
    expect(await database.transaction('system', (tx) => prismaOf(tx).study.count())).toBe(4);
  });

  it('finds nothing over a bare connection that names no institution', async () => {
    expect((await app.query('SELECT * FROM studies')).rows).toEqual([]);
    await app.query(`SELECT set_config('app.institution_id', '', false)`);
    expect((await app.query('SELECT * FROM studies')).rows).toEqual([]);
    await app.query(`SELECT set_config('app.scope', 'system', false)`);
    expect((await app.query('SELECT * FROM studies')).rows).toEqual([]);
    await app.query('RESET ALL');
    expect((await within(app, here, 'SELECT * FROM studies')).rowCount).toBe(2);
    expect((await within(app, here, 'SELECT * FROM studies s JOIN institutions i ON i.id <> s.institution_id')).rowCount).toBe(0);
  });
});

describe('a write', () => {
  const refused = { code: '42501' };

  it('puts no row into another institution', async () => {
    await expect(database.transaction({ institutionId: here }, (tx) => prismaOf(tx).study.create({ data: studyOf(there, '1.2.3') }))).rejects.toThrow(/row-level security/);
    await expect(database.write({ institutionId: here }, Prisma.sql`INSERT INTO patients (id, institution_id, patient_id_token) VALUES (${uuidv7()}::uuid, ${there}::uuid, 1)`)).rejects.toMatchObject(refused);
    await expect(database.write({ institutionId: here }, Prisma.sql`INSERT INTO blob_tombstones (blob_key) VALUES (${`${there}/x/z`})`)).rejects.toMatchObject(refused);
    await expect(within(app, '', `INSERT INTO patients (id, institution_id, patient_id_token) VALUES ($1, $2, 1)`, [uuidv7(), here])).rejects.toMatchObject(refused);
  });

  it('moves no row into another institution, and reaches none there', async () => {
    await expect(within(app, here, 'UPDATE studies SET institution_id = $1', [there])).rejects.toMatchObject(refused);
    expect((await within(app, here, 'UPDATE studies SET legal_hold = true')).rowCount).toBe(2);
    expect((await within(app, here, 'DELETE FROM studies')).rowCount).toBe(2);
    expect((await within(app, here, `UPDATE institutions SET name = 'x' WHERE id = $1`, [there])).rowCount).toBe(0);
    expect((await within(app, here, 'SELECT * FROM studies WHERE institution_id = $1 FOR UPDATE', [there])).rowCount).toBe(0);
    expect(await owner.study.count()).toBe(4);
  });

  it('comes to nothing when it fails, and the connection goes on', async () => {
    const [study] = await owner.study.findMany({ where: { institutionId: here } });
    for (let attempt = 0; attempt < 20; attempt++) {
      await expect(database.write({ institutionId: here }, Prisma.sql`
        INSERT INTO studies (id, institution_id, study_instance_uid, key_id, sealed, last_instance_at, updated_at) VALUES (${study?.id}::uuid, ${here}::uuid, 'x', ${here}::uuid, '', now(), now())`)).rejects.toMatchObject({ code: '23505' });
    }
    expect(await database.write({ institutionId: here }, Prisma.sql`UPDATE studies SET legal_hold = false RETURNING id`)).toMatchObject({ count: 2 });
    expect((await database.read<{ total: number }>({ institutionId: here }, Prisma.sql`SELECT count(*)::int AS total FROM studies`))[0]?.total).toBe(2);
  });
});

describe('the login of the processes', () => {
  it.each(['app', 'system'] as const)('%s is nothing but a member of its own group', async (scope) => {
    const [row] = await query<Record<string, unknown>>(scope === 'app' ? opened.appUrl : opened.systemUrl, `
      SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, rolcanlogin, (SELECT count(*)::int FROM pg_auth_members m WHERE m.member = r.oid) AS memberships,
        (SELECT count(*)::int FROM pg_class c WHERE c.relowner = r.oid) AS owned FROM pg_roles r WHERE rolname = session_user`);
    expect(row).toEqual({ rolsuper: false, rolcreatedb: false, rolcreaterole: false, rolreplication: false, rolbypassrls: false, rolcanlogin: true, memberships: 1, owned: 0 });
  });

  it('cannot go around the wall', async () => {
    const [name, others] = [new URL(opened.url).username, new URL(opened.systemUrl).username];
    const group = others.replace(/_[0-9a-f]{8}$/, '');
    for (const sql of [
      `SET ROLE ${name}`, `SET ROLE ${others}`, `SET ROLE ${group}`, `SET SESSION AUTHORIZATION ${name}`, `SET SESSION AUTHORIZATION ${others}`,
      'ALTER TABLE studies DISABLE ROW LEVEL SECURITY', 'ALTER TABLE studies NO FORCE ROW LEVEL SECURITY', 'ALTER TABLE studies OWNER TO CURRENT_USER', 'DROP POLICY wall_app_v1 ON studies',
      'CREATE POLICY mine ON studies USING (true)', 'CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$', 'CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$', 'CREATE TABLE t (id int)',
      'CREATE TEMP TABLE studies (id int)', 'CREATE VIEW v AS SELECT * FROM studies', 'CREATE SCHEMA s', 'TRUNCATE studies', 'SELECT * FROM pg_authid', 'SELECT * FROM pg_shadow', 'SELECT * FROM _prisma_migrations',
      'SELECT * FROM signing_keys', 'SELECT * FROM audit_keys', 'SELECT * FROM bullmq.job', 'CREATE ROLE friend', 'ALTER ROLE CURRENT_USER BYPASSRLS', `GRANT ${group} TO CURRENT_USER`, `COPY studies TO PROGRAM 'cat'`,
      `COPY studies TO '/tmp/studies'`, `SELECT pg_read_file('PG_VERSION')`, 'INSERT INTO institutions (id, name) VALUES (gen_random_uuid(), \'x\')', 'DELETE FROM institutions', `UPDATE models SET state = 'active'`,
    ]) {
      await expect(app.query(sql), sql).rejects.toMatchObject({ code: '42501' });
    }
    // Anybody may set it; then PostgreSQL refuses rather than leave rows out.
    await app.query('SET row_security = off');
    await expect(app.query('SELECT * FROM studies')).rejects.toMatchObject({ code: '42501' });
    await app.query('RESET row_security');
    await app.query('RESET ROLE');
    await app.query('RESET SESSION AUTHORIZATION');
    expect((await app.query('SELECT * FROM studies')).rows).toEqual([]);
  });

  it('of the system cannot go further either', async () => {
    const name = new URL(opened.url).username;
    for (const sql of [`SET ROLE ${name}`, `SET SESSION AUTHORIZATION ${name}`, 'ALTER TABLE studies DISABLE ROW LEVEL SECURITY', 'CREATE TABLE t (id int)', 'SELECT * FROM pg_authid', 'SELECT * FROM _prisma_migrations', 'TRUNCATE outbox']) {
      await expect(system.query(sql), sql).rejects.toMatchObject({ code: '42501' });
    }
  });

  it('learns nothing of foreign rows from errors of conditions', async () => {
    // A condition that fails on foreign rows would tell that they are there, were it asked before the wall.
    expect((await within(app, here, `SELECT * FROM studies WHERE 1 / (CASE WHEN study_instance_uid LIKE '1.2.2.%' THEN 0 ELSE 1 END) = 1`)).rowCount).toBe(2);
  });
});

describe('the audit', () => {
  it.each(APPEND_ONLY)('takes rows in and gives none away: %s', async (table) => {
    for (const client of [app, system]) {
      for (const sql of [`UPDATE ${table} SET institution_id = institution_id`, `DELETE FROM ${table}`, `TRUNCATE ${table}`, `SELECT * FROM ${table} FOR UPDATE`]) await expect(within(client, here, sql), sql).rejects.toMatchObject({ code: '42501' });
    }
  });

  it('is written and read under its scopes', async () => {
    await database.transaction('system', (tx) => prismaOf(tx).auditEvent.create({ data: eventOf(here) }));
    expect(await database.transaction({ institutionId: here }, (tx) => prismaOf(tx).auditEvent.count())).toBe(2);
    // The trail alone writes it, under the system's login.
    for (const institutionId of [here, there]) await expect(database.transaction({ institutionId: here }, (tx) => prismaOf(tx).auditEvent.create({ data: eventOf(institutionId) }))).rejects.toThrow(/permission denied/);
    for (const table of APPEND_ONLY) await expect(within(app, here, `INSERT INTO ${table} DEFAULT VALUES`), table).rejects.toMatchObject({ code: '42501' });
    await database.transaction('system', (tx) => prismaOf(tx).auditHead.update({ where: { institutionId: here }, data: { position: 2n } }));
    await expect(database.write({ institutionId: here }, Prisma.sql`UPDATE audit_heads SET position = 3`)).rejects.toMatchObject({ code: '42501' });
    await expect(system.query('DELETE FROM audit_heads')).rejects.toMatchObject({ code: '42501' });
  });
});

describe('every table with data of an institution', () => {
  it('has row-level security in force, and policies for both logins', async () => {
    const tables = await owner.$queryRaw<{ name: string; enabled: boolean; forced: boolean; policies: string[] }[]>`
      SELECT c.relname::text AS name, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced, ARRAY(SELECT polname::text FROM pg_policy p WHERE p.polrelid = c.oid ORDER BY 1) AS policies
      FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
        AND (c.relname IN ('institutions', 'blob_tombstones') OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'institution_id'))`;
    expect(tables.length).toBeGreaterThan(25);
    for (const table of tables) expect(table).toEqual({ name: table.name, enabled: true, forced: true, policies: ['wall_app_v1', 'wall_system_v1'] });
  });

  it('says so in its policies', async () => {
    const policies = await owner.$queryRaw<{ table: string; name: string; condition: string; check: string; command: string }[]>`
      SELECT tablename::text AS table, policyname::text AS name, qual AS condition, with_check AS check, cmd AS command FROM pg_policies`;
    for (const { name, condition, check, command } of policies) {
      expect([command, check]).toEqual(['ALL', condition]);
      if (name === 'wall_system_v1') expect(condition).toBe('true');
      else expect(condition).toMatch(/^\((id|institution_id|split_part\(blob_key, '\/'::text, 1\)) = \(?NULLIF\(current_setting\('app\.institution_id'::text, true\), ''::text\)\)?(::uuid)?\)$/);
    }
  });

  it('is given to no process when nothing says whose its rows are', async () => {
    const without = await owner.$queryRaw<{ name: string }[]>`
      SELECT c.relname::text AS name FROM pg_class c
      WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT c.relrowsecurity AND has_table_privilege(${new URL(opened.appUrl).username}::name, c.oid, 'SELECT') ORDER BY 1`;
    // What is of the installation and read by everybody: add a table here only if it holds nothing of an institution.
    expect(without.map(({ name }) => name)).toEqual(['models']);
  });

  it('stays behind the wall when a migration adds it', async () => {
    await owner.$executeRawUnsafe('CREATE TABLE annexes (id int, institution_id uuid NOT NULL)');
    await owner.$executeRawUnsafe('CREATE POLICY wall_old ON studies USING (true)');
    await (await openDatabase(config, createLogger('silent'))).close();
    await within(app, here, 'INSERT INTO annexes VALUES (1, $1)', [here]);
    await expect(within(app, here, 'INSERT INTO annexes VALUES (1, $1)', [there])).rejects.toMatchObject({ code: '42501' });
    expect(await owner.$queryRaw`SELECT relforcerowsecurity AS forced FROM pg_class WHERE relname = 'annexes'`).toEqual([{ forced: true }]);
    expect(await owner.$queryRaw`SELECT FROM pg_policy WHERE polname = 'wall_old'`).toEqual([]);
    await owner.$executeRawUnsafe('DROP TABLE annexes');
  });
});

describe('what others opened in the wall', () => {
  /** Starts once more. @returns what it warned of */
  async function startAgain(): Promise<{ fields: object; message: string }[]> {
    const warnings: { fields: object; message: string }[] = [];
    const logger = { ...createLogger('silent'), info: () => undefined, warn: (fields: object, message: string) => { warnings.push({ fields, message }); } } as unknown as Logger; // What openDatabase calls of it.
    await (await openDatabase(config, logger)).close();
    return warnings;
  }

  it('a permissive policy lets rows through until the next start, which drops it and says so; a restrictive one stays', async () => {
    await owner.$executeRawUnsafe('CREATE POLICY reporting ON studies USING (true)');
    await owner.$executeRawUnsafe(`CREATE POLICY narrow ON studies AS RESTRICTIVE USING (study_instance_uid <> 'x')`);
    expect((await app.query('SELECT * FROM studies')).rowCount).toBeGreaterThan(0);
    expect(await startAgain()).toEqual([{ message: expect.stringContaining('not ours') as string, fields: { table: 'studies', policies: ['reporting'] } }]);
    expect((await app.query('SELECT * FROM studies')).rows).toEqual([]);
    expect(await owner.$queryRaw`SELECT polname::text AS name FROM pg_policy WHERE polrelid = 'studies'::regclass AND polname NOT LIKE 'wall%'`).toEqual([{ name: 'narrow' }]);
    await owner.$executeRawUnsafe('DROP POLICY narrow ON studies');
    expect(await startAgain()).toEqual([]);
  });

  it('rights of everybody, on tables, columns and sequences, are revoked and named', async () => {
    await owner.$executeRawUnsafe('GRANT SELECT, INSERT ON audit_keys TO PUBLIC');
    await owner.$executeRawUnsafe('GRANT UPDATE (outcome) ON audit_events TO PUBLIC');
    await owner.$executeRawUnsafe('GRANT UPDATE ON SEQUENCE audit_events_sequence_seq TO PUBLIC');
    await owner.$executeRawUnsafe(`GRANT INSERT (details), SELECT (details) ON audit_events TO ${new URL(opened.appUrl).username.replace(/_[0-9a-f]{8}$/, '')}`);
    await app.query('SELECT * FROM audit_keys');
    const warnings = await startAgain();
    expect(warnings.map(({ fields }) => fields)).toEqual([{ table: 'audit_events', privileges: ['UPDATE'] }, { table: 'audit_events_sequence_seq', privileges: ['UPDATE'] }, { table: 'audit_keys', privileges: expect.arrayContaining(['SELECT', 'INSERT']) as string[] }]);
    for (const sql of ['SELECT * FROM audit_keys', `UPDATE audit_events SET outcome = 'failed'`, `SELECT setval('audit_events_sequence_seq', 1)`, `INSERT INTO audit_events (details) VALUES ('{}')`]) await expect(within(app, here, sql), sql).rejects.toMatchObject({ code: '42501' });
    expect((await within(app, here, 'SELECT * FROM audit_events')).rowCount).toBeGreaterThan(0);
    expect(await startAgain()).toEqual([]);
  });
});

describe('behind the wall', () => {
  it('indexes still answer what is searched for', async () => {
    await owner.$executeRaw`
      INSERT INTO studies (id, institution_id, study_instance_uid, key_id, sealed, search_tokens, last_instance_at, updated_at)
      SELECT gen_random_uuid(), ${here}::uuid, '1.3.' || n, ${here}::uuid, '', ARRAY[n, n + 1]::bigint[], now(), now() FROM generate_series(1, 20000) n`;
    await owner.$executeRawUnsafe('VACUUM ANALYZE studies');
    const planOf = async (condition: string): Promise<string> =>
      (await within(app, here, `EXPLAIN SELECT id FROM studies WHERE institution_id = '${here}' AND ${condition}`)).rows.map((row: Record<string, unknown>) => String(row['QUERY PLAN'])).join('\n');
    expect(await planOf(`search_tokens @> '{77}'`)).toContain('studies_search_tokens_idx');
    expect(await planOf(`search_tokens && '{77,78}'`)).toContain('studies_search_tokens_idx');
    expect(await planOf(`study_instance_uid = '1.3.5'`)).toMatch(/Index (Only )?Scan/);
  });
});
