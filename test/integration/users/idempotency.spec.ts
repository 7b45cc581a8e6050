import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../../../src/kernel/errors.js';
import { IdempotencyStore } from '../../../src/platform/http/idempotency.store.js';
import { eventually } from '../../support/product.js';
import { call, openHouse, person, probe, signIn, type House } from './house.js';

let house: House;
let token: string;
let sql: pg.Client;
let keys = 0;

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
beforeEach(() => {
  probe.calls = 0;
  probe.fail = undefined;
  probe.hold = Promise.resolve();
});

const newKey = (): string => `key-${String((keys += 1))}`;
const count = (key: string | undefined, body: unknown = { a: 1 }, credential = token, path = '/probe/count') =>
  call(credential, 'POST', `${house.url}${path}`, body, key === undefined ? {} : { 'idempotency-key': key });

describe('a request with an Idempotency-Key', () => {
  it('is carried out once; the first answer comes again with status, body, Location and ETag', async () => {
    const key = newKey();
    const first = await count(key, { a: 1, b: { c: 2, d: [3] } });
    expect(first).toMatchObject({ status: 202, body: { call: 1 } });
    expect(first.headers.get('idempotency-replayed')).toBeNull();
    // Another order of members is the same body.
    const again = await count(key, { b: { d: [3], c: 2 }, a: 1 });
    expect({ status: again.status, body: again.body }).toEqual({ status: first.status, body: first.body });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect([again.headers.get('location'), again.headers.get('etag')]).toEqual(['/probe/1', '"1"']);
    expect(probe.calls).toBe(1);
  });

  it('repeats the status that the handler chose, not the route’s', async () => {
    probe.calls = 1_000;
    const key = newKey();
    expect([(await count(key)).status, (await count(key)).status]).toEqual([200, 200]);
    expect(probe.calls).toBe(1_001);
  });

  it('without one is carried out each time', async () => {
    await count(undefined);
    expect((await count(undefined)).body).toMatchObject({ call: 2 });
  });

  it('is refused with another body, path or query', async () => {
    const key = newKey();
    await count(key);
    for (const other of [await count(key, { a: 2 }), await count(key, { a: 1 }, token, '/probe/count?x=1'), await call(token, 'POST', `${house.url}/probe/upload`, undefined, { 'idempotency-key': key })]) {
      expect(other).toMatchObject({ status: 422, body: { code: 'idempotency-key-reused' } });
    }
    expect(probe.calls).toBe(1);
  });

  it('belongs to its principal: the same key of another one is another request', async () => {
    const key = newKey();
    const other = (await person(house, token, 'technician')).tokens.access_token;
    await count(key, { a: 1 });
    expect((await count(key, { a: 2 }, other)).body).toMatchObject({ call: 2 });
  });

  it('is a conflict while the first is at work, and many at once are carried out once', async () => {
    const key = newKey();
    let release = (): void => undefined;
    probe.hold = new Promise((resolve) => { release = resolve; });
    const burst = Array.from({ length: 8 }, () => count(key));
    let refused = 0;
    const early = burst.map((answer) => answer.then(({ status, headers, body }) => {
      if (status === 409) refused += 1;
      return { status, code: body.code, retryAfter: headers.get('retry-after') };
    }));
    await eventually('all but one to be refused', () => Promise.resolve(refused === 7), 10_000);
    release();
    expect(await Promise.all(early)).toContainEqual({ status: 409, code: 'conflict', retryAfter: '1' });
    const statuses = (await Promise.all(burst)).map(({ status }) => status).sort();
    expect(statuses).toEqual([202, 409, 409, 409, 409, 409, 409, 409]);
    expect(probe.calls).toBe(1);
    expect((await count(key)).status).toBe(202);
  });

  it('that failed through the caller’s fault fails the same way again', async () => {
    const key = newKey();
    probe.fail = new AppError('no-active-model', { detail: 'Nothing fits.', errors: [{ pointer: '/a', detail: 'wrong' }] });
    const first = await count(key);
    probe.fail = undefined;
    const again = await count(key);
    expect(again).toMatchObject({ status: 409, body: { code: 'no-active-model', detail: 'Nothing fits.', errors: [{ pointer: '/a', detail: 'wrong' }] } });
    expect(first.body.code).toBe(again.body.code);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
  });

  it('that failed through ours, or is asked to come back, may be tried again', async () => {
    for (const failure of [new AppError('storage-unavailable'), new AppError('internal'), new AppError('too-many-requests'), new AppError('conflict', { retryAfterSeconds: 1 })]) {
      const key = newKey();
      probe.fail = failure;
      expect((await count(key)).status).toBe(failure.status);
      probe.fail = undefined;
      const again = await count(key);
      expect(again.status).toBe(202);
      expect(again.headers.get('idempotency-replayed')).toBeNull();
    }
  });

  it('with a malformed key is refused', async () => {
    for (const key of ['x'.repeat(256), 'a b', 'ä']) expect(await count(key)).toMatchObject({ status: 400, body: { code: 'bad-request' } });
    expect(probe.calls).toBe(0);
  });

  it('of a streamed body is told apart by its length, and a form is not remembered where bodies count', async () => {
    const post = async (path: string, key: string, text: string) => {
      const form = new FormData();
      form.set('files', new Blob([text]), 'a.dcm');
      const response = await fetch(`${house.url}${path}`, { method: 'POST', body: form, headers: { 'authorization': `Bearer ${token}`, 'idempotency-key': key } });
      return { status: response.status, body: (await response.json()) as { call: number } };
    };
    const key = newKey();
    expect((await post('/probe/upload', key, 'abc')).body.call).toBe(1);
    expect((await post('/probe/upload', key, 'xyz')).body.call).toBe(1);
    expect((await post('/probe/upload', key, 'longer')).status).toBe(422);
  });

  it('is told apart by the headers that its route names, and gets the first answer’s', async () => {
    const key = newKey();
    const post = (headers: Record<string, string>) => call(token, 'POST', `${house.url}/probe/headers`, undefined, { 'idempotency-key': key, ...headers });
    const [first, again] = [await post({ 'x-length': '9' }), await post({ 'x-length': '9', 'x-unnamed': '1' })];
    expect([first, again].map(({ status, headers }) => [status, headers.get('x-offset'), headers.get('x-other'), headers.get('idempotency-replayed')])).toEqual([[201, '1', 'x', null], [201, '1', null, 'true']]);
    for (const other of [{ 'x-length': '10' }, {}] as Record<string, string>[]) expect(await post(other)).toMatchObject({ status: 422, body: { code: 'idempotency-key-reused' } });
    expect(probe.calls).toBe(1);
  });

  it('taken up by a process that died is carried out after a minute, by one taker', async () => {
    const key = newKey();
    const store = house.app.get(IdempotencyStore);
    const principal = { institutionId: house.administrator.institutionId, id: house.administrator.userId };
    await store.claim(principal, key, `POST\n/probe/count\n{"a":1}`);
    expect((await count(key)).status).toBe(409);
    await sql.query("UPDATE idempotency_records SET created_at = now() - interval '61 seconds' WHERE key = $1", [key]);
    const statuses = (await Promise.all(Array.from({ length: 6 }, () => count(key)))).map(({ status }) => status);
    expect(probe.calls).toBe(1);
    expect(statuses.filter((status) => status === 202).length).toBeGreaterThanOrEqual(1);
  });

  it('taken over from a process that was only slow keeps the taker’s answer', async () => {
    const key = newKey();
    const store = house.app.get(IdempotencyStore);
    const principal = { institutionId: house.administrator.institutionId, id: house.administrator.userId };
    const slow = await store.claim(principal, key, 'x');
    if (slow.outcome !== 'claimed') throw new Error('not claimed');
    await sql.query("UPDATE idempotency_records SET created_at = now() - interval '61 seconds' WHERE key = $1", [key]);
    const taker = await store.claim(principal, key, 'x');
    if (taker.outcome !== 'claimed') throw new Error('not taken over');
    await store.complete(slow.claim, { kind: 'body', status: 201, headers: {}, body: 'slow' });
    await store.release(slow.claim);
    expect(await store.renew(slow.claim)).toEqual(slow.claim);
    const renewed = await store.renew(taker.claim);
    await store.complete(renewed, { kind: 'body', status: 201, headers: {}, body: 'taker' });
    expect(await store.claim(principal, key, 'x')).toEqual({ outcome: 'answered', answer: { kind: 'body', status: 201, headers: {}, body: 'taker' } });
  });

  it('is forgotten after a day', async () => {
    const key = newKey();
    await count(key);
    await sql.query("UPDATE idempotency_records SET created_at = now() - interval '25 hours' WHERE key = $1", [key]);
    expect((await count(key, { a: 2 })).body).toMatchObject({ call: 2 });
    await sql.query("UPDATE idempotency_records SET created_at = now() - interval '25 hours' WHERE key = $1", [key]);
    await house.app.get(IdempotencyStore).prune();
    expect((await sql.query('SELECT key FROM idempotency_records WHERE key = $1', [key])).rows).toEqual([]);
  });

  it('leaves neither the secret that was answered nor the password that was sent in the database', async () => {
    const key = newKey();
    const body = { name: 'x', scopes: ['users:read'] };
    const send = () => call<{ key: string }>(token, 'POST', `${house.url}/api/v1/api-keys`, body, { 'idempotency-key': key });
    const [first, again] = [await send(), await send()];
    expect(again.body).toEqual(first.body);
    expect((await call(again.body.key, 'GET', `${house.url}/api/v1/users`)).status).toBe(200);
    const { rows } = await sql.query('SELECT * FROM idempotency_records');
    expect(JSON.stringify(rows)).not.toContain(first.body.key);
  });
});
