import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { KeysUnavailable, RemoteKeys } from './remote-keys.js';

const MINUTE = 60_000;

async function pair(kid: string | undefined) {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), ...(kid !== undefined && { kid }) };
  const token = () => new SignJWT({ sub: 'x' }).setProtectedHeader({ alg: 'ES256', ...(kid !== undefined && { kid }) }).sign(privateKey);
  return { jwk, token };
}

/** A publisher that a test changes, switches off, and counts the visits to. */
function publisher(keys: object[]) {
  const state = { keys, isAway: false, reads: 0, now: 0, failures: 0 };
  const remote = new RemoteKeys(() => {
    state.reads += 1;
    return state.isAway ? Promise.reject(new Error('away')) : Promise.resolve({ keys: state.keys });
  }, () => { state.failures += 1; }, () => state.now);
  return { state, verify: (token: string) => remote.verify(token, { algorithms: ['ES256'] }) };
}

describe('keys that somebody else publishes', () => {
  it('are read once for all who ask, and again after ten minutes', async () => {
    const one = await pair('1');
    const { state, verify } = publisher([one.jwk]);
    const token = await one.token();
    expect((await Promise.all([verify(token), verify(token), verify(token)])).every((result) => result !== null)).toBe(true);
    state.now = 9 * MINUTE;
    await verify(token);
    expect(state.reads).toBe(1);
    state.now = 11 * MINUTE;
    await verify(token);
    expect(state.reads).toBe(2);
  });

  it('are read again for a new key, but not for every forged one', async () => {
    const [one, two] = [await pair('1'), await pair('2')];
    const { state, verify } = publisher([one.jwk]);
    await verify(await one.token());
    state.keys = [one.jwk, two.jwk];
    expect(await verify(await two.token())).toBeNull();
    state.now = MINUTE;
    expect(await verify(await two.token())).not.toBeNull();
    const forged = await (await pair('3')).token();
    for (let index = 0; index < 20; index++) expect(await verify(forged)).toBeNull();
    expect(state.reads).toBe(2);
  });

  it('serve on while they cannot be read, for a day', async () => {
    const one = await pair('1');
    const { state, verify } = publisher([one.jwk]);
    const token = await one.token();
    await verify(token);
    state.isAway = true;
    state.now = 60 * MINUTE;
    expect(await verify(token)).not.toBeNull();
    expect(await verify(await (await pair('2')).token())).toBeNull();
    state.now = 25 * 60 * MINUTE;
    await expect(verify(token)).rejects.toThrow(KeysUnavailable);
    state.isAway = false;
    state.now += MINUTE;
    expect(await verify(token)).not.toBeNull();
  });

  it('that were never read say nothing, nor do documents that are none', async () => {
    const one = await pair('1');
    const { state, verify } = publisher([]);
    state.isAway = true;
    await expect(verify(await one.token())).rejects.toThrow(KeysUnavailable);
    state.isAway = false;
    state.now = MINUTE;
    state.keys = ['text'] as unknown as object[];
    await expect(verify(await one.token())).rejects.toThrow(KeysUnavailable);
    expect(state.failures).toBe(2);
  });

  it('without names are all tried', async () => {
    const [one, two] = [await pair(undefined), await pair(undefined)];
    const { verify } = publisher([one.jwk, two.jwk]);
    expect(await verify(await two.token())).not.toBeNull();
    expect(await verify(await (await pair(undefined)).token())).toBeNull();
  });
});
