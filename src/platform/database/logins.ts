import { createHash } from 'node:crypto';
import pg from 'pg';
import type { ClientConfig } from 'pg';
import { AppError } from '../../kernel/errors.js';
import type { MasterKey } from '../crypto/master-key.js';
import { asLogin, type DatabaseUrls } from './connection.js';
import { scramVerifier } from './scram.js';

type Log = (level: 'info' | 'warn' | 'error', message: string, fields?: object) => void;

/** Whom the wall lets in, and how the processes come. */
export interface Admission extends DatabaseUrls {
  /** The role that owns the tables and migrates them. */
  owner: string;
  /** Row-level security binds the owner too: it is no superuser. */
  ownerIsBound: boolean;
  /** Roles that policies and grants are for; the same one twice where one login serves both scopes. */
  appRole: string;
  systemRole: string;
  /** The tables and policies are another role's, which has let this one in: nothing is to be changed. */
  isGuest: boolean;
}

export interface AdmissionOptions {
  /** URL of the role that migrates. */
  ownerUrl: string;
  /** URL that the configuration gives the processes; often the same. */
  processUrl: string;
  ssl?: Exclude<ClientConfig['ssl'], undefined>;
  masterKey: Pick<MasterKey, 'fingerprint'>;
  log: Log;
}

interface RoleRow {
  name: string;
  superuser: boolean;
  bypasses: boolean;
  createsRoles: boolean;
  isPowerful: boolean;
  canLogin: boolean;
}

const ROLE = `SELECT rolname AS name, rolsuper AS superuser, rolbypassrls AS bypasses, rolcreaterole AS "createsRoles",
  rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication AS "isPowerful", rolcanlogin AS "canLogin" FROM pg_roles`;
const WEAK = 'NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT';

/**
 * Finds or makes the logins of the processes. Call it under the lock of the migrations.
 *
 * @param client  connected as the role that migrates
 * @throws AppError `configuration-invalid` when a role of ours was given rights that it must not have, or may not connect
 */
export async function admit(client: pg.Client, options: AdmissionOptions): Promise<Admission> {
  const { rows } = await client.query<RoleRow>(`${ROLE} WHERE rolname = current_user`);
  const [me] = rows;
  if (!me) throw new AppError('configuration-invalid', { detail: 'The database does not know the role that is connected to it.' });
  if (me.superuser || me.createsRoles) return separateLogins(client, me, options);
  return oneLogin(client, me, options);
}

/** The normal case: a group for each scope, and in each a login whose password only the holder of the master key knows. */
async function separateLogins(client: pg.Client, me: RoleRow, { processUrl, ssl, masterKey }: AdmissionOptions): Promise<Admission> {
  const { rows } = await client.query<{ database: string }>('SELECT current_database() AS database');
  const database = rows[0]?.database ?? '';
  // Roles belong to the whole server: named alike in two databases, a login of the one would be let into the other.
  const place = createHash('sha256').update(database).digest('hex').slice(0, 8);
  const installation = masterKey.fingerprint(database, 'database-logins').toString('hex').slice(0, 8);
  const make = async (scope: 'app' | 'system'): Promise<{ group: string; url: string }> => {
    const group = `healthvision_${scope}_${place}`;
    const login = `${group}_${installation}`;
    const password = masterKey.fingerprint(login, 'database-login-password').toString('base64url');
    await ensureRole(client, me, group);
    await ensureConnect(client, group, database);
    const isNew = await ensureRole(client, me, login, password);
    await ensureOnlyMemberOf(client, group);
    await ensureOnlyMemberOf(client, login, group);
    // The queue makes a sequence for each of its queues: the group owns them, whichever login comes first or later, under another master key.
    if (scope === 'system') await ensureActsAs(client, login, group);
    const url = asLogin(processUrl, login, password);
    if (!isNew && (await refusalOf(url, ssl)) !== undefined) await client.query(`ALTER ROLE ${quoted(login)} LOGIN PASSWORD '${scramVerifier(password)}'`);
    const refusal = await refusalOf(url, ssl);
    if (refusal !== undefined) throw new AppError('configuration-invalid', { detail: `The login ${login}, which was made for the processes, cannot connect: ${refusal}` });
    return { group, url };
  };
  const app = await make('app');
  const system = await make('system');
  return { owner: me.name, ownerIsBound: !me.superuser, appRole: app.group, systemRole: system.group, appUrl: app.url, systemUrl: system.url, isGuest: false };
}

/** @returns whether it was made just now */
async function ensureRole(client: pg.Client, me: RoleRow, name: string, password?: string): Promise<boolean> {
  const { rows } = await client.query<RoleRow>(`${ROLE} WHERE rolname = $1`, [name]);
  const [role] = rows;
  if (!role) {
    await client.query(`CREATE ROLE ${quoted(name)} ${WEAK} ${password === undefined ? 'NOLOGIN' : `LOGIN PASSWORD '${scramVerifier(password)}'`}`);
    return true;
  }
  if (role.isPowerful || (password === undefined && role.canLogin)) {
    if (!me.superuser) throw new AppError('configuration-invalid', { detail: `The role ${name} was given rights that undo the separation of institutions: take them away.` });
    await client.query(`ALTER ROLE ${quoted(name)} ${WEAK} ${password === undefined ? 'NOLOGIN' : 'LOGIN'}`);
  }
  return false;
}

/** Servers are set up where not everybody may connect. */
async function ensureConnect(client: pg.Client, group: string, database: string): Promise<void> {
  const { rows } = await client.query<{ may: boolean }>(`SELECT has_database_privilege($1::name, $2::text, 'CONNECT') AS may`, [group, database]);
  if (rows[0]?.may !== true) await client.query(`GRANT CONNECT ON DATABASE ${quoted(database)} TO ${quoted(group)}`);
}

/** Whatever else a role is a member of, it could become by SET ROLE. */
async function ensureOnlyMemberOf(client: pg.Client, name: string, group?: string): Promise<void> {
  const { rows } = await client.query<{ role: string }>(
    'SELECT m.roleid::regrole::text AS role FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = $1', [name],
  );
  for (const { role } of rows) if (role !== group && role !== quoted(group ?? '')) await client.query(`REVOKE ${role} FROM ${quoted(name)}`);
  if (group !== undefined && !rows.some(({ role }) => role === group || role === quoted(group))) await client.query(`GRANT ${quoted(group)} TO ${quoted(name)}`);
}

async function ensureActsAs(client: pg.Client, login: string, group: string): Promise<void> {
  const { rows } = await client.query<{ settings: string[] | null }>('SELECT s.setconfig AS settings FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole WHERE r.rolname = $1 AND s.setdatabase = 0', [login]);
  if (rows[0]?.settings?.includes(`role=${group}`) !== true) await client.query(`ALTER ROLE ${quoted(login)} SET role = ${quoted(group)}`);
}

/**
 * Removes the logins of other master keys, once a rotation is over and no process has one of those any more.
 *
 * @returns how many
 */
export async function retireOtherLogins({ url, appUrl, systemUrl }: DatabaseUrls & { url: string }, ssl?: AdmissionOptions['ssl']): Promise<number> {
  if (appUrl === systemUrl) return 0;
  const current = [appUrl, systemUrl].map((one) => /\/\/([^:@/]+)[:@]/.exec(one)?.[1] ?? '');
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000, ...(ssl !== undefined && { ssl }) });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ name: string }>(`
      SELECT r.rolname AS name FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
      WHERE m.roleid IN (SELECT o.roleid FROM pg_auth_members o JOIN pg_roles c ON c.oid = o.member WHERE c.rolname = ANY ($1))
        AND r.rolname <> ALL ($1) AND r.rolname ~ '^healthvision_(app|system)_[0-9a-f]{8}_[0-9a-f]{8}$'`, [current]);
    for (const { name } of rows) await client.query(`DROP ROLE ${quoted(name)}`);
    return rows.length;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** The owner may make no roles: the login of the configuration serves both scopes, and says in each transaction which it is. */
async function oneLogin(client: pg.Client, me: RoleRow, { ownerUrl, processUrl, ssl, log }: AdmissionOptions): Promise<Admission> {
  const login = processUrl === ownerUrl ? me : await roleBehind(processUrl, ssl);
  const admission = { owner: me.name, ownerIsBound: true, appRole: login.name, systemRole: login.name, appUrl: processUrl, systemUrl: processUrl };
  const { rows } = await client.query<{ owns: boolean; invited: boolean }>(`
    SELECT pg_has_role(current_user, relowner, 'USAGE') AS owns,
      EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname LIKE 'wall\\_single%' AND (SELECT oid FROM pg_roles WHERE rolname = $1) = ANY (p.polroles)) AS invited
    FROM pg_class c WHERE c.oid = to_regclass('studies')`, [login.name]);
  const isGuest = rows[0]?.owns === false;
  if (isGuest && !rows[0]?.invited) {
    throw new AppError('configuration-invalid', { detail: `The role ${me.name} neither owns the tables nor was let in by their owner: run \`healthvision migrate\` with the owner's URL as DATABASE_MIGRATION_URL.` });
  }
  if (login.superuser || login.bypasses) {
    log('warn', 'The role of DATABASE_URL bypasses row-level security, so PostgreSQL does not separate institutions: take SUPERUSER and BYPASSRLS from it.', { role: login.name });
  } else if (login.name === me.name && !isGuest) {
    log('warn', 'The role of DATABASE_URL owns the tables and may make no roles, so that it could take down the separation of institutions that PostgreSQL keeps: give it CREATEROLE, or give its URL as DATABASE_MIGRATION_URL and that of a role without rights as DATABASE_URL.', { role: login.name });
  }
  return { ...admission, isGuest };
}

async function roleBehind(url: string, ssl: AdmissionOptions['ssl']): Promise<RoleRow> {
  try {
    const [row] = await queryAs<RoleRow>(url, ssl, `${ROLE} WHERE rolname = current_user`);
    if (row) return row;
  } catch (cause) {
    throw new AppError('configuration-invalid', { detail: `The role of DATABASE_URL cannot connect: ${cause instanceof Error ? cause.message : String(cause)}`, cause });
  }
  throw new AppError('configuration-invalid', { detail: 'The database does not know the role of DATABASE_URL.' });
}

/** Why a login is not let in; undefined when it is. */
async function refusalOf(url: string, ssl: AdmissionOptions['ssl']): Promise<string | undefined> {
  try {
    await queryAs(url, ssl, 'SELECT 1');
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function queryAs<Row extends pg.QueryResultRow>(url: string, ssl: AdmissionOptions['ssl'], sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000, ...(ssl !== undefined && { ssl }) });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

export function quoted(identifier: string): string {
  return pg.escapeIdentifier(identifier);
}
