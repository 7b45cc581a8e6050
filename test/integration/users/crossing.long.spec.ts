import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashPassword } from '../../../src/modules/users/password.js';
import { Metrics } from '../../../src/platform/ops/metrics.js';
import { eventually } from '../../support/product.js';
import { call, openHouse, person, postForm, signIn, type House } from './house.js';

const ELSEWHERE = '0198c0de-0000-7000-8000-00000000000b';
const REASON = 'Support case 4711: reports are missing';

let house: House;
let token: string;
let sql: pg.Client;

beforeAll(async () => {
  house = await openHouse();
  token = (await signIn(house.url)).access_token;
  sql = new pg.Client({ connectionString: house.database.url });
  await sql.connect();
  await sql.query(`INSERT INTO institutions (id, name) VALUES ($1, 'Elsewhere')`, [ELSEWHERE]);
  await sql.query(`INSERT INTO users (id, institution_id, email, display_name, role, password_hash, updated_at) VALUES ($1, $2, 'there@elsewhere.test', 'There', 'admin', $3, now())`, [randomUUID(), ELSEWHERE, await hashPassword('a password of some length')]);
});
afterAll(async () => {
  await sql.end();
  await house.close();
});

const headers = (id: string = ELSEWHERE, reason: string = REASON): Record<string, string> => ({ 'x-institution-id': id, 'x-access-reason': reason });
const users = (credential: string, more: Record<string, string>) => call<{ items: { email: string }[]; code?: string }>(credential, 'GET', `${house.url}/api/v1/users`, undefined, more);
const count = async (name: 'crossings' | 'accessRefusals', labels: Record<string, string>): Promise<number> => {
  const { values } = await house.app.get(Metrics)[name].get();
  return values.filter((value) => Object.entries(labels).every(([label, wanted]) => value.labels[label as never] === wanted)).reduce((sum, { value }) => sum + value, 0);
};

describe('a platform administrator', () => {
  it('enters another institution with a reason, for one call', async () => {
    expect((await users(token, {})).body.items.map(({ email }) => email)).not.toContain('there@elsewhere.test');
    const entered = await users(token, headers());
    expect([entered.status, entered.body.items.map(({ email }) => email)]).toEqual([200, ['there@elsewhere.test']]);
    expect((await users(token, {})).body.items.map(({ email }) => email)).not.toContain('there@elsewhere.test');
    expect(await count('crossings', { outcome: 'entered' })).toBe(1);
  });

  it('stays who they are', async () => {
    expect(await call(token, 'GET', `${house.url}/api/v1/users/me`, undefined, headers())).toMatchObject({ status: 200, body: { id: house.administrator.userId, institutionId: house.administrator.institutionId } });
  });

  it('may say why in any language, and with a percent sign', async () => {
    for (const reason of [encodeURIComponent('患者要求更正报告，见工单四七一一'), '100% of the images are gone', 'x'.repeat(500), Buffer.from('Überprüfung der Befunde').toString('latin1')]) {
      expect((await users(token, headers(ELSEWHERE, reason))).status, reason).toBe(200);
    }
  });

  it.each([[undefined], [''], ['because'], ['          x          '], ['x'.repeat(501)], [encodeURIComponent('two lines\nof reason')], ['caf\u00e9 is not UTF-8 here']])('is asked for a reason instead of %j', async (reason) => {
    const more = reason === undefined ? { 'x-institution-id': ELSEWHERE } : headers(ELSEWHERE, reason);
    expect(await users(token, more)).toMatchObject({ status: 400, body: { code: 'access-reason-required' } });
  });

  it.each([[randomUUID()], ['nowhere'], ["' OR 1=1 --"], [`${ELSEWHERE}, ${ELSEWHERE}`], ['']])('finds no institution %j', async (id) => {
    expect(await users(token, headers(id))).toMatchObject({ status: 404, body: { code: 'institution-not-found' } });
  });

  it('needs no reason at home', async () => {
    expect((await users(token, { 'x-institution-id': house.administrator.institutionId.toUpperCase() })).status).toBe(200);
  });

  it('takes no key of another institution home, and repeats nothing from one in another', async () => {
    expect(await call(token, 'POST', `${house.url}/api/v1/api-keys`, { name: 'x', scopes: ['users:read'] }, headers())).toMatchObject({ status: 403 });
    const first = await call(token, 'POST', `${house.url}/probe/count`, { a: 1 }, { 'idempotency-key': 'same' });
    expect(first.status).toBe(202);
    // A key means something in one institution: in another it is another key.
    const there = await call(token, 'POST', `${house.url}/probe/count`, { a: 1 }, { ...headers(), 'idempotency-key': 'same' });
    expect(there.status).toBe(202);
    expect(there.headers.get('idempotency-replayed')).toBeNull();
    expect(there.body.call).not.toBe(first.body.call);
  });

  it('enters in person, not by a key', async () => {
    const { body } = await call<{ key: string }>(token, 'POST', `${house.url}/api/v1/api-keys`, { name: 'x', scopes: ['users:read'] });
    expect(await users(body.key, headers())).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect((await users(body.key, { 'x-institution-id': house.administrator.institutionId })).status).toBe(200);
  });
});

describe('everybody else', () => {
  it.each(['admin', 'radiologist', 'technician', 'auditor', 'service'])('stays out: %s', async (role) => {
    const { tokens } = await person(house, token, role);
    const me = (more: Record<string, string>) => call(tokens.access_token, 'GET', `${house.url}/api/v1/users/me`, undefined, more);
    const refusedBefore = await count('accessRefusals', { reason: 'forbidden', kind: 'user' });
    expect(await me(headers())).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect((await me(headers(randomUUID()))).status).toBe(403);
    expect((await me({ 'x-institution-id': house.administrator.institutionId })).status).toBe(200);
    expect(await count('accessRefusals', { reason: 'forbidden', kind: 'user' })).toBe(refusedBefore + 2);
  });

  it('of another institution comes no closer by naming ours', async () => {
    const theirs = (await signIn(house.url, 'there@elsewhere.test', 'a password of some length')).access_token;
    expect((await users(theirs, headers(house.administrator.institutionId))).status).toBe(403);
    expect((await users(theirs, {})).body.items.map(({ email }) => email)).toEqual(['there@elsewhere.test']);
  });

  it('without authentication is only that', async () => {
    const before = await count('accessRefusals', { reason: 'unauthenticated', kind: 'nothing' });
    expect((await call(undefined, 'GET', `${house.url}/api/v1/users`, undefined, headers())).status).toBe(401);
    expect(await count('accessRefusals', { reason: 'unauthenticated', kind: 'nothing' })).toBe(before + 1);
  });
});

describe('a suspended institution', () => {
  it('is shut for its people, keys and clients within a minute; the platform may look after it', async () => {
    const theirs = (await signIn(house.url, 'there@elsewhere.test', 'a password of some length')).access_token;
    const { body: key } = await call<{ key: string }>(theirs, 'POST', `${house.url}/api/v1/api-keys`, { name: 'x', scopes: ['users:read'] });
    const { body: client } = await call<{ id: string; clientSecret: string }>(theirs, 'POST', `${house.url}/api/v1/oauth-clients`, { name: 'x', scopes: ['images:read'], authentication: 'client_secret' });
    const { access_token: system } = (await postForm(`${house.url}/oauth2/token`, { grant_type: 'client_credentials', client_id: client.id, client_secret: client.clientSecret })).body as { access_token: string };
    expect((await users(key.key, {})).status).toBe(200);
    await sql.query(`UPDATE institutions SET state = 'suspended' WHERE id = $1`, [ELSEWHERE]);
    for (const credential of [theirs, key.key, system]) {
      await eventually('it to be shut', async () => (await users(credential, {})).body.code === 'institution-suspended', 30_000);
      expect((await users(credential, {})).status).toBe(403);
    }
    expect(await postForm(`${house.url}/oauth2/token`, { grant_type: 'client_credentials', client_id: client.id, client_secret: client.clientSecret })).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
    expect((await users(token, headers())).status).toBe(200);
  });
});
