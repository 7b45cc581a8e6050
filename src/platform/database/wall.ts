import type pg from 'pg';
import { QUEUE_SCHEMA } from '../queue/queue-schema.js';
import { quoted, type Admission } from './logins.js';

type Log = (level: 'info' | 'warn' | 'error', message: string, fields?: object) => void;

/** A policy is not compared with what we would write today: change what it says, and change this. */
const VERSION = 'v1';

const INSTITUTION = `nullif(current_setting('app.institution_id', true), '')`;

const READ_WRITE = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'] as const;
const APPEND = ['SELECT', 'INSERT'] as const;
const READ = ['SELECT'] as const;
type Privilege = (typeof READ_WRITE)[number];

interface Rights {
  app: readonly Privilege[];
  system: readonly Privilege[];
}

/** Tables whose rights are not those of every other (see `rightsOf`). */
const RIGHTS: Readonly<Record<string, Rights>> = {
  _prisma_migrations: { app: [], system: [] },
  institutions: { app: ['SELECT', 'UPDATE'], system: READ_WRITE },
  outbox: { app: APPEND, system: READ_WRITE },
  models: { app: READ, system: READ_WRITE },
  model_activations: { app: [], system: APPEND },
  // What people have signed stays as it is; it goes with its result.
  result_versions: { app: ['SELECT', 'INSERT', 'DELETE'], system: ['SELECT', 'INSERT', 'DELETE'] },
  // Written by the audit trail alone, which is the system's.
  audit_events: { app: READ, system: APPEND },
  audit_seals: { app: READ, system: APPEND },
  audit_checkpoints: { app: READ, system: APPEND },
  audit_heads: { app: READ, system: ['SELECT', 'INSERT', 'UPDATE'] },
  audit_keys: { app: [], system: ['SELECT', 'INSERT', 'UPDATE'] },
};

interface Relation {
  schema: string;
  name: string;
  /** r table, p partitioned table, S sequence. */
  kind: 'r' | 'p' | 'S';
  owner: string;
  isOurs: boolean;
  hasInstitution: boolean;
  enabled: boolean;
  forced: boolean;
  policies: { name: string; roles: string[]; permissive: boolean }[];
  /** Role `null` is PUBLIC. `whole`: of the table, not of single columns. */
  grants: { role: string | null; privilege: string; whole: boolean }[];
}

interface Policy {
  name: string;
  role: string;
  condition: string;
}

/**
 * Puts every table with data of an institution behind row-level security, and gives the roles of the processes the least that they need. What
 * stands as it should is not touched, so that a start beside working processes waits for none of their transactions. What others have opened in it
 * is closed: rights of everybody, and permissive policies, of which one is enough to let a role in past all others.
 *
 * @param client  connected as the owner of the tables, under the lock of the migrations
 */
export async function raiseWall(client: pg.Client, admission: Admission, log: Log = () => undefined): Promise<void> {
  // A table at a time, so that this holds no lock while it waits for another.
  for (const relation of await relations(client)) {
    const [foreign, open] = [foreignPolicies(relation, admission), publicPrivileges(relation)];
    if (foreign.length > 0) log('warn', 'Policies that are not ours opened a table that is kept apart by institution, and are dropped.', { table: relation.name, policies: foreign });
    if (open.length > 0) log('warn', 'Everybody had rights on a table of ours; they are revoked.', { table: relation.name, privileges: open });
    await inOneTransaction(client, [...policyChanges(relation, admission, foreign), ...publicChanges(relation, open), ...grantChanges(relation, admission)]);
  }
  await inOneTransaction(client, await surroundings(client, admission));
}

/** PostgreSQL runs a query of several statements as one transaction. */
async function inOneTransaction(client: pg.Client, statements: readonly string[]): Promise<void> {
  if (statements.length > 0) await client.query(statements.join(';\n'));
}

async function relations(client: pg.Client): Promise<Relation[]> {
  const { rows } = await client.query<Relation>(`
    SELECT n.nspname AS schema, c.relname AS name, c.relkind AS kind, c.relowner::regrole::text AS owner, n.nspname = current_schema() AS "isOurs",
      EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'institution_id' AND NOT a.attisdropped) AS "hasInstitution",
      c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced,
      (SELECT coalesce(json_agg(json_build_object('name', p.polname, 'permissive', p.polpermissive,
        'roles', ARRAY(SELECT r.rolname FROM pg_roles r WHERE r.oid = ANY (p.polroles)))), '[]') FROM pg_policy p WHERE p.polrelid = c.oid) AS policies,
      (SELECT coalesce(json_agg(json_build_object('role', r.rolname, 'privilege', a.privilege_type, 'whole', a.whole)), '[]')
        FROM (
          SELECT grantee, privilege_type, true AS whole FROM aclexplode(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)))
          UNION ALL
          SELECT DISTINCT x.grantee, x.privilege_type, false FROM pg_attribute t, aclexplode(t.attacl) x WHERE t.attrelid = c.oid AND NOT t.attisdropped
        ) a LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE a.grantee = 0 OR r.oid IS NOT NULL) AS grants
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'S') AND n.nspname IN (current_schema(), $1) ORDER BY 1, 2`, [QUEUE_SCHEMA]);
  return rows;
}

/** The condition that a row belongs to the institution of the transaction; undefined for tables that belong to none. */
function ofInstitution({ name, isOurs, hasInstitution, kind }: Relation): string | undefined {
  if (!isOurs || kind === 'S') return undefined;
  if (name === 'institutions') return `id = ${INSTITUTION}::uuid`;
  // The keys of blobs begin with their institution: nobody has the sweep remove the bytes of another's.
  if (name === 'blob_tombstones') return `split_part(blob_key, '/', 1) = ${INSTITUTION}`;
  return hasInstitution ? `institution_id = ${INSTITUTION}::uuid` : undefined;
}

function policiesOf(relation: Relation, { appRole, systemRole, owner, ownerIsBound }: Admission): Policy[] {
  const own = ofInstitution(relation);
  if (own === undefined) return [];
  const bySetting = `${own} OR current_setting('app.scope', true) = 'system'`;
  const owners = ownerIsBound && owner !== appRole ? [{ name: `wall_owner_${VERSION}`, role: owner, condition: bySetting }] : [];
  if (appRole === systemRole) return [{ name: `wall_single_${VERSION}`, role: appRole, condition: bySetting }, ...owners];
  return [{ name: `wall_app_${VERSION}`, role: appRole, condition: own }, { name: `wall_system_${VERSION}`, role: systemRole, condition: 'true' }, ...owners];
}

/** Permissive policies are alternatives to each other, so one of somebody else can only widen what ours let through. Restrictive ones narrow it, and may stay. */
function foreignPolicies(relation: Relation, admission: Admission): string[] {
  if (policiesOf(relation, admission).length === 0) return [];
  return relation.policies.filter(({ name, permissive }) => permissive && !name.startsWith('wall_')).map(({ name }) => name);
}

/** What everybody may do who can connect, whatever our roles may. */
function publicPrivileges({ grants }: Relation): string[] {
  return [...new Set(grants.filter(({ role }) => role === null).map(({ privilege }) => privilege))];
}

/** The rights on a table's columns go with those on the table. */
function publicChanges(relation: Relation, privileges: readonly string[]): string[] {
  return privileges.length === 0 ? [] : [`REVOKE ALL ON ${objectOf(relation)} FROM PUBLIC`];
}

function policyChanges(relation: Relation, admission: Admission, foreign: readonly string[]): string[] {
  const wanted = policiesOf(relation, admission);
  if (wanted.length === 0) return [];
  const table = nameOf(relation);
  const stands = ({ name, role }: Policy): boolean => relation.policies.some((policy) => policy.name === name && policy.roles.length === 1 && policy.roles[0] === role);
  const faulty = relation.policies.filter(({ name }) => name.startsWith('wall_') && !wanted.some((policy) => policy.name === name && stands(policy)));
  return [
    ...[...foreign, ...faulty.map(({ name }) => name)].map((name) => `DROP POLICY ${quoted(name)} ON ${table}`),
    ...wanted.filter((policy) => !stands(policy)).map(({ name, role, condition }) => `CREATE POLICY ${quoted(name)} ON ${table} TO ${quoted(role)} USING (${condition}) WITH CHECK (${condition})`),
    ...(relation.enabled ? [] : [`ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY`]),
    ...(relation.forced ? [] : [`ALTER TABLE ${table} FORCE ROW LEVEL SECURITY`]),
  ];
}

function rightsOf(relation: Relation): Rights {
  const { name, isOurs } = relation;
  // The queue is of no institution: its payloads are ids.
  if (!isOurs) return { app: [], system: READ_WRITE };
  return RIGHTS[name] ?? { app: ofInstitution(relation) === undefined ? [] : READ_WRITE, system: READ_WRITE };
}

/** Rights of every role, where they are not as they should be. */
function grantChanges(relation: Relation, { appRole, systemRole, owner }: Admission): string[] {
  const { app, system } = rightsOf(relation);
  const name = objectOf(relation);
  const wanted = new Map<string, ReadonlySet<string>>();
  if (relation.kind === 'S') {
    if (relation.isOurs) for (const role of [appRole, systemRole]) wanted.set(role, new Set(['USAGE']));
    else if (relation.owner !== systemRole) wanted.set(systemRole, new Set(['USAGE', 'SELECT', 'UPDATE']));
  } else if (appRole === systemRole) {
    // A process that has no more than this login compares the migrations with its own.
    const both = new Set<string>(relation.name === '_prisma_migrations' ? ['SELECT'] : [...app, ...system]);
    // An owner keeps its rights, but for those on what is never to be changed.
    if (appRole !== owner) wanted.set(appRole, both);
    else if (!both.has('DELETE') && relation.name !== '_prisma_migrations') wanted.set(appRole, new Set([...both, 'REFERENCES', 'TRIGGER', 'MAINTAIN']));
  } else {
    wanted.set(appRole, new Set(app)).set(systemRole, new Set(system));
  }
  return [...wanted].flatMap(([role, privileges]) => {
    const grants = relation.grants.filter((grant) => grant.role === role);
    const held = new Set(grants.map(({ privilege }) => privilege));
    const missing = [...privileges].filter((privilege) => !grants.some((grant) => grant.whole && grant.privilege === privilege) && role !== owner);
    const spare = [...held].filter((privilege) => !privileges.has(privilege));
    return [
      ...(missing.length === 0 ? [] : [`GRANT ${missing.join(', ')} ON ${name} TO ${quoted(role)}`]),
      ...(spare.length === 0 ? [] : [`REVOKE ${spare.join(', ')} ON ${name} FROM ${quoted(role)}`]),
    ];
  });
}

/** What is not in a table: schemas, temporary tables, and operators that indexes answer. */
async function surroundings(client: pg.Client, { appRole, systemRole, owner, ownerIsBound }: Admission): Promise<string[]> {
  const { rows } = await client.query<{ schema: string; database: string; appUses: boolean; appCreates: boolean; queue: boolean; systemMakes: boolean; temporary: boolean }>(`
    SELECT current_schema() AS schema, current_database() AS database, has_schema_privilege($1::name, current_schema(), 'USAGE') AND has_schema_privilege($2::name, current_schema(), 'USAGE') AS "appUses",
      has_schema_privilege($1::name, current_schema(), 'CREATE') AS "appCreates",
      to_regnamespace($3) IS NOT NULL AS queue, coalesce(has_schema_privilege($2::name, to_regnamespace($3), 'USAGE') AND has_schema_privilege($2::name, to_regnamespace($3), 'CREATE'), false) AS "systemMakes",
      has_database_privilege($1::name, current_database(), 'TEMPORARY') AS temporary`, [appRole, systemRole, QUEUE_SCHEMA]);
  const [found] = rows;
  if (!found) return [];
  const schema = quoted(found.schema);
  const roles = [...new Set([appRole, systemRole])].filter((role) => role !== owner).map(quoted).join(', ');
  const statements: string[] = [];
  if (roles !== '' && !found.appUses) statements.push(`GRANT USAGE ON SCHEMA ${schema} TO ${roles}`);
  // CREATE, because every queue gets a sequence when it is first used.
  if (roles !== '' && found.queue && !found.systemMakes) statements.push(`GRANT USAGE, CREATE ON SCHEMA ${QUEUE_SCHEMA} TO ${quoted(systemRole)}`);
  if (ownerIsBound) return statements;
  // As PostgreSQL 15 has it from the start.
  if (found.appCreates) statements.push(`REVOKE CREATE ON SCHEMA ${schema} FROM PUBLIC`);
  // A temporary table named like one of ours would stand in its place for whoever gets the connection next. The queue works with some.
  if (found.temporary) statements.push(`REVOKE TEMPORARY ON DATABASE ${quoted(found.database)} FROM PUBLIC`, `GRANT TEMPORARY ON DATABASE ${quoted(found.database)} TO ${quoted(systemRole)}`);
  return [...statements, ...(await leakproofOperators(client))];
}

/**
 * Under row-level security an index answers a condition only if its operator is known to tell nothing of what it compares. `@>` and `&&` of arrays
 * tell nothing of numbers and ids, but are not marked so; without it every search by blind index would read all studies of its institution.
 */
async function leakproofOperators(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(`
    SELECT oid::regprocedure::text AS name FROM pg_proc
    WHERE oid IN ('pg_catalog.arraycontains(anyarray,anyarray)'::regprocedure, 'pg_catalog.arrayoverlap(anyarray,anyarray)'::regprocedure) AND NOT proleakproof`);
  return rows.map(({ name }) => `ALTER FUNCTION ${name} LEAKPROOF`);
}

/** As GRANT and REVOKE name it. */
function objectOf(relation: Relation): string {
  return relation.kind === 'S' ? `SEQUENCE ${nameOf(relation)}` : nameOf(relation);
}

function nameOf({ schema, name }: Relation): string {
  return `${quoted(schema)}.${quoted(name)}`;
}
