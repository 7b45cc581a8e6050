import { createLocalJWKSet, decodeProtectedHeader, jwtVerify, type JSONWebKeySet } from 'jose';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SigningKeysService } from '../../../src/modules/users/signing-keys.service.js';
import { eventually } from '../../support/product.js';
import { call, openHouse, signIn, type House } from './house.js';

let house: House;
let neighbour: Awaited<ReturnType<House['neighbour']>>;
let sql: pg.Client;

beforeAll(async () => {
  house = await openHouse();
  neighbour = await house.neighbour();
  sql = new pg.Client({ connectionString: house.database.url });
  await sql.connect();
});
afterAll(async () => {
  await sql.end();
  await house.close();
});

const kidOf = (token: string): string => String(decodeProtectedHeader(token).kid);
const jwks = async (url: string): Promise<JSONWebKeySet> => (await call<JSONWebKeySet>(undefined, 'GET', `${url}/.well-known/jwks.json`)).body;
const me = async (token: string, url: string): Promise<number> => (await call(token, 'GET', `${url}/api/v1/users/me`)).status;
const fresh = async (url: string): Promise<string> => (await signIn(url)).access_token;

describe('a new signing key', () => {
  it('signs at once here and within ten seconds elsewhere; nobody is signed out', async () => {
    const before = await fresh(house.url);
    expect(await me(before, neighbour.url)).toBe(200);
    const { kid } = await house.app.get(SigningKeysService).rotate();
    const after = await fresh(house.url);
    expect(kidOf(after)).toBe(kid);
    expect(kidOf(before)).not.toBe(kid);
    for (const url of [house.url, neighbour.url]) for (const token of [before, after]) await eventually('the token to be good', async () => (await me(token, url)) === 200, 2_000);
    await eventually('the neighbour to sign with it', async () => kidOf(await fresh(neighbour.url)) === kid, 15_000);
    for (const url of [house.url, neighbour.url]) {
      const keys = await jwks(url);
      expect(keys.keys.map((key) => key.kid)).toEqual([kid, kidOf(before)]);
      for (const token of [before, after]) await expect(jwtVerify(token, createLocalJWKSet(keys), { issuer: 'healthvision', audience: 'healthvision' })).resolves.toBeDefined();
    }
  });

  it('leaves the old one verifying for as long as its last token lives, and no longer', async () => {
    const old = await fresh(house.url);
    await house.app.get(SigningKeysService).rotate();
    const { rows } = await sql.query<{ seconds: string }>('SELECT extract(epoch FROM retired_at - now()) AS seconds FROM signing_keys WHERE kid = $1', [kidOf(old)]);
    expect(Number(rows[0]?.seconds)).toBeGreaterThan(900 + 10);
    expect(Number(rows[0]?.seconds)).toBeLessThan(1_000);
    await sql.query('UPDATE signing_keys SET retired_at = now() WHERE kid = $1', [kidOf(old)]);
    await eventually('the old key to be gone', async () => (await me(old, house.url)) === 401 && (await me(old, neighbour.url)) === 401, 30_000);
    expect((await jwks(house.url)).keys.map((key) => key.kid)).not.toContain(kidOf(old));
  });

  it('comes by itself when one has signed for 90 days, once for all processes', async () => {
    const { kid } = await house.app.get(SigningKeysService).rotate();
    await sql.query(`UPDATE signing_keys SET created_at = now() - interval '91 days' WHERE kid = $1`, [kid]);
    await sql.query(`UPDATE signing_keys SET created_at = created_at - interval '100 days' WHERE kid <> $1`, [kid]);
    const others = [await house.neighbour(), await house.neighbour()];
    const kids = (await Promise.all(others.flatMap(({ url }) => [fresh(url), fresh(url)]))).map(kidOf);
    expect(new Set(kids).size).toBe(1);
    expect(kids[0]).not.toBe(kid);
    const { rows } = await sql.query('SELECT kid FROM signing_keys WHERE retired_at IS NULL');
    expect(rows).toEqual([{ kid: kids[0] }]);
  });

  it('does not end the key of a process with another master key', async () => {
    const stranger = await house.neighbour({ MASTER_KEY: Buffer.alloc(32, 7).toString('base64'), AUDIT_FAILURE: 'queue' });
    const theirs = await fresh(stranger.url);
    await house.app.get(SigningKeysService).rotate();
    const { rows } = await sql.query('SELECT retired_at FROM signing_keys WHERE kid = $1', [kidOf(theirs)]);
    expect(rows).toEqual([{ retired_at: null }]);
    expect(kidOf(await fresh(stranger.url))).toBe(kidOf(theirs));
  });
});
