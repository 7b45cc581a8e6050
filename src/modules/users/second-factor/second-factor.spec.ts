import { generate } from 'otplib';
import { describe, expect, it } from 'vitest';
import { newRecoveryCodes, recoveryCodeHash } from './recovery-codes.js';
import { newTotpSecret, stepOfCode, totpUri } from './totp.js';

const now = (): number => Math.floor(Date.now() / 1000);

describe('A code of an authenticator app', () => {
  it('is known by its time step, one step early or late included, and no further', async () => {
    const secret = newTotpSecret();
    const epoch = now();
    const at = (steps: number): Promise<string> => generate({ secret, epoch: epoch + steps * 30 });
    const step = Math.floor(epoch / 30);
    // Ten milliseconds before a step ends, the clock may be in the next.
    for (const distance of [-1, 0, 1]) expect([step + distance]).toContain(await stepOfCode(secret, await at(distance)));
    for (const distance of [-3, 3, 100]) expect(await stepOfCode(secret, await at(distance))).toBeNull();
    expect(await stepOfCode(newTotpSecret(), await at(0))).toBeNull();
  });

  it.each(['', '12345', '1234567', 'abcdef', '１２３４５６', "' OR 1"])('is not %j', async (text) => {
    expect(await stepOfCode(newTotpSecret(), text)).toBeNull();
  });

  it('comes from a secret that apps read from a link', () => {
    const uri = new URL(totpUri('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ', 'grace@hospital.test'));
    expect(uri.href).toMatch(/^otpauth:\/\/totp\/HealthVision:grace%40hospital\.test\?/);
    expect(uri.searchParams.get('secret')).toBe('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ');
  });
});

describe('Recovery codes', () => {
  it('are ten, all different, and known however they are typed', () => {
    const codes = newRecoveryCodes();
    expect(new Set(codes).size).toBe(10);
    for (const code of codes) expect(code).toMatch(/^[0-9a-hjkmnp-tv-z]{4}(-[0-9a-hjkmnp-tv-z]{4}){3}$/);
    const hash = recoveryCodeHash('somebody', '01ab-cdef-ghjk-mnpq');
    for (const typed of ['01abcdefghjkmnpq', ' O1AB CDEF GHJK MNPQ ', 'oIab-cdef-ghjk-mnpq', 'olab cdef-ghjkmnpq']) expect(recoveryCodeHash('somebody', typed)).toBe(hash);
    expect(recoveryCodeHash('somebody else', '01ab-cdef-ghjk-mnpq')).not.toBe(hash);
    for (const typed of ['', '01ab', '01ab-cdef-ghjk-mnpu', 'x'.repeat(1000)]) expect(recoveryCodeHash('somebody', typed)).toBeUndefined();
  });
});
