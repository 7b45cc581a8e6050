import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, SignJWT } from 'jose';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startOidcIssuer, type OidcIssuer } from '../../support/oidc-issuer.js';
import { eventually } from '../../support/product.js';
import { call, openHouse, person, signIn, type House } from './house.js';

const PEOPLE = {
  grace: { email: 'Grace@Hospital.test', name: 'Dr. Grace Hopper', realm_access: { roles: ['staff', 'doctors'] } },
  rose: { email: 'rose@hospital.test', realm_access: { roles: ['techs'] } },
  nobody: { email: 'nobody@hospital.test', realm_access: { roles: ['visitors'] } },
};

let house: House;
let oidc: OidcIssuer;
let here: { url: string };
let token: string;
let sql: pg.Client;

beforeAll(async () => {
  house = await openHouse();
  token = (await signIn(house.url)).access_token;
  sql = new pg.Client({ connectionString: house.database.url });
  await sql.connect();
  oidc = await startOidcIssuer(PEOPLE);
  here = await house.neighbour(settings());
});
afterAll(async () => {
  await oidc.stop();
  await sql.end();
  await house.close();
});

const settings = (change: object = {}): { OIDC_ISSUERS: string } => ({
  OIDC_ISSUERS: JSON.stringify([{
    issuer: oidc.issuer, audience: 'healthvision', institutionId: house.administrator.institutionId, roleClaim: 'realm_access.roles', roles: { heads: 'admin', doctors: 'radiologist', techs: 'technician' }, ...change,
  }]),
});
const me = (credential: string, url = here.url) => call(credential, 'GET', `${url}/api/v1/users/me`);
const roles = (...names: string[]): { realm_access: { roles: string[] } } => ({ realm_access: { roles: names } });
const rowsOf = async (subject: string): Promise<Record<string, unknown>[]> => (await sql.query<Record<string, unknown>>('SELECT id, email, role, password_hash, state FROM users WHERE external_subject = $1', [subject])).rows;

describe('somebody of an external issuer', () => {
  it('signs in there and works here, in the role that their groups give, as a person made on first sight', async () => {
    const { accessToken } = await oidc.signIn('grace', 'healthvision');
    expect(decodeProtectedHeader(accessToken)).toMatchObject({ alg: 'ES256', typ: 'at+jwt' });
    expect(decodeJwt(accessToken)).toMatchObject({ iss: oidc.issuer, sub: 'grace', aud: 'healthvision' });
    const answers = await Promise.all(Array.from({ length: 6 }, () => me(accessToken)));
    for (const { status, body } of answers) expect({ status, body }).toMatchObject({ status: 200, body: { email: 'grace@hospital.test', displayName: 'Dr. Grace Hopper', role: 'radiologist', institutionId: house.administrator.institutionId } });
    expect(await rowsOf('grace')).toEqual([expect.objectContaining({ role: 'radiologist', password_hash: null, state: 'active' })]);
    expect((await call(accessToken, 'POST', `${here.url}/probe/count`, {})).status).toBe(202);
    expect(await call(accessToken, 'GET', `${here.url}/api/v1/users`)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    // Without the setting the same token is nobody's.
    expect((await me(accessToken, house.url)).status).toBe(401);
  });

  it('has no password, so nobody signs in with one', async () => {
    await expect(signIn(here.url, 'grace@hospital.test', '')).rejects.toThrow();
    await expect(signIn(here.url, 'grace@hospital.test', 'any')).rejects.toThrow(/invalid_grant/);
  });

  it('is refused with a token for another audience, and with an ID token', async () => {
    const { accessToken } = await oidc.signIn('grace', 'somebody-else');
    expect(decodeJwt(accessToken).aud).toBe('somebody-else');
    expect(await me(accessToken)).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
    const { idToken } = await oidc.signIn('grace', 'healthvision');
    expect(decodeJwt(idToken)).toMatchObject({ sub: 'grace', aud: 'viewer' });
    expect((await me(idToken)).status).toBe(401);
    // Even where the audience is set to that of the ID tokens.
    const lax = await house.neighbour(settings({ audience: ['viewer', 'healthvision'] }));
    expect((await me(await oidc.token({ ...roles('doctors'), aud: 'viewer', at_hash: 'x' }), lax.url)).status).toBe(401);
    expect((await me(await oidc.token({ ...roles('doctors'), aud: 'viewer', typ: 'ID' }, { typ: 'JWT' }), lax.url)).status).toBe(401);
    expect((await me(await oidc.token({ ...roles('doctors'), aud: 'viewer', typ: 'Bearer' }, { typ: 'JWT' }), lax.url)).status).toBe(200);
  });

  it('has the role that each token gives, whatever the one before gave', async () => {
    const technician = await oidc.token({ sub: 'ada', ...roles('techs') });
    expect((await me(technician)).body).toMatchObject({ role: 'technician', displayName: 'External user' });
    const admin = await oidc.token({ sub: 'ada', ...roles('techs', 'heads') });
    expect((await me(admin)).body.permissions).toContain('users:write');
    expect(await rowsOf('ada')).toMatchObject([{ role: 'admin' }]);
    expect((await me(technician)).body.permissions).not.toContain('users:write');
    expect((await rowsOf('ada'))[0]?.email).toMatch(/@external\.invalid$/);
  });

  it('without a role here is refused, and leaves no trace among the people', async () => {
    const { accessToken } = await oidc.signIn('nobody', 'healthvision');
    expect(await me(accessToken)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    for (const claims of [{}, roles(), { realm_access: 'doctors' }, { realm_access: null }, roles('platform-admin', 'Doctors')]) expect((await me(await oidc.token({ sub: 'nobody', ...claims }))).status).toBe(403);
    expect(await rowsOf('nobody')).toEqual([]);
  });

  it('never becomes whoever has their e-mail address here', async () => {
    const local = await person(house, token, 'admin');
    expect(await me(await oidc.token({ sub: 'mallory', email: local.email.toUpperCase(), ...roles('doctors') }))).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect(await rowsOf('mallory')).toEqual([]);
    expect((await sql.query('SELECT external_subject FROM users WHERE id = $1', [local.id])).rows).toEqual([{ external_subject: null }]);
    // An address that the issuer does not vouch for is not taken over either.
    expect((await me(await oidc.token({ sub: 'mallory', email: local.email, email_verified: false, ...roles('doctors') }))).body.email).toMatch(/@external\.invalid$/);
  });

  it('is cut off when disabled here, with a live token, too', async () => {
    const live = await oidc.token({ sub: 'leaver', ...roles('doctors') });
    const { body } = await me(live);
    expect((await call(token, 'DELETE', `${here.url}/api/v1/users/${String(body.id)}`)).status).toBe(204);
    expect((await me(live)).status).toBe(401);
    expect((await me(await oidc.token({ sub: 'leaver', ...roles('heads') }))).status).toBe(401);
    expect(await rowsOf('leaver')).toMatchObject([{ role: 'radiologist', state: 'disabled' }]);
  });

  it('runs the platform only where the setting says so', async () => {
    const chief = await oidc.token({ sub: 'chief', ...roles('chiefs') });
    expect((await me(chief)).status).toBe(403);
    const stated = await house.neighbour(settings({ roles: { chiefs: 'platform-admin' } }));
    expect((await me(chief, stated.url)).body).toMatchObject({ role: 'platform-admin' });
  });

  it('belongs to the institution that a claim names, and stays there', async () => {
    const other = randomUUID();
    await sql.query(`INSERT INTO institutions (id, name) VALUES ($1, 'Other')`, [other]);
    const claimed = await house.neighbour(settings({ institutionId: undefined, institutionClaim: 'hospital' }));
    const inOther = await me(await oidc.token({ sub: 'mobile', hospital: other, ...roles('doctors') }), claimed.url);
    expect(inOther).toMatchObject({ status: 200, body: { institutionId: other } });
    for (const hospital of [house.administrator.institutionId, randomUUID(), "' OR 1=1", undefined, [other, other]]) {
      expect((await me(await oidc.token({ sub: 'mobile', hospital, ...roles('doctors') }), claimed.url)).status, String(hospital)).toBe(403);
      if (hospital !== house.administrator.institutionId) expect((await me(await oidc.token({ sub: `new-${String(hospital)}`, hospital, ...roles('doctors') }), claimed.url)).status).toBe(403);
    }
  });
});

describe('a token that names an external issuer', () => {
  const base64url = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const seconds = (): number => Math.floor(Date.now() / 1000);
  const claims = () => ({ iss: oidc.issuer, sub: 'grace', aud: 'healthvision', exp: seconds() + 300, ...roles('doctors') });
  const made = (change: object, header: object = {}) => oidc.token({ ...roles('doctors'), ...change }, header);

  it('is good within a minute of clock skew', async () => {
    expect((await me(await made({ exp: seconds() - 30 }))).status).toBe(200);
    expect((await me(await made({ nbf: seconds() + 30 }))).status).toBe(200);
  });

  it.each<[string, () => Promise<string> | string]>([
    ['that expired', () => made({ exp: seconds() - 90 })],
    ['that never expires', () => made({ exp: undefined })],
    ['that is not valid yet', () => made({ nbf: seconds() + 90 })],
    ['for another audience', () => made({ aud: 'somebody-else' })],
    ['for nobody', () => made({ aud: undefined })],
    ['about nobody', () => made({ sub: undefined })],
    ['about somebody with a null character', () => made({ sub: 'a\0b' })],
    ['about somebody endless', () => made({ sub: 'x'.repeat(300) })],
    ['of a foreign issuer', () => made({ iss: 'https://evil.example' })],
    ['of our own making by its claim', () => made({ iss: 'healthvision' })],
    ['of an issuer with a slash more', () => made({ iss: `${oidc.issuer}/` })],
    ['that is a logout', () => made({}, { typ: 'logout+jwt' })],
    ['with alg none', () => `${base64url({ alg: 'none' })}.${base64url(claims())}.`],
    ['with alg none and a signature', () => `${base64url({ alg: 'none' })}.${base64url(claims())}.AAAA`],
    ['with a shared secret', () => new SignJWT(claims()).setProtectedHeader({ alg: 'HS256', kid: 'issuer-1' }).sign(Buffer.from('x'.repeat(32)))],
    ['by another key under its name', async () => new SignJWT(claims()).setProtectedHeader({ alg: 'ES256', kid: 'issuer-1' }).sign((await generateKeyPair('ES256')).privateKey)],
    ['by a key that nobody knows', async () => new SignJWT(claims()).setProtectedHeader({ alg: 'ES256', kid: 'other' }).sign((await generateKeyPair('ES256')).privateKey)],
    ['that brings its own key', async () => { const pair = await generateKeyPair('ES256', { extractable: true }); return new SignJWT(claims()).setProtectedHeader({ alg: 'ES256', jwk: await exportJWK(pair.publicKey) }).sign(pair.privateKey); }],
    ['that says where its keys are', async () => new SignJWT(claims()).setProtectedHeader({ alg: 'ES256', kid: 'other', jku: 'http://127.0.0.1:1/jwks' }).sign((await generateKeyPair('ES256')).privateKey)],
    ['whose claims were changed', async () => { const [header, , signature] = (await made({})).split('.'); return `${String(header)}.${base64url({ ...claims(), ...roles('heads') })}.${String(signature)}`; }],
    ['in critical need of something', () => {
      const text = `${base64url({ alg: 'ES256', kid: 'issuer-1', crit: ['x'], x: 1 })}.${base64url(claims())}`;
      return `${text}.${sign('sha256', Buffer.from(text), { key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
    }],
  ])('%s is refused', async (_, make) => {
    const { status, body, headers } = await me(await make());
    expect({ status, body }).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
    expect(headers.get('www-authenticate')).toContain('error="invalid_token"');
  });

  it('costs its issuer no request for its keys', async () => {
    await me(await made({}));
    const before = oidc.keyReads();
    for (let index = 0; index < 20; index++) await me(await new SignJWT(claims()).setProtectedHeader({ alg: 'ES256', kid: `forged-${String(index)}` }).sign((await generateKeyPair('ES256')).privateKey));
    expect(oidc.keyReads() - before).toBeLessThanOrEqual(1);
  });
});

describe('an issuer that is away', () => {
  it('does not matter to those whose keys are known; else nobody can say, but a bad token is bad', async () => {
    const good = await oidc.token(roles('doctors'));
    expect((await me(good)).status).toBe(200);
    const another = await oidc.token({ ...roles('doctors'), jti: 'another' });
    const bad = await oidc.token({ ...roles('doctors'), aud: 'somebody-else' });
    await oidc.stop();
    const late = await house.neighbour(settings());
    expect((await me(another)).status).toBe(200);
    const unknown = await me(another, late.url);
    expect(unknown).toMatchObject({ status: 503, body: { code: 'issuer-unavailable' } });
    expect(unknown.headers.get('retry-after')).not.toBeNull();
    expect((await me(bad, late.url)).status).toBe(401);
    // Our own people go on.
    expect((await me(token, late.url)).status).toBe(200);
    await oidc.start();
    await eventually('the issuer to be heard', async () => (await me(another, late.url)).status === 200, 10_000);
  });
});
