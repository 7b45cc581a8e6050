import { generate } from 'otplib';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PrincipalsService } from '../../../src/modules/users/principals.service.js';
import { ADMIN } from '../../support/product.js';
import { call, openHouse, person, signIn, type House } from './house.js';

interface SessionAnswer { user: { id: string; email: string }; csrfToken: string; secondFactorRequired: boolean }

let house: House;
let token: string;
let sql: pg.Client;

beforeAll(async () => {
  house = await openHouse();
  token = (await signIn(house.url)).access_token;
  sql = new pg.Client({ connectionString: house.database.url });
  await sql.connect();
});
afterAll(async () => {
  await sql.end();
  await house.close();
});

const session = (url = house.url): string => `${url}/session`;
const open = (body: unknown = ADMIN, headers: Record<string, string> = {}, url?: string) => call<SessionAnswer>(undefined, 'POST', session(url), body, headers);
const cookiesOf = (headers: Headers): Map<string, string> => new Map(headers.getSetCookie().map((line) => { const [pair = ''] = line.split(';'); const at = pair.indexOf('='); return [pair.slice(0, at), pair.slice(at + 1)]; }));
const form = (fields: Record<string, string>, headers: Record<string, string> = {}) => fetch(session(), { method: 'POST', body: new URLSearchParams(fields), redirect: 'manual', headers });

async function browser(credentials: { email: string; password: string } = ADMIN): Promise<{ cookie: string; secret: string; csrf: string }> {
  const { headers, body } = await open({ email: credentials.email, password: credentials.password });
  const secret = cookiesOf(headers).get('hv_session') ?? '';
  return { cookie: `hv_session=${secret}; hv_csrf=${cookiesOf(headers).get('hv_csrf') ?? ''}`, secret, csrf: body.csrfToken };
}

describe('a page’s sign-in', () => {
  it('sets a cookie that no script reads, and a token that ours do', async () => {
    const { status, headers, body } = await open();
    expect({ status, body }).toMatchObject({ status: 200, body: { user: { id: house.administrator.userId, email: ADMIN.email }, secondFactorRequired: false } });
    const [sessionCookie = '', csrfCookie = ''] = headers.getSetCookie();
    expect(sessionCookie).toMatch(/^hv_session=[\w-]{43}; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/);
    expect(csrfCookie).toBe(`hv_csrf=${body.csrfToken}; Max-Age=43200; Path=/; SameSite=Strict`);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(JSON.stringify(body)).not.toContain(cookiesOf(headers).get('hv_session'));
  });

  it('is Secure behind TLS', async () => {
    const neighbour = await house.neighbour({ PUBLIC_URL: 'https://imaging.hospital.test' });
    for (const line of (await open(ADMIN, {}, neighbour.url)).headers.getSetCookie()) expect(line).toContain('; Secure');
    const proxied = await house.neighbour({ TRUST_PROXY: 'true' });
    for (const line of (await open(ADMIN, { 'x-forwarded-proto': 'https' }, proxied.url)).headers.getSetCookie()) expect(line).toContain('; Secure');
  });

  it('authenticates calls of the API like a token', async () => {
    const { cookie, csrf } = await browser();
    expect((await call(undefined, 'GET', `${house.url}/api/v1/users/me`, undefined, { cookie })).body).toMatchObject({ email: ADMIN.email, permissions: expect.arrayContaining(['users:write', 'institutions:create']) as unknown });
    expect((await call(undefined, 'GET', session(), undefined, { cookie })).body).toMatchObject({ user: { email: ADMIN.email }, csrfToken: csrf });
    expect((await call(undefined, 'GET', `${house.url}/api/v1/users/me`)).status).toBe(401);
  });

  it('needs the token for every call that changes something', async () => {
    const { cookie, csrf } = await browser();
    const other = await browser();
    const add = (headers: Record<string, string>) => call(undefined, 'POST', `${house.url}/api/v1/institutions`, { name: 'By a page' }, { cookie, ...headers });
    for (const headers of [{}, { 'x-csrf-token': '' }, { 'x-csrf-token': 'x'.repeat(43) }, { 'x-csrf-token': other.csrf }, { 'x-csrf-token': csrf.slice(0, -1) }, { 'x-csrf-token': `${csrf}, ${csrf}` }]) {
      expect(await add(headers), JSON.stringify(headers)).toMatchObject({ status: 403, body: { code: 'csrf-token-invalid' } });
    }
    for (const method of ['PATCH', 'DELETE', 'PUT']) expect([403, 404]).toContain((await call(undefined, method, `${house.url}/api/v1/users/${house.administrator.userId}`, method === 'PATCH' ? { displayName: 'x' } : undefined, { cookie })).status);
    expect((await add({ 'x-csrf-token': csrf })).status).toBe(201);
  });

  it('is not asked for the token where a header authenticates: no page of another origin can set one', async () => {
    const { cookie } = await browser();
    expect((await call(token, 'POST', `${house.url}/api/v1/institutions`, { name: 'By a token' }, { cookie })).status).toBe(201);
    // And a cookie does not help a bad token.
    expect((await call('x.y.z', 'GET', `${house.url}/api/v1/users/me`, undefined, { cookie })).status).toBe(401);
  });

  it('is refused when it is forged, ended, or of nobody', async () => {
    const { cookie, secret, csrf } = await browser();
    for (const forged of ['', 'x', 'x'.repeat(43), `${secret}x`, secret.slice(1), encodeURIComponent("' OR 1=1 --")]) expect((await call(undefined, 'GET', `${house.url}/api/v1/users/me`, undefined, { cookie: `hv_session=${forged}` })).status, forged).toBe(401);
    expect((await call(undefined, 'DELETE', session(), undefined, { cookie })).status).toBe(403);
    const ended = await call(undefined, 'DELETE', session(), undefined, { cookie, 'x-csrf-token': csrf });
    expect(ended.status).toBe(204);
    expect(ended.headers.getSetCookie().join('\n')).toMatch(/hv_session=;.*Expires=Thu, 01 Jan 1970[\s\S]*hv_csrf=;/);
    expect((await call(undefined, 'GET', `${house.url}/api/v1/users/me`, undefined, { cookie })).status).toBe(401);
  });

  it('lies in the database as a digest only', async () => {
    const { secret, csrf } = await browser();
    const { rows } = await sql.query<{ row: string }>('SELECT s::text AS row FROM sign_in_sessions s');
    expect(rows.length).toBeGreaterThan(0);
    expect(JSON.stringify(rows)).not.toContain(secret);
    expect(JSON.stringify(rows)).not.toContain(csrf);
  });

  it('ends after an hour without a call, and after twelve in any case', async () => {
    const fresh = async (change: string): Promise<number> => {
      const { cookie, secret } = await browser();
      await sql.query(`UPDATE sign_in_sessions SET ${change} WHERE secret_hash = encode(sha256($1::bytea), 'hex')`, [secret]);
      house.app.get(PrincipalsService).forgetPeople();
      return (await call(undefined, 'GET', `${house.url}/api/v1/users/me`, undefined, { cookie })).status;
    };
    expect([await fresh("last_seen_at = now() - interval '59 minutes'"), await fresh("last_seen_at = now() - interval '61 minutes'"), await fresh('expires_at = now()')]).toEqual([200, 401, 401]);
    const { rows } = await sql.query<{ hours: number }>("SELECT DISTINCT round(extract(epoch FROM expires_at - created_at) / 3600)::int AS hours FROM sign_in_sessions WHERE kind = 'cookie' AND expires_at > now() + interval '1 hour'");
    expect(rows).toEqual([{ hours: 12 }]);
  });

  it('is a new one each time, whatever cookie came along, and the old one of this browser ends', async () => {
    const planted = 'A'.repeat(43);
    const first = await open(ADMIN, { cookie: `hv_session=${planted}` });
    expect(cookiesOf(first.headers).get('hv_session')).not.toBe(planted);
    const cookie = `hv_session=${cookiesOf(first.headers).get('hv_session') ?? ''}`;
    const second = await open(ADMIN, { cookie });
    expect(cookiesOf(second.headers).get('hv_session')).not.toBe(cookiesOf(first.headers).get('hv_session'));
    expect((await call(undefined, 'GET', session(), undefined, { cookie })).status).toBe(401);
    expect((await call(undefined, 'GET', session(), undefined, { cookie: `hv_session=${planted}` })).status).toBe(401);
  });

  it('takes no sign-in that a page of another site sends', async () => {
    const other = { status: 403, body: { code: 'csrf-token-invalid' } };
    expect(await open(ADMIN, { 'sec-fetch-site': 'cross-site' })).toMatchObject(other);
    expect(await open(ADMIN, { 'sec-fetch-site': 'same-site' })).toMatchObject(other);
    expect(await open(ADMIN, { origin: 'https://evil.example' })).toMatchObject(other);
    expect(await open(ADMIN, { origin: 'null' })).toMatchObject(other);
    expect((await open(ADMIN, { 'sec-fetch-site': 'same-origin', 'origin': house.url })).status).toBe(200);
    expect((await open(ADMIN, { origin: house.url })).status).toBe(200);
    const proxied = await house.neighbour({ PUBLIC_URL: 'https://imaging.hospital.test/app' });
    expect((await open(ADMIN, { origin: 'https://imaging.hospital.test' }, proxied.url)).status).toBe(200);
    expect((await open(ADMIN, { origin: 'https://imaging.hospital.test.evil.example' }, proxied.url)).status).toBe(403);
  });

  it.each([
    [{ email: ADMIN.email, password: 'wrong' }, 401, 'invalid-credentials'],
    [{ email: 'nobody@hospital.test', password: ADMIN.password }, 401, 'invalid-credentials'],
    [{ email: "' OR 1=1 --", password: 'x' }, 401, 'invalid-credentials'],
    [{ email: 'nul\0', password: 'x' }, 401, 'invalid-credentials'],
    [{ email: ADMIN.email }, 400, 'invalid-body'],
    [{ ...ADMIN, role: 'platform-admin' }, 400, 'invalid-body'],
    [{ email: [ADMIN.email], password: ADMIN.password }, 400, 'invalid-body'],
    [{ ...ADMIN, otp: 'x'.repeat(3_000) }, 400, 'invalid-body'],
  ])('is not begun by %j', async (body, status, code) => {
    const answer = await open(body);
    expect(answer).toMatchObject({ status, body: { code } });
    expect(answer.headers.getSetCookie()).toEqual([]);
  });

  it('asks for the code of a second factor, and counts wrong ones', async () => {
    const { email, password, tokens } = await person(house, token, 'radiologist');
    const started = await call<{ secret: string }>(tokens.access_token, 'POST', `${house.url}/api/v1/users/me/second-factor`);
    await call(tokens.access_token, 'POST', `${house.url}/api/v1/users/me/second-factor/confirm`, { code: await generate({ secret: started.body.secret }) });
    expect(await open({ email, password })).toMatchObject({ status: 401, body: { code: 'second-factor-missing' } });
    expect(await open({ email, password, otp: '' })).toMatchObject({ status: 401, body: { code: 'second-factor-missing' } });
    expect(await open({ email, password, otp: 'abcdef' })).toMatchObject({ status: 401, body: { code: 'invalid-credentials' } });
    const next = await generate({ secret: started.body.secret, epoch: Math.floor(Date.now() / 1000) + 30 });
    const { status, headers } = await open({ email, password, otp: next });
    expect(status).toBe(200);
    const cookie = `hv_session=${cookiesOf(headers).get('hv_session') ?? ''}`;
    expect((await call<{ items: unknown[] }>(undefined, 'GET', `${house.url}/api/v1/users/me/sessions`, undefined, { cookie })).body.items).toContainEqual(expect.objectContaining({ kind: 'cookie', secondFactor: true, current: true }));
  });
});

describe('a form', () => {
  it('leads on to a path of ours', async () => {
    const to = async (next?: string): Promise<string | null> => {
      const response = await form({ email: ADMIN.email, password: ADMIN.password, otp: '', ...(next !== undefined && { next }) });
      expect(response.status).toBe(303);
      return response.headers.get('location');
    };
    expect(await to()).toBe('/');
    expect(await to('/account')).toBe('/account');
    for (const next of ['https://evil.example', '//evil.example', '/\\evil.example', 'javascript:alert(1)', '/\r\nSet-Cookie: a=b']) expect(await to(next), next).toBe('/');
  });

  it('leads back with what is wrong, and says nothing of the password', async () => {
    const response = await form({ email: ADMIN.email, password: 'secret-and-wrong', next: '/account' });
    expect([response.status, response.headers.get('location')]).toEqual([303, '/login?fault=refused&next=%2Faccount']);
    expect(response.headers.getSetCookie()).toEqual([]);
  });

  it('signs out with its token', async () => {
    const { cookie, csrf } = await browser();
    const end = (fields: Record<string, string>) => fetch(`${session()}/end`, { method: 'POST', body: new URLSearchParams(fields), redirect: 'manual', headers: { cookie } });
    expect((await end({ csrfToken: 'x' })).status).toBe(403);
    expect((await end({})).status).toBe(400);
    const ended = await end({ csrfToken: csrf });
    expect([ended.status, ended.headers.get('location')]).toEqual([303, '/login?ended=1']);
    expect((await call(undefined, 'GET', session(), undefined, { cookie })).status).toBe(401);
  });
});
