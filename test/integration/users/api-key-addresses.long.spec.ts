import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../../support/product.js';
import { call, openHouse, person, signIn, type House } from './house.js';

interface KeyBody { id: string; key: string; name: string; scopes: string[]; addresses: string[]; expiresAt: string | null }

let house: House;
let behind: { url: string };
let token: string;
let keysUrl: string;

beforeAll(async () => {
  house = await openHouse();
  behind = await house.neighbour({ TRUST_PROXY: '127.0.0.1' });
  keysUrl = `${house.url}/api/v1/api-keys`;
  token = (await signIn(house.url)).access_token;
});
afterAll(async () => { await house.close(); });

async function create(body: object = {}): Promise<KeyBody & { etag: string }> {
  const answer = await call<KeyBody>(token, 'POST', keysUrl, { name: 'PACS', scopes: ['users:read', 'api-keys:read'], ...body });
  expect(answer.status).toBe(201);
  return { ...answer.body, etag: String(answer.headers.get('etag')) };
}

const from = async (key: string, address: string | undefined, url = behind.url): Promise<number> => (await call(key, 'GET', `${url}/api/v1/users`, undefined, address === undefined ? {} : { 'x-forwarded-for': address })).status;

describe('the addresses of an API key', () => {
  it('are where it works', async () => {
    const { key, addresses } = await create({ addresses: ['10.20.30.0/24', '2001:db8::7', '10.20.30.0/24'] });
    expect(addresses).toEqual(['10.20.30.0/24', '2001:db8::7/128']);
    for (const address of ['10.20.30.1', '::ffff:10.20.30.1', '2001:db8::7']) expect(await from(key, address), address).toBe(200);
    for (const address of ['10.20.31.1', '2001:db8::8', undefined]) expect(await from(key, address), address).toBe(401);
  });

  it('are those of the connection, whatever a header says where no proxy is trusted', async () => {
    const { key } = await create({ addresses: ['10.20.30.0/24'] });
    expect(await from(key, '10.20.30.1', house.url)).toBe(401);
    const here = await create({ addresses: ['127.0.0.1', '::1'] });
    expect(await from(here.key, '10.20.30.1', house.url)).toBe(200);
    // Of a chain only what the trusted proxy has added counts.
    expect(await from(here.key, '127.0.0.1, 192.0.2.1')).toBe(401);
  });

  it('are any when there are none', async () => {
    expect(await from((await create()).key, '192.0.2.1')).toBe(200);
  });

  it.each([[['10.0.0.0/33']], [['localhost']], [['*']], [Array.from({ length: 65 }, (_, index) => `10.0.0.${String(index)}`)], ['10.0.0.0/8']])('are not %j', async (addresses) => {
    expect((await call(token, 'POST', keysUrl, { name: 'x', scopes: ['users:read'], addresses })).status).toBe(400);
  });
});

describe('an API key', () => {
  it('is changed: at once here, within seconds elsewhere', async () => {
    const { id, key, etag } = await create();
    expect(await from(key, '192.0.2.1')).toBe(200);
    expect(await from(key, undefined, house.url)).toBe(200);
    const changed = await call<KeyBody>(token, 'PATCH', `${keysUrl}/${id}`, { name: 'Renamed', addresses: ['10.0.0.0/8'], expiresAt: '2099-01-01T00:00:00+01:00' }, { 'if-match': etag });
    expect(changed).toMatchObject({ status: 200, body: { name: 'Renamed', addresses: ['10.0.0.0/8'], expiresAt: '2098-12-31T23:00:00.000Z' } });
    expect(await from(key, undefined, house.url)).toBe(401);
    await eventually('the neighbour to refuse', async () => (await from(key, '192.0.2.1')) === 401, 10_000);
    expect(await from(key, '10.9.9.9')).toBe(200);
    expect((await call(token, 'PATCH', `${keysUrl}/${id}`, { name: 'x' }, { 'if-match': etag })).status).toBe(412);
    expect((await call(token, 'PATCH', `${keysUrl}/${id}`, { expiresAt: null, addresses: [] }, { 'if-match': String(changed.headers.get('etag')) })).body).toMatchObject({ expiresAt: null, addresses: [] });
    expect((await call(token, 'GET', `${keysUrl}/${id}`)).headers.get('etag')).not.toBe(etag);
  });

  it('gets fewer scopes, never more', async () => {
    const { id, key } = await create();
    expect((await call(token, 'PATCH', `${keysUrl}/${id}`, { scopes: ['api-keys:read'] })).body).toMatchObject({ scopes: ['api-keys:read'] });
    expect(await from(key, undefined, house.url)).toBe(403);
    expect(await call(token, 'PATCH', `${keysUrl}/${id}`, { scopes: ['api-keys:read', 'users:read'] })).toMatchObject({ status: 403, body: { code: 'scope-not-held' } });
  });

  it.each([
    [{}, ''], [{ scopes: [] }, '/scopes'], [{ userId: '0198c0de-0000-7000-8000-000000000000' }, '/userId'], [{ keyHash: 'x' }, '/keyHash'], [{ revokedAt: null }, '/revokedAt'],
    [{ expiresAt: '2001-01-01T00:00:00Z' }, '/expiresAt'], [{ name: '' }, '/name'],
  ])('is not changed by %j', async (body, pointer) => {
    const { id } = await create();
    const answer = await call<{ errors: { pointer: string }[] }>(token, 'PATCH', `${keysUrl}/${id}`, body);
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid-body' } });
    expect(answer.body.errors.map((error) => error.pointer)).toContain(pointer);
  });

  it('is changed by its owner and their administrators only, and not once revoked', async () => {
    const owner = await person(house, token, 'radiologist');
    const other = await person(house, token, 'radiologist');
    const { body } = await call<KeyBody>(owner.tokens.access_token, 'POST', keysUrl, { name: 'Mine', scopes: ['images:read'] });
    const change = (credential: string) => call(credential, 'PATCH', `${keysUrl}/${body.id}`, { name: 'Changed' });
    expect(await change(other.tokens.access_token)).toMatchObject({ status: 404, body: { code: 'api-key-not-found' } });
    expect((await change(owner.tokens.access_token)).status).toBe(200);
    expect((await change(token)).status).toBe(200);
    await call(token, 'DELETE', `${keysUrl}/${body.id}`);
    expect(await change(token)).toMatchObject({ status: 409, body: { code: 'conflict' } });
  });
});

describe('a key that makes keys', () => {
  const scopes = ['users:read', 'api-keys:read', 'api-keys:write', 'oauth-clients:write', 'images:read'];
  const make = (key: string, body: object) => call<KeyBody & { code?: string }>(key, 'POST', keysUrl, { name: 'made', scopes: ['users:read'], ...body });
  const END = '2098-12-31T23:00:00.000Z';

  it('gives what it has itself: its addresses and its end, where nothing else is said', async () => {
    const maker = await create({ scopes, addresses: ['127.0.0.0/8', '::1'], expiresAt: END });
    expect(await make(maker.key, {})).toMatchObject({ status: 201, body: { addresses: ['127.0.0.0/8', '::1/128'], expiresAt: END } });
    expect(await make(maker.key, { addresses: ['127.0.0.1'], expiresAt: '2090-01-01T00:00:00.000Z' })).toMatchObject({ status: 201, body: { addresses: ['127.0.0.1/32'], expiresAt: '2090-01-01T00:00:00.000Z' } });
  });

  it.each([[{ addresses: ['10.0.0.0/8'] }], [{ addresses: ['127.0.0.1', '0.0.0.0/0'] }], [{ expiresAt: '2099-12-31T23:00:00Z' }], [{ scopes: ['users:write'] }]])('gives no more: %j', async (body) => {
    const maker = await create({ scopes, addresses: ['127.0.0.0/8', '::1'], expiresAt: END });
    expect(await make(maker.key, body)).toMatchObject({ status: 403, body: { code: 'scope-not-held' } });
  });

  it.each([[{ addresses: [] }], [{ addresses: ['0.0.0.0/0'] }], [{ expiresAt: null }], [{ expiresAt: '2099-12-31T23:00:00Z' }]])('does not free itself or another key: %j', async (change) => {
    const maker = await create({ scopes, addresses: ['127.0.0.0/8', '::1'], expiresAt: END });
    const { body: made } = await make(maker.key, {});
    for (const id of [maker.id, made.id]) expect(await call(maker.key, 'PATCH', `${keysUrl}/${id}`, change)).toMatchObject({ status: 403, body: { code: 'scope-not-held' } });
    expect((await call(maker.key, 'PATCH', `${keysUrl}/${made.id}`, { name: 'Renamed', addresses: ['127.0.0.1'] })).status).toBe(200);
  });

  it('makes and takes over no client that could do more', async () => {
    const clients = `${house.url}/api/v1/oauth-clients`;
    const client = { name: 'PACS', scopes: ['images:read'], authentication: 'client_secret' };
    const ending = await create({ scopes, expiresAt: END });
    expect(await call(ending.key, 'POST', clients, client)).toMatchObject({ status: 403, body: { code: 'scope-not-held' } });
    const placed = await create({ scopes, addresses: ['127.0.0.0/8', '::1'] });
    expect(await call(placed.key, 'POST', clients, { ...client, addresses: ['10.0.0.0/8'] })).toMatchObject({ status: 403 });
    const own = await call<{ id: string; addresses: string[] }>(placed.key, 'POST', clients, client);
    expect(own).toMatchObject({ status: 201, body: { addresses: ['127.0.0.0/8', '::1/128'] } });
    expect((await call(placed.key, 'PATCH', `${clients}/${own.body.id}`, { addresses: [] })).status).toBe(403);
    expect((await call(placed.key, 'POST', `${clients}/${own.body.id}/secret`)).status).toBe(200);
    for (const more of [{}, { addresses: ['127.0.0.1'], scopes: ['images:read', 'images:write'] }]) {
      const { body: { id } } = await call<{ id: string }>(token, 'POST', clients, { ...client, ...more });
      expect(await call(placed.key, 'POST', `${clients}/${id}/secret`)).toMatchObject({ status: 403, body: { code: 'scope-not-held' } });
      expect((await call(token, 'POST', `${clients}/${id}/secret`)).status).toBe(200);
    }
  });
});
