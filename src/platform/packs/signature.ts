import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError } from '../../kernel/errors.js';
import { thumbprintOf, type ModelSigner } from '../model-signers.js';

/** Whose signatures count, and whether a pack must have one. */
export interface SignaturePolicy {
  signers: readonly ModelSigner[];
  required: boolean;
}

export const SIGNATURE_FILES = ['signature.json', 'manifest.sig'] as const;
const SIGNATURE_BYTES = 64;
const MOST_BYTES = 64 * 1024;

const signatureSchema = z.strictObject({
  algorithm: z.literal('Ed25519'),
  digest: z.string(),
  keyId: z.string().optional(),
  signature: z.base64().refine((text) => Buffer.from(text, 'base64').length === SIGNATURE_BYTES, 'must be 64 bytes in base64'),
});

/**
 * Judges the signature of a pack: Ed25519 over the text of the model's digest (`sha256:<hex>`), either in `signature.json` or bare in
 * `manifest.sig` (64 bytes, or their base64). Where no signers are known, none can be judged: the pack counts as unsigned.
 *
 * @returns the key that signed it, or null
 * @throws AppError `model-signature-invalid` for a wrong signature, and for none where one is required
 * @see RFC 8032
 */
export async function checkSignature(folder: string, digest: string, { signers, required }: SignaturePolicy): Promise<string | null> {
  const found = await signatureIn(folder, digest);
  const signer = found && signers.find(({ key, keyId }) => (found.keyId === undefined || found.keyId === keyId) && verify(null, Buffer.from(digest), key, found.signature));
  if (signer) return signer.keyId;
  if (found && signers.length > 0) throw invalid('The signature of the pack is by none of MODEL_SIGNERS, or over another digest.');
  if (required) throw invalid(found ? 'Packs must be signed, and MODEL_SIGNERS names no key.' : 'Packs must be signed (MODEL_SIGNATURE_REQUIRED), and this one is not.');
  return null;
}

/** What `signature.json` holds. @param privateKey  PEM of an Ed25519 key */
export function signDigest(digest: string, privateKey: string): { algorithm: 'Ed25519'; digest: string; keyId: string; signature: string } {
  const key = createPrivateKey(privateKey);
  if (key.asymmetricKeyType !== 'ed25519') throw invalid('Packs are signed with Ed25519 keys.');
  return { algorithm: 'Ed25519', digest, keyId: thumbprintOf(createPublicKey(key)), signature: sign(null, Buffer.from(digest), key).toString('base64') };
}

async function signatureIn(folder: string, digest: string): Promise<{ signature: Buffer; keyId?: string | undefined } | undefined> {
  const [json, bare] = await Promise.all(SIGNATURE_FILES.map((name) => readFile(join(folder, name)).catch(() => undefined)));
  if (json) {
    const parsed = signatureSchema.safeParse(parseJson(json));
    if (!parsed.success) throw invalid('signature.json is not what it should be.');
    if (parsed.data.digest !== digest) throw invalid(`signature.json is over ${parsed.data.digest.slice(0, 80)}, and the model is ${digest}.`);
    return { signature: Buffer.from(parsed.data.signature, 'base64'), keyId: parsed.data.keyId };
  }
  if (!bare) return undefined;
  const signature = bare.length === SIGNATURE_BYTES ? bare : Buffer.from(bare.toString('latin1').trim(), 'base64');
  if (signature.length !== SIGNATURE_BYTES) throw invalid('manifest.sig is no Ed25519 signature.');
  return { signature };
}

function parseJson(bytes: Buffer): unknown {
  if (bytes.length > MOST_BYTES) return undefined;
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

function invalid(detail: string): AppError {
  return new AppError('model-signature-invalid', { detail });
}
