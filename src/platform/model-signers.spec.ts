import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { modelSigners } from './model-signers.js';

const [one, two] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')];
const pemOf = ({ publicKey }: typeof one): string => publicKey.export({ type: 'spki', format: 'pem' });
const jwkOf = ({ publicKey }: typeof one): object => publicKey.export({ format: 'jwk' });
const idsOf = (text: string): string[] => modelSigners.parse(text).map(({ keyId }) => keyId);
const faultOf = (text: string): string => modelSigners.safeParse(text).error?.issues[0]?.message ?? 'fine';

describe('MODEL_SIGNERS', () => {
  it('takes keys as PEM, JWK and JWKS, and knows a key by its thumbprint whatever its form', () => {
    const ids = idsOf(pemOf(one) + pemOf(two));
    expect(new Set(ids).size).toBe(2);
    expect(idsOf(pemOf(one).replaceAll('\n', '\\n'))).toEqual(ids.slice(0, 1));
    expect(idsOf(JSON.stringify(jwkOf(one)))).toEqual(ids.slice(0, 1));
    expect(idsOf(JSON.stringify({ keys: [jwkOf(one), { ...jwkOf(two), kid: 'maker' }] }))).toEqual([ids[0], 'maker']);
  });

  it('computes the thumbprint of RFC 8037, appendix A.3', () => {
    expect(idsOf('{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}')).toEqual(['kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k']);
  });

  it('reads files', () => {
    const folder = mkdtempSync(join(tmpdir(), 'signers-'));
    writeFileSync(join(folder, 'a.pem'), pemOf(one));
    writeFileSync(join(folder, 'b.json'), JSON.stringify(jwkOf(two)));
    expect(idsOf(`${join(folder, 'a.pem')}, ${join(folder, 'b.json')}`)).toEqual(idsOf(pemOf(one) + pemOf(two)));
  });

  it('refuses private keys, other kinds, and what is no key', () => {
    expect(faultOf(one.privateKey.export({ type: 'pkcs8', format: 'pem' }))).toContain('public keys');
    expect(faultOf(JSON.stringify(one.privateKey.export({ format: 'jwk' })))).toContain('Ed25519 public keys');
    expect(faultOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' }))).toContain('Ed25519');
    expect(faultOf('[')).not.toBe('fine');
    expect(faultOf('/no/such/file.pem')).toContain('no such file');
  });
});
