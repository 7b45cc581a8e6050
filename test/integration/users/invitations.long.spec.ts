import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { eventually } from '../../support/product.js';
import { call, openHouse, person, signIn, type House } from './house.js';
import { openMailbox, parsed, tokenIn, type Mailbox } from './mailbox.js';

interface UserBody { id: string; email: string; state: string; role: string; institutionId: string; secondFactor: boolean }

const PASSWORD = 'orbit pickle trumpet lagoon';
let house: House;
let mailbox: Mailbox;
let token: string;
let sql: pg.Client;

beforeAll(async () => {
  mailbox = await openMailbox();
  house = await openHouse({ jobs: true, variables: { SMTP_URL: mailbox.url, PUBLIC_URL: 'https://imaging.hospital.test/', MAIL_FROM: 'HealthVision <noreply@hospital.test>' } });
  token = (await signIn(house.url)).access_token;
  sql = new pg.Client({ connectionString: house.database.url });
  await sql.connect();
});
afterAll(async () => {
  await sql.end();
  await house.close();
  await mailbox.close();
});

const users = (): string => `${house.url}/api/v1/users`;
const accept = (secret: string, body: unknown, headers: Record<string, string> = {}) => call(undefined, 'POST', `${house.url}/api/v1/invitations/${secret}/accept`, body, headers);
async function invite(more: object = {}, headers: Record<string, string> = {}): Promise<UserBody> {
  const { status, body } = await call<UserBody>(token, 'POST', users(), { email: `${uuidv7()}@hospital.test`, displayName: 'Dr. Ada Lovelace', role: 'radiologist', ...more }, headers);
  expect(status).toBe(201);
  return body;
}

describe('an invitation', () => {
  it('comes by e-mail, and its link lets the person choose a password and sign in', async () => {
    const user = await invite();
    expect(user).toMatchObject({ state: 'invited', secondFactor: false });
    const mail = await mailbox.next(user.email);
    expect(mail.to).toEqual([user.email]);
    expect(mail.headers).toContain('From: HealthVision <noreply@hospital.test>');
    expect(mail.headers).toContain('Auto-Submitted: auto-generated');
    expect(mail.text).toContain('Default institution invites you');
    expect(mail.text).toContain('https://imaging.hospital.test/invitation?token=');
    expect((await accept(tokenIn(mail), { password: PASSWORD })).status).toBe(204);
    const tokens = await signIn(house.url, user.email, PASSWORD);
    expect((await call<UserBody>(tokens.access_token, 'GET', `${users()}/me`)).body).toMatchObject({ id: user.id, state: 'active', role: 'radiologist' });
  });

  it('speaks Chinese to those whose administrator does', async () => {
    const user = await invite({ displayName: '李明' }, { 'accept-language': 'zh-CN' });
    const mail = await mailbox.next(user.email);
    expect(mail.text).toContain('李明，您好');
    expect(mail.text).toContain('邀请您使用 HealthVision');
  });

  it('leaves its secret neither in the outbox, nor in the queue, nor in the database', async () => {
    const user = await invite();
    const secret = tokenIn(await mailbox.next(user.email));
    const { rows: tables } = await sql.query<{ schema: string; name: string }>("SELECT table_schema AS schema, table_name AS name FROM information_schema.tables WHERE table_schema IN ('public', 'bullmq') AND table_type = 'BASE TABLE'");
    expect(tables.map(({ name }) => name)).toContain('outbox');
    for (const { schema, name } of tables) {
      const { rows } = await sql.query<{ row: string }>(`SELECT t::text AS row FROM "${schema}"."${name}" t`);
      expect(rows.filter(({ row }) => row.includes(secret)), name).toEqual([]);
    }
    const { rows } = await sql.query<{ row: string }>("SELECT payload::text AS row FROM outbox WHERE topic = 'users.mail-requested' AND payload->>'userId' = $1", [user.id]);
    expect(rows[0]?.row).not.toContain(user.email);
  });

  it('is good once', async () => {
    const user = await invite();
    const secret = tokenIn(await mailbox.next(user.email));
    const answers = await Promise.all([1, 2, 3].map(() => accept(secret, { password: PASSWORD })));
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 404, 404]);
    expect(await accept(secret, { password: 'another fine password 7' })).toMatchObject({ status: 404, body: { code: 'invitation-not-found' } });
    await expect(signIn(house.url, user.email, PASSWORD)).resolves.toBeDefined();
  });

  it('is not good after 7 days, nor once it was sent again, nor for a disabled person', async () => {
    const user = await invite();
    const first = tokenIn(await mailbox.next(user.email));
    await sql.query("UPDATE user_links SET created_at = created_at - interval '2 minutes', expires_at = now() - interval '1 second' WHERE user_id = $1", [user.id]);
    expect((await accept(first, { password: PASSWORD })).status).toBe(404);
    expect((await call(token, 'POST', `${users()}/${user.id}/invitation`)).status).toBe(202);
    const second = tokenIn(await mailbox.next(user.email, 1));
    expect(second).not.toBe(first);
    const { rows } = await sql.query<{ days: number }>('SELECT extract(day FROM expires_at - created_at)::int AS days FROM user_links WHERE user_id = $1', [user.id]);
    expect(rows).toEqual([{ days: 7 }]);
    expect((await call(token, 'DELETE', `${users()}/${user.id}`)).status).toBe(204);
    expect((await accept(second, { password: PASSWORD })).status).toBe(404);
    expect(await call(token, 'PATCH', `${users()}/${user.id}`, { state: 'active' })).toMatchObject({ status: 409, body: { code: 'conflict' } });
    await sql.query("UPDATE user_links SET created_at = created_at - interval '2 minutes' WHERE user_id = $1", [user.id]);
    expect((await call(token, 'POST', `${users()}/${user.id}/invitation`)).status).toBe(202);
    expect((await accept(tokenIn(await mailbox.next(user.email, 2)), { password: PASSWORD })).status).toBe(204);
    expect(await call(token, 'POST', `${users()}/${user.id}/invitation`)).toMatchObject({ status: 409 });
  });

  it('is sent once however often it is asked for within a minute', async () => {
    const user = await invite();
    for (let index = 0; index < 5; index++) await call(token, 'POST', `${users()}/${user.id}/invitation`);
    await mailbox.next(user.email);
    await eventually('the jobs to be done', async () => (await sql.query("SELECT 1 FROM outbox WHERE dispatched_at IS NULL")).rowCount === 0);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(mailbox.mails.filter(({ to }) => to.includes(user.email))).toHaveLength(1);
  });

  it('is sent in the end when the relay was away', async () => {
    mailbox.away = true;
    const user = await invite();
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    mailbox.away = false;
    expect((await accept(tokenIn(await mailbox.next(user.email)), { password: PASSWORD })).status).toBe(204);
  });

  it.each([
    [{ password: PASSWORD, role: 'platform-admin' }, '/role'],
    [{ password: PASSWORD, institutionId: uuidv7() }, '/institutionId'],
    [{ password: PASSWORD, email: 'mine@evil.test' }, '/email'],
    [{ password: PASSWORD, state: 'active', passwordHash: 'x' }, '/state'],
    [{}, '/password'],
    [{ password: ['a', 'b'] }, '/password'],
  ])('takes nothing but a password: not %j', async (body, pointer) => {
    const user = await invite();
    const secret = tokenIn(await mailbox.next(user.email));
    const answer = await call<{ code: string; errors: { pointer: string }[] }>(undefined, 'POST', `${house.url}/api/v1/invitations/${secret}/accept`, body);
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid-body' } });
    expect(answer.body.errors.map((error) => error.pointer)).toContain(pointer);
    expect((await sql.query('SELECT state, role FROM users WHERE id = $1', [user.id])).rows).toEqual([{ state: 'invited', role: 'radiologist' }]);
  });

  it('keeps its link when the password is weak, and says why in the language of the person', async () => {
    const user = await invite();
    const secret = tokenIn(await mailbox.next(user.email));
    expect(await accept(secret, { password: 'password1234' }, { 'accept-language': 'zh-CN' })).toMatchObject({ status: 422, body: { code: 'weak-password', title: '密码不符合安全策略', errors: [{ pointer: '/password', detail: '该密码在已泄露或常见密码列表中。' }, { pointer: '/password' }] } });
    expect(await accept(secret, { password: 'my name is lovelace, really' })).toMatchObject({ status: 422, body: { errors: [{ detail: expect.stringContaining('name') as string }] } });
    expect((await accept(secret, { password: PASSWORD })).status).toBe(204);
  });

  it.each(['nobody-knows', 'x'.repeat(43), "'%20OR%201=1--", '%00', '..%2f..%2fusers'])('is not found under %j', async (secret) => {
    expect([400, 404]).toContain((await accept(secret, { password: PASSWORD })).status);
  });

  it('is no password reset, and a reset no invitation', async () => {
    const user = await invite();
    const secret = tokenIn(await mailbox.next(user.email));
    expect((await call(undefined, 'POST', `${house.url}/api/v1/password-resets/${secret}`, { password: PASSWORD })).status).toBe(404);
    const { email } = await person(house, token, 'technician');
    await call(undefined, 'POST', `${house.url}/api/v1/password-resets`, { email });
    expect((await accept(tokenIn(await mailbox.next(email)), { password: PASSWORD })).status).toBe(404);
  });

  it('lets nobody in before it is accepted', async () => {
    const user = await invite();
    for (const password of ['', 'null', PASSWORD]) await expect(signIn(house.url, user.email, password || ' x')).rejects.toThrow(/invalid_grant/);
    await call(undefined, 'POST', `${house.url}/api/v1/password-resets`, { email: user.email });
    await mailbox.next(user.email);
    expect(mailbox.mails.filter(({ to, text }) => to.includes(user.email) && text.includes('password-reset'))).toEqual([]);
  });

  it('cannot be sent again by another institution, nor by those who may not', async () => {
    const user = await invite();
    const { tokens } = await person(house, token, 'auditor');
    expect((await call(tokens.access_token, 'POST', `${users()}/${user.id}/invitation`)).status).toBe(403);
    const other = await call<{ administrator: { email: string } }>(token, 'POST', `${house.url}/api/v1/institutions`, { name: 'Elsewhere', administrator: { email: `${uuidv7()}@elsewhere.test`, displayName: 'Another Administrator' } });
    const { email } = other.body.administrator;
    expect((await accept(tokenIn(await mailbox.next(email)), { password: PASSWORD })).status).toBe(204);
    const foreign = (await signIn(house.url, email, PASSWORD)).access_token;
    expect(await call(foreign, 'POST', `${users()}/${user.id}/invitation`)).toMatchObject({ status: 404, body: { code: 'user-not-found' } });
  });
});

describe('the mail', () => {
  it.each(['victim@hospital.test\r\nBcc: all@hospital.test', 'victim@hospital.test\nBcc:all@hospital.test', '"a\r\nBcc: b"@hospital.test', 'a@hospital.test,b@hospital.test', '<a@hospital.test>', 'a@hospital.test\0'])('goes to no address like %j', async (email) => {
    expect(await call(token, 'POST', users(), { email, displayName: 'A Person', role: 'radiologist' })).toMatchObject({ status: 400, body: { errors: [{ pointer: '/email' }] } });
  });

  it('lets no name begin another header or recipient', async () => {
    expect(await call(token, 'POST', users(), { email: 'x@hospital.test', displayName: 'A\r\nBcc: all@hospital.test', role: 'radiologist' })).toMatchObject({ status: 400 });
    const user = await invite({ displayName: 'A, "B" <c@hospital.test>; Bcc: all@hospital.test\u2028Bcc: x@hospital.test' });
    const mail = await mailbox.next(user.email);
    expect(mail.to).toEqual([user.email]);
    expect(mail.headers.filter((line) => /^(bcc|cc):/i.test(line))).toEqual([]);
    expect(mail.headers.filter((line) => /^to:/i.test(line))).toHaveLength(1);
  });

  it('is a file that only the owner reads, where there is no relay; its name and the log hold no address', async () => {
    const plain = await openHouse({ jobs: true, variables: { PORT: '8123' } });
    try {
      const admin = (await signIn(plain.url)).access_token;
      await call(admin, 'POST', `${plain.url}/api/v1/users`, { email: 'grace@hospital.test', displayName: 'Grace', role: 'radiologist' }, { host: 'evil.test' });
      const folder = join(plain.config.dataDir, 'mail');
      const [name = ''] = await eventually('the file', () => Promise.resolve(readdirSync(folder).filter((file) => file.endsWith('.eml'))));
      expect(name).not.toContain('grace');
      expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
      expect(statSync(folder).mode & 0o777).toBe(0o700);
      const { headers, text } = parsed(readFileSync(join(folder, name), 'utf8'));
      expect(headers).toContain('To: Grace <grace@hospital.test>');
      // Whatever the request said its host was.
      expect(text).toContain('http://localhost:8123/invitation?token=');
      expect((await call(undefined, 'POST', `${plain.url}/api/v1/invitations/${tokenIn({ text })}/accept`, { password: PASSWORD })).status).toBe(204);
    } finally {
      await plain.close();
    }
  });
});
