import { decodeJwt } from 'jose';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { eventually } from '../../support/product.js';
import { call, openHouse, person, postForm, signIn, type House, type Tokens } from './house.js';

interface SessionBody { id: string; kind: string; address: string; userAgent: string; current: boolean; secondFactor: boolean }

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

const users = (path: string): string => `${house.url}/api/v1/users/${path}`;
const sid = ({ access_token: accessToken }: Tokens): string => String(decodeJwt(accessToken).sid);
const list = async (credential: string, path = 'me/sessions'): Promise<SessionBody[]> => (await call<{ items: SessionBody[] }>(credential, 'GET', users(path))).body.items;
const status = async (tokens: Tokens): Promise<number> => (await call(tokens.access_token, 'GET', users('me'))).status;
const refresh = (tokens: Tokens) => postForm(`${house.url}/oauth2/token`, { grant_type: 'refresh_token', refresh_token: tokens.refresh_token });

describe('sign-ins', () => {
  it('are listed with where they come from, and the one that asks is marked', async () => {
    const { email, password, tokens } = await person(house, token, 'radiologist');
    const { body } = await postForm(`${house.url}/oauth2/token`, { grant_type: 'password', username: email, password }, { 'user-agent': 'Reading room 3' });
    const items = await list(tokens.access_token);
    expect(items.map((item) => item.id)).toEqual([sid(tokens), sid(body as Tokens)]);
    expect(items).toMatchObject([{ kind: 'tokens', current: true, secondFactor: false, address: '127.0.0.1' }, { current: false, userAgent: 'Reading room 3' }]);
    expect(JSON.stringify(items)).not.toMatch(/secret|hash/i);
  });

  it('stay the same through refreshing', async () => {
    const { tokens } = await person(house, token, 'radiologist');
    const next = (await refresh(tokens)).body as Tokens;
    expect(sid(next)).toBe(sid(tokens));
    expect(await list(next.access_token)).toMatchObject([{ id: sid(tokens), current: true }]);
  });

  it('end one by one: access and refresh tokens are refused at once', async () => {
    const { email, password, tokens } = await person(house, token, 'radiologist');
    const other = await signIn(house.url, email, password);
    expect(await status(other)).toBe(200);
    expect((await call(tokens.access_token, 'DELETE', users(`me/sessions/${sid(other)}`))).status).toBe(204);
    expect(await status(other)).toBe(401);
    expect(await refresh(other)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    expect(await status(tokens)).toBe(200);
    expect(await call(tokens.access_token, 'DELETE', users(`me/sessions/${sid(other)}`))).toMatchObject({ status: 404, body: { code: 'session-not-found' } });
  });

  it('end all but the one that asks', async () => {
    const { email, password, tokens } = await person(house, token, 'radiologist');
    const others = await Promise.all([1, 2, 3].map(() => signIn(house.url, email, password)));
    expect((await call(tokens.access_token, 'DELETE', users('me/sessions'))).status).toBe(204);
    expect(await Promise.all(others.map(status))).toEqual([401, 401, 401]);
    expect(await status(tokens)).toBe(200);
    expect((await refresh(tokens)).status).toBe(200);
  });

  it('end with RFC 7009’s revocation and with DELETE /session', async () => {
    const { email, password, tokens } = await person(house, token, 'radiologist');
    const other = await signIn(house.url, email, password);
    await postForm(`${house.url}/oauth2/revoke`, { token: tokens.refresh_token });
    expect(await status(tokens)).toBe(401);
    expect((await call(other.access_token, 'DELETE', `${house.url}/session`)).status).toBe(204);
    expect(await status(other)).toBe(401);
  });

  it('end when a refresh token comes twice, live access tokens included', async () => {
    const { tokens } = await person(house, token, 'radiologist');
    const next = (await refresh(tokens)).body as Tokens;
    expect((await refresh(tokens)).status).toBe(400);
    expect(await status(next)).toBe(401);
    expect(await status(tokens)).toBe(401);
  });

  it('that end are refused within a minute in every other process', async () => {
    const neighbour = await house.neighbour();
    const { tokens } = await person(house, token, 'radiologist');
    const there = () => call(tokens.access_token, 'GET', `${neighbour.url}/api/v1/users/me`);
    expect((await there()).status).toBe(200);
    await call(tokens.access_token, 'DELETE', users(`me/sessions/${sid(tokens)}`));
    expect(await status(tokens)).toBe(401);
    await eventually('the neighbour to refuse', async () => (await there()).status === 401, 45_000);
  });

  it('of others are not there: neither to see nor to end', async () => {
    const one = await person(house, token, 'radiologist');
    const other = await person(house, token, 'radiologist');
    expect((await call(one.tokens.access_token, 'DELETE', users(`me/sessions/${sid(other.tokens)}`))).status).toBe(404);
    for (const id of [uuidv7(), 'x', "'%20OR%201=1"]) expect((await call(one.tokens.access_token, 'DELETE', users(`me/sessions/${id}`))).status).toBe(404);
    expect((await call(one.tokens.access_token, 'GET', users(`${other.id}/sessions`))).status).toBe(403);
    expect(await status(other.tokens)).toBe(200);
  });

  it('are looked after by those who manage people, in their institution only, and not the platform’s', async () => {
    const someone = await person(house, token, 'radiologist');
    const second = await signIn(house.url, someone.email, someone.password);
    const admin = (await person(house, token, 'admin')).tokens.access_token;
    expect((await list(admin, `${someone.id}/sessions`)).map(({ id }) => id)).toEqual([sid(someone.tokens), sid(second)]);
    expect((await call(admin, 'DELETE', users(`${someone.id}/sessions/${sid(second)}`))).status).toBe(204);
    expect(await status(second)).toBe(401);
    expect((await call(admin, 'DELETE', users(`${someone.id}/sessions`))).status).toBe(204);
    expect(await status(someone.tokens)).toBe(401);
    expect((await call(admin, 'DELETE', users(`${house.administrator.userId}/sessions`))).status).toBe(403);
    await sql.query("INSERT INTO institutions (id, name) VALUES ('0198c0de-0000-7000-8000-0000000000f2', 'Elsewhere')");
    await sql.query("UPDATE users SET institution_id = '0198c0de-0000-7000-8000-0000000000f2' WHERE id = $1", [someone.id]);
    for (const [method, path] of [['GET', 'sessions'], ['DELETE', 'sessions'], ['DELETE', `sessions/${uuidv7()}`]] as const) expect(await call(admin, method, users(`${someone.id}/${path}`))).toMatchObject({ status: 404, body: { code: 'user-not-found' } });
  });

  it('come page by page', async () => {
    const { email, password, tokens } = await person(house, token, 'radiologist');
    await signIn(house.url, email, password);
    const first = await call<{ items: SessionBody[]; nextCursor: string }>(tokens.access_token, 'GET', users('me/sessions?limit=1'));
    const second = await call<{ items: SessionBody[]; nextCursor: string | null }>(tokens.access_token, 'GET', users(`me/sessions?limit=1&cursor=${first.body.nextCursor}`));
    expect([first.body.items.length, second.body.items.length, second.body.nextCursor]).toEqual([1, 1, null]);
  });

  it('from before there was a list go on: the first refresh puts them on it', async () => {
    const { id, tokens } = await person(house, token, 'radiologist');
    await sql.query('DELETE FROM sign_in_sessions WHERE user_id = $1', [id]);
    const next = (await refresh(tokens)).body as Tokens;
    expect(await status(next)).toBe(200);
    expect(await list(next.access_token)).toMatchObject([{ id: sid(tokens), address: null }]);
  });

  it('tell when they were last seen, to the minute', async () => {
    const neighbour = await house.neighbour();
    const { tokens } = await person(house, token, 'radiologist');
    await sql.query("UPDATE sign_in_sessions SET last_seen_at = now() - interval '5 minutes' WHERE id = $1", [sid(tokens)]);
    await call(tokens.access_token, 'GET', `${neighbour.url}/api/v1/users/me`);
    expect((await sql.query("SELECT last_seen_at > now() - interval '1 minute' AS fresh FROM sign_in_sessions WHERE id = $1", [sid(tokens)])).rows).toEqual([{ fresh: true }]);
  });

  it('are none of a key’s business', async () => {
    const { tokens } = await person(house, token, 'admin');
    const { body } = await call<{ key: string }>(tokens.access_token, 'POST', `${house.url}/api/v1/api-keys`, { name: 'key', scopes: ['images:read'] });
    for (const [method, path] of [['GET', 'me/sessions'], ['DELETE', 'me/sessions'], ['DELETE', `me/sessions/${sid(tokens)}`]] as const) expect((await call(body.key, method, users(path))).status).toBe(403);
  });
});
