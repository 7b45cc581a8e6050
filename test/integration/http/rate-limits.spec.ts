import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLogger } from '../../../src/platform/ops/logger.js';
import { Metrics } from '../../../src/platform/ops/metrics.js';
import { Database } from '../../../src/platform/database/database.js';
import { PostgresWindows } from '../../../src/platform/limits/postgres-windows.store.js';
import { RateLimiter } from '../../../src/platform/limits/rate-limiter.js';
import { ADMIN } from '../../support/product.js';
import { call, openHouse, person, postForm, signIn, type House } from '../users/house.js';

let house: House;
let token: string;

beforeAll(async () => {
  house = await openHouse();
  token = (await signIn(house.url)).access_token;
});
afterAll(() => house.close());

/** Statuses of as many requests, some at a time. */
async function statuses(count: number, send: (index: number) => Promise<{ status: number }>, atOnce = 20): Promise<number[]> {
  const seen: number[] = [];
  let next = 0;
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (next < count) {
      const { status } = await send(next++);
      seen.push(status);
    }
  }));
  return seen;
}

const numberOf = (all: number[], status: number): number => all.filter((one) => one === status).length;

/** A caller of its own for each test: windows of others must not be in the way. */
async function key(): Promise<string> {
  const created = await call<{ key: string }>(token, 'POST', `${house.url}/api/v1/api-keys`, { name: 'limits', scopes: ['users:read', 'images:write'] });
  expect(created.status).toBe(201);
  return created.body.key;
}

describe('the limit of a principal', () => {
  it.each([50, 100, 1_000])('of %i holds over two processes, never more and at most 5 percent less', async (limit) => {
    const settings = { RATE_LIMIT_PRINCIPAL: String(limit) };
    const replicas = [await house.neighbour(settings), await house.neighbour(settings)];
    const hv = await key();
    const all = await statuses(limit + 200, (index) => call(hv, 'GET', `${replicas[index % 2]?.url ?? ''}/api/v1/users?limit=1`));
    expect(numberOf(all, 200)).toBeLessThanOrEqual(limit);
    expect(numberOf(all, 200)).toBeGreaterThanOrEqual(limit * 0.95);
    expect(numberOf(all, 200) + numberOf(all, 429)).toBe(all.length);
  });

  it('is told with every answer and refuses with the time to wait', async () => {
    const { url, app } = await house.neighbour({ RATE_LIMIT_PRINCIPAL: '3' });
    const hv = await key();
    const answers = [];
    for (let index = 0; index < 4; index++) answers.push(await call<{ code?: string }>(hv, 'GET', `${url}/api/v1/users?limit=1`));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429]);
    expect(answers.map(({ headers }) => headers.get('ratelimit-remaining'))).toEqual(['2', '1', '0', '0']);
    for (const { headers } of answers) {
      expect(headers.get('ratelimit-limit')).toBe('3');
      expect(headers.get('ratelimit-policy')).toBe('3;w=60');
      expect(Number(headers.get('ratelimit-reset'))).toBeGreaterThan(50);
      expect(Number(headers.get('ratelimit-reset'))).toBeLessThanOrEqual(60);
    }
    expect(answers[3]?.body.code).toBe('too-many-requests');
    expect(answers[3]?.headers.get('content-type')).toContain('application/problem+json');
    expect(answers[3]?.headers.get('retry-after')).toBe(answers[3]?.headers.get('ratelimit-reset'));
    const metrics = await app.get(Metrics).registry.metrics();
    expect(metrics).toContain('healthvision_rate_limited_total{limit="principal"} 1');
    expect(metrics).toContain('healthvision_access_refusals_total{reason="rate-limit",kind="principal"} 1');
    expect(metrics).toMatch(/^healthvision_rate_limited_principals 1$/m);
    expect(metrics).toMatch(/^healthvision_active_users 1$/m);
    // Others go on.
    expect((await call(await key(), 'GET', `${url}/api/v1/users?limit=1`)).status).toBe(200);
  });

  it('is off at 0, and with it its headers', async () => {
    const { url } = await house.neighbour({ RATE_LIMIT_PRINCIPAL: '0', RATE_LIMIT_ADDRESS: '0' });
    const { status, headers } = await call(token, 'GET', `${url}/api/v1/users?limit=1`);
    expect(status).toBe(200);
    expect(headers.get('ratelimit-limit')).toBeNull();
  });

  it('costs the database a small part of the requests', async () => {
    const { app } = await house.neighbour();
    let asked = 0;
    const store = new PostgresWindows(app.get(Database));
    const limiter = new RateLimiter({ lease: (name, request) => { asked += 1; return store.lease(name, request); }, prune: () => store.prune() }, createLogger('silent'));
    for (let index = 0; index < 30_000; index++) expect((await limiter.take('busy', 60_000)).admitted).toBe(true);
    expect(asked).toBeLessThan(60);
  });
});

describe('the limit of an address', () => {
  it('counts whom the trusted proxy names, networks of IPv6 as one, and takes nothing on trust otherwise', async () => {
    const trusting = await house.neighbour({ RATE_LIMIT_ADDRESS: '4', TRUST_PROXY: 'true' });
    const from = (address: string, url = trusting.url): Promise<number> => call(token, 'GET', `${url}/api/v1/users?limit=1`, undefined, { 'x-forwarded-for': address }).then(({ status }) => status);
    for (let index = 0; index < 4; index++) expect(await from(`2001:db8:9:9:${String(index)}::1`)).toBe(200);
    expect(await from('2001:db8:9:9:ffff::1')).toBe(429);
    expect(await from('2001:db8:9:8::1')).toBe(200);
    const wary = await house.neighbour({ RATE_LIMIT_ADDRESS: '100000' });
    expect(await from('2001:db8:9:9:ffff::1', wary.url)).toBe(200);
  });

  it('leaves probes and scrapers alone', async () => {
    const { url } = await house.neighbour({ RATE_LIMIT_ADDRESS: '1', RATE_LIMIT_ANONYMOUS: '1', TRUST_PROXY: 'true' });
    for (const path of ['/health', '/ready', '/metrics']) {
      const all = await statuses(5, () => fetch(`${url}${path}`, { headers: { 'x-forwarded-for': '198.51.100.1' } }));
      expect(numberOf(all, 200), path).toBe(5);
    }
  });

  it('is lower for who shows nothing, what does not exist and what is not valid', async () => {
    const { url } = await house.neighbour({ RATE_LIMIT_ANONYMOUS: '20', TRUST_PROXY: 'true' });
    const from = { 'x-forwarded-for': '198.51.100.2' };
    const seen = [];
    for (let index = 0; index < 6; index++) {
      seen.push(await call(undefined, 'GET', `${url}/api/v1/users`, undefined, from));
      seen.push(await call('not.a.token', 'GET', `${url}/api/v1/users`, undefined, from));
      seen.push(await call(undefined, 'GET', `${url}/nothing/here`, undefined, from));
      seen.push(await call('not.a.token', 'GET', `${url}/probe/public`, undefined, from));
    }
    expect(seen.map(({ status }) => status)).toEqual([...Array<number[]>(5).fill([401, 401, 404, 200]).flat(), 429, 429, 429, 429]);
    // Whoever is known is not held up by that, and can still sign in.
    expect((await call(token, 'GET', `${url}/api/v1/users`, undefined, from)).status).toBe(200);
    expect((await postForm(`${url}/oauth2/token`, { grant_type: 'password', username: ADMIN.email, password: ADMIN.password }, from)).status).toBe(200);
  });
});

describe('the limits of signing in', () => {
  const wrong = (url: string, username: string, address: string, password = 'wrong'): Promise<{ status: number; headers: Headers; body: unknown }> =>
    postForm(`${url}/oauth2/token`, { grant_type: 'password', username, password }, { 'x-forwarded-for': address });

  it('stop one password on many accounts, sent all at once to two processes', async () => {
    const settings = { RATE_LIMIT_SIGN_IN_FAILURES: '20', TRUST_PROXY: 'true' };
    const replicas = [await house.neighbour(settings), await house.neighbour(settings)];
    const all = await statuses(60, (index) => wrong(replicas[index % 2]?.url ?? '', `someone-${String(index)}@hospital.test`, '198.51.100.3'), 60);
    expect(numberOf(all, 400)).toBe(20);
    expect(numberOf(all, 429)).toBe(40);
    // The right password is not even looked at now; from elsewhere it is.
    expect((await wrong(replicas[0]?.url ?? '', ADMIN.email, '198.51.100.3', ADMIN.password)).status).toBe(429);
    expect((await wrong(replicas[0]?.url ?? '', ADMIN.email, '198.51.100.4', ADMIN.password)).status).toBe(200);
  });

  it('stop many addresses that try one account', async () => {
    const { url } = await house.neighbour({ RATE_LIMIT_SIGN_IN_FAILURES: '30', TRUST_PROXY: 'true' });
    const all = await statuses(15, (index) => wrong(url, 'sprayed@hospital.test', `198.51.100.${String(100 + index)}`), 15);
    expect(numberOf(all, 400)).toBe(10);
  });

  it('are nothing to a person at an address of theirs, while many addresses try their name', async () => {
    const { url } = await house.neighbour({ RATE_LIMIT_SIGN_IN_FAILURES: '30', TRUST_PROXY: 'true' });
    const { email, password } = await person(house, token, 'technician');
    expect((await wrong(url, email, '198.51.100.7', password)).status).toBe(200);
    const all = await statuses(20, (index) => wrong(url, email, `198.51.100.${String(150 + index)}`), 20);
    expect(numberOf(all, 400)).toBe(10);
    expect((await wrong(url, email, '198.51.100.8', password)).status).toBe(429);
    expect((await wrong(url, email, '198.51.100.7', password)).status).toBe(200);
  });

  it('have one address use up no more than half of what a name has', async () => {
    const { url } = await house.neighbour({ RATE_LIMIT_SIGN_IN_FAILURES: '30', TRUST_PROXY: 'true' });
    const all = await statuses(12, () => wrong(url, 'wanted@hospital.test', '198.51.100.9'), 12);
    expect([numberOf(all, 400), numberOf(all, 429)]).toEqual([5, 7]);
    expect((await wrong(url, 'wanted@hospital.test', '198.51.100.10')).status).toBe(400);
  });

  it('let a hundred tokens be asked for at once by one client, whatever people at its address do', async () => {
    const settings = { RATE_LIMIT_SIGN_IN: '0', RATE_LIMIT_SIGN_IN_FAILURES: '6', TRUST_PROXY: 'true' };
    const replicas = [await house.neighbour(settings), await house.neighbour(settings)];
    const at = (index: number): string => replicas[index % 2]?.url ?? '';
    const client = await call<{ id: string; clientSecret: string }>(token, 'POST', `${house.url}/api/v1/oauth-clients`, { name: 'a PACS', authentication: 'client_secret', scopes: ['images:read'] });
    expect(client.status).toBe(201);
    const ask = (url: string, secret: string) => postForm(`${url}/oauth2/token`, { grant_type: 'client_credentials', client_id: client.body.id, client_secret: secret }, { 'x-forwarded-for': '198.51.100.11' });
    const guesses = await statuses(20, (index) => wrong(at(index), `nobody-${String(index)}@hospital.test`, '198.51.100.11'));
    expect(numberOf(guesses, 400)).toBe(6);
    const all = await statuses(100, (index) => ask(at(index), client.body.clientSecret), 100);
    expect(numberOf(all, 200)).toBe(100);
    // Wrong secrets are counted all the same.
    const forged = await statuses(30, (index) => ask(at(index), 'forged'), 30);
    expect([numberOf(forged, 401), numberOf(forged, 429)]).toEqual([6, 24]);
  });

  it('let people sign in all at once from one address, more than may fail there', async () => {
    const { url } = await house.neighbour({ RATE_LIMIT_SIGN_IN: '0', RATE_LIMIT_SIGN_IN_FAILURES: '6', TRUST_PROXY: 'true' });
    const all = await statuses(15, () => wrong(url, ADMIN.email, '198.51.100.12', ADMIN.password), 15);
    expect(numberOf(all, 200)).toBe(15);
  });

  it('do not count what went well', async () => {
    const { url } = await house.neighbour({ RATE_LIMIT_SIGN_IN_FAILURES: '2', TRUST_PROXY: 'true' });
    const all = [];
    for (let index = 0; index < 12; index++) all.push((await wrong(url, ADMIN.email, '198.51.100.5', ADMIN.password)).status);
    expect(numberOf(all, 200)).toBe(12);
  });

  it('answer as OAuth does, with the time to wait', async () => {
    const { url } = await house.neighbour({ RATE_LIMIT_SIGN_IN: '2', TRUST_PROXY: 'true' });
    await wrong(url, ADMIN.email, '198.51.100.6', ADMIN.password);
    await wrong(url, ADMIN.email, '198.51.100.6', ADMIN.password);
    const { status, headers, body } = await wrong(url, ADMIN.email, '198.51.100.6', ADMIN.password);
    expect(status).toBe(429);
    expect(body).toMatchObject({ error: 'slow_down' });
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    expect(headers.get('ratelimit-limit')).toBe('2');
    expect(headers.get('cache-control')).toBe('no-store');
  });
});
