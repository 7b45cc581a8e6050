import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { INSTALLATION } from '../../../src/platform/audit/audit-event.js';
import { AuditSealer } from '../../../src/platform/audit/audit-sealer.js';
import { AuditVerifier } from '../../../src/platform/audit/audit-verifier.js';
import { call, openHouse, person, signIn, type House } from './house.js';
import { eventually } from '../../support/product.js';
import pg from 'pg';

let house: House;
let admin: string;
let sql: pg.Client;

beforeAll(async () => {
  house = await openHouse();
  admin = (await signIn(house.url)).access_token;
  sql = new pg.Client(house.database.url);
  await sql.connect();
});

afterAll(async () => {
  await sql.end();
  await house.close();
});

describe('the audit trail', () => {
  it('has events', async () => {
    await call(admin, 'GET', `${house.url}/api/v1/users/me`);
    const t = performance.now();
    for (let i = 0; i < 50; i++) await call(admin, 'GET', `${house.url}/api/v1/users/me`);
    console.log((performance.now() - t) / 50, 'ms');
    await person(house, admin, 'radiologist');
    await new Promise((r) => setTimeout(r, 1500));
    console.log((await sql.query('select sequence, institution_id, actor_kind, action, outcome, status, code, object, details, source, request_id from audit_events order by sequence desc limit 8')).rows);
    console.log((await sql.query('select institution_id, position, sequence, checkpoints from audit_heads')).rows);
    for (const id of await house.app.get(AuditVerifier).institutions()) console.log(await house.app.get(AuditVerifier).verify('system', id));
  });
});
