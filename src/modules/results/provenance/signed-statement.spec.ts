import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../../platform/http/canonical-json.js';
import { resultExample } from '../findings-json.js';
import { faultOf, outputDigestOf, provenanceStatement, signedProvenanceSchema, thumbprintOf, type PublicJwk, type SignedProvenance } from './signed-statement.js';

function signed(changes: Partial<SignedProvenance> = {}): { document: SignedProvenance; publicKey: ReturnType<typeof createPublicKey> } {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const { findings, labels, segments } = resultExample;
  const statement = provenanceStatement(resultExample, resultExample.provenance, outputDigestOf(resultExample));
  const value = sign(null, Buffer.from(canonicalJson(statement)), privateKey).toString('base64url');
  return { publicKey, document: { statement, signature: { algorithm: 'Ed25519', keyId: 'k', value }, publicKey: publicKey.export({ format: 'jwk' }) as PublicJwk, output: { findings, labels, segments }, ...changes } };
}

describe('a signed provenance', () => {
  it('holds by its own key and by the one that is trusted, whatever the order of its members', () => {
    const { document, publicKey } = signed();
    expect(faultOf(document)).toBeUndefined();
    expect(faultOf(document, publicKey)).toBeUndefined();
    const turned = { ...document, statement: Object.fromEntries(Object.entries(document.statement).reverse()) as typeof document.statement };
    expect(faultOf(signedProvenanceSchema.parse(JSON.parse(JSON.stringify(turned))), publicKey)).toBeUndefined();
  });

  it('fails when any member of the statement, the output, the signature or the key is another', () => {
    const { document, publicKey } = signed();
    for (const name of Object.keys(document.statement).filter((one) => one !== 'type' && one !== 'model')) {
      expect(faultOf({ ...document, statement: { ...document.statement, [name]: 'another' } }, publicKey), name).toBe('signature-invalid');
    }
    expect(faultOf({ ...document, statement: { ...document.statement, model: { ...document.statement.model, digest: 'sha256:0' } } })).toBe('signature-invalid');
    expect(faultOf({ ...document, output: { ...document.output, labels: [] } })).toBe('output-changed');
    expect(faultOf({ ...document, signature: { ...document.signature, value: '' } })).toBe('signature-invalid');
    expect(faultOf({ ...document, publicKey: signed().document.publicKey })).toBe('signature-invalid');
    expect(faultOf(signed().document, publicKey)).toBe('key-not-trusted');
  });

  it('has no member that nobody signed', () => {
    const { document } = signed();
    expect(signedProvenanceSchema.safeParse({ ...document, statement: { ...document.statement, approved: true } }).success).toBe(false);
  });

  it('names keys as RFC 8037, A.3 does', () => {
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }, format: 'jwk' });
    expect(thumbprintOf(key)).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k');
  });
});
