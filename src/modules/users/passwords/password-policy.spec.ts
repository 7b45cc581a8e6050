import { afterAll, describe, expect, it } from 'vitest';
import { PasswordPolicy, type PasswordFault } from './password-policy.js';

const policy = new PasswordPolicy();
afterAll(async () => { await policy.onApplicationShutdown(); });
const owner = { email: 'grace.hopper@hospital.test', displayName: 'Dr. Grace Hopper' };

describe('The password policy', () => {
  it.each<[string, PasswordFault[]]>([
    ['a password of some length', []],
    ['Tr0mbone-orchid-91', []],
    ['医院放射科今天下雨了所以带伞', []],
    ['short', ['too-short', 'guessable']],
    ['password1234', ['known', 'guessable']],
    ['PASSWORD1234', ['known', 'guessable']],
    ['correct horse battery staple', ['known']],
    ['aaaaaaaaaaaaaaaaaa', ['guessable']],
    ['1qaz2wsx3edc', ['guessable']],
    ['x'.repeat(257), ['too-long']],
  ])('says of %j: %j', async (password, faults) => {
    const found = await policy.faultsOf(password, owner);
    expect(found).toEqual(expect.arrayContaining(faults));
    if (faults.length === 0) expect(found).toEqual([]);
  });

  it.each(['Hopper and the long river', 'my grace.hopper@hospital.test!', 'HEALTHVISION is my home 7', 'ＨＯＰＰＥＲ and the long river'])('finds what is personal in %j', async (password) => {
    expect(await policy.faultsOf(password, owner)).toContain('personal');
  });

  it('finds Chinese names, and leaves short words alone', async () => {
    expect(await policy.faultsOf('我叫王小明住在北京朝阳区', { email: 'w@hospital.test', displayName: '王小明' })).toContain('personal');
    expect(await policy.faultsOf('a long anne of green gables walk', { email: 'al@hospital.test', displayName: 'An Li' })).toEqual([]);
  });

  it('counts characters after NFKC, as people see them', async () => {
    expect(await policy.faultsOf('😀'.repeat(11), owner)).toContain('too-short');
    expect(await policy.faultsOf('ﬃ'.repeat(100), owner)).toEqual(['too-long']);
  });

  it('leaves the event loop alone, however long the password', async () => {
    let longest = 0;
    let last = performance.now();
    const timer = setInterval(() => { const now = performance.now(); longest = Math.max(longest, now - last); last = now; }, 1);
    await Promise.all([1, 2, 3].map((index) => policy.faultsOf(`Tr0ub4dor&3xyz${String(index)}`.repeat(17).slice(0, 256), owner)));
    clearInterval(timer);
    expect(longest).toBeLessThan(300);
  });

  it('says why, in the language of the caller', async () => {
    await expect(policy.require('short', owner, '/password', 'en')).rejects.toMatchObject({ code: 'weak-password', errors: expect.arrayContaining([{ pointer: '/password', detail: 'It must have at least 12 characters.' }]) as unknown });
    await expect(policy.require('short', owner, '/newPassword', 'zh-CN')).rejects.toMatchObject({ errors: expect.arrayContaining([{ pointer: '/newPassword', detail: '至少需要 12 个字符。' }]) as unknown });
  });
});
