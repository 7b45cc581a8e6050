import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { call, openHouse, person, signIn, type House } from './house.js';
import { openMailbox, tokenIn, type Mailbox } from './mailbox.js';

interface InstitutionBody { id: string; name: string; state: string; requireSecondFactor: boolean; resultRetentionDays: number | null; administrator?: { id: string; email: string } | null }

const PASSWORD = 'orbit pickle trumpet lagoon';
let house: House;
let mailbox: Mailbox;
let token: string;
let sql: pg.Client;
let adminHere: string;

beforeAll(async () => {
  mailbox = await openMailbox();
  house = await openHouse({ jobs: true, variables: { SMTP_URL: mailbox.url } });
  token = (await signIn(house.url)).access_token;
  adminHere = (await person(house, token, 'admin')).tokens.access_token;
  sql = new pg.Client({ connectionString: house.database.url });
  await sql.connect();
});
afterAll(async () => {
  await sql.end();
  await house.close();
  await mailbox.close();
});

const WHY = { 'x-access-reason': 'Contract of the hospital ended' };
const institutions = (id = ''): string => `${house.url}/api/v1/institutions${id === '' ? '' : `/${id}`}`;

/** An institution and its first administrator, signed in. */
async function found(): Promise<{ id: string; email: string; adminToken: string; etag: string }> {
  const { status, headers, body } = await call<InstitutionBody>(token, 'POST', institutions(), { name: 'Another hospital', administrator: { email: `${uuidv7()}@elsewhere.test`, displayName: 'Dr. Ada Lovelace' } });
  expect(status).toBe(201);
  const email = body.administrator?.email ?? '';
  await call(undefined, 'POST', `${house.url}/api/v1/invitations/${tokenIn(await mailbox.next(email))}/accept`, { password: PASSWORD });
  return { id: body.id, email, adminToken: (await signIn(house.url, email, PASSWORD)).access_token, etag: String(headers.get('etag')) };
}

describe('institutions', () => {
  it('are added by the platform, with an administrator who is invited and at home there', async () => {
    const { id, adminToken } = await found();
    expect((await call<InstitutionBody>(adminToken, 'GET', institutions(id))).body).toMatchObject({ id, name: 'Another hospital', state: 'active', requireSecondFactor: false, resultRetentionDays: null });
    expect((await call(adminToken, 'GET', `${house.url}/api/v1/users/me`)).body).toMatchObject({ institutionId: id, role: 'admin' });
    expect((await call<{ items: unknown[] }>(adminToken, 'GET', `${house.url}/api/v1/users`)).body.items).toHaveLength(1);
  });

  it('are added once for one Idempotency-Key, and not at all when the administrator’s address is taken', async () => {
    const key = { 'idempotency-key': uuidv7() };
    const once = await call<InstitutionBody>(token, 'POST', institutions(), { name: 'Once' }, key);
    const again = await call<InstitutionBody>(token, 'POST', institutions(), { name: 'Once' }, key);
    expect(again.body.id).toBe(once.body.id);
    const { email } = await person(house, token, 'technician');
    expect(await call(token, 'POST', institutions(), { name: 'Nobody’s', administrator: { email, displayName: 'Taken' } })).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect((await sql.query("SELECT 1 FROM institutions WHERE name = 'Nobody’s'")).rowCount).toBe(0);
  });

  it('are listed all for the platform, page by page, and one for everybody else', async () => {
    const { id, adminToken } = await found();
    const all: string[] = [];
    for (let cursor = ''; ;) {
      const { body } = await call<{ items: InstitutionBody[]; nextCursor: string | null }>(token, 'GET', `${institutions()}?limit=2${cursor}`);
      all.push(...body.items.map((item) => item.id));
      if (body.nextCursor === null) break;
      cursor = `&cursor=${body.nextCursor}`;
    }
    expect(all).toEqual([...new Set(all)].sort());
    expect(all).toEqual(expect.arrayContaining([id, house.administrator.institutionId]));
    expect((await call<{ items: InstitutionBody[] }>(adminToken, 'GET', institutions())).body.items.map((item) => item.id)).toEqual([id]);
  });

  it('are changed by their administrators, with their version, but for their state', async () => {
    const { id, adminToken, etag } = await found();
    const changed = await call<InstitutionBody>(adminToken, 'PATCH', institutions(id), { name: 'St. Elsewhere', requireSecondFactor: false, resultRetentionDays: 365 }, { 'if-match': etag });
    expect(changed).toMatchObject({ status: 200, body: { name: 'St. Elsewhere', resultRetentionDays: 365 } });
    expect((await call(adminToken, 'PATCH', institutions(id), { name: 'x' }, { 'if-match': etag })).status).toBe(412);
    expect(await call(adminToken, 'PATCH', institutions(id), { state: 'suspended' })).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect((await call(adminToken, 'PATCH', institutions(id), { resultRetentionDays: null })).body).toMatchObject({ resultRetentionDays: null });
  });

  it.each([[{}], [{ id: uuidv7() }], [{ createdAt: '2020-01-01T00:00:00Z' }], [{ resultRetentionDays: 0 }], [{ resultRetentionDays: 1.5 }], [{ state: 'gone' }], [{ name: '' }], [{ name: 'a\nb' }], [{ requireSecondFactor: 'yes' }]])('are not changed by %j', async (body) => {
    expect(await call(token, 'PATCH', institutions(house.administrator.institutionId), body)).toMatchObject({ status: 400, body: { code: 'invalid-body' } });
  });

  it.each([[{}], [{ name: 'x', id: uuidv7() }], [{ name: 'x', state: 'suspended' }], [{ name: 'x', administrator: { email: 'a@b.test', displayName: 'A', role: 'platform-admin' } }], [{ name: 'x', administrator: { email: 'a@b.test', displayName: 'A', password: PASSWORD } }], [{ name: 'x', administrator: { email: 'a@b.test\r\nBcc: c@d.test', displayName: 'A' } }]])('are not made from %j', async (body) => {
    expect(await call(token, 'POST', institutions(), body)).toMatchObject({ status: 400, body: { code: 'invalid-body' } });
  });

  it('hide from each other: every foreign id is one that is not there', async () => {
    const { id, adminToken } = await found();
    for (const [credential, target] of [[adminHere, id], [adminToken, house.administrator.institutionId], [adminHere, uuidv7()], [token, uuidv7()]] as const) {
      expect(await call(credential, 'GET', institutions(target))).toMatchObject({ status: 404, body: { code: 'institution-not-found' } });
      expect((await call(credential, 'PATCH', institutions(target), { name: 'Mine' })).status).toBe(404);
      expect((await call(credential, 'PATCH', institutions(target), { state: 'suspended' })).status).toBe(404);
      expect((await call(credential, 'DELETE', institutions(target))).status).toBe(404);
    }
    for (const credential of [adminHere, adminToken]) expect((await call(credential, 'POST', institutions(), { name: 'Mine' })).status).toBe(403);
  });
});

describe('the platform at another institution', () => {
  const events = async (id: string): Promise<Record<string, unknown>[]> => (await sql.query<Record<string, unknown>>(
    `SELECT action, outcome, code, purpose, reason, object, details->>'fromInstitutionId' AS from, details->>'towardsInstitutionId' AS towards FROM audit_events WHERE institution_id = $1 AND action IN ('updateInstitution', 'deleteInstitution') ORDER BY sequence`, [id])).rows;
  const home = (): string => house.administrator.institutionId;

  it('says why it changes one, which stays on record there', async () => {
    const { id } = await found();
    expect(await call(token, 'PATCH', institutions(id), { name: 'Silently' })).toMatchObject({ status: 400, body: { code: 'access-reason-required' } });
    expect(await call(token, 'PATCH', institutions(id.toUpperCase()), { name: 'Silently' }, { 'x-access-reason': 'short' })).toMatchObject({ status: 400, body: { code: 'access-reason-required' } });
    expect(await call(token, 'DELETE', institutions(id))).toMatchObject({ status: 400, body: { code: 'access-reason-required' } });
    expect((await call<InstitutionBody>(token, 'GET', institutions(id))).body.name).toBe('Another hospital');
    expect((await call(token, 'PATCH', institutions(id), { name: 'With reason' }, WHY)).status).toBe(200);
    expect(await events(id)).toMatchObject([{ outcome: 'attempted' }, { outcome: 'succeeded' }].map((one) => ({ action: 'updateInstitution', ...one, purpose: 'support', reason: WHY['x-access-reason'], from: home() })));
  });

  it('enters the one that the path names, in person, and none from within a third', async () => {
    const { id } = await found();
    const { id: third } = await found();
    expect((await call(token, 'PATCH', institutions(id), { name: 'Both say so' }, { ...WHY, 'x-institution-id': id })).status).toBe(200);
    expect((await call(token, 'PATCH', institutions(id), { name: 'From home' }, { ...WHY, 'x-institution-id': home() })).status).toBe(200);
    expect((await call(token, 'PATCH', institutions(id), { name: 'From a third' }, { ...WHY, 'x-institution-id': third })).status).toBe(404);
    const { body } = await call<{ key: string }>(token, 'POST', `${house.url}/api/v1/api-keys`, { name: 'key', scopes: ['institutions:write'] });
    expect(await call(body.key, 'PATCH', institutions(id), { name: 'By a key' }, WHY)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect((await call(body.key, 'PATCH', institutions(home()), { resultRetentionDays: null })).status).toBe(200);
    expect((await call(token, 'PATCH', institutions(home().toUpperCase()), { resultRetentionDays: null })).status).toBe(200);
  });

  it('leaves a record at home, too, of what it removed', async () => {
    const { id } = await found();
    expect((await call(token, 'DELETE', institutions(id), undefined, WHY)).status).toBe(204);
    expect(await events(id)).toMatchObject([{ action: 'deleteInstitution', outcome: 'attempted', reason: WHY['x-access-reason'] }]);
    expect((await events(home())).filter(({ towards }) => towards === id)).toContainEqual(expect.objectContaining({ action: 'deleteInstitution', outcome: 'succeeded', object: id, purpose: 'support', reason: WHY['x-access-reason'] }));
  });
});

describe('a suspended institution', () => {
  it('lets nobody in, until it is opened again', async () => {
    const { id, email, adminToken } = await found();
    expect((await call(token, 'PATCH', institutions(id), { state: 'suspended' }, WHY)).body).toMatchObject({ state: 'suspended' });
    expect(await call(adminToken, 'GET', `${house.url}/api/v1/users/me`)).toMatchObject({ status: 403, body: { code: 'institution-suspended' } });
    await expect(signIn(house.url, email, PASSWORD)).rejects.toThrow(/invalid_grant/);
    expect(await call(undefined, 'POST', `${house.url}/session`, { email, password: PASSWORD })).toMatchObject({ status: 401, body: { code: 'invalid-credentials' } });
    await call(token, 'PATCH', institutions(id), { state: 'active' }, WHY);
    expect((await call(adminToken, 'GET', `${house.url}/api/v1/users/me`)).status).toBe(200);
  });

  it('is never the platform’s own', async () => {
    expect(await call(token, 'PATCH', institutions(house.administrator.institutionId), { state: 'suspended' })).toMatchObject({ status: 409 });
    expect(await call(token, 'DELETE', institutions(house.administrator.institutionId))).toMatchObject({ status: 409 });
    // UUIDs are the same in capitals.
    expect(await call(token, 'PATCH', institutions(house.administrator.institutionId.toUpperCase()), { state: 'suspended' })).toMatchObject({ status: 409 });
    expect(await call(token, 'DELETE', institutions(house.administrator.institutionId.toUpperCase()))).toMatchObject({ status: 409 });
  });
});

describe('removing an institution', () => {
  it('takes its people, keys and settings along, when nothing of a patient is there', async () => {
    const { id, email, adminToken } = await found();
    const { body } = await call<{ key: string }>(adminToken, 'POST', `${house.url}/api/v1/api-keys`, { name: 'key', scopes: ['images:read'] });
    await call(adminToken, 'POST', `${house.url}/api/v1/users/me/second-factor`);
    expect(await call(adminToken, 'DELETE', institutions(id))).toMatchObject({ status: 403 });
    expect((await call(token, 'DELETE', institutions(id), undefined, { ...WHY, 'if-match': '"old"' })).status).toBe(412);
    expect((await call(token, 'DELETE', institutions(id), undefined, WHY)).status).toBe(204);
    for (const credential of [adminToken, body.key]) expect((await call(credential, 'GET', `${house.url}/api/v1/users/me`)).status).toBe(401);
    await expect(signIn(house.url, email, PASSWORD)).rejects.toThrow(/invalid_grant/);
    expect((await call(token, 'GET', institutions(id))).status).toBe(404);
    for (const table of ['users', 'api_keys', 'sign_in_sessions', 'user_links', 'institution_keys', 'study_keys', 'refresh_tokens']) expect((await sql.query(`SELECT 1 FROM ${table} WHERE institution_id = $1`, [id])).rowCount, table).toBe(0);
  });

  it('is refused while there is a patient', async () => {
    const { id } = await found();
    await sql.query('INSERT INTO patients (id, institution_id, patient_id_token) VALUES ($1, $2, 1)', [uuidv7(), id]);
    expect(await call(token, 'DELETE', institutions(id), undefined, WHY)).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect((await call(token, 'GET', institutions(id))).status).toBe(200);
  });
});
