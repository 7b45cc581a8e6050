import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { ADMIN, eventually } from '../../support/product.js';
import { openPatientHouse, type PatientHouse } from '../images/patient-house.js';
import { call, signIn, type Answer } from './house.js';

interface Grant { id: string; userId: string; reason: string; permissions: string[]; active: boolean; expiresAt: string; createdAt: string; endedAt: string | null; reviewedBy: string | null; reviewedAt: string | null; code?: string }
interface Page<T> { items: T[] }

const REASON = 'Unconscious patient in the emergency room';

let house: PatientHouse;
let admin: string;
let patient: string;
let study: string;
beforeAll(async () => {
  house = await openPatientHouse();
  admin = (await signIn(house.url)).access_token;
  study = (await house.send({ patientId: 'URGENT-1', name: 'Urgent^U' })).studyInstanceUid;
  patient = await house.patientOf('URGENT-1');
});
afterAll(async () => { await house.close(); });

const path = (rest = ''): string => `${house.url}/api/v1/break-glass${rest}`;
const take = (token: string, body: unknown = { reason: REASON }): Promise<Answer<Grant>> => call<Grant>(token, 'POST', path(), body);
const statuses = async (token: string): Promise<number[]> =>
  Promise.all([`patients/${patient}`, `studies/${study}`, 'results', 'analyses', 'notifications'].map(async (one) => (await call(token, 'GET', `${house.url}/api/v1/${one}`)).status));
const metric = async (name: string): Promise<number> => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(await (await fetch(`${house.url}/metrics`)).text())?.[1]);

interface Someone { id: string; email: string; token: string }
async function someone(role: string, scope?: string): Promise<Someone> {
  const { id, email } = await house.person(role, 'here');
  return { id, email, token: (await signIn(house.url, email, ADMIN.password, scope)).access_token };
}

describe('emergency access', () => {
  it('gives at once what is needed to treat somebody, for a while, and nothing else', async () => {
    const before = await metric('healthvision_break_glass_total');
    const auditor = await someone('auditor');
    expect(await statuses(auditor.token)).toEqual([403, 403, 403, 403, 403]);
    const taken = await take(auditor.token, { reason: `  ${REASON} `, minutes: 30 });
    expect(taken.status).toBe(201);
    expect(taken.body).toMatchObject({ userId: auditor.id, reason: REASON, active: true, endedAt: null, reviewedBy: null });
    expect(Date.parse(taken.body.expiresAt) - Date.parse(taken.body.createdAt)).toBe(30 * 60_000);
    expect(await statuses(auditor.token)).toEqual([200, 200, 200, 200, 200]);
    for (const [method, rest] of [['DELETE', `studies/${study}`], ['DELETE', `patients/${patient}`], ['GET', `patients/${patient}/export`], ['PATCH', `studies/${study}`]] as const) {
      expect((await call(auditor.token, method, `${house.url}/api/v1/${rest}`, method === 'PATCH' ? { legalHold: true } : undefined)).status, rest).toBe(403);
    }
    expect(await metric('healthvision_break_glass_total')).toBe(before + 1);
    expect(await metric('healthvision_break_glass_active')).toBeGreaterThanOrEqual(1);
    expect((await call(auditor.token, 'DELETE', path(`/${taken.body.id}`))).status).toBe(204);
    expect(await statuses(auditor.token)).toEqual([403, 403, 403, 403, 403]);
    expect((await call(auditor.token, 'DELETE', path(`/${taken.body.id}`))).status).toBe(204);
    expect((await call<Page<Grant>>(auditor.token, 'GET', path('?active=false'))).body.items.map(({ id }) => id)).toContain(taken.body.id);
  });

  it('ends when its time is over', async () => {
    const auditor = await someone('auditor');
    const { body } = await take(auditor.token, { reason: REASON, minutes: 1 });
    expect((await statuses(auditor.token))[0]).toBe(200);
    await house.system((client) => client.breakGlassGrant.update({ where: { id: body.id }, data: { expiresAt: new Date(Date.now() - 1_000) } }));
    await eventually('it is over', async () => (await statuses(auditor.token))[0] === 403, 6_000);
    expect((await call<Page<Grant>>(auditor.token, 'GET', path())).body.items.find(({ id }) => id === body.id)?.active).toBe(false);
  });

  it('reaches a token that was given less than the person may, and no key that outlives it', async () => {
    const admins = await someone('admin', 'break-glass:use api-keys:write api-keys:read oauth-clients:write');
    expect(await statuses(admins.token)).toEqual([403, 403, 403, 403, 403]);
    const { status, body } = await take(admins.token);
    expect(status).toBe(201);
    expect(await statuses(admins.token)).toEqual([200, 200, 200, 200, 200]);
    const key = await call(admins.token, 'POST', `${house.url}/api/v1/api-keys`, { name: 'smuggled', scopes: ['images:read'] });
    expect([key.status, key.body.code]).toEqual([403, 'scope-not-held']);
    const client = await call(admins.token, 'POST', `${house.url}/api/v1/oauth-clients`, { name: 'smuggled', scopes: ['images:read'], authentication: 'client_secret' });
    expect([client.status, client.body.code]).toEqual([403, 'scope-not-held']);
    const own = await call<{ key: string }>(admins.token, 'POST', `${house.url}/api/v1/api-keys`, { name: 'own', scopes: ['api-keys:read', 'break-glass:use'] });
    expect(own.status).toBe(201);
    // The key has what the key has, whatever its owner holds at the moment, and takes nothing itself.
    expect(await statuses(own.body.key)).toEqual([403, 403, 403, 403, 403]);
    expect((await take(own.body.key)).status).toBe(403);
    await call(admins.token, 'DELETE', path(`/${body.id}`));
  });

  it('is refused to those who need none, may not, or say too little', async () => {
    expect([await take(admin).then(({ status }) => status), await take((await someone('technician')).token).then(({ status }) => status)]).toEqual([409, 409]);
    expect((await take((await someone('service')).token)).status).toBe(403);
    const auditor = await someone('auditor');
    for (const body of [{}, { reason: 'too short' }, { reason: ' '.repeat(30) }, { reason: 'x'.repeat(501) }, { reason: `${REASON}\u0000` }, { reason: REASON, minutes: 0 }, { reason: REASON, minutes: 241 }, { reason: REASON, minutes: 1.5 },
      { reason: REASON, permissions: ['users:write'] }, { reason: REASON, institutionId: uuidv7() }, { reason: REASON, userId: uuidv7() }]) {
      expect((await take(auditor.token, body)).status, JSON.stringify(body).slice(0, 80)).toBe(400);
    }
    expect((await call(undefined, 'POST', path(), { reason: REASON })).status).toBe(401);
    expect(await statuses(auditor.token)).toEqual([403, 403, 403, 403, 403]);
  });

  it('is told to those who watch, and only to them', async () => {
    const auditor = await someone('auditor');
    const { body } = await take(auditor.token);
    interface Told { id: string; topic: string; critical: boolean; subject: object }
    const told = async (token: string): Promise<Told[]> => (await call<Page<Told>>(token, 'GET', `${house.url}/api/v1/notifications?limit=200`)).body.items.filter(({ topic }) => topic === 'access.break-glass');
    const mine = await eventually('the notification', async () => (await told(admin)).find(({ subject }) => 'breakGlassId' in subject && subject.breakGlassId === body.id));
    expect(mine).toMatchObject({ critical: true, subject: { breakGlassId: body.id, userId: auditor.id } });
    const radiologist = await someone('radiologist');
    expect(await told(radiologist.token)).toEqual([]);
    expect((await call(radiologist.token, 'POST', `${house.url}/api/v1/notifications/${mine.id}/acknowledge`)).status).toBe(404);
    expect((await call(admin, 'POST', `${house.url}/api/v1/notifications/${mine.id}/acknowledge`)).status).toBe(200);
    await call(auditor.token, 'DELETE', path(`/${body.id}`));
  });

  it('is looked into by somebody else, once', async () => {
    const auditor = await someone('auditor');
    const { body } = await take(auditor.token);
    expect((await call(auditor.token, 'POST', path(`/${body.id}/review`))).status).toBe(403);
    const other = await someone('auditor');
    expect((await call((await someone('technician')).token, 'POST', path(`/${body.id}/review`))).status).toBe(403);
    const first = await call<Grant>(other.token, 'POST', path(`/${body.id}/review`));
    expect([first.status, first.body.reviewedBy]).toEqual([200, other.id]);
    const again = await call<Grant>(admin, 'POST', path(`/${body.id}/review`));
    expect(again.body).toMatchObject({ reviewedBy: other.id, reviewedAt: first.body.reviewedAt });
    expect((await call(admin, 'POST', path(`/${uuidv7()}/review`))).status).toBe(404);
  });

  it('is seen by the person and by those who read the audit, and ended by those who manage people', async () => {
    const [one, another] = [await someone('radiologist', 'break-glass:use'), await someone('radiologist')];
    const { body } = await take(one.token);
    const seen = async (token: string): Promise<boolean> => (await call<Page<Grant>>(token, 'GET', path('?limit=200'))).body.items.some(({ id }) => id === body.id);
    expect([await seen(one.token), await seen(another.token), await seen(admin), await seen((await someone('auditor')).token)]).toEqual([true, false, true, true]);
    expect((await call(another.token, 'DELETE', path(`/${body.id}`))).status).toBe(404);
    const elsewhere = await house.person('admin', 'elsewhere');
    const foreign = (await signIn(house.url, elsewhere.email)).access_token;
    expect(await seen(foreign)).toBe(false);
    expect((await call(foreign, 'DELETE', path(`/${body.id}`))).status).toBe(404);
    expect((await call(foreign, 'POST', path(`/${body.id}/review`))).status).toBe(404);
    expect((await statuses(one.token))[0]).toBe(200);
    expect((await call(admin, 'DELETE', path(`/${body.id}`))).status).toBe(204);
    expect((await statuses(one.token))[0]).toBe(403);
    expect((await call(one.token, 'GET', path('?active=maybe'))).status).toBe(400);
  });

  it('stays at home when a platform administrator enters another institution', async () => {
    const { institutionId } = (await call<{ items: { institutionId: string }[] }>((await signIn(house.url, (await house.person('admin', 'elsewhere')).email)).access_token, 'GET', `${house.url}/api/v1/users`)).body.items[0] ?? { institutionId: '' };
    const narrow = (await signIn(house.url, ADMIN.email, ADMIN.password, 'break-glass:use')).access_token;
    const { body } = await take(narrow);
    expect((await call(narrow, 'GET', `${house.url}/api/v1/patients`)).status).toBe(200);
    expect((await call(narrow, 'GET', `${house.url}/api/v1/patients`, undefined, { 'x-institution-id': institutionId, 'x-access-reason': 'Looking after the other house' })).status).toBe(403);
    await call(narrow, 'DELETE', path(`/${body.id}`));
  });

  it('does not open another institution', async () => {
    const { email } = await house.person('auditor', 'elsewhere');
    const { access_token } = await signIn(house.url, email);
    expect((await take(access_token)).status).toBe(201);
    expect(await statuses(access_token)).toEqual([404, 404, 200, 200, 200]);
    expect((await call<Page<unknown>>(access_token, 'GET', `${house.url}/api/v1/patients`)).body.items).toEqual([]);
  });
});
