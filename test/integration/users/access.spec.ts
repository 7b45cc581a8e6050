import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { SigningKeysService, type SigningKey } from '../../../src/modules/users/signing-keys.service.js';
import { Database } from '../../../src/platform/database/database.js';
import { eventually } from '../../support/product.js';
import { call, openHouse, person, signIn, type House } from './house.js';

let house: House;
let token: string;
let key: SigningKey;

beforeAll(async () => {
  house = await openHouse();
  token = (await signIn(house.url)).access_token;
  key = await house.app.get(SigningKeysService).current();
});
afterAll(async () => { await house.close(); });

const me = (credential: string | undefined, headers: Record<string, string> = {}) => call(credential, 'GET', `${house.url}/api/v1/users/me`, undefined, headers);
const base64url = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const seconds = (): number => Math.floor(Date.now() / 1000);

/** A token as our own issuer would make it, changed where a test says so; written by hand, so that it can be wrong. */
function forge({ header = {}, claims = {}, privateKey = key.privateKey }: { header?: object; claims?: object; privateKey?: KeyObject } = {}): string {
  const text = `${base64url({ alg: 'ES256', typ: 'at+jwt', kid: key.kid, ...header })}.${base64url({
    iss: 'healthvision', aud: 'healthvision', sub: house.administrator.userId, institution_id: house.administrator.institutionId, role: 'platform-admin', scope: 'users:read',
    jti: 'x', iat: seconds(), exp: seconds() + 60, ...claims,
  })}`;
  return `${text}.${sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

const without = (name: string): object => ({ [name]: undefined });

describe('an access token', () => {
  it('made by hand with the right key and claims is good, so the forgeries below fail for the reason they name', async () => {
    expect((await me(forge())).status).toBe(200);
  });

  it.each<[string, () => string]>([
    ['without a signature', () => { const [header, claims] = forge().split('.'); return `${String(header)}.${String(claims)}.`; }],
    ['with alg none', () => `${base64url({ alg: 'none', typ: 'JWT' })}.${String(forge().split('.')[1])}.`],
    ['with alg none and our key id', () => `${base64url({ alg: 'none', kid: key.kid })}.${String(forge().split('.')[1])}.`],
    ['with HS256 keyed by the public key', () => forge({ header: { alg: 'HS256' } })],
    ['signed by another key under our id', () => forge({ privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey })],
    ['with an unknown key id', () => forge({ header: { kid: 'nobody' } })],
    ['without a key id', () => forge({ header: without('kid') })],
    ['that brings its own key', () => { const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' }); return forge({ header: { kid: undefined, jwk: pair.publicKey.export({ format: 'jwk' }) }, privateKey: pair.privateKey }); }],
    ['whose claims were changed', () => { const [header, , signature] = forge().split('.'); return `${String(header)}.${String(forge({ claims: { role: 'admin' } }).split('.')[1])}.${String(signature)}`; }],
    ['that expired', () => forge({ claims: { exp: seconds() - 1 } })],
    ['that never expires', () => forge({ claims: without('exp') })],
    ['that is not valid yet', () => forge({ claims: { nbf: seconds() + 60 } })],
    ['for another audience', () => forge({ claims: { aud: 'somebody-else' } })],
    ['without an audience', () => forge({ claims: without('aud') })],
    ['of another issuer', () => forge({ claims: { iss: 'https://evil.example' } })],
    ['of an unknown user', () => forge({ claims: { sub: '0198c0de-0000-7000-8000-000000000000' } })],
    ['whose user is no UUID', () => forge({ claims: { sub: "' OR 1=1 --" } })],
    ['of another institution', () => forge({ claims: { institution_id: '0198c0de-0000-7000-8000-000000000000' } })],
    ['without a scope', () => forge({ claims: without('scope') })],
    ['that is an API key', () => 'hv_'],
    ['that is no token', () => 'a.b.c'],
    ['that is endless', () => 'x'.repeat(8_000)],
  ])('%s is refused', async (_, make) => {
    const { status, headers, body } = await call(undefined, 'GET', `${house.url}/api/v1/users/me`, undefined, { authorization: `Bearer ${make()}` });
    expect({ status, body }).toMatchObject({ status: 401, body: { code: 'unauthenticated', status: 401 } });
    expect(headers.get('content-type')).toContain('application/problem+json');
    expect(headers.get('www-authenticate')).toBe('Bearer realm="healthvision", error="invalid_token"');
  });

  it.each<[string, Record<string, string>, number]>([
    ['nothing', {}, 401],
    ['another scheme', { authorization: 'Basic YTpi' }, 401],
    ['a scheme without a token', { authorization: 'Bearer' }, 401],
    ['an empty header', { authorization: '' }, 401],
    ['an empty key', { 'x-api-key': '' }, 401],
    ['a token and a key', { 'authorization': 'Bearer x', 'x-api-key': 'hv_x' }, 400],
  ])('%s is no authentication', async (_, headers, status) => {
    const answer = await me(undefined, headers);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('www-authenticate')?.startsWith('Bearer realm="healthvision"') ?? false).toBe(status === 401);
  });
});

describe('permissions', () => {
  it('are denied by default: a route that declares nothing refuses even the platform administrator', async () => {
    expect((await call(undefined, 'GET', `${house.url}/probe/undeclared`)).status).toBe(401);
    const { status, body } = await call(token, 'GET', `${house.url}/probe/undeclared`);
    expect({ status, body }).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  });

  it('are not asked for on a public route, even with a broken token', async () => {
    expect((await call('broken', 'GET', `${house.url}/probe/public`)).status).toBe(200);
  });

  it('follow the role at once: what a token was given is cut to what the role may do now', async () => {
    const { id, tokens } = await person(house, token, 'admin');
    expect((await call(tokens.access_token, 'GET', `${house.url}/api/v1/users`)).status).toBe(200);
    await call(token, 'PATCH', `${house.url}/api/v1/users/${id}`, { role: 'technician' });
    expect((await call(tokens.access_token, 'GET', `${house.url}/api/v1/users`)).status).toBe(403);
    expect((await me(tokens.access_token)).body.role).toBe('technician');
  });
});

describe('a disabled user', () => {
  it('is cut off at once here, and within a minute in another process', async () => {
    const neighbour = await house.neighbour();
    const { id, tokens } = await person(house, token, 'technician');
    const there = () => call(tokens.access_token, 'GET', `${neighbour.url}/api/v1/users/me`);
    expect((await there()).status).toBe(200);
    const disabledAt = Date.now();
    expect((await call(token, 'DELETE', `${house.url}/api/v1/users/${id}`)).status).toBe(204);
    expect((await me(tokens.access_token)).status).toBe(401);
    await eventually('the neighbour to refuse', async () => (await there()).status === 401, 45_000);
    expect(Date.now() - disabledAt).toBeLessThan(30_000);
  });

  it('comes back without the old sign-ins', async () => {
    const { id, email, password, tokens } = await person(house, token, 'technician');
    await call(token, 'DELETE', `${house.url}/api/v1/users/${id}`);
    await expect(signIn(house.url, email, password)).rejects.toThrow(/invalid_grant/);
    await call(token, 'PATCH', `${house.url}/api/v1/users/${id}`, { state: 'active' });
    await expect(signIn(house.url, email, password)).resolves.toBeDefined();
    const again = await fetch(`${house.url}/oauth2/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: tokens.refresh_token }) });
    expect(again.status).toBe(400);
  });
});

describe('the guard', () => {
  it('asks the database nothing for a token that it has just seen', async () => {
    const { tokens } = await person(house, token, 'technician');
    const refused = (credential: string) => call(credential, 'GET', `${house.url}/api/v1/users`);
    expect((await refused(tokens.access_token)).status).toBe(403);
    const reads = vi.spyOn(house.app.get(Database), 'read');
    for (let index = 0; index < 50; index++) expect((await refused(tokens.access_token)).status).toBe(403);
    // Others of the process read for their own ends.
    expect(reads.mock.calls.filter(([, { sql }]) => /\b(users|sign_in_sessions|institutions)\b/.test(sql))).toEqual([]);
    reads.mockRestore();
  });

  it('does not take the database’s trouble for a bad token', async () => {
    const neighbour = await house.neighbour();
    const sql = new pg.Client({ connectionString: house.database.url });
    await sql.connect();
    await sql.query('ALTER TABLE signing_keys RENAME TO lost_keys');
    const there = () => call(token, 'GET', `${neighbour.url}/api/v1/users/me`);
    const during = await there();
    await sql.query('ALTER TABLE lost_keys RENAME TO signing_keys');
    await sql.end();
    expect(during).toMatchObject({ status: 500, body: { code: 'internal' } });
    expect((await there()).status).toBe(200);
  });
});
