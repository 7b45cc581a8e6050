import pg from 'pg';
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { AuditBacklog } from '../../../src/platform/audit/audit-backlog.js';
import { eventOf, INSTALLATION } from '../../../src/platform/audit/audit-event.js';
import { AuditEventsStore } from '../../../src/platform/audit/audit-events.store.js';
import { AuditWriter } from '../../../src/platform/audit/audit-writer.js';
import { MasterKey } from '../../../src/platform/crypto/master-key.js';
import { preparedDirectory } from '../../support/data-directory.js';
import { ADMIN, eventually } from '../../support/product.js';
import { call, openHouse, person, postForm, probe, signIn, type House } from './house.js';

let house: House;
let admin: string;
let institutionId: string;
let sql: pg.Client;

beforeAll(async () => {
  house = await openHouse();
  admin = (await signIn(house.url)).access_token;
  sql = new pg.Client(house.database.url);
  await sql.connect();
  institutionId = (await sql.query<{ id: string }>('SELECT id FROM institutions')).rows[0]?.id ?? '';
});

afterAll(async () => {
  await sql.end();
  await house.close();
});

interface EventRow { id: string; institution_id: string; actor_kind: string; actor_id: string | null; user_id: string | null; role: string | null; source: string; action: string; outcome: string; status: number | null; code: string | null; object: string | null; details: Record<string, unknown>; patient_ids: string[]; study_instance_uids: string[] }

/** Events of a request, in the order of their writing. */
async function eventsOf(requestId: string): Promise<EventRow[]> {
  return (await sql.query<EventRow>('SELECT * FROM audit_events WHERE request_id = $1 ORDER BY sequence', [requestId])).rows;
}

async function recorded(credential: string | undefined, method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<{ status: number; body: Record<string, unknown>; events: EventRow[] }> {
  const requestId = uuidv7();
  const answer = await call(credential, method, `${house.url}${path}`, body, { 'x-request-id': requestId, ...headers });
  return { ...answer, events: await eventsOf(requestId) };
}

/** No event can be inserted until the returned function was called. */
async function breakAudit(): Promise<() => Promise<void>> {
  await sql.query(`CREATE OR REPLACE FUNCTION refuse_all() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$`);
  await sql.query('CREATE TRIGGER refuse_all BEFORE INSERT ON audit_events FOR EACH STATEMENT EXECUTE FUNCTION refuse_all()');
  return async () => { await sql.query('DROP TRIGGER refuse_all ON audit_events'); };
}

describe('what is put on record', () => {
  it('is who read what, from where, and that they got it', async () => {
    const { status, events } = await recorded(admin, 'GET', '/api/v1/users/me');
    expect(status).toBe(200);
    expect(events).toMatchObject([{ institution_id: institutionId, actor_kind: 'user', role: 'platform-admin', source: '127.0.0.1', action: 'getMe', outcome: 'succeeded', status: 200, code: null, details: { route: 'GET /api/v1/users/me' } }]);
    expect(events[0]?.user_id).toBe(events[0]?.actor_id);
  });

  it('is a change before it is done and once it is done', async () => {
    const { body, events } = await recorded(admin, 'POST', '/api/v1/users', { email: 'new@hospital.test', displayName: 'New', role: 'technician', password: 'a password of some length' });
    expect(events).toMatchObject([{ action: 'createUser', outcome: 'attempted', status: null }, { action: 'createUser', outcome: 'succeeded', status: 201 }]);
    const changed = await recorded(admin, 'PATCH', `/api/v1/users/${String(body.id)}`, { displayName: 'Newer' });
    expect(changed.events).toMatchObject([{ action: 'updateUser', object: body.id, outcome: 'attempted' }, { object: body.id, outcome: 'succeeded', status: 200 }]);
  });

  it('is every refusal, with its code', async () => {
    const auditor = (await person(house, admin, 'auditor')).tokens.access_token;
    expect((await recorded(undefined, 'GET', '/api/v1/users')).events).toMatchObject([{ institution_id: INSTALLATION, actor_kind: 'anonymous', action: 'listUsers', outcome: 'refused', status: 401, code: 'unauthenticated' }]);
    expect((await recorded(auditor, 'POST', '/api/v1/users', {})).events).toMatchObject([{ institution_id: institutionId, role: 'auditor', action: 'createUser', outcome: 'refused', status: 403, code: 'forbidden' }]);
    const foreign = uuidv7();
    expect((await recorded(admin, 'GET', `/api/v1/users/${foreign}`)).events).toMatchObject([{ object: foreign, outcome: 'refused', status: 404, code: 'user-not-found' }]);
    expect((await recorded(admin, 'GET', '/api/v1/users?limit=x')).events).toMatchObject([{ outcome: 'failed', status: 400, code: 'invalid-query' }]);
  });

  it('is the key that was used, and its owner', async () => {
    const { body } = await call<{ id: string; key: string; userId: string }>(admin, 'POST', `${house.url}/api/v1/api-keys`, { name: 'gateway', scopes: ['users:read'] });
    expect((await recorded(body.key, 'GET', '/api/v1/users')).events).toMatchObject([{ actor_kind: 'api-key', actor_id: body.id, user_id: body.userId }]);
  });

  it('is every sign-in, and every failed one', async () => {
    const requestId = uuidv7();
    await postForm(`${house.url}/oauth2/token`, { grant_type: 'password', username: 'nobody@hospital.test', password: 'x' }, { 'x-request-id': requestId });
    expect(await eventsOf(requestId)).toMatchObject([{ institution_id: INSTALLATION, action: 'createToken', outcome: 'refused', code: 'invalid_grant' }]);
    const tried = await person(house, admin, 'technician');
    const triedId = uuidv7();
    await postForm(`${house.url}/oauth2/token`, { grant_type: 'password', username: tried.email, password: 'x' }, { 'x-request-id': triedId });
    expect(await eventsOf(triedId)).toMatchObject([{ institution_id: institutionId, actor_kind: 'anonymous', actor_id: null, object: tried.id, action: 'createToken', outcome: 'refused', code: 'invalid_grant' }]);
    const formId = uuidv7();
    await fetch(`${house.url}/session`, { method: 'POST', body: new URLSearchParams({ email: tried.email, password: 'x' }), redirect: 'manual', headers: { 'x-request-id': formId } });
    expect(await eventsOf(formId)).toMatchObject([{ institution_id: institutionId, actor_kind: 'anonymous', object: tried.id, action: 'createSession', outcome: 'refused', status: 303, code: 'invalid-credentials' }]);
    const reusedId = uuidv7();
    await postForm(`${house.url}/oauth2/token`, { grant_type: 'refresh_token', refresh_token: tried.tokens.refresh_token });
    await postForm(`${house.url}/oauth2/token`, { grant_type: 'refresh_token', refresh_token: tried.tokens.refresh_token }, { 'x-request-id': reusedId });
    expect(await eventsOf(reusedId)).toMatchObject([{ institution_id: institutionId, object: tried.id, outcome: 'refused', code: 'invalid_grant' }]);
    const goodId = uuidv7();
    await postForm(`${house.url}/oauth2/token`, { grant_type: 'password', username: 'admin@hospital.test', password: ADMIN.password }, { 'x-request-id': goodId });
    expect(await eventsOf(goodId)).toMatchObject([{ institution_id: institutionId, actor_kind: 'user', role: 'platform-admin', action: 'createToken', outcome: 'succeeded' }]);
  });

  it('is the first refusal of a caller for too many requests, and not a flood of them', async () => {
    const { url } = await house.neighbour({ RATE_LIMIT_PRINCIPAL: '2', RATE_LIMIT_ANONYMOUS: '2', TRUST_PROXY: 'true' });
    const { body: { key } } = await call<{ key: string }>(admin, 'POST', `${house.url}/api/v1/api-keys`, { name: 'flood', scopes: ['users:read'] });
    const ids: string[] = [];
    for (const [credential, address] of [[key, '192.0.2.10'], [undefined, '192.0.2.11'], [undefined, '192.0.2.12']] as const) {
      const statuses: number[] = [];
      for (let index = 0; index < 8; index++) {
        const requestId = uuidv7();
        ids.push(requestId);
        statuses.push((await call(credential, 'GET', `${url}/api/v1/users`, undefined, { 'x-request-id': requestId, 'x-forwarded-for': address })).status);
      }
      expect(statuses.filter((status) => status === 429)).toHaveLength(6);
    }
    const { rows } = await sql.query<{ source: string; actor_kind: string; code: string }>('SELECT source, actor_kind, code FROM audit_events WHERE request_id = ANY ($1) AND status = 429 ORDER BY sequence', [ids]);
    expect(rows).toEqual([['192.0.2.10', 'api-key'], ['192.0.2.11', 'anonymous'], ['192.0.2.12', 'anonymous']].map(([source, actor_kind]) => ({ source, actor_kind, code: 'too-many-requests' })));
  });

  it('is nothing that shows nobody’s data: health, documents, routes that are none', async () => {
    for (const path of ['/health', '/ready', '/metrics', '/.well-known/jwks.json', '/nowhere']) {
      const requestId = uuidv7();
      await fetch(`${house.url}${path}`, { headers: { 'x-request-id': requestId } });
      expect(await eventsOf(requestId)).toEqual([]);
    }
  });

  it('never is what somebody typed into a path instead of an id', async () => {
    const { events } = await recorded(admin, 'GET', `/api/v1/users/${encodeURIComponent('Doe^John 1950')}`);
    expect(events).toMatchObject([{ object: null }]);
    expect(JSON.stringify(events)).not.toContain('Doe');
  });

  it('is whose study it was, as the database knows it when the event is written', async () => {
    const [patientId, uid] = [uuidv7(), '1.2.3.4.5'];
    await sql.query('INSERT INTO patients (id, institution_id, patient_id_token) VALUES ($1, $2, 1)', [patientId, institutionId]);
    await sql.query(`INSERT INTO studies (id, institution_id, study_instance_uid, patient_id, key_id, sealed, modalities, sop_classes, search_tokens, last_instance_at, updated_at) VALUES ($1, $2, $3, $4, $1, '', '{}', '{}', '{}', now(), now())`, [uuidv7(), institutionId, uid, patientId]);
    const written = await house.app.get(AuditWriter).write({ institutionId, actorKind: 'job', action: 'run', outcome: 'succeeded', studyInstanceUids: [uid, '1.2.3.9'] });
    expect(written.patientIds).toEqual([patientId]);
    const foreign = await house.app.get(AuditWriter).write({ institutionId: uuidv7(), actorKind: 'job', action: 'run', outcome: 'succeeded', studyInstanceUids: [uid] });
    expect(foreign.patientIds).toEqual([]);
  });
});

describe('when nothing can be put on record', () => {
  it('nothing is done, and nothing is shown', async () => {
    const mend = await breakAudit();
    try {
      const before = probe.calls;
      const changed = await recorded(admin, 'POST', '/probe/count', {});
      expect(changed).toMatchObject({ status: 503, body: { code: 'audit-unavailable' } });
      expect(probe.calls).toBe(before);
      const response = await fetch(`${house.url}/api/v1/users/me`, { headers: { authorization: `Bearer ${admin}` } });
      expect(response.status).toBe(503);
      expect(response.headers.get('content-type')).toContain('application/problem+json');
      expect(response.headers.get('etag')).toBeNull();
      expect(response.headers.get('retry-after')).not.toBeNull();
      const text = await response.text();
      expect(JSON.parse(text)).toMatchObject({ status: 503, code: 'audit-unavailable' });
      expect(text).not.toContain('admin@hospital.test');
      expect((await fetch(`${house.url}/health`)).status).toBe(200);
    } finally {
      await mend();
    }
    expect((await recorded(admin, 'GET', '/api/v1/users/me')).status).toBe(200);
  });

  it('says so afterwards of what the database took in too late', async () => {
    const requestId = uuidv7();
    const store = house.app.get(AuditEventsStore);
    const insert = store.insert.bind(store);
    // As a database that hangs for longer than the writer waits, and then goes on.
    const late = vi.spyOn(store, 'insert').mockImplementationOnce(async (...all) => {
      await sleep(6_000);
      await insert(...all);
    });
    try {
      expect(await call(admin, 'GET', `${house.url}/api/v1/users`, undefined, { 'x-request-id': requestId })).toMatchObject({ status: 503, body: { code: 'audit-unavailable' } });
      const events = await eventually('the correction', async () => {
        const found = await eventsOf(requestId);
        return found.length === 2 && found;
      });
      expect(events).toMatchObject([{ action: 'listUsers', outcome: 'succeeded', status: 200 }, { action: 'listUsers', outcome: 'failed', status: 503, code: 'audit-unavailable' }]);
      expect(events[1]?.details).toMatchObject({ corrects: events[0]?.id });
    } finally {
      late.mockRestore();
    }
  });

  it('does no harm to others that one event of many is refused', async () => {
    await sql.query(`ALTER TABLE audit_events ADD CONSTRAINT odd CHECK (action <> 'poison')`);
    try {
      const writer = house.app.get(AuditWriter);
      const outcomes = await Promise.allSettled(['a', 'poison', 'b', 'c'].map((action) => writer.write({ institutionId, actorKind: 'job', action, outcome: 'succeeded' })));
      expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
    } finally {
      await sql.query('ALTER TABLE audit_events DROP CONSTRAINT odd');
    }
  });

  it('events wait, in memory and encrypted on disk, when the installation is told so, and come in order afterwards', async () => {
    const { url, app } = await house.neighbour({ AUDIT_FAILURE: 'queue' });
    const folder = join(house.config.dataDir, 'audit-queue');
    const mend = await breakAudit();
    const ids: string[] = [];
    try {
      for (let index = 0; index < 5; index++) {
        const requestId = uuidv7();
        ids.push(requestId);
        expect((await call(admin, 'GET', `${url}/api/v1/users/me`, undefined, { 'x-request-id': requestId })).status).toBe(200);
      }
      expect(await eventsOf(ids[0] ?? '')).toEqual([]);
      expect(readdirSync(folder)).toHaveLength(1);
      expect(readFileSync(join(folder, readdirSync(folder)[0] ?? ''), 'utf8')).not.toContain('getMe');
    } finally {
      await mend();
    }
    const rows = await eventually('the waiting events', async () => {
      const { rows: found } = await sql.query<{ request_id: string }>('SELECT request_id FROM audit_events WHERE request_id = ANY ($1) ORDER BY sequence', [ids]);
      return found.length === ids.length && found;
    });
    expect(rows.map(({ request_id }) => request_id)).toEqual(ids);
    await eventually('an empty folder', async () => Promise.resolve(readdirSync(folder).length === 0));
    await app.get(AuditWriter).write({ institutionId, actorKind: 'job', action: 'afterwards', outcome: 'succeeded' });
  });
});

describe('the backlog', () => {
  it('hands what a dead process has left to the next, whole lines only', async () => {
    const dataDir = await preparedDirectory();
    const key = house.app.get(MasterKey);
    const events = ['first', 'second'].map((action) => eventOf({ institutionId, actorKind: 'job', action, outcome: 'succeeded' }));
    const dead = new AuditBacklog(dataDir, key);
    for (const event of events) await dead.add([event]);
    const [file = ''] = readdirSync(join(dataDir, 'audit-queue'));
    appendFileSync(join(dataDir, 'audit-queue', file), 'half a li');
    writeFileSync(join(dataDir, 'audit-queue', 'foreign.log'), 'sealed by another\n');
    const next = new AuditBacklog(dataDir, key);
    expect(await next.inherit()).toEqual({ events: 2, unreadable: 1 });
    const written: unknown[] = [];
    await expect(next.drain(10, () => Promise.reject(new Error('still away')))).rejects.toThrow('still away');
    while (await next.drain(1, (some) => { written.push(...some); return Promise.resolve(); })) expect(next.size).toBeLessThan(2);
    expect(written).toEqual(events);
    expect(readdirSync(join(dataDir, 'audit-queue'))).toEqual(['foreign.log.taken']);
  });
});

describe('the database', () => {
  it('refuses to change or remove what is on record, for the owner of the tables too', async () => {
    for (const table of ['audit_events', 'audit_seals', 'audit_heads', 'audit_checkpoints', 'audit_keys']) {
      await expect(sql.query(`TRUNCATE ${table} CASCADE`)).rejects.toThrow('append-only');
      if (table !== 'audit_checkpoints') await expect(sql.query(`DELETE FROM ${table}`)).rejects.toThrow('append-only');
    }
    await expect(sql.query(`UPDATE audit_events SET outcome = 'refused'`)).rejects.toThrow('append-only');
    await expect(sql.query('UPDATE audit_heads SET position = position - 1')).rejects.toThrow('append-only');
    await expect(sql.query(`UPDATE audit_keys SET use = 'x'`)).rejects.toThrow('append-only');
  });
});
