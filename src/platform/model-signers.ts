import { createHash, createPublicKey, type JsonWebKeyInput, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';

/** Somebody whose signature under a model pack is believed. */
export interface ModelSigner {
  /** RFC 7638 thumbprint of the key, or the `kid` that its JWK names. */
  keyId: string;
  key: KeyObject;
}

const jwk = z.looseObject({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string(), kid: z.string().min(1).max(200).optional() }).refine((key) => !('d' in key), 'is a private key');
const jwks = z.union([z.object({ keys: z.array(jwk).min(1) }).transform(({ keys }) => keys), z.array(jwk).min(1), jwk.transform((key) => [key])]);

const PEM = /-----BEGIN ([A-Z ]+)-----[\s\S]+?-----END \1-----/g;

/** `MODEL_SIGNERS`: Ed25519 public keys as PEM (SPKI), JWK or JWKS, inline or as paths of files with commas between them. */
export const modelSigners = z.string().transform((text, context): readonly ModelSigner[] => {
  try {
    const signers = isInline(text) ? signersOf(text.replaceAll('\\n', '\n')) : text.split(',').map((path) => path.trim()).filter((path) => path !== '').flatMap(signersOfFile);
    if (signers.length === 0) throw new Error('names no key');
    return signers;
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof z.ZodError || !(error instanceof Error) ? 'must be Ed25519 public keys as PEM, JWK or JWKS' : error.message });
    return z.NEVER;
  }
});

function isInline(text: string): boolean {
  return /^\s*[[{]/.test(text) || text.includes('-----BEGIN');
}

function signersOfFile(path: string): ModelSigner[] {
  if (!existsSync(path)) throw new Error(`there is no such file: ${path}`);
  return signersOf(readFileSync(path, 'utf8'));
}

function signersOf(text: string): ModelSigner[] {
  if (/^\s*[[{]/.test(text)) {
    return jwks.parse(JSON.parse(text)).map(({ kid, kty, crv, x }) => {
      const input: JsonWebKeyInput = { key: { kty, crv, x }, format: 'jwk' };
      return signerOf(createPublicKey(input), kid);
    });
  }
  const blocks = [...text.matchAll(PEM)];
  if (blocks.some(([, label]) => label !== 'PUBLIC KEY')) throw new Error('must be public keys: a PEM block is something else');
  return blocks.map(([block]) => signerOf(createPublicKey(block)));
}

function signerOf(key: KeyObject, keyId?: string): ModelSigner {
  if (key.asymmetricKeyType !== 'ed25519') throw new Error('must be Ed25519 keys');
  return { key, keyId: keyId ?? thumbprintOf(key) };
}

/** @see RFC 7638, RFC 8037 §2: the members of an OKP key in lexical order */
export function thumbprintOf(key: KeyObject): string {
  const { crv, kty, x } = key.export({ format: 'jwk' });
  return createHash('sha256').update(JSON.stringify({ crv, kty, x })).digest('base64url');
}
