import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newApiKey } from '../../../src/modules/users/secrets.js';
import { eventually } from '../../support/product.js';
import { call, openHouse, person, signIn, type House } from './house.js';

interface KeyBody { id: string; userId: string; name: string; prefix: string; scopes: string[]; key?: string; lastUsedAt: string | null; revokedAt: string | null; expiresAt: string | null }

let house: House;
let token: string;
let keysUrl: string;
let sql: pg.Client;

beforeAll(async () => {
  house = await openHouse();
  keysUrl = `${house.url}/api/v1/api-keys`;
  token = (await signIn(house.url)).access_token;
  sql = new pg.Client({ connectionString: house.database.url });
  await sql.connect();
});
afterAll(async () => {
  await sql.end();
  await house.close();
});

async function create(credential: string, body: object = {}): Promise<KeyBody & { key: string }> {
  const answer = await call<KeyBody & { key: string }>(credential, 'POST', keysUrl, { name: 'PACS', scopes: ['users:read', 'api-keys:read'], ...body });
  expect(answer.status).toBe(201);
  expect(answer.headers.get('location')).toBe(`/api/v1/api-keys/${answer.body.id}`);
  return answer.body;
}

describe('an API key', () => {
  it('works, is shown once, and is stored as a hash only', async () => {
    const created = await create(token);
    expect(created.key).toMatch(/^hv_[0-9A-Za-z]{46}$/);
    expect(created.key.startsWith(created.prefix)).toBe(true);
    expect((await call(created.key, 'GET', `${house.url}/api/v1/users`)).status).toBe(200);
    expect((await call(created.key, 'GET', `${house.url}/api/v1/institutions`)).status).toBe(403);
    const read = await call<KeyBody>(token, 'GET', `${keysUrl}/${created.id}`);
    expect(read.body).toMatchObject({ id: created.id, name: 'PACS', scopes: ['users:read', 'api-keys:read'], userId: house.administrator.userId, revokedAt: null });
    expect(JSON.stringify(read.body)).not.toContain(created.key.slice(10));
    const { rows } = await sql.query('SELECT * FROM api_keys');
    expect(JSON.stringify(rows)).not.toContain(created.key.slice(10));
  });

  it('says when it was used, to the minute', async () => {
    const created = await create(token);
    expect(created.lastUsedAt).toBeNull();
    await call(created.key, 'GET', keysUrl);
    const first = (await call<KeyBody>(token, 'GET', `${keysUrl}/${created.id}`)).body.lastUsedAt;
    expect(Date.now() - Date.parse(String(first))).toBeLessThan(10_000);
    const neighbour = await house.neighbour();
    await call(created.key, 'GET', `${neighbour.url}/api/v1/api-keys`);
    expect((await call<KeyBody>(token, 'GET', `${keysUrl}/${created.id}`)).body.lastUsedAt).toBe(first);
    await sql.query("UPDATE api_keys SET last_used_at = now() - interval '61 seconds' WHERE id = $1", [created.id]);
    const third = await house.neighbour();
    await call(created.key, 'GET', `${third.url}/api/v1/api-keys`);
    expect(Date.parse(String((await call<KeyBody>(token, 'GET', `${keysUrl}/${created.id}`)).body.lastUsedAt))).toBeGreaterThanOrEqual(Date.parse(String(first)));
  });

  it('is dead once revoked: at once here, within seconds elsewhere', async () => {
    const created = await create(token);
    const neighbour = await house.neighbour();
    const there = () => call(created.key, 'GET', `${neighbour.url}/api/v1/api-keys`);
    expect((await there()).status).toBe(200);
    expect((await call(created.key, 'GET', keysUrl)).status).toBe(200);
    expect((await call(token, 'DELETE', `${keysUrl}/${created.id}`)).status).toBe(204);
    expect((await call(created.key, 'GET', keysUrl)).status).toBe(401);
    await eventually('the neighbour to refuse', async () => (await there()).status === 401, 10_000);
    const { revokedAt } = (await call<KeyBody>(token, 'GET', `${keysUrl}/${created.id}`)).body;
    expect(revokedAt).not.toBeNull();
    // Once more changes nothing.
    expect((await call(token, 'DELETE', `${keysUrl}/${created.id}`)).status).toBe(204);
    expect((await call<KeyBody>(token, 'GET', `${keysUrl}/${created.id}`)).body.revokedAt).toBe(revokedAt);
  });

  it('dies on its day', async () => {
    const created = await create(token, { expiresAt: new Date(Date.now() + 1_500).toISOString() });
    expect((await call(created.key, 'GET', keysUrl)).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 1_600));
    expect((await call(created.key, 'GET', keysUrl)).status).toBe(401);
    expect(await call(token, 'POST', keysUrl, { name: 'x', scopes: ['users:read'], expiresAt: '2020-01-01T00:00:00Z' })).toMatchObject({ status: 400, body: { code: 'invalid-body', errors: [{ pointer: '/expiresAt' }] } });
  });

  it('dies with its owner, and shrinks with the owner’s role', async () => {
    const { id, tokens } = await person(house, token, 'radiologist');
    const created = await create(tokens.access_token, { scopes: ['api-keys:read', 'results:read'] });
    expect((await call(created.key, 'GET', keysUrl)).status).toBe(200);
    await call(token, 'PATCH', `${house.url}/api/v1/users/${id}`, { role: 'technician' });
    expect((await call(created.key, 'GET', keysUrl)).status).toBe(403);
    await call(token, 'DELETE', `${house.url}/api/v1/users/${id}`);
    expect((await call(created.key, 'GET', keysUrl)).status).toBe(401);
  });

  it('never carries more than its maker holds', async () => {
    const { tokens } = await person(house, token, 'radiologist');
    expect(await call(tokens.access_token, 'POST', keysUrl, { name: 'x', scopes: ['results:read', 'users:write'] })).toMatchObject({ status: 403, body: { code: 'scope-not-held', detail: 'Not held: users:write.' } });
    // Nor does a key that makes keys.
    const maker = await create(token, { scopes: ['api-keys:write', 'results:read'] });
    expect((await call(maker.key, 'POST', keysUrl, { name: 'x', scopes: ['results:read'] })).status).toBe(201);
    expect(await call(maker.key, 'POST', keysUrl, { name: 'x', scopes: ['images:read'] })).toMatchObject({ status: 403, body: { code: 'scope-not-held' } });
  });

  it('is seen and revoked by its owner and by those who manage people', async () => {
    const [one, other] = [await person(house, token, 'radiologist'), await person(house, token, 'radiologist')];
    const created = await create(one.tokens.access_token, { scopes: ['results:read'] });
    expect((await call<{ items: KeyBody[] }>(other.tokens.access_token, 'GET', keysUrl)).body.items).toEqual([]);
    expect(await call(other.tokens.access_token, 'GET', `${keysUrl}/${created.id}`)).toMatchObject({ status: 404, body: { code: 'api-key-not-found' } });
    expect((await call(other.tokens.access_token, 'DELETE', `${keysUrl}/${created.id}`)).status).toBe(404);
    expect((await call<{ items: KeyBody[] }>(one.tokens.access_token, 'GET', keysUrl)).body.items.map(({ id }) => id)).toEqual([created.id]);
    expect((await call(token, 'DELETE', `${keysUrl}/${created.id}`)).status).toBe(204);
  });

  it.each<[string, () => string]>([
    ['a made-up key with a right checksum', () => newApiKey()],
    ['a key with a typing error', () => { const key = newApiKey(); return `${key.slice(0, 20)}${key[20] === 'a' ? 'b' : 'a'}${key.slice(21)}`; }],
    ['a short one', () => 'hv_abc'],
    ['an injection', () => "hv_' OR 1=1 --"],
  ])('is not %s', async (_, make) => {
    const { status, body } = await call(make(), 'GET', keysUrl);
    expect({ status, body }).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
  });

  it.each([
    [{ name: 'x', scopes: [] }, '/scopes'],
    [{ name: 'x', scopes: ['world:rule'] }, '/scopes/0'],
    [{ name: '', scopes: ['users:read'] }, '/name'],
    [{ name: 'two\nlines', scopes: ['users:read'] }, '/name'],
    [{ scopes: ['users:read'] }, '/name'],
    [{ name: 'x', scopes: ['users:read'], keyHash: 'x' }, '/keyHash'],
  ])('is not made from %j', async (body, pointer) => {
    expect(await call(token, 'POST', keysUrl, body)).toMatchObject({ status: 400, body: { code: 'invalid-body', errors: [{ pointer }] } });
  });
});
