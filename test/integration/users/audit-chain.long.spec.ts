import { spawn } from 'node:child_process';
import { createHash, createPublicKey, randomBytes, verify as verifySignature } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { AuditKeys } from '../../../src/platform/audit/audit-keys.js';
import { AuditSealer } from '../../../src/platform/audit/audit-sealer.js';
import { AuditVerifier, type Verification } from '../../../src/platform/audit/audit-verifier.js';
import { AuditWriter } from '../../../src/platform/audit/audit-writer.js';
import { eventually, ROOT } from '../../support/product.js';
import { Tamperer } from './audit-tampering.js';
import { call, openHouse, signIn, type House } from './house.js';

const TAMPERINGS = 200;

let house: House;
let writer: AuditWriter;
let sealer: AuditSealer;
let verifier: AuditVerifier;
let sql: pg.Client;
const institutions = [uuidv7(), uuidv7(), uuidv7()];

beforeAll(async () => {
  house = await openHouse();
  writer = house.app.get(AuditWriter);
  sealer = house.app.get(AuditSealer);
  verifier = house.app.get(AuditVerifier);
  sql = new pg.Client(house.database.url);
  await sql.connect();
});

afterAll(async () => {
  await sql.end();
  await house.close();
});

async function write(institutionId: string, count: number, by = writer): Promise<string[]> {
  const events = await Promise.all(Array.from({ length: count }, (_, index) => by.write({
    institutionId, actorKind: index % 2 ? 'user' : 'job', actorId: uuidv7(), userId: uuidv7(), role: 'radiologist', source: '10.0.0.1', action: `action-${String(index % 5)}`, outcome: 'succeeded', status: 200,
    patientIds: [uuidv7()], studyInstanceUids: ['1.2.3'], object: uuidv7(), purpose: 'treatment', reason: 'because', requestId: uuidv7(), details: { index, text: 'ä' }, code: index % 3 ? null : 'code',
  })));
  return events.map(({ id }) => id);
}

async function verifyAll(): Promise<Verification[]> {
  const all: Verification[] = [];
  for (const id of await verifier.institutions()) all.push(await verifier.verify('system', id));
  return all;
}

describe('sealing', () => {
  it('finds a new chain behind one that takes several batches', async () => {
    // Chains are taken in the order of their ids: the long one first, and its first batch goes beyond the only event of the other.
    const [long = '', short = ''] = [uuidv7(), uuidv7()].sort();
    const [[id]] = await Promise.all([write(short, 1), write(long, 2_500)]);
    await eventually('the seal', async () => (await sql.query('SELECT FROM audit_seals WHERE event_id = $1', [id])).rowCount === 1);
  });

  it('happens within a second', async () => {
    const [institutionId] = [uuidv7()];
    const [id] = await write(institutionId, 1);
    const written = Date.now();
    const sealed = await eventually('the seal', async () => {
      const { rows } = await sql.query<{ position: string; sealed_at: Date }>('SELECT position, sealed_at FROM audit_seals WHERE event_id = $1', [id]);
      return rows[0];
    }, 3_000);
    expect(sealed.position).toBe('1');
    expect(sealed.sealed_at.getTime() - written).toBeLessThan(1_000);
  });

  it('makes one chain without gaps of what two processes write at once', async () => {
    const other = await house.neighbour();
    const institutionId = uuidv7();
    for (let round = 0; round < 10; round++) await Promise.all([write(institutionId, 20), write(institutionId, 20, other.app.get(AuditWriter))]);
    await eventually('all seals', async () => (await verifier.verify('system', institutionId)).events === 400, 5_000);
    const { rows } = await sql.query<{ count: string; min: string; max: string }>('SELECT count(*), min(position), max(position) FROM audit_seals WHERE institution_id = $1', [institutionId]);
    expect(rows).toEqual([{ count: '400', min: '1', max: '400' }]);
    expect((await verifier.verify('system', institutionId)).broken).toBeNull();
    await other.app.close();
  });

  it('is not held up by a long transaction elsewhere', async () => {
    const long = new pg.Client(house.database.url);
    await long.connect();
    await long.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await long.query('SELECT count(*) FROM audit_events');
    await long.query('CREATE TEMP TABLE holds_a_transaction_id (x int)');
    const [id] = await write(uuidv7(), 1);
    await eventually('the seal', async () => (await sql.query('SELECT 1 FROM audit_seals WHERE event_id = $1', [id])).rowCount === 1, 2_000);
    await long.end();
  });

  it('waits for a writer that has its numbers and has not committed', async () => {
    const slow = new pg.Client(house.database.url);
    await slow.connect();
    await slow.query('BEGIN');
    await slow.query('SELECT pg_advisory_xact_lock_shared(5183429067143388)');
    await slow.query(`SELECT nextval('audit_events_sequence_seq')`);
    const [id] = await write(uuidv7(), 1);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect((await sql.query('SELECT 1 FROM audit_seals WHERE event_id = $1', [id])).rowCount).toBe(0);
    await slow.query('COMMIT');
    await eventually('the seal', async () => (await sql.query('SELECT 1 FROM audit_seals WHERE event_id = $1', [id])).rowCount === 1, 2_000);
    await slow.end();
  });

  it('ends with a signed checkpoint when a process stops', async () => {
    const other = await house.neighbour();
    const institutionId = uuidv7();
    await write(institutionId, 3, other.app.get(AuditWriter));
    await other.app.close();
    expect(await verifier.verify('system', institutionId)).toMatchObject({ events: 3, checkpoints: 1, broken: null });
  });

  it('is caught up by the next process when one died between write and seal', async () => {
    await sealer.beforeApplicationShutdown();
    const institutionId = uuidv7();
    await write(institutionId, 3);
    expect((await verifier.verify('system', institutionId)).events).toBe(0);
    const next = await house.neighbour();
    await eventually('the seals', async () => (await verifier.verify('system', institutionId)).events === 3, 3_000);
    await next.app.close();
  });
});

describe('verification', () => {
  it('can be repeated by an outsider from the export and the public keys', async () => {
    const token = (await signIn(house.url)).access_token;
    await call(token, 'GET', `${house.url}/api/v1/users/me`);
    await sealer.seal();
    await sealer.checkpoint();
    const text = await (await fetch(`${house.url}/api/v1/audit-events/export?format=ndjson`, { headers: { authorization: `Bearer ${token}` } })).text();
    const lines = text.trimEnd().split('\n').map((line) => JSON.parse(line) as Record<string, string>);
    let previous = '0'.repeat(64);
    for (const line of lines) {
      const event = JSON.stringify(['healthvision-audit-event-1', ...['id', 'institutionId', 'at', 'actorKind', 'actorId', 'userId', 'role', 'source', 'action', 'outcome', 'status', 'code', 'patientIds', 'studyInstanceUids', 'object', 'purpose', 'reason', 'requestId', 'details'].map((name) => line[name])]);
      const seal = JSON.stringify(['healthvision-audit-seal-1', previous, line.institutionId, String(line.position), line.sealedAt, String(line.sequence), line.mac, event]);
      previous = createHash('sha256').update(seal).digest('hex');
      expect(previous).toBe(line.hash);
    }
    const { body: { items: [checkpoint] } } = await call<{ items: { text: string; signature: string; kid: string; position: number; hash: string }[] }>(token, 'GET', `${house.url}/api/v1/audit-events/checkpoints`);
    const { body: { keys } } = await call<{ keys: { kty: 'OKP'; kid: string }[] }>(token, 'GET', `${house.url}/api/v1/audit-events/keys`);
    const jwk = keys.find(({ kid }) => kid === checkpoint?.kid) ?? { kty: 'OKP' as const };
    expect(verifySignature(null, Buffer.from(checkpoint?.text ?? ''), createPublicKey({ key: { ...jwk }, format: 'jwk' }), Buffer.from(checkpoint?.signature ?? '', 'base64url'))).toBe(true);
    expect(lines[(checkpoint?.position ?? 0) - 1]?.hash).toBe(checkpoint?.hash);
    expect(JSON.parse(checkpoint?.text ?? '[]')).toContain(checkpoint?.hash);
  });

  it(`finds and names ${String(TAMPERINGS)} of ${String(TAMPERINGS)} tamperings of a superuser`, async () => {
    for (let round = 0; round < 4; round++) {
      for (const id of institutions) await write(id, 12 + round);
      await sealer.seal();
      await sealer.checkpoint();
    }
    expect((await verifyAll()).filter(({ broken }) => broken)).toEqual([]);
    const tamperer = new Tamperer(sql, 20261124);
    await tamperer.prepare();
    const missed: unknown[] = [];
    for (let turn = 0; turn < TAMPERINGS; turn++) {
      const done = await tamperer.tamper(turn);
      const broken = (await verifyAll()).flatMap((one) => one.broken ?? []);
      const named = broken.find((link) => link.institutionId === done.institutionId && done.fault.test(link.fault) && (done.position === null || link.position === done.position) && (done.eventId === undefined || link.eventId === done.eventId));
      if (!named) missed.push({ turn, ...done, fault: String(done.fault), broken });
      await tamperer.mend();
    }
    expect(missed).toEqual([]);
    expect((await verifyAll()).filter(({ broken }) => broken)).toEqual([]);
  }, 300_000);

  it('sees a tail that was cut, a chain that was made anew, and a head that was put back', async () => {
    const [institutionId = ''] = institutions;
    const tamperer = new Tamperer(sql, 1);
    await tamperer.prepare();
    const end = (await verifier.verify('system', institutionId)).position;
    await sql.query('DELETE FROM audit_events WHERE id IN (SELECT event_id FROM audit_seals WHERE institution_id = $1 AND position > $2)', [institutionId, end - 3n]);
    await sql.query('DELETE FROM audit_seals WHERE institution_id = $1 AND position > $2', [institutionId, end - 3n]);
    expect((await verifier.verify('system', institutionId)).broken).toMatchObject({ fault: 'seal-missing', position: end - 2n });
    await tamperer.mend();
    await sql.query('DELETE FROM audit_seals WHERE institution_id = $1', [institutionId]);
    await sql.query('DELETE FROM audit_heads WHERE institution_id = $1', [institutionId]);
    expect((await verifier.verify('system', institutionId)).broken).toMatchObject({ fault: 'checkpoint-mismatch', position: 12n });
    // This process has seen the chain: it begins no new one.
    await write(institutionId, 1);
    expect(await sealer.seal()).toBe(0);
    await tamperer.mend();
  });

  it('does not continue a chain that was bent, and goes on once it is mended', async () => {
    const [institutionId = ''] = institutions;
    const tamperer = new Tamperer(sql, 1);
    await tamperer.prepare();
    await sql.query(`UPDATE audit_heads SET hash = set_byte(hash, 0, (get_byte(hash, 0) + 1) % 256) WHERE institution_id = $1`, [institutionId]);
    const [mine] = await write(institutionId, 1);
    const [others] = await write(institutions[1] ?? '', 1);
    expect(await sealer.seal()).toBe(1);
    expect((await sql.query('SELECT 1 FROM audit_seals WHERE event_id = $1', [others])).rowCount).toBe(1);
    await sql.query(`UPDATE audit_heads SET hash = set_byte(hash, 0, (get_byte(hash, 0) + 255) % 256) WHERE institution_id = $1`, [institutionId]);
    expect(await sealer.seal()).toBe(1);
    expect((await sql.query('SELECT 1 FROM audit_seals WHERE event_id = $1', [mine])).rowCount).toBe(1);
    expect((await verifyAll()).filter(({ broken }) => broken)).toEqual([]);
  });

  it('holds when the master key was exchanged', async () => {
    const previous = readFileSync(join(house.config.dataDir, 'master.key'), 'utf8').trim();
    const keys = { MASTER_KEY: randomBytes(32).toString('base64'), MASTER_KEY_PREVIOUS: previous };
    const between = await house.neighbour(keys);
    expect(await between.app.get(AuditKeys).sealAnew()).toBe(2);
    const after = await house.neighbour({ MASTER_KEY: keys.MASTER_KEY });
    const [, institutionId = ''] = institutions;
    await write(institutionId, 2, after.app.get(AuditWriter));
    await after.app.close();
    const [before, found] = [(await verifier.verify('system', institutionId)).events, await between.app.get(AuditVerifier).verify('system', institutionId)];
    expect(found).toMatchObject({ events: before, broken: null });
    // Back, for the others.
    const back = await house.neighbour({ MASTER_KEY: previous, MASTER_KEY_PREVIOUS: keys.MASTER_KEY });
    expect(await back.app.get(AuditKeys).sealAnew()).toBe(2);
  });

  it('tells by the API and by the command line, which exits with 1', async () => {
    const token = (await signIn(house.url)).access_token;
    await sealer.seal();
    const sound = await call(token, 'GET', `${house.url}/api/v1/audit-events/verification?from=2&to=3`);
    expect(sound.body).toMatchObject({ intact: true, events: 2, position: 3, broken: null });
    expect((await call(token, 'GET', `${house.url}/api/v1/audit-events/verification?chain=installation`)).body).toMatchObject({ institutionId: '00000000-0000-0000-0000-000000000000' });
    const [clean, report] = await audit();
    expect([clean, report]).toMatchObject([0, { intact: true }]);
    await sql.query(`SET session_replication_role = 'replica'`);
    const { rows: [victim] } = await sql.query<{ id: string; position: string; institution_id: string }>('SELECT e.id, s.position, s.institution_id FROM audit_events e JOIN audit_seals s ON s.event_id = e.id WHERE s.institution_id = $1 AND s.position = 5', [institutions[2]]);
    await sql.query(`UPDATE audit_events SET outcome = 'refused' WHERE id = $1`, [victim?.id]);
    const [status, found] = await audit();
    expect(status).toBe(1);
    expect(found.chains.flatMap(({ broken }) => broken ?? [])).toMatchObject([{ fault: 'event-changed', institutionId: victim?.institution_id, position: 5, eventId: victim?.id }]);
    expect((await audit('--institution', institutions[1] ?? ''))[0]).toBe(0);
  }, 60_000);
});

async function audit(...more: string[]): Promise<[number | null, { intact: boolean; chains: { broken: object | null }[] }]> {
  const child = spawn(process.execPath, ['src/cli/launch.mjs', 'audit', 'verify', '--json', ...more], { cwd: ROOT, env: { PATH: process.env.PATH, HOME: process.env.HOME, DATA_DIR: house.config.dataDir, DATABASE_URL: house.database.url } });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => { output += chunk.toString(); });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => { errors += chunk.toString(); });
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (output === '') throw new Error(errors);
  return [status, JSON.parse(output) as { intact: boolean; chains: { broken: object | null }[] }];
}
