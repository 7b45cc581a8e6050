import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../../support/product.js';
import { call, openHouse, person, postForm, signIn, type House } from './house.js';
import { openMailbox, tokenIn, type Mailbox } from './mailbox.js';

const NEW = 'orbit pickle trumpet lagoon';
let house: House;
let mailbox: Mailbox;
let token: string;
let sql: pg.Client;

beforeAll(async () => {
  mailbox = await openMailbox();
  house = await openHouse({ jobs: true, variables: { SMTP_URL: mailbox.url, PUBLIC_URL: 'https://imaging.hospital.test' } });
  token = (await signIn(house.url)).access_token;
  sql = new pg.Client({ connectionString: house.database.url });
  await sql.connect();
});
afterAll(async () => {
  await sql.end();
  await house.close();
  await mailbox.close();
});

const ask = (email: unknown, headers: Record<string, string> = {}) => call(undefined, 'POST', `${house.url}/api/v1/password-resets`, { email }, headers);
const choose = (secret: string, body: unknown) => call(undefined, 'POST', `${house.url}/api/v1/password-resets/${secret}`, body);
const me = (credential: string) => call(credential, 'GET', `${house.url}/api/v1/users/me`);

describe('a password reset', () => {
  it('mails a link that sets a new password, unlocks the account and ends every sign-in', async () => {
    const { id, email, password, tokens } = await person(house, token, 'radiologist');
    const other = await signIn(house.url, email, password);
    for (let index = 0; index < 5; index++) await expect(signIn(house.url, email, 'wrong')).rejects.toThrow();
    await expect(signIn(house.url, email, password)).rejects.toThrow(/invalid_grant/);
    expect((await ask(email.toUpperCase())).status).toBe(202);
    const mail = await mailbox.next(email);
    expect(mail.text).toContain('https://imaging.hospital.test/password-reset?token=');
    expect((await me(tokens.access_token)).status).toBe(200);
    expect((await choose(tokenIn(mail), { password: NEW })).status).toBe(204);
    for (const { access_token } of [tokens, other]) expect((await me(access_token)).status).toBe(401);
    expect((await postForm(`${house.url}/oauth2/token`, { grant_type: 'refresh_token', refresh_token: tokens.refresh_token })).status).toBe(400);
    await expect(signIn(house.url, email, password)).rejects.toThrow(/invalid_grant/);
    await expect(signIn(house.url, email, NEW)).resolves.toBeDefined();
    expect((await mailbox.next(email, 1)).text).toContain('was changed just now');
    expect((await sql.query('SELECT password_changed_at > now() - interval \'1 minute\' AS now FROM users WHERE id = $1', [id])).rows).toEqual([{ now: true }]);
  });

  it('is good once and for an hour', async () => {
    const { id, email } = await person(house, token, 'radiologist');
    await ask(email);
    const secret = tokenIn(await mailbox.next(email));
    expect((await sql.query('SELECT extract(epoch FROM expires_at - created_at)::int AS seconds FROM user_links WHERE user_id = $1', [id])).rows).toEqual([{ seconds: 3_600 }]);
    await sql.query('UPDATE user_links SET expires_at = now() WHERE user_id = $1', [id]);
    expect(await choose(secret, { password: NEW })).toMatchObject({ status: 404, body: { code: 'invitation-not-found' } });
    await sql.query("UPDATE user_links SET expires_at = now() + interval '1 minute' WHERE user_id = $1", [id]);
    const answers = await Promise.all([1, 2, 3].map(() => choose(secret, { password: NEW })));
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 404, 404]);
  });

  it('dies with a change of the password, and with a newer link', async () => {
    const { id, email, password, tokens } = await person(house, token, 'radiologist');
    await ask(email);
    const first = tokenIn(await mailbox.next(email));
    await sql.query("UPDATE user_links SET created_at = created_at - interval '2 minutes' WHERE user_id = $1", [id]);
    await ask(email);
    const second = tokenIn(await mailbox.next(email, 1));
    expect((await choose(first, { password: NEW })).status).toBe(404);
    expect((await call(tokens.access_token, 'POST', `${house.url}/api/v1/users/me/password`, { currentPassword: password, newPassword: NEW })).status).toBe(204);
    expect(await choose(second, { password: 'lagoon trumpet pickle orbit' })).toMatchObject({ status: 404, body: { code: 'invitation-not-found' } });
    await expect(signIn(house.url, email, NEW)).resolves.toBeDefined();
  });

  it('answers the same, in the same time, whether there is such an account or not', async () => {
    const { email } = await person(house, token, 'radiologist');
    const took = async (address: string): Promise<number> => {
      const start = performance.now();
      const { status, body } = await ask(address);
      expect({ status, body }).toEqual({ status: 202, body: null });
      return performance.now() - start;
    };
    const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
    const known: number[] = [];
    const unknown: number[] = [];
    for (let index = 0; index < 5; index++) {
      known.push(await took(email));
      unknown.push(await took(`nobody-${String(index)}@hospital.test`));
    }
    expect(Math.abs(median(known) - median(unknown))).toBeLessThan(60);
    await mailbox.next(email);
    expect(mailbox.mails.filter(({ to }) => to.some((address) => address.startsWith('nobody')))).toEqual([]);
  });

  it('reaches nobody who is disabled, and mails one link a minute to the others', async () => {
    const { id, email } = await person(house, token, 'radiologist');
    const { email: busy } = await person(house, token, 'radiologist');
    await call(token, 'DELETE', `${house.url}/api/v1/users/${id}`);
    await ask(email);
    for (let index = 0; index < 3; index++) await ask(busy);
    await mailbox.next(busy);
    await eventually('the jobs to be done', async () => (await sql.query('SELECT 1 FROM outbox WHERE dispatched_at IS NULL')).rowCount === 0);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(mailbox.mails.filter(({ to }) => to.includes(email))).toEqual([]);
    expect(mailbox.mails.filter(({ to }) => to.includes(busy))).toHaveLength(1);
  });

  it('is void for somebody who was disabled meanwhile, or whose institution was suspended', async () => {
    const { id, email } = await person(house, token, 'radiologist');
    await ask(email);
    const secret = tokenIn(await mailbox.next(email));
    await call(token, 'DELETE', `${house.url}/api/v1/users/${id}`);
    expect((await choose(secret, { password: NEW })).status).toBe(404);
    await call(token, 'PATCH', `${house.url}/api/v1/users/${id}`, { state: 'active' });
    await sql.query("UPDATE institutions SET state = 'suspended'");
    expect((await choose(secret, { password: NEW })).status).toBe(404);
    await sql.query("UPDATE institutions SET state = 'active'");
    expect((await choose(secret, { password: NEW })).status).toBe(204);
  });

  it.each([[{ password: NEW, role: 'admin' }], [{ password: NEW, userId: 'x' }], [{}], [null], ['x']])('takes nothing but a password: not %j', async (body) => {
    expect(await choose('x'.repeat(43), body)).toMatchObject({ status: 400, body: { code: 'invalid-body' } });
  });

  it.each([[undefined], [['a@b.c', 'd@e.f']], [{ not: 'x' }], ['x'.repeat(255)], ['']])('is not asked for %j', async (email) => {
    expect((await ask(email)).status).toBe(400);
  });

  it.each(["' OR 1=1 --@hospital.test", 'nul\0@hospital.test', 'a@hospital.test\r\nBcc: b@hospital.test', '%'])('finds nobody under %j', async (email) => {
    expect((await ask(email)).status).toBe(202);
  });
});

describe('one’s own password', () => {
  const change = (credential: string, body: unknown, headers: Record<string, string> = {}) => call(credential, 'POST', `${house.url}/api/v1/users/me/password`, body, headers);

  it('is changed with the present one; other sign-ins end, this one goes on', async () => {
    const { email, password, tokens } = await person(house, token, 'radiologist');
    const other = await signIn(house.url, email, password);
    expect((await change(tokens.access_token, { currentPassword: password, newPassword: NEW })).status).toBe(204);
    expect((await me(tokens.access_token)).status).toBe(200);
    expect((await me(other.access_token)).status).toBe(401);
    await expect(signIn(house.url, email, password)).rejects.toThrow();
    await expect(signIn(house.url, email, NEW)).resolves.toBeDefined();
    expect((await mailbox.next(email)).text).toContain('was changed just now');
  });

  it('is not changed without it, and guessing it locks the account', async () => {
    const { email, password, tokens } = await person(house, token, 'radiologist');
    for (let index = 0; index < 5; index++) expect(await change(tokens.access_token, { currentPassword: `wrong ${String(index)}`, newPassword: NEW })).toMatchObject({ status: 422, body: { code: 'password-incorrect' } });
    const locked = await change(tokens.access_token, { currentPassword: password, newPassword: NEW });
    expect(locked).toMatchObject({ status: 429, body: { code: 'too-many-requests' } });
    expect(Number(locked.headers.get('retry-after'))).toBeGreaterThan(20);
    await expect(signIn(house.url, email, password)).rejects.toThrow(/invalid_grant/);
  });

  it('must keep to the policy', async () => {
    const { email, password, tokens } = await person(house, token, 'radiologist');
    expect(await change(tokens.access_token, { currentPassword: password, newPassword: email })).toMatchObject({ status: 422, body: { code: 'weak-password', errors: expect.arrayContaining([{ pointer: '/newPassword', detail: expect.stringContaining('e-mail address') as string }]) as unknown } });
    expect((await change(tokens.access_token, { currentPassword: password })).status).toBe(400);
  });

  it('is nothing for a key to change', async () => {
    const { password, tokens } = await person(house, token, 'admin');
    const { body } = await call<{ key: string }>(tokens.access_token, 'POST', `${house.url}/api/v1/api-keys`, { name: 'key', scopes: ['users:write'] });
    expect(await change(body.key, { currentPassword: password, newPassword: NEW })).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  });
});
