import { describe, expect, it } from 'vitest';
import { generatePassword, hashPassword, lockSeconds, strangersLockSeconds, verifyPassword } from './password.js';

describe('a password', () => {
  it('is hashed with argon2id at the cost we mean, with new salt each time', async () => {
    const [one, other] = await Promise.all([hashPassword('secret'), hashPassword('secret')]);
    expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(one).not.toBe(other);
  });

  it('fits its own hash and no other', async () => {
    const hash = await hashPassword('correct horse');
    expect(await verifyPassword(hash, 'correct horse')).toBe(true);
    expect(await verifyPassword(hash, 'Correct horse')).toBe(false);
    expect(await verifyPassword(hash, '')).toBe(false);
  });

  it('is the same however a keyboard composes its accents', async () => {
    expect(await verifyPassword(await hashPassword('Zürich'), 'Zürich')).toBe(true);
  });

  it('of an account that is not there is wrong, and is checked as dearly', async () => {
    const hash = await hashPassword('x');
    const time = async (known: string | undefined): Promise<number> => {
      const start = performance.now();
      for (let index = 0; index < 5; index++) expect(await verifyPassword(known, 'guess')).toBe(false);
      return performance.now() - start;
    };
    await time(hash);
    const [known, unknown] = [await time(hash), await time(undefined)];
    // A shortcut would be a thousand times faster; a busy machine is not.
    expect(unknown).toBeGreaterThan(known / 5);
  });

  it('that is generated cannot be guessed', () => {
    expect(new Set(Array.from({ length: 100 }, generatePassword)).size).toBe(100);
    expect(generatePassword()).toMatch(/^[0-9A-Za-z]{20}$/);
  });
});

describe('the lock', () => {
  it('comes with the fifth failure, doubles, and ends at a quarter of an hour', () => {
    expect(Array.from({ length: 12 }, (_, failures) => lockSeconds(failures))).toEqual([0, 0, 0, 0, 0, 30, 60, 120, 240, 480, 900, 900]);
    expect(lockSeconds(1_000_000)).toBe(900);
    expect([49, 50, 51, 52, 53, 54, 1_000_000].map(strangersLockSeconds)).toEqual([0, 5, 10, 20, 40, 60, 60]);
  });
});
