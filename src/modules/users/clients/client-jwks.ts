import { createPublicKey, type webcrypto } from 'node:crypto';
import { z } from 'zod';

const MOST_KEYS = 20;
/** RSASSA of shorter keys can be forged, and longer ones only keep us busy. @see RFC 7518 §3.3 */
const RSA_BITS = { min: 2048, max: 8192 };
const CURVES = new Set(['P-256', 'P-384']);

/** What a client signs its assertions with; our own alphabet, so that nothing symmetric and no `none` slips in. @see RFC 7523 §3 */
export const ASSERTION_ALGORITHMS = ['ES256', 'ES384', 'RS256', 'RS384', 'PS256', 'EdDSA'];

/** PostgreSQL's JSON holds no null character, and a key has nothing to say beyond ASCII. */
const text = z.string().max(4_096).regex(/^[\x20-\x7e]+$/, 'must be printable ASCII');
const secret = z.never({ error: 'belongs to a private key: send the public one' }).optional();

/** Members that say nothing about a public key are left away, as RFC 7517 §4 wants. */
const publicJwk = z
  .object({
    kty: z.enum(['EC', 'RSA', 'OKP']),
    kid: text.optional(), use: z.literal('sig').optional(), alg: z.enum(ASSERTION_ALGORITHMS).optional(), key_ops: z.array(z.literal('verify')).min(1).max(1).optional(),
    crv: text.optional(), x: text.optional(), y: text.optional(), n: text.optional(), e: text.optional(),
    d: secret, p: secret, q: secret, dp: secret, dq: secret, qi: secret, k: secret, oth: secret,
  })
  .refine(isStrong, 'must be a public key: EC P-256 or P-384, Ed25519, or RSA of 2048 to 8192 bits');

export const clientJwks = z
  .strictObject({ keys: z.array(publicJwk).min(1).max(MOST_KEYS) })
  .meta({ id: 'ClientJwks', description: 'RFC 7517; public keys only', example: { keys: [{ kty: 'EC', crv: 'P-256', x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU', y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0', kid: 'pacs-1' }] } });

export type ClientJwks = z.output<typeof clientJwks>;

function isStrong(jwk: { kty: string; crv?: string | undefined }): boolean {
  try {
    // Whatever it holds: Node throws at what is no key.
    const key = createPublicKey({ key: { ...jwk } as webcrypto.JsonWebKey, format: 'jwk' });
    if (jwk.kty === 'EC') return CURVES.has(jwk.crv ?? '');
    if (jwk.kty === 'OKP') return key.asymmetricKeyType === 'ed25519';
    const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
    return bits >= RSA_BITS.min && bits <= RSA_BITS.max;
  } catch {
    return false;
  }
}
