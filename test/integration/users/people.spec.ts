import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { BootstrapService } from '../../../src/modules/users/bootstrap.service.js';
import { ADMIN } from '../../support/product.js';
import { call, openHouse, person, signIn, type House } from './house.js';

interface UserBody { id: string; institutionId: string; email: string; displayName: string; role: string; state: string; lastSignInAt: string | null }

let house: House;
let token: string;
let usersUrl: string;
let sql: pg.Client;
let foreign: { institutionId: string; userId: string };

beforeAll(async () => {
  house = await openHouse();
  usersUrl = `${house.url}/api/v1/users`;
  token = (await signIn(house.url)).access_token;
  sql = new pg.Client({ connectionString: house.database.url });
  await sql.connect();
  foreign = { institutionId: uuidv7(), userId: uuidv7() };
  await sql.query("INSERT INTO institutions (id, name) VALUES ($1, 'Another hospital')", [foreign.institutionId]);
  await sql.query("INSERT INTO users (id, institution_id, email, display_name, password_hash, role, updated_at) VALUES ($1, $2, 'stranger@elsewhere.test', 'A Stranger', 'x', 'admin', now())", [foreign.userId, foreign.institutionId]);
});
afterAll(async () => {
  await sql.end();
  await house.close();
});

const draft = (more: object = {}): object => ({ email: `${uuidv7()}@hospital.test`, displayName: 'A Person', role: 'radiologist', password: 'a password of some length', ...more });

describe('people', () => {
  it('are added, read, listed page by page, changed and disabled', async () => {
    const created = await call<UserBody>(token, 'POST', usersUrl, draft({ email: 'Grace@Hospital.test', displayName: ' Dr. Grace Hopper ' }));
    expect(created).toMatchObject({ status: 201, body: { email: 'grace@hospital.test', displayName: 'Dr. Grace Hopper', role: 'radiologist', state: 'active', institutionId: house.administrator.institutionId, lastSignInAt: null } });
    expect(JSON.stringify(created.body)).not.toMatch(/password|argon2/);
    expect(created.headers.get('location')).toBe(`/api/v1/users/${created.body.id}`);
    const read = await call<UserBody>(token, 'GET', `${usersUrl}/${created.body.id}`);
    expect(read.body).toEqual(created.body);
    expect(read.headers.get('etag')).toBe(created.headers.get('etag'));
    await person(house, token, 'technician');
    const seen: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: { body: { items: UserBody[]; nextCursor: string | null } } = await call(token, 'GET', `${usersUrl}?limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`);
      seen.push(...page.body.items.map(({ id }) => id));
      cursor = page.body.nextCursor;
    }
    expect(seen).toHaveLength(3);
    expect(seen).toEqual([...seen].sort());
    expect(seen).not.toContain(foreign.userId);
  });

  it('change only for a caller who has seen the newest version, if the caller says so', async () => {
    const { body, headers } = await call<UserBody>(token, 'POST', usersUrl, draft());
    const url = `${usersUrl}/${body.id}`;
    const first = String(headers.get('etag'));
    expect(await call(token, 'PATCH', url, { displayName: 'B' }, { 'if-match': '"stale"' })).toMatchObject({ status: 412, body: { code: 'precondition-failed' } });
    expect((await call(token, 'PATCH', url, { displayName: 'B' }, { 'if-match': `W/${first}` })).status).toBe(412);
    const changed = await call<UserBody>(token, 'PATCH', url, { displayName: 'B' }, { 'if-match': `"other", ${first}` });
    expect(changed).toMatchObject({ status: 200, body: { displayName: 'B' } });
    expect(changed.headers.get('etag')).not.toBe(first);
    expect((await call(token, 'DELETE', url, undefined, { 'if-match': first })).status).toBe(412);
    expect((await call(token, 'PATCH', url, { displayName: 'C' }, { 'if-match': '*' })).status).toBe(200);
    // Of two who saw the same version one wins.
    const tag = String((await call(token, 'GET', url)).headers.get('etag'));
    const race = await Promise.all(['D', 'E', 'F'].map((displayName) => call(token, 'PATCH', url, { displayName }, { 'if-match': tag })));
    expect(race.map(({ status }) => status).sort()).toEqual([200, 412, 412]);
  });

  it('keep their ETag when they merely sign in', async () => {
    const { id, email, password } = await person(house, token, 'technician');
    const before = (await call(token, 'GET', `${usersUrl}/${id}`)).headers.get('etag');
    await signIn(house.url, email, password);
    const after = await call<UserBody>(token, 'GET', `${usersUrl}/${id}`);
    expect(after.headers.get('etag')).toBe(before);
    expect(after.body.lastSignInAt).not.toBeNull();
  });

  it('see themselves, whatever their role, with the permissions of their token', async () => {
    const { id, email, password } = await person(house, token, 'service');
    const narrow = await signIn(house.url, email, password, 'images:read');
    expect((await call(narrow.access_token, 'GET', `${usersUrl}/me`)).body).toMatchObject({ id, role: 'service', permissions: ['images:read'] });
    expect((await call(narrow.access_token, 'GET', usersUrl)).status).toBe(403);
  });

  it.each([
    [draft({ email: 'no address' }), '/email'],
    [draft({ role: 'king' }), '/role'],
    [draft({ password: '' }), '/password'],
    [draft({ password: 'x'.repeat(1_025) }), '/password'],
    [draft({ displayName: 'nul\0' }), '/displayName'],
    [draft({ institutionId: uuidv7() }), '/institutionId'],
    [draft({ passwordHash: 'x' }), '/passwordHash'],
  ])('are not made from %j', async (body, pointer) => {
    expect(await call(token, 'POST', usersUrl, body)).toMatchObject({ status: 400, body: { code: 'invalid-body', errors: [{ pointer }] } });
  });

  it('are not changed by nothing, or where nothing can be changed', async () => {
    const { id } = await person(house, token, 'technician');
    for (const body of [{}, { email: 'new@hospital.test' }, { state: 'gone' }, [], null, 'x']) {
      expect(await call(token, 'PATCH', `${usersUrl}/${id}`, body)).toMatchObject({ status: 400 });
    }
  });

  it('have an address that nobody else has, in any institution, even when two are added at once', async () => {
    const body = draft();
    const answers = await Promise.all([1, 2, 3].map(() => call(token, 'POST', usersUrl, body)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
    expect(await call(token, 'POST', usersUrl, draft({ email: 'STRANGER@elsewhere.test' }))).toMatchObject({ status: 409, body: { code: 'conflict' } });
  });
});

describe('roles', () => {
  it('are given only by those who hold all of their permissions; the platform only by its administrators', async () => {
    const admin = (await person(house, token, 'admin')).tokens.access_token;
    expect((await call(admin, 'POST', usersUrl, draft({ role: 'admin' }))).status).toBe(201);
    expect(await call(admin, 'POST', usersUrl, draft({ role: 'platform-admin' }))).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    const { id } = await person(house, token, 'technician');
    expect((await call(admin, 'PATCH', `${usersUrl}/${id}`, { role: 'platform-admin' })).status).toBe(403);
    expect((await call(token, 'PATCH', `${usersUrl}/${id}`, { role: 'platform-admin' })).status).toBe(200);
    // And what is above oneself is not touched.
    expect((await call(admin, 'PATCH', `${usersUrl}/${id}`, { role: 'technician' })).status).toBe(403);
    expect((await call(admin, 'DELETE', `${usersUrl}/${id}`)).status).toBe(403);
    expect((await call(admin, 'DELETE', `${usersUrl}/${house.administrator.userId}`)).status).toBe(403);
  });

  it('cannot be climbed with a key that may only write users', async () => {
    const key = (await call<{ key: string }>(token, 'POST', `${house.url}/api/v1/api-keys`, { name: 'x', scopes: ['users:read', 'users:write'] })).body.key;
    expect((await call(key, 'POST', usersUrl, draft({ role: 'admin' }))).status).toBe(403);
    const { id } = await person(house, token, 'technician');
    expect((await call(key, 'PATCH', `${usersUrl}/${id}`, { role: 'admin' })).status).toBe(403);
    expect((await call(key, 'PATCH', `${usersUrl}/${id}`, { displayName: 'Renamed', role: 'technician' })).status).toBe(200);
  });

  it('are nobody’s own to change, nor is being disabled', async () => {
    const own = `${usersUrl}/${house.administrator.userId}`;
    expect(await call(token, 'PATCH', own, { role: 'technician' })).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect((await call(token, 'DELETE', own)).status).toBe(409);
    expect((await call(token, 'PATCH', own, { displayName: 'Root', role: 'platform-admin' })).status).toBe(200);
  });
});

describe('the wall', () => {
  it('hides another institution from its neighbours, and its people from the platform administrator too', async () => {
    const { tokens } = await person(house, token, 'admin');
    for (const [method, body] of [['GET', undefined], ['PATCH', { displayName: 'Mine' }], ['DELETE', undefined]] as const) {
      expect(await call(token, method, `${usersUrl}/${foreign.userId}`, body)).toMatchObject({ status: 404, body: { code: 'user-not-found' } });
    }
    for (const [method, body] of [['GET', undefined], ['PATCH', { name: 'Mine' }]] as const) {
      expect(await call(tokens.access_token, method, `${house.url}/api/v1/institutions/${foreign.institutionId}`, body)).toMatchObject({ status: 404, body: { code: 'institution-not-found' } });
    }
    const { rows } = await sql.query('SELECT i.name, u.display_name, u.state FROM institutions i JOIN users u ON u.institution_id = i.id WHERE i.id = $1', [foreign.institutionId]);
    expect(rows).toEqual([{ name: 'Another hospital', display_name: 'A Stranger', state: 'active' }]);
    expect((await call<{ items: { id: string }[] }>(tokens.access_token, 'GET', `${house.url}/api/v1/institutions`)).body).toMatchObject({ items: [{ id: house.administrator.institutionId }], nextCursor: null });
  });

  it('lets the own institution be renamed, with its version', async () => {
    const url = `${house.url}/api/v1/institutions/${house.administrator.institutionId}`;
    const read = await call(token, 'GET', url);
    expect(read.body.name).toBe('Default institution');
    const renamed = await call(token, 'PATCH', url, { name: 'St. Elsewhere' }, { 'if-match': String(read.headers.get('etag')) });
    expect(renamed).toMatchObject({ status: 200, body: { name: 'St. Elsewhere' } });
    expect((await call(token, 'PATCH', url, { name: 'x' }, { 'if-match': String(read.headers.get('etag')) })).status).toBe(412);
  });

  it('answers 404 for ids that are none', async () => {
    for (const id of ['1', 'me2', "'%20OR%201=1", uuidv7()]) expect((await call(token, 'GET', `${usersUrl}/${id}`)).status).toBe(404);
  });
});

describe('the first administrator', () => {
  it('is there once, however many processes start at once on an empty database', async () => {
    const neighbours = await Promise.all([1, 2, 3].map(() => house.neighbour()));
    await sql.query('DELETE FROM institutions WHERE id = $1 AND NOT EXISTS (SELECT FROM users WHERE institution_id = $1)', [foreign.institutionId]);
    await sql.query('TRUNCATE users, institutions CASCADE');
    const all = await Promise.all([house, ...neighbours].flatMap(({ app }) => [app, app]).map((app) => app.get(BootstrapService).ensureFirstAdministrator()));
    expect(new Set(all.map(({ userId }) => userId)).size).toBe(1);
    expect(all[0]).toMatchObject({ email: ADMIN.email, password: null });
    const { rows } = await sql.query('SELECT (SELECT count(*)::int FROM users) AS users, (SELECT count(*)::int FROM institutions) AS institutions');
    expect(rows).toEqual([{ users: 1, institutions: 1 }]);
    await expect(signIn(house.url)).resolves.toBeDefined();
  });

  it('gets a generated password, printed once and good for signing in', async () => {
    await sql.query('TRUNCATE users, institutions CASCADE');
    const neighbour = await house.neighbour({ BOOTSTRAP_ADMIN_PASSWORD: '' });
    const written: string[] = [];
    const write = process.stderr.write.bind(process.stderr);
    // Only for the moment of the start: what it prints is what this test is about.
    process.stderr.write = ((text: string) => { written.push(text); return true; });
    const bootstrap = neighbour.app.get(BootstrapService);
    const [first, second] = [await bootstrap.ensureFirstAdministrator(), await bootstrap.ensureFirstAdministrator()];
    process.stderr.write = write;
    expect(first.password).toMatch(/^[0-9A-Za-z]{20}$/);
    expect(second).toEqual({ ...first, password: null });
    expect(written.join('').split(String(first.password))).toHaveLength(2);
    await expect(signIn(neighbour.url, ADMIN.email, String(first.password))).resolves.toBeDefined();
  });

  it('is joined by others that the command line makes', async () => {
    const bootstrap = house.app.get(BootstrapService);
    const made = await bootstrap.createAdministrator('Second@Hospital.test');
    expect(made.email).toBe('second@hospital.test');
    expect(made.password).toMatch(/^[0-9A-Za-z]{20}$/);
    await expect(signIn(house.url, made.email, String(made.password))).resolves.toBeDefined();
    await expect(bootstrap.createAdministrator('second@hospital.test', 'another password')).rejects.toMatchObject({ code: 'conflict' });
    expect((await bootstrap.createAdministrator('third@hospital.test', 'a password of mine')).password).toBeNull();
  });
});
