import { exportJWK, generateKeyPair, type JWK } from 'jose';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, openHouse, person, postForm, signIn, type Answer, type House } from './house.js';

interface ClientBody { id: string; name: string; scopes: string[]; authentication: string; state: string; addresses: string[]; clientSecret?: string; certificateSha256: string | null; jwks: unknown; jwksUri: string | null; lastUsedAt: string | null }

let house: House;
let token: string;
let clientsUrl: string;
let sql: pg.Client;
let jwk: JWK;
let privateJwk: JWK;

beforeAll(async () => {
  house = await openHouse();
  clientsUrl = `${house.url}/api/v1/oauth-clients`;
  token = (await signIn(house.url)).access_token;
  sql = new pg.Client({ connectionString: house.database.url });
  await sql.connect();
  const pair = await generateKeyPair('ES256', { extractable: true });
  jwk = { ...(await exportJWK(pair.publicKey)), kid: 'one' };
  privateJwk = await exportJWK(pair.privateKey);
});
afterAll(async () => {
  await sql.end();
  await house.close();
});

const BODY = { name: 'Archive', scopes: ['images:read', 'results:read'], authentication: 'client_secret' };
const create = (body: object = {}, credential = token): Promise<Answer<ClientBody & { errors?: { pointer: string }[] }>> => call(credential, 'POST', clientsUrl, { ...BODY, ...body });

describe('an OAuth client', () => {
  it('is made with a secret that is shown once and stored as a hash', async () => {
    const { status, body, headers } = await create({ addresses: ['10.1.2.3', '10.1.2.3/32', '2001:db8::/32'] });
    expect(status).toBe(201);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('location')).toBe(`/api/v1/oauth-clients/${body.id}`);
    expect(body).toMatchObject({ ...BODY, addresses: ['10.1.2.3/32', '2001:db8::/32'], state: 'active', lastUsedAt: null, jwks: null });
    expect(body.clientSecret).toMatch(/^hvs_[\w-]{43}$/);
    const secret = String(body.clientSecret);
    const read = await call<ClientBody>(token, 'GET', `${clientsUrl}/${body.id}`);
    expect(read.headers.get('etag')).toBe(headers.get('etag'));
    expect(JSON.stringify([read.body, (await sql.query('SELECT * FROM oauth_clients')).rows])).not.toContain(secret.slice(4));
    expect(Object.keys(read.body)).not.toContain('secretHash');
  });

  it('has no secret where it signs, or shows a certificate', async () => {
    const signing = await create({ authentication: 'private_key_jwt', jwks: { keys: [{ ...jwk, ext: true }] } });
    expect(signing).toMatchObject({ status: 201, body: { jwks: { keys: [jwk] } } });
    expect(signing.body.clientSecret).toBeUndefined();
    const published = await create({ authentication: 'private_key_jwt', jwksUri: 'https://archive.hospital.example/jwks.json' });
    expect(published).toMatchObject({ status: 201, body: { jwks: null, jwksUri: 'https://archive.hospital.example/jwks.json' } });
    const fingerprint = 'AB'.repeat(32);
    const certified = await create({ authentication: 'tls_client_auth', certificateSha256: fingerprint.replaceAll(/(..)(?!$)/g, '$1:') });
    expect(certified).toMatchObject({ status: 201, body: { certificateSha256: fingerprint.toLowerCase() } });
    expect(await create({ authentication: 'tls_client_auth', certificateSha256: fingerprint })).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect(await call(token, 'POST', `${clientsUrl}/${signing.body.id}/secret`)).toMatchObject({ status: 409, body: { code: 'conflict' } });
    // A change of one kind of keys for the other forgets the first.
    expect(await call(token, 'PATCH', `${clientsUrl}/${signing.body.id}`, { jwksUri: 'https://archive.hospital.example/keys' })).toMatchObject({ status: 200, body: { jwks: null } });
    expect(await call(token, 'PATCH', `${clientsUrl}/${signing.body.id}`, { certificateSha256: fingerprint })).toMatchObject({ status: 400, body: { errors: [{ pointer: '/certificateSha256' }] } });
  });

  it.each<[string, () => object, string]>([
    ['an unknown field', () => ({ institutionId: '0198c0de-0000-7000-8000-000000000000' }), '/institutionId'],
    ['a secret of its own', () => ({ clientSecret: 'hvs_mine' }), '/clientSecret'],
    ['a hash', () => ({ secretHash: '0'.repeat(64) }), '/secretHash'],
    ['keys beside a secret', () => ({ jwks: { keys: [jwk] } }), '/jwks'],
    ['no keys', () => ({ authentication: 'private_key_jwt' }), '/jwks'],
    ['two kinds of keys', () => ({ authentication: 'private_key_jwt', jwks: { keys: [jwk] }, jwksUri: 'https://a.example/k' }), '/jwks'],
    ['a private key', () => ({ authentication: 'private_key_jwt', jwks: { keys: [privateJwk] } }), '/jwks/keys/0/d'],
    ['a shared key', () => ({ authentication: 'private_key_jwt', jwks: { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] } }), '/jwks/keys/0/kty'],
    ['a key that is none', () => ({ authentication: 'private_key_jwt', jwks: { keys: [{ kty: 'EC', crv: 'P-256', x: 'x', y: 'y' }] } }), '/jwks/keys/0'],
    ['a null character in a key', () => ({ authentication: 'private_key_jwt', jwks: { keys: [{ ...jwk, kid: 'a\0b' }] } }), '/jwks/keys/0/kid'],
    ['a null character in an address', () => ({ authentication: 'private_key_jwt', jwksUri: 'https://a.example/\0' }), '/jwksUri'],
    ['keys in clear', () => ({ authentication: 'private_key_jwt', jwksUri: 'http://a.example/k' }), '/jwksUri'],
    ['keys at an address', () => ({ authentication: 'private_key_jwt', jwksUri: 'https://169.254.169.254/latest' }), '/jwksUri'],
    ['keys at home', () => ({ authentication: 'private_key_jwt', jwksUri: 'https://localhost/k' }), '/jwksUri'],
    ['a fingerprint that is none', () => ({ authentication: 'tls_client_auth', certificateSha256: 'zz' }), '/certificateSha256'],
    ['another way to sign in', () => ({ authentication: 'none' }), '/authentication'],
    ['no scope', () => ({ scopes: [] }), '/scopes'],
    ['an unknown scope', () => ({ scopes: ['world:rule'] }), '/scopes/0'],
    ['an address that is none', () => ({ addresses: ['10.0.0.0/33'] }), '/addresses/0'],
    ['a name of two lines', () => ({ name: 'a\nb' }), '/name'],
  ])('is not made with %s', async (_, body, pointer) => {
    const answer = await create(body());
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid-body' } });
    expect(answer.body.errors?.map((error) => error.pointer)).toContain(pointer);
  });

  it('gets no scope that its maker lacks, nor one that is for people', async () => {
    expect(await create({ scopes: ['users:write'] })).toMatchObject({ status: 403, body: { code: 'scope-not-held' } });
    expect((await create({ scopes: ['audit:read'] })).status).toBe(201);
    const narrow = (await signIn(house.url, undefined, undefined, 'oauth-clients:write images:read')).access_token;
    expect(await create({}, narrow)).toMatchObject({ status: 403, body: { code: 'scope-not-held' } });
    const made = await create({ scopes: ['results:read'] });
    // What it has may stay while somebody else edits it; more may not come.
    expect((await call(narrow, 'PATCH', `${clientsUrl}/${made.body.id}`, { scopes: ['results:read', 'images:read'] })).status).toBe(200);
    expect(await call(narrow, 'PATCH', `${clientsUrl}/${made.body.id}`, { scopes: ['results:read', 'models:read'] })).toMatchObject({ status: 403, body: { code: 'scope-not-held' } });
  });

  it('is changed by whoever has seen it, and deleted', async () => {
    const { body, headers } = await create();
    const url = `${clientsUrl}/${body.id}`;
    const etag = String(headers.get('etag'));
    const changed = await call<ClientBody>(token, 'PATCH', url, { name: 'Renamed', state: 'disabled' }, { 'if-match': etag });
    expect(changed).toMatchObject({ status: 200, body: { name: 'Renamed', state: 'disabled', scopes: BODY.scopes } });
    for (const [method, path] of [['PATCH', url], ['DELETE', url], ['POST', `${url}/secret`]] as const) {
      expect(await call(token, method, path, method === 'PATCH' ? { name: 'x' } : undefined, { 'if-match': etag })).toMatchObject({ status: 412, body: { code: 'precondition-failed' } });
    }
    expect(await call(token, 'PATCH', url, {})).toMatchObject({ status: 400 });
    expect(await call(token, 'PATCH', url, { authentication: 'tls_client_auth', name: 'x' })).toMatchObject({ status: 400, body: { errors: [{ pointer: '/authentication' }] } });
    expect((await call(token, 'DELETE', url, undefined, { 'if-match': String(changed.headers.get('etag')) })).status).toBe(204);
    expect(await call(token, 'GET', url)).toMatchObject({ status: 404, body: { code: 'oauth-client-not-found' } });
    expect((await call(token, 'DELETE', url)).status).toBe(404);
  });

  it('is for administrators, and nobody of another institution', async () => {
    const { body } = await create();
    for (const role of ['radiologist', 'technician', 'auditor', 'service']) {
      const { tokens } = await person(house, token, role);
      for (const [method, path] of [['GET', clientsUrl], ['GET', `${clientsUrl}/${body.id}`], ['POST', clientsUrl], ['PATCH', `${clientsUrl}/${body.id}`], ['DELETE', `${clientsUrl}/${body.id}`], ['POST', `${clientsUrl}/${body.id}/secret`]] as const) {
        expect((await call(tokens.access_token, method, path, method === 'GET' ? undefined : BODY)).status, `${role} ${method}`).toBe(403);
      }
    }
    const admin = await person(house, token, 'admin');
    expect((await create({}, admin.tokens.access_token)).status).toBe(201);
    await sql.query(`INSERT INTO institutions (id, name) VALUES ('0198c0de-0000-7000-8000-0000000000aa', 'Elsewhere')`);
    await sql.query(`UPDATE oauth_clients SET institution_id = '0198c0de-0000-7000-8000-0000000000aa' WHERE id = $1`, [body.id]);
    for (const [method, path] of [['GET', ''], ['PATCH', ''], ['DELETE', ''], ['POST', '/secret']] as const) {
      expect(await call(token, method, `${clientsUrl}/${body.id}${path}`, method === 'PATCH' ? { name: 'x' } : undefined), method).toMatchObject({ status: 404, body: { code: 'oauth-client-not-found' } });
    }
    const all = await call<{ items: ClientBody[] }>(token, 'GET', `${clientsUrl}?limit=200`);
    expect(all.body.items.map(({ id }) => id)).not.toContain(body.id);
  });

  it('comes in pages, and is made once under one Idempotency-Key', async () => {
    const first = await call<ClientBody>(token, 'POST', clientsUrl, BODY, { 'idempotency-key': 'client-1' });
    const again = await call<ClientBody>(token, 'POST', clientsUrl, BODY, { 'idempotency-key': 'client-1' });
    expect([again.body.id, again.body.clientSecret, again.headers.get('idempotency-replayed')]).toEqual([first.body.id, first.body.clientSecret, 'true']);
    const page = await call<{ items: ClientBody[]; nextCursor: string }>(token, 'GET', `${clientsUrl}?limit=1`);
    const next = await call<{ items: ClientBody[] }>(token, 'GET', `${clientsUrl}?limit=1&cursor=${page.body.nextCursor}`);
    expect(next.body.items[0]?.id).not.toBe(page.body.items[0]?.id);
  });

  it('gets a new secret, with which the old one is dead', async () => {
    const { body } = await create();
    const ask = (secret: string) => postForm(`${house.url}/oauth2/token`, { grant_type: 'client_credentials', client_id: body.id, client_secret: secret });
    expect((await ask(String(body.clientSecret))).status).toBe(200);
    const rotated = await call<{ clientId: string; clientSecret: string }>(token, 'POST', `${clientsUrl}/${body.id}/secret`);
    expect(rotated).toMatchObject({ status: 200, body: { clientId: body.id } });
    expect(rotated.headers.get('cache-control')).toBe('no-store');
    expect((await ask(String(body.clientSecret))).status).toBe(401);
    expect((await ask(rotated.body.clientSecret)).status).toBe(200);
    expect((await call<ClientBody>(token, 'GET', `${clientsUrl}/${body.id}`)).body.lastUsedAt).not.toBeNull();
  });
});
