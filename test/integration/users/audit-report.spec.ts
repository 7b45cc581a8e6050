import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import type { AuditDraft } from '../../../src/platform/audit/audit-event.js';
import { AuditSealer } from '../../../src/platform/audit/audit-sealer.js';
import { AuditWriter } from '../../../src/platform/audit/audit-writer.js';
import { eventually } from '../../support/product.js';
import { call, openHouse, person, signIn, type House } from './house.js';

let house: House;
let admin: string;
let auditor: string;
let radiologist: Awaited<ReturnType<typeof person>>;
let institutionId: string;
let sql: pg.Client;
const patientId = uuidv7();
const foreignInstitution = uuidv7();

interface Event { id: string; action: string; outcome: string; requestId: string | null; at: string | null; position: number | null; patientIds: string[] }
interface Page { items: Event[]; nextCursor: string | null }
interface Report { isKnown: boolean; people: Record<string, unknown>[]; items: { emergency: boolean; name: string | null; id: string }[]; nextCursor: string | null; code?: string }

const write = (draft: Partial<AuditDraft>): Promise<unknown> => house.app.get(AuditWriter).write({ institutionId, actorKind: 'user', action: 'getStudy', outcome: 'succeeded', ...draft });

beforeAll(async () => {
  house = await openHouse();
  admin = (await signIn(house.url)).access_token;
  auditor = (await person(house, admin, 'auditor')).tokens.access_token;
  radiologist = await person(house, admin, 'radiologist');
  sql = new pg.Client(house.database.url);
  await sql.connect();
  institutionId = (await sql.query<{ id: string }>('SELECT id FROM institutions')).rows[0]?.id ?? '';
  await sql.query('INSERT INTO patients (id, institution_id, patient_id_token) VALUES ($1, $2, 7)', [patientId, institutionId]);
  const who = { actorId: radiologist.id, userId: radiologist.id, role: 'radiologist', source: '10.0.0.1' };
  await write({ ...who, patientIds: [patientId], studyInstanceUids: ['1.2.3'], requestId: 'request-of-note' });
  await write({ ...who, patientIds: [patientId], action: 'retrieveStudy', purpose: 'emergency', reason: '=cmd|calc, "quoted"' });
  await write({ ...who, patientIds: [patientId], action: 'getStudy', outcome: 'refused', status: 404 });
  await write({ actorKind: 'job', source: 'worker-1', action: 'runAnalysis', patientIds: [patientId] });
  await write({ institutionId: foreignInstitution, patientIds: [patientId], action: 'foreign' });
});

afterAll(async () => {
  await sql.end();
  await house.close();
});

const get = <T>(token: string | undefined, path: string, headers: Record<string, string> = {}): ReturnType<typeof call<T>> => call<T>(token, 'GET', `${house.url}${path}`, undefined, headers);

describe('the audit log', () => {
  it('is for those who may read it, and shows the institution alone', async () => {
    for (const path of ['', '/verification', '/keys', '/checkpoints', '/export', `/${uuidv7()}`]) {
      expect((await get(undefined, `/api/v1/audit-events${path}`)).status).toBe(401);
      expect((await get(radiologist.tokens.access_token, `/api/v1/audit-events${path}`)).status).toBe(403);
    }
    const { body } = await get<Page>(auditor, '/api/v1/audit-events?limit=200');
    expect(body.items.map(({ action }) => action)).not.toContain('foreign');
    const { rows: [foreign] } = await sql.query<{ id: string }>(`SELECT id FROM audit_events WHERE action = 'foreign'`);
    expect(await get(auditor, `/api/v1/audit-events/${foreign?.id ?? ''}`)).toMatchObject({ status: 404, body: { code: 'audit-event-not-found' } });
    expect(await get(auditor, '/api/v1/audit-events/verification?chain=installation')).toMatchObject({ status: 403 });
  });

  it('is filtered by who, whom, what, how it ended, and when', async () => {
    const count = async (query: string): Promise<number> => (await get<Page>(auditor, `/api/v1/audit-events?limit=200&${query}`)).body.items.length;
    expect(await count(`patientId=${patientId}`)).toBe(4);
    expect(await count(`patientId=${patientId}&userId=${radiologist.id}`)).toBe(3);
    expect(await count(`patientId=${patientId}&outcome=refused`)).toBe(1);
    expect(await count('studyInstanceUid=1.2.3')).toBe(1);
    expect(await count('action=runAnalysis')).toBe(1);
    expect(await count('requestId=request-of-note')).toBe(1);
    expect(await count('from=2199-01-01T00:00:00Z')).toBe(0);
    expect(await count('to=2001-01-01T00:00:00Z')).toBe(0);
    expect(await count(`patientId=${patientId}&from=2001-01-01T00:00:00Z&to=2199-01-01T00:00:00%2B02:00`)).toBe(4);
    for (const wrong of ['patientId=x', 'outcome=maybe', 'from=yesterday', 'unknown=1', 'limit=0', 'studyInstanceUid=..']) expect((await get(auditor, `/api/v1/audit-events?${wrong}`)).status).toBe(400);
  });

  it('comes newest first, page by page', async () => {
    const ids: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const { body }: { body: Page } = await get<Page>(auditor, `/api/v1/audit-events?limit=3&patientId=${patientId}${cursor === '' ? '' : `&cursor=${cursor}`}`);
      ids.push(...body.items.map(({ id }) => id));
      cursor = body.nextCursor;
    }
    expect(ids).toHaveLength(4);
    expect(ids).toEqual([...ids].sort().reverse());
  });

  it('is exported as FHIR, a resource a line, and between two times', async () => {
    await house.app.get(AuditSealer).seal().catch(() => undefined);
    const response = await fetch(`${house.url}/api/v1/audit-events/export?format=fhir`, { headers: { authorization: `Bearer ${auditor}` } });
    expect(response.headers.get('content-type')).toContain('application/fhir+ndjson');
    const resources = (await response.text()).trimEnd().split('\n').map((line) => JSON.parse(line) as { resourceType: string; subtype: { code: string }[] });
    expect(new Set(resources.map(({ resourceType }) => resourceType))).toEqual(new Set(['AuditEvent']));
    expect(resources.flatMap(({ subtype }) => subtype.map(({ code }) => code))).toContain('runAnalysis');
    const none = await fetch(`${house.url}/api/v1/audit-events/export?from=2199-01-01T00:00:00Z`, { headers: { authorization: `Bearer ${auditor}` } });
    expect([none.status, await none.text()]).toEqual([200, '']);
    const { rows: [middle] } = await sql.query<{ position: string; at: Date }>('SELECT position, sealed_at AS at FROM audit_seals WHERE institution_id = $1 ORDER BY position DESC LIMIT 1', [institutionId]);
    const tail = await fetch(`${house.url}/api/v1/audit-events/export?from=${middle?.at.toISOString() ?? ''}`, { headers: { authorization: `Bearer ${auditor}` } });
    const [first] = (await tail.text()).split('\n').map((line) => JSON.parse(line === '' ? '{}' : line) as { sealedAt?: string });
    expect(first?.sealedAt).toBe(middle?.at.toISOString());
  });
});

describe('times that only a superuser can write', () => {
  it.each(['infinity', '-infinity'])('leave the list, the exports and the report readable, and are named by the verification: %s', async (time) => {
    const patient = uuidv7();
    for (let index = 0; index < 3; index++) await write({ patientIds: [patient], action: 'bent' });
    const { rows: [, bent] } = await eventually('the seals', async () => {
      const found = await sql.query<{ id: string; at: Date; position: string }>(`SELECT e.id, e.at, s.position FROM audit_events e JOIN audit_seals s ON s.event_id = e.id WHERE $1::uuid = ANY (e.patient_ids) ORDER BY s.position`, [patient]);
      return found.rowCount === 3 ? found : undefined;
    });
    await house.app.get(AuditSealer).checkpoint();
    const { rows: [seal] } = await sql.query<{ sealed_at: Date }>('SELECT sealed_at FROM audit_seals WHERE event_id = $1', [bent?.id]);
    const { rows: [checkpoint] } = await sql.query<{ id: string; at: Date }>('SELECT id, at FROM audit_checkpoints WHERE institution_id = $1 ORDER BY number DESC LIMIT 1', [institutionId]);
    await sql.query(`SET session_replication_role = 'replica'`);
    try {
      await sql.query('UPDATE audit_events SET at = $2 WHERE id = $1', [bent?.id, time]);
      await sql.query('UPDATE audit_seals SET sealed_at = $2 WHERE event_id = $1', [bent?.id, time]);
      await sql.query('UPDATE audit_checkpoints SET at = $2 WHERE id = $1', [checkpoint?.id, time]);

      expect((await get<Page>(auditor, `/api/v1/audit-events?limit=10&patientId=${patient}`)).body.items.map(({ at }) => at === null)).toEqual([false, true, false]);
      expect((await get<{ at: null }>(auditor, `/api/v1/audit-events/${bent?.id ?? ''}`)).body.at).toBeNull();
      expect((await get<{ items: { at: string | null }[] }>(auditor, '/api/v1/audit-events/checkpoints?limit=1')).body.items).toMatchObject([{ at: null }]);
      const report = await get<Report>(auditor, `/api/v1/patients/${patient}/access-report`);
      expect([report.status, report.body.items.length]).toEqual([200, 3]);
      const text = async (path: string, accept = '*/*'): Promise<string> => {
        const response = await fetch(`${house.url}${path}`, { headers: { authorization: `Bearer ${auditor}`, accept } });
        expect(response.status).toBe(200);
        return response.text();
      };
      expect((await text(`/api/v1/patients/${patient}/access-report`, 'text/csv')).trimEnd().split('\r\n')).toHaveLength(4);
      // Wherever a part of the trail begins and ends, what was bent within it does not cut it short.
      const [from, to] = [seal?.sealed_at.toISOString() ?? '', new Date(Date.now() + 60_000).toISOString()];
      for (const range of ['', `&from=${from}`, `&to=${to}`]) {
        const lines = (await text(`/api/v1/audit-events/export?format=ndjson${range}`)).trimEnd().split('\n').map((line) => JSON.parse(line) as { position: number; sealedAt: string; at: string });
        expect(lines.find(({ position }) => position === Number(bent?.position))).toMatchObject({ sealedAt: time === 'infinity' ? 'Infinity' : '-Infinity', at: time === 'infinity' ? 'Infinity' : '-Infinity' });
        expect(lines.some(({ position }) => position > Number(bent?.position))).toBe(true);
        expect(await text(`/api/v1/audit-events/export?format=fhir${range}`)).toContain(bent?.id ?? 'none');
      }
      const verified = await get<{ broken: unknown }>(auditor, `/api/v1/audit-events/verification?from=${bent?.position ?? ''}&to=${bent?.position ?? ''}`);
      expect(verified).toMatchObject({ status: 200, body: { intact: false, broken: { eventId: bent?.id } } });
    } finally {
      await sql.query('UPDATE audit_events SET at = $2 WHERE id = $1', [bent?.id, bent?.at]);
      await sql.query('UPDATE audit_seals SET sealed_at = $2 WHERE event_id = $1', [bent?.id, seal?.sealed_at]);
      await sql.query('UPDATE audit_checkpoints SET at = $2 WHERE id = $1', [checkpoint?.id, checkpoint?.at]);
      await sql.query('RESET session_replication_role');
    }
  });
});

describe('the access report of a patient', () => {
  it('says who was at the data, how often, why, and what was an emergency', async () => {
    const { status, body } = await get<Report>(auditor, `/api/v1/patients/${patientId}/access-report?limit=2`);
    expect(status).toBe(200);
    expect(body.isKnown).toBe(true);
    expect(body.people).toHaveLength(2);
    expect(body.people).toContainEqual(expect.objectContaining({ actorKind: 'user', userId: radiologist.id, name: 'A Person', role: 'radiologist', accesses: 2, refused: 1, actions: ['getStudy', 'retrieveStudy'], purposes: ['emergency'], emergency: true }));
    expect(body.people).toContainEqual(expect.objectContaining({ actorKind: 'job', userId: null, source: 'worker-1', accesses: 1, emergency: false }));
    expect(body.items).toHaveLength(2);
    const next = await get<Report>(auditor, `/api/v1/patients/${patientId}/access-report?limit=2&cursor=${body.nextCursor ?? ''}`);
    expect([...body.items, ...next.body.items].filter(({ emergency }) => emergency)).toHaveLength(1);
  });

  it('is a table for spreadsheets, in which nothing is a formula', async () => {
    const response = await fetch(`${house.url}/api/v1/patients/${patientId}/access-report`, { headers: { authorization: `Bearer ${auditor}`, accept: 'text/csv' } });
    expect(response.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    const lines = (await response.text()).trimEnd().split('\r\n');
    expect(lines).toHaveLength(5);
    expect(lines[0]).toMatch(/^at,name,userId,/);
    expect(lines.join('\n')).toContain(`"'=cmd|calc, ""quoted"""`);
  });

  it('is there for an erased patient, and for nobody whom the institution never knew', async () => {
    const erased = uuidv7();
    await write({ patientIds: [erased], action: 'erasePatient' });
    expect((await get<Report>(auditor, `/api/v1/patients/${erased}/access-report`)).body).toMatchObject({ isKnown: false, items: [{ action: 'erasePatient' }] });
    const unknown = uuidv7();
    for (let turn = 0; turn < 2; turn++) expect(await get(auditor, `/api/v1/patients/${unknown}/access-report`)).toMatchObject({ status: 404, body: { code: 'patient-not-found' } });
    expect((await get(radiologist.tokens.access_token, `/api/v1/patients/${patientId}/access-report`)).status).toBe(403);
    expect((await get(auditor, '/api/v1/patients/x/access-report')).status).toBe(404);
  });
});
