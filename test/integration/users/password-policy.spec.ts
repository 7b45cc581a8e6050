import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { BootstrapService } from '../../../src/modules/users/bootstrap.service.js';
import { MIN_PASSWORD_LENGTH } from '../../../src/modules/users/passwords/password-policy.js';
import { SHORTEST_PASSWORD } from '../../../src/platform/production-secrets.js';
import { call, openHouse, signIn, type House } from './house.js';

let house: House;
let token: string;

beforeAll(async () => {
  house = await openHouse();
  token = (await signIn(house.url)).access_token;
});
afterAll(async () => { await house.close(); });

const create = (password: string, more: object = {}, headers: Record<string, string> = {}) => call(token, 'POST', `${house.url}/api/v1/users`, { email: `${uuidv7()}@hospital.test`, displayName: 'Dr. Grace Hopper', role: 'radiologist', password, ...more }, headers);

describe('a password that somebody chooses', () => {
  it.each([
    ['short', 'at least 12 characters'],
    ['x'.repeat(257), 'at most 256 characters'],
    ['password1234', 'breaches'],
    ['correct horse battery staple', 'breaches'],
    ['qwertyuiop12', 'too easy to guess'],
    ['Grace Hopper 1906-1992', 'a name'],
    ['healthvision for all of us', 'name of this product'],
  ])('is refused with the reason: %j', async (password, reason) => {
    const answer = await create(password);
    expect(answer).toMatchObject({ status: 422, body: { code: 'weak-password', errors: expect.arrayContaining([{ pointer: '/password', detail: expect.stringContaining(reason) as string }]) as unknown } });
    // It may be somebody's password elsewhere.
    expect(JSON.stringify(answer.body)).not.toContain(password.slice(0, 40));
  });

  it('is refused in Chinese to those who read it', async () => {
    expect(await create('short', {}, { 'accept-language': 'zh-CN' })).toMatchObject({ body: { title: '密码不符合安全策略', errors: expect.arrayContaining([{ pointer: '/password', detail: '至少需要 12 个字符。' }]) as unknown } });
  });

  it('is the same however it is composed: NFKC', async () => {
    const email = `${uuidv7()}@hospital.test`;
    expect((await create('caf\u00e9 lagoon trumpet ﬁnch', { email })).status).toBe(201);
    await expect(signIn(house.url, email, 'cafe\u0301 lagoon trumpet finch')).resolves.toBeDefined();
  });

  it('may be a pass phrase in any language', async () => {
    expect((await create('医院放射科今天下雨了所以带伞')).status).toBe(201);
    expect((await create('orbit pickle trumpet lagoon')).status).toBe(201);
  });

  it('is as long as what production asks of the first administrator', () => {
    expect(SHORTEST_PASSWORD).toBe(MIN_PASSWORD_LENGTH);
  });

  it('binds whoever makes administrators on the command line; the start only warns, but in production', async () => {
    const bootstrap = house.app.get(BootstrapService);
    await expect(bootstrap.createAdministrator('weak@hospital.test', 'password1234')).rejects.toMatchObject({ code: 'weak-password' });
    // The password of the house, which everybody knows from a comic.
    await expect(signIn(house.url)).resolves.toBeDefined();
  });
});
