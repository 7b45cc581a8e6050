import { createPublicKey, createVerify } from 'node:crypto';
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify, type JSONWebKeySet } from 'jose';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN } from '../../support/product.js';
import { call, openHouse, person, postForm, signIn, type House, type Tokens } from './house.js';

let house: House;
let token: string;
let sql: pg.Client;

beforeAll(async () => {
  house = await openHouse();
  sql = new pg.Client({ connectionString: house.database.url });
  await sql.connect();
  token = (await signIn(house.url)).access_token;
});
afterAll(async () => {
  await sql.end();
  await house.close();
});

const tokenUrl = (): string => `${house.url}/oauth2/token`;
const refresh = (refreshToken: string, more: Record<string, string> = {}) => postForm(tokenUrl(), { grant_type: 'refresh_token', refresh_token: refreshToken, ...more });

describe('the password grant', () => {
  it('answers as RFC 6749 asks, with a token that another library verifies by the published keys', async () => {
    const { status, headers, body } = await postForm(tokenUrl(), { grant_type: 'password', username: ADMIN.email.toUpperCase(), password: ADMIN.password });
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toBe('no-store');
    const tokens = body as Tokens;
    expect(tokens).toMatchObject({ token_type: 'Bearer', expires_in: 900 });
    const jwks = await call<JSONWebKeySet>(undefined, 'GET', `${house.url}/.well-known/jwks.json`);
    const { payload, protectedHeader } = await jwtVerify(tokens.access_token, createLocalJWKSet(jwks.body), { issuer: 'healthvision', audience: 'healthvision', algorithms: ['ES256'] });
    expect(payload).toMatchObject({ sub: house.administrator.userId, institution_id: house.administrator.institutionId, role: 'platform-admin', scope: tokens.scope });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(900);
    expect(payload.jti).toMatch(/^[0-9a-f-]{36}$/);
    expect(protectedHeader).toMatchObject({ alg: 'ES256', kid: jwks.body.keys[0]?.kid });
    expect(JSON.stringify(jwks.body)).not.toContain('"d"');
    // And by Node itself, without any JOSE library.
    const [head = '', claims = '', signature = ''] = tokens.access_token.split('.');
    const key = createPublicKey({ key: { ...jwks.body.keys[0] }, format: 'jwk' });
    expect(createVerify('sha256').update(`${head}.${claims}`).verify({ key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'))).toBe(true);
  });

  it('narrows the scope to what is asked for', async () => {
    const tokens = await signIn(house.url, ADMIN.email, ADMIN.password, ' users:read images:read users:read');
    expect(tokens.scope).toBe('users:read images:read');
    expect((await call(tokens.access_token, 'GET', `${house.url}/api/v1/users`)).status).toBe(200);
    const refused = await call(tokens.access_token, 'GET', `${house.url}/api/v1/institutions`);
    expect(refused).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect(refused.headers.get('www-authenticate')).toContain('error="insufficient_scope", scope="institutions:read"');
  });

  it('takes an empty scope, as browsers send it, for none', async () => {
    expect((await signIn(house.url, ADMIN.email, ADMIN.password, '')).scope.split(' ').length).toBeGreaterThan(15);
  });

  it.each<[string, Record<string, string> | string, number, string]>([
    ['no grant type', { username: 'x' }, 400, 'invalid_request'],
    ['an empty body', '', 400, 'invalid_request'],
    ['no user name', { grant_type: 'password', password: 'x' }, 400, 'invalid_request'],
    ['no password', { grant_type: 'password', username: 'x' }, 400, 'invalid_request'],
    ['no refresh token', { grant_type: 'refresh_token' }, 400, 'invalid_request'],
    ['a parameter sent twice', 'grant_type=password&grant_type=password&username=a&password=b', 400, 'invalid_request'],
    ['a grant of another kind', { grant_type: 'authorization_code', code: 'x' }, 400, 'unsupported_grant_type'],
    ['an unknown account', { grant_type: 'password', username: 'nobody@hospital.test', password: 'x' }, 400, 'invalid_grant'],
    ['a wrong password', { grant_type: 'password', username: ADMIN.email, password: 'x' }, 400, 'invalid_grant'],
    ['a null character', 'grant_type=password&username=a%00b&password=a%00b', 400, 'invalid_grant'],
    ['a scope that is not held', { grant_type: 'password', username: ADMIN.email, password: ADMIN.password, scope: 'world:rule' }, 400, 'invalid_scope'],
    ['a client secret', { grant_type: 'password', username: ADMIN.email, password: ADMIN.password, client_id: 'a', client_secret: 'b' }, 401, 'invalid_client'],
    ['an invented refresh token', { grant_type: 'refresh_token', refresh_token: 'hvr_invented' }, 400, 'invalid_grant'],
  ])('refuses %s', async (_, form, status, error) => {
    const answer = await postForm(tokenUrl(), form);
    expect(answer).toMatchObject({ status, body: { error } });
    expect((answer.body as { error_description: string }).error_description).not.toBe('');
    expect(Object.keys(answer.body as object).sort()).toEqual(['error', 'error_description']);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('content-type')).toContain('application/json');
    expect(answer.headers.get('www-authenticate') !== null).toBe(status === 401);
  });

  it('refuses JSON, and clients that name themselves in the header', async () => {
    const json = await fetch(tokenUrl(), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ grant_type: 'password', username: ADMIN.email, password: ADMIN.password }) });
    expect([json.status, await json.json()]).toMatchObject([400, { error: 'invalid_request' }]);
    const basic = await postForm(tokenUrl(), { grant_type: 'password', username: ADMIN.email, password: ADMIN.password }, { authorization: `Basic ${btoa('a:b')}` });
    expect(basic).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
    // What Swagger UI sends for a client without a name.
    const empty = await postForm(tokenUrl(), { grant_type: 'password', username: ADMIN.email, password: ADMIN.password }, { authorization: `Basic ${btoa(':')}` });
    expect(empty.status).toBe(200);
  });

  it('keeps out for a while who was wrong five times, even with the right password, and says nothing about it', async () => {
    const { email, password, id } = await person(house, token, 'technician');
    const attempt = (guess: string) => postForm(tokenUrl(), { grant_type: 'password', username: email, password: guess });
    const place = async (): Promise<{ failures: number; seconds: number }> => (await sql.query<{ failures: number; seconds: number }>(
      'SELECT failures, coalesce(extract(epoch FROM locked_until - now()), 0)::float8 AS seconds FROM sign_in_places WHERE user_id = $1', [id])).rows[0] ?? { failures: -1, seconds: -1 };
    const unlock = () => sql.query("UPDATE sign_in_places SET locked_until = now() - interval '1 second' WHERE user_id = $1", [id]);
    const guesses = await Promise.all(Array.from({ length: 12 }, (_, index) => attempt(`guess ${String(index)}`)));
    expect(guesses.map(({ status }) => status)).toEqual(Array.from({ length: 12 }, () => 400));
    // Sent all at once, still only five were tried.
    expect((await place()).failures).toBe(5);
    const locked = await attempt(password);
    const unknown = await postForm(tokenUrl(), { grant_type: 'password', username: 'nobody@hospital.test', password });
    expect(locked.body).toEqual(guesses[0]?.body);
    expect(unknown.body).toEqual(guesses[0]?.body);
    await unlock();
    expect((await attempt('again wrong')).status).toBe(400);
    expect((await place()).seconds).toBeGreaterThan(55);
    expect((await place()).seconds).toBeLessThanOrEqual(60);
    await unlock();
    expect((await attempt(password)).status).toBe(200);
    expect(await place()).toEqual({ failures: 0, seconds: 0 });
  });

  it('lets nobody be kept out by strangers who guess from elsewhere, and those guess ever more slowly', async () => {
    const { url } = await house.neighbour({ TRUST_PROXY: 'true' });
    const { email, password, id } = await person(house, token, 'technician');
    const from = async (address: string, guess: string): Promise<number> => (await postForm(`${url}/oauth2/token`, { grant_type: 'password', username: email, password: guess }, { 'x-forwarded-for': address })).status;
    const tried = async (): Promise<number> => Number((await sql.query<{ sum: string }>('SELECT sum(failures) FROM sign_in_places WHERE user_id = $1', [id])).rows[0]?.sum);
    // One stranger: locked out themselves, and nobody else, not even at a place that is new.
    await Promise.all(Array.from({ length: 8 }, () => from('192.0.2.1', 'guess')));
    expect(await from('192.0.2.1', password)).toBe(400);
    expect(await from('192.0.2.2', password)).toBe(200);
    // From the fiftieth guess of a day on strangers wait together.
    await sql.query(`INSERT INTO sign_in_places (institution_id, user_id, address, failures, last_failed_at) SELECT institution_id, id, '198.51.100.1', 48, now() FROM users WHERE id = $1`, [id]);
    const after = await tried();
    expect(after).toBeGreaterThanOrEqual(50);
    expect(await from('203.0.113.1', 'guess')).toBe(400);
    expect(await tried()).toBe(after);
    expect(await from('203.0.113.1', password)).toBe(400);
    expect(await from('192.0.2.2', password)).toBe(200);
    // Their wait is of seconds.
    await sql.query("UPDATE sign_in_places SET last_failed_at = last_failed_at - interval '61 seconds' WHERE user_id = $1", [id]);
    expect(await from('203.0.113.1', password)).toBe(200);
  });

  it('lets one person sign in many times at once', async () => {
    const { email, password } = await person(house, token, 'technician');
    const tokens = await Promise.all(Array.from({ length: 8 }, () => signIn(house.url, email, password)));
    expect(new Set(tokens.map(({ refresh_token }) => refresh_token)).size).toBe(8);
  });
});

describe('the refresh grant', () => {
  it('gives a new pair, narrows the access token only, and never lets a token work twice', async () => {
    const first = await signIn(house.url);
    const second = (await refresh(first.refresh_token, { scope: 'users:read' })).body as Tokens;
    expect(second.scope).toBe('users:read');
    expect(decodeJwt(second.access_token).scope).toBe('users:read');
    const third = (await refresh(second.refresh_token)).body as Tokens;
    expect(third.scope).toBe(first.scope);
    expect((await refresh(first.refresh_token)).body).toMatchObject({ error: 'invalid_grant' });
    // The one that came twice ended its whole family.
    expect((await refresh(third.refresh_token)).body).toMatchObject({ error: 'invalid_grant' });
  });

  it('of many uses at once exactly one wins', async () => {
    const { tokens } = await person(house, token, 'radiologist');
    const answers = await Promise.all(Array.from({ length: 8 }, () => refresh(tokens.refresh_token)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 400)).toHaveLength(7);
    const winner = answers.find(({ status }) => status === 200)?.body as Tokens;
    expect((await refresh(winner.refresh_token)).status).toBe(400);
  });

  it('a refused scope costs no token', async () => {
    const { refresh_token } = await signIn(house.url, ADMIN.email, ADMIN.password, 'users:read');
    expect((await refresh(refresh_token, { scope: 'users:write' })).body).toMatchObject({ error: 'invalid_scope' });
    expect((await refresh(refresh_token, { scope: 'users:read' })).status).toBe(200);
  });

  it('keeps no token in clear and refuses an expired one', async () => {
    const { tokens, id } = await person(house, token, 'technician');
    const { rows } = await sql.query('SELECT * FROM refresh_tokens WHERE user_id = $1', [id]);
    expect(JSON.stringify(rows)).not.toContain(tokens.refresh_token.slice(4));
    await sql.query("UPDATE refresh_tokens SET expires_at = now() - interval '1 second' WHERE user_id = $1", [id]);
    expect((await refresh(tokens.refresh_token)).body).toMatchObject({ error: 'invalid_grant' });
  });

  it('follows a demotion', async () => {
    const { tokens, id } = await person(house, token, 'radiologist');
    await call(token, 'PATCH', `${house.url}/api/v1/users/${id}`, { role: 'auditor' });
    const next = (await refresh(tokens.refresh_token)).body as Tokens;
    // What both roles have.
    expect(next.scope).toBe('break-glass:use');
  });
});

describe('revocation', () => {
  it('ends the whole sign-in, and is silent about tokens that nobody knows', async () => {
    const first = await signIn(house.url);
    const second = (await refresh(first.refresh_token)).body as Tokens;
    const other = await signIn(house.url);
    const revoked = await postForm(`${house.url}/oauth2/revoke`, { token: first.refresh_token, token_type_hint: 'refresh_token' });
    expect(revoked).toMatchObject({ status: 200, body: null });
    expect((await refresh(second.refresh_token)).status).toBe(400);
    expect((await refresh(other.refresh_token)).status).toBe(200);
    expect((await postForm(`${house.url}/oauth2/revoke`, { token: 'hvr_unknown' })).status).toBe(200);
  });

  it('refuses an access token, nothing at all, and strange clients', async () => {
    const post = (form: Record<string, string>) => postForm(`${house.url}/oauth2/revoke`, form);
    expect(await post({ token })).toMatchObject({ status: 400, body: { error: 'unsupported_token_type' } });
    expect(await post({})).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
    expect(await post({ token: 'x', client_secret: 'y' })).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
  });
});

describe('discovery', () => {
  it('names endpoints that are there', async () => {
    const { body } = await call<Record<string, string>>(undefined, 'GET', `${house.url}/.well-known/openid-configuration`);
    expect(body).toMatchObject({ issuer: 'healthvision', token_endpoint: `${house.url}/oauth2/token`, jwks_uri: `${house.url}/.well-known/jwks.json`, id_token_signing_alg_values_supported: ['ES256'] });
    expect((await fetch(String(body.jwks_uri))).status).toBe(200);
  });

  it('carries the public URL where there is one', async () => {
    const neighbour = await house.neighbour({ PUBLIC_URL: 'https://hv.hospital.test/' });
    const { body } = await call<Record<string, string>>(undefined, 'GET', `${neighbour.url}/.well-known/openid-configuration`);
    expect(body).toMatchObject({ issuer: 'https://hv.hospital.test', token_endpoint: 'https://hv.hospital.test/oauth2/token' });
    const tokens = await signIn(neighbour.url);
    expect(decodeJwt(tokens.access_token).iss).toBe('https://hv.hospital.test');
    expect((await call(tokens.access_token, 'GET', `${neighbour.url}/api/v1/users/me`)).status).toBe(200);
    // Another issuer's token, though the key is the same.
    expect((await call(tokens.access_token, 'GET', `${house.url}/api/v1/users/me`)).status).toBe(401);
  });
});

describe('signing keys', () => {
  it('are sealed, one for all processes; a process with another master key makes its own, and both are trusted', async () => {
    const { rows } = await sql.query<{ private_jwk: object }>('SELECT private_jwk FROM signing_keys');
    expect(rows).toHaveLength(1);
    expect(Object.keys(rows[0]?.private_jwk ?? {})).toEqual(['sealed']);
    // It cannot open the key of the audit trail either, which refuses everything unless events may wait.
    const otherKey = { MASTER_KEY: Buffer.alloc(32, 9).toString('base64') };
    const refusing = await house.neighbour(otherKey);
    expect((await call(token, 'GET', `${refusing.url}/api/v1/users/me`)).status).toBe(503);
    const stranger = await house.neighbour({ ...otherKey, AUDIT_FAILURE: 'queue' });
    const theirs = (await signIn(stranger.url)).access_token;
    expect(decodeProtectedHeader(theirs).kid).not.toBe(decodeProtectedHeader(token).kid);
    expect((await call(token, 'GET', `${stranger.url}/api/v1/users/me`)).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect((await call(theirs, 'GET', `${house.url}/api/v1/users/me`)).status).toBe(200);
  });
});
