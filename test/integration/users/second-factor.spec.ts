import { generate } from 'otplib';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { call, openHouse, person, postForm, signIn, type Answer, type House, type Tokens } from './house.js';

interface Member { id: string; email: string; password: string; tokens: Tokens; secret: string; recoveryCodes: string[] }

let house: House;
let token: string;
let sql: pg.Client;

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

const me = (path = ''): string => `${house.url}/api/v1/users/me${path}`;
const factor = (credential: string, method = 'GET', path = '', body?: unknown): Promise<Answer<Record<string, unknown>>> => call(credential, method, me(`/second-factor${path}`), body);
const grant = (email: string, password: string, otp?: string) => postForm(`${house.url}/oauth2/token`, { grant_type: 'password', username: email, password, ...(otp !== undefined && { otp }) });
/** A code of another step each time: one is good once. */
const codeAt = (secret: string, steps = 0): Promise<string> => generate({ secret, epoch: Math.floor(Date.now() / 1000) + steps * 30 });
const wrongCode = async (secret: string): Promise<string> => { const right = await Promise.all([-2, -1, 0, 1, 2].map((steps) => codeAt(secret, steps))); return ['000000', '111111', '222222', '333333', '444444', '555555'].find((code) => !right.includes(code)) ?? ''; };
/** As if time had passed: the codes of this moment can be shown again. */
const forgetSteps = (id: string) => sql.query('UPDATE users SET totp_last_step = NULL, failed_sign_ins = 0, locked_until = NULL WHERE id = $1', [id]);

async function member(role = 'radiologist'): Promise<Member> {
  const someone = await person(house, token, role);
  const started = await factor(someone.tokens.access_token, 'POST');
  expect(started.status).toBe(201);
  const secret = String(started.body.secret);
  const confirmed = await factor(someone.tokens.access_token, 'POST', '/confirm', { code: await codeAt(secret) });
  expect(confirmed.status).toBe(200);
  await forgetSteps(someone.id);
  return { ...someone, secret, recoveryCodes: confirmed.body.recoveryCodes as string[] };
}

describe('setting up a second factor', () => {
  it('gives a secret as text, link and picture, and takes force with a code', async () => {
    const { id, email, password, tokens } = await person(house, token, 'radiologist');
    const other = await signIn(house.url, email, password);
    expect((await factor(tokens.access_token)).body).toEqual({ confirmedAt: null, recoveryCodesLeft: 0 });
    const started = await factor(tokens.access_token, 'POST');
    expect(started).toMatchObject({ status: 201, body: { secret: expect.stringMatching(/^[A-Z2-7]{32}$/) as string } });
    expect(started.headers.get('cache-control')).toBe('no-store');
    const uri = new URL(String(started.body.uri));
    expect(uri.searchParams.get('secret')).toBe(started.body.secret);
    expect(Buffer.from(String(started.body.qrCode).replace('data:image/svg+xml;base64,', ''), 'base64').toString()).toMatch(/^<svg /);
    // Not in force yet.
    expect((await grant(email, password)).status).toBe(200);
    expect(await factor(tokens.access_token, 'POST', '/confirm', { code: await wrongCode(String(started.body.secret)) })).toMatchObject({ status: 422, body: { code: 'second-factor-invalid' } });
    const confirmed = await factor(tokens.access_token, 'POST', '/confirm', { code: await codeAt(String(started.body.secret)) });
    expect(new Set(confirmed.body.recoveryCodes as string[]).size).toBe(10);
    expect((await factor(tokens.access_token)).body).toMatchObject({ confirmedAt: expect.any(String) as string, recoveryCodesLeft: 10 });
    // The sign-in that showed the code goes on, the one without ends.
    expect((await call(other.access_token, 'GET', me())).status).toBe(401);
    expect((await call<{ secondFactor: boolean }>(token, 'GET', `${house.url}/api/v1/users/${id}`)).body.secondFactor).toBe(true);
    expect(await factor(tokens.access_token, 'POST')).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect(await factor(tokens.access_token, 'POST', '/confirm', { code: '123456' })).toMatchObject({ status: 409 });
  });

  it('leaves neither secret nor codes readable in the database', async () => {
    const { id, secret, recoveryCodes } = await member();
    const { rows } = await sql.query<{ row: string; sealed: Buffer }>('SELECT u::text AS row, sealed_totp_secret AS sealed FROM users u WHERE id = $1', [id]);
    expect(rows[0]?.row).not.toContain(secret);
    expect(rows[0]?.sealed.toString('latin1')).not.toContain(secret);
    const codes = await sql.query<{ row: string }>('SELECT r::text AS row FROM recovery_codes r WHERE user_id = $1', [id]);
    expect(codes.rows).toHaveLength(10);
    for (const code of recoveryCodes) expect(JSON.stringify(codes.rows)).not.toContain(code);
  });

  it('starts anew as often as one likes before the first code, which must be of the last secret', async () => {
    const { tokens } = await person(house, token, 'technician');
    const first = await factor(tokens.access_token, 'POST');
    const second = await factor(tokens.access_token, 'POST');
    expect((await factor(tokens.access_token, 'POST', '/confirm', { code: await codeAt(String(first.body.secret)) })).status).toBe(422);
    expect((await factor(tokens.access_token, 'POST', '/confirm', { code: await codeAt(String(second.body.secret)) })).status).toBe(200);
  });

  it('is nothing for a key, even its owner’s', async () => {
    const { tokens } = await person(house, token, 'admin');
    const { body } = await call<{ key: string }>(tokens.access_token, 'POST', `${house.url}/api/v1/api-keys`, { name: 'key', scopes: ['users:write'] });
    for (const [method, path, sent] of [['GET', '', undefined], ['POST', '', undefined], ['POST', '/confirm', { code: '123456' }], ['DELETE', '', { code: '123456' }]] as const) expect((await factor(body.key, method, path, sent)).status).toBe(403);
  });
});

describe('signing in with a second factor', () => {
  let someone: Member;
  beforeAll(async () => { someone = await member(); });
  beforeEach(async () => { await forgetSteps(someone.id); });

  it('asks for the code, and says so in a way that programs understand', async () => {
    const { status, body } = await grant(someone.email, someone.password);
    expect({ status, body }).toEqual({ status: 400, body: { error: 'invalid_grant', mfa_required: true, error_description: expect.stringContaining('otp') as string } });
    expect((await grant(someone.email, 'wrong')).body).not.toHaveProperty('mfa_required');
    expect((await grant(someone.email, 'wrong', await codeAt(someone.secret))).body).not.toHaveProperty('mfa_required');
  });

  it('takes the code of the moment, and of the steps beside it', async () => {
    for (const steps of [-1, 0, 1]) {
      await forgetSteps(someone.id);
      expect((await grant(someone.email, someone.password, await codeAt(someone.secret, steps))).status).toBe(200);
    }
    await forgetSteps(someone.id);
    for (const steps of [-3, 3]) expect((await grant(someone.email, someone.password, await codeAt(someone.secret, steps))).status).toBe(400);
  });

  it('takes a code once, also when it is shown many times at once, and none that is older', async () => {
    const code = await codeAt(someone.secret);
    const before = await codeAt(someone.secret, -1);
    const statuses = (await Promise.all([1, 2, 3].map(() => grant(someone.email, someone.password, code)))).map(({ status }) => status);
    expect(statuses.sort()).toEqual([200, 400, 400]);
    expect((await grant(someone.email, someone.password, before)).status).toBe(400);
  });

  it('takes each recovery code once, however it is typed', async () => {
    const [code = ''] = someone.recoveryCodes;
    const statuses = (await Promise.all([1, 2, 3].map(() => grant(someone.email, someone.password, code)))).map(({ status }) => status);
    expect(statuses.sort()).toEqual([200, 400, 400]);
    await forgetSteps(someone.id);
    expect((await grant(someone.email, someone.password, someone.recoveryCodes[1]?.toUpperCase().replaceAll('-', ' '))).status).toBe(200);
    const tokens = (await grant(someone.email, someone.password, someone.recoveryCodes[2])).body as Tokens;
    expect((await factor(tokens.access_token)).body).toMatchObject({ recoveryCodesLeft: 7 });
  });

  it('locks the account when codes are guessed, and refuses the right one then', async () => {
    const wrong = await wrongCode(someone.secret);
    for (let index = 0; index < 5; index++) expect((await grant(someone.email, someone.password, wrong)).body).toMatchObject({ error: 'invalid_grant' });
    expect((await sql.query('SELECT failed_sign_ins, locked_until > now() AS locked FROM users WHERE id = $1', [someone.id])).rows).toEqual([{ failed_sign_ins: 5, locked: true }]);
    const right = await grant(someone.email, someone.password, await codeAt(someone.secret));
    expect(right).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    expect(right.body).not.toHaveProperty('mfa_required');
    // Nor does it show any more whether the password is right.
    expect((await grant(someone.email, someone.password)).body).not.toHaveProperty('mfa_required');
  });

  it('tries no more than one guess before the first failures count', async () => {
    const wrong = await wrongCode(someone.secret);
    await Promise.all(Array.from({ length: 12 }, () => grant(someone.email, someone.password, wrong)));
    expect((await sql.query('SELECT failed_sign_ins FROM users WHERE id = $1', [someone.id])).rows).toEqual([{ failed_sign_ins: 5 }]);
  });

  it.each(["' OR 1=1", '0'.repeat(4_000), '１２３４５６', 'null', '-1'])('takes no %j', async (otp) => {
    expect((await grant(someone.email, someone.password, otp)).status).toBe(400);
  });

  it('is asked for nobody’s keys', async () => {
    const { tokens } = await member('admin');
    const { body } = await call<{ key: string }>(tokens.access_token, 'POST', `${house.url}/api/v1/api-keys`, { name: 'key', scopes: ['users:read'] });
    expect((await call(body.key, 'GET', `${house.url}/api/v1/users`)).status).toBe(200);
  });

  it('does not take the code of somebody else', async () => {
    const other = await member();
    expect((await grant(someone.email, someone.password, await codeAt(other.secret))).status).toBe(400);
    expect((await grant(someone.email, someone.password, other.recoveryCodes[0])).status).toBe(400);
  });
});

describe('losing a second factor', () => {
  it('takes a code or a recovery code, and not the password alone', async () => {
    for (const proofOf of [async ({ secret }: Member) => ({ code: await codeAt(secret) }), ({ recoveryCodes }: Member) => Promise.resolve({ code: recoveryCodes[0] })]) {
      const someone = await member();
      expect((await factor(someone.tokens.access_token, 'DELETE', '', { password: someone.password })).status).toBe(400);
      expect((await factor(someone.tokens.access_token, 'DELETE', '', { code: someone.password })).status).toBe(422);
      expect((await factor(someone.tokens.access_token, 'DELETE', '', await proofOf(someone))).status).toBe(204);
      expect((await factor(someone.tokens.access_token)).body).toEqual({ confirmedAt: null, recoveryCodesLeft: 0 });
      expect((await grant(someone.email, someone.password)).status).toBe(200);
      expect((await factor(someone.tokens.access_token, 'DELETE', '', { code: '123456' })).status).toBe(409);
    }
  });

  it('cannot be guessed by whoever has stolen a token', async () => {
    const someone = await member();
    const wrong = await wrongCode(someone.secret);
    for (let index = 0; index < 5; index++) expect(await factor(someone.tokens.access_token, 'DELETE', '', { code: wrong })).toMatchObject({ status: 422 });
    expect((await factor(someone.tokens.access_token, 'DELETE', '', { code: await codeAt(someone.secret) })).status).toBe(429);
    expect((await factor(someone.tokens.access_token, 'POST', '/recovery-codes', { code: await codeAt(someone.secret) })).status).toBe(429);
    expect((await factor(someone.tokens.access_token)).body).toMatchObject({ recoveryCodesLeft: 10 });
  });

  it.each([[{}], [{ code: '123456', password: 'x' }], [{ code: '1' }], [{ code: 123456 }], [null]])('is not done by %j', async (body) => {
    const { tokens } = await person(house, token, 'technician');
    expect((await factor(tokens.access_token, 'DELETE', '', body)).status).toBe(400);
  });

  it('new recovery codes make the old ones void', async () => {
    const someone = await member();
    const renewed = await factor(someone.tokens.access_token, 'POST', '/recovery-codes', { code: await codeAt(someone.secret) });
    expect(renewed.status).toBe(200);
    expect((await grant(someone.email, someone.password, someone.recoveryCodes[0])).status).toBe(400);
    expect((await grant(someone.email, someone.password, (renewed.body.recoveryCodes as string[])[0])).status).toBe(200);
  });

  it('an administrator helps those of the institution, and only those', async () => {
    const someone = await member();
    const { tokens: technician } = await person(house, token, 'technician');
    const { tokens: admin } = await person(house, token, 'admin');
    const reset = (credential: string, id: string) => call(credential, 'DELETE', `${house.url}/api/v1/users/${id}/second-factor`);
    expect((await reset(technician.access_token, someone.id)).status).toBe(403);
    await sql.query("INSERT INTO institutions (id, name) VALUES ('0198c0de-0000-7000-8000-0000000000f1', 'Elsewhere') ON CONFLICT DO NOTHING");
    await sql.query("UPDATE users SET institution_id = '0198c0de-0000-7000-8000-0000000000f1' WHERE id = $1", [someone.id]);
    expect(await reset(admin.access_token, someone.id)).toMatchObject({ status: 404, body: { code: 'user-not-found' } });
    await sql.query('UPDATE users SET institution_id = $2 WHERE id = $1', [someone.id, house.administrator.institutionId]);
    expect((await reset(admin.access_token, someone.id)).status).toBe(204);
    expect((await call(someone.tokens.access_token, 'GET', me())).status).toBe(401);
    expect((await grant(someone.email, someone.password)).status).toBe(200);
    expect((await reset(admin.access_token, someone.id)).status).toBe(409);
    expect((await reset(admin.access_token, house.administrator.userId)).status).toBe(403);
  });
});

describe('an institution that asks for a second factor', () => {
  const require = (yes: boolean) => call(token, 'PATCH', `${house.url}/api/v1/institutions/${house.administrator.institutionId}`, { requireSecondFactor: yes });
  let platform: { secret: string };

  beforeAll(async () => {
    const started = await factor(token, 'POST');
    platform = { secret: String(started.body.secret) };
    await factor(token, 'POST', '/confirm', { code: await codeAt(platform.secret) });
    expect((await require(true)).status).toBe(200);
  });
  afterAll(async () => { await require(false); });

  it('leaves people without one nothing but setting it up, and everything after that, in the same sign-in', async () => {
    const created = await call<{ id: string }>(token, 'POST', `${house.url}/api/v1/users`, { email: 'bare@hospital.test', displayName: 'Bare', role: 'admin', password: 'orbit pickle trumpet lagoon' });
    expect(created.status).toBe(201);
    const { access_token: bare } = await signIn(house.url, 'bare@hospital.test', 'orbit pickle trumpet lagoon');
    for (const [method, path] of [['GET', '/api/v1/users/me'], ['GET', '/api/v1/users'], ['GET', '/api/v1/users/me/sessions'], ['POST', '/api/v1/users/me/password'], ['POST', '/api/v1/api-keys'], ['GET', '/api/v1/institutions']] as const) {
      expect(await call(bare, method, `${house.url}${path}`, method === 'POST' ? {} : undefined), path).toMatchObject({ status: 403, body: { code: 'second-factor-required' } });
    }
    expect((await call(bare, 'GET', `${house.url}/session`)).body).toMatchObject({ secondFactorRequired: true });
    const started = await factor(bare, 'POST');
    expect((await factor(bare, 'POST', '/confirm', { code: await codeAt(String(started.body.secret)) })).status).toBe(200);
    expect((await call(bare, 'GET', `${house.url}/api/v1/users`)).status).toBe(200);
  });

  it('asks keys and systems nothing', async () => {
    const someone = await member('admin');
    const { body } = await call<{ key: string }>(someone.tokens.access_token, 'POST', `${house.url}/api/v1/api-keys`, { name: 'key', scopes: ['users:read'] });
    await call(token, 'DELETE', `${house.url}/api/v1/users/${someone.id}/second-factor`);
    expect((await call(body.key, 'GET', `${house.url}/api/v1/users`)).status).toBe(200);
    const client = await call(token, 'POST', `${house.url}/api/v1/oauth-clients`, { name: 'PACS', scopes: ['images:read'], authentication: 'client_secret' });
    expect(client.status).toBe(201);
    const secret = Object.values(client.body).map((value) => String(value)).find((value) => value.startsWith('hvs_')) ?? '';
    expect((await postForm(`${house.url}/oauth2/token`, { grant_type: 'client_credentials', client_id: String(client.body.id), client_secret: secret })).status).toBe(200);
  });
});
