import { createHash, createPublicKey, verify, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import type { Finding, Label, Provenance, Segment } from '../../../imaging/report/finding.js';
import { sha256Hex } from '../../../kernel/digest.js';
import { canonicalJson } from '../../../platform/http/canonical-json.js';

/** The first member of what is signed, so that one kind of statement never passes for another. */
export const PROVENANCE_STATEMENT = 'healthvision/result-provenance/v1';
export const SIGN_OFF_STATEMENT = 'healthvision/result-sign-off/v1';

/** What a model made: the order of names does not matter, that of items does. */
export interface Output {
  findings: readonly Finding[];
  labels: readonly Label[];
  segments: readonly Segment[];
}

/** `sha256:` and the digest of the canonical JSON (RFC 8785) of what stands in a result. */
export function outputDigestOf({ findings, labels, segments }: Output): string {
  return `sha256:${sha256Hex(canonicalJson({ findings, labels, segments }))}`;
}

/** Strict: a member that nobody signed must not seem to be signed. */
export const statementSchema = z
  .strictObject({
    type: z.literal(PROVENANCE_STATEMENT),
    resultId: z.uuid(),
    analysisId: z.uuid(),
    analysis: z.string(),
    model: z.object({ name: z.string(), version: z.string(), digest: z.string() }),
    software: z.string(),
    inputDigest: z.string().meta({ description: 'sha256 over the digests of the instances that were read, sorted by SOP Instance UID' }),
    outputDigest: z.string(),
    executionProvider: z.string(),
    startedAt: z.string(),
    finishedAt: z.string(),
  })
  .meta({ id: 'ProvenanceStatement', description: 'What is signed: its canonical JSON (RFC 8785) in UTF-8' });
export type ProvenanceStatement = z.infer<typeof statementSchema>;

export const publicKeySchema = z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string() }).meta({ id: 'Ed25519PublicKey', description: 'RFC 8037' });
export type PublicJwk = z.infer<typeof publicKeySchema>;

export const signatureSchema = z.object({ algorithm: z.literal('Ed25519'), keyId: z.string(), value: z.string().meta({ description: 'base64url' }) }).meta({ id: 'StatementSignature' });
export type StatementSignature = z.infer<typeof signatureSchema>;

export interface ResultIds {
  id: string;
  analysisId: string;
  analysis: string;
}

/** What a result's signature is over. */
export function provenanceStatement({ id, analysisId, analysis }: ResultIds, { model, software, inputDigest, executionProvider, startedAt, finishedAt }: Provenance, outputDigest: string): ProvenanceStatement {
  const { name, version, digest } = model;
  return { type: PROVENANCE_STATEMENT, resultId: id, analysisId, analysis, model: { name, version, digest }, software, inputDigest, outputDigest, executionProvider, startedAt, finishedAt };
}

/** Whether a signature is over a statement by this key. @see RFC 8032 */
export function isSignedBy(statement: object, { value }: StatementSignature, key: KeyObject): boolean {
  return key.asymmetricKeyType === 'ed25519' && verify(null, Buffer.from(canonicalJson(statement)), key, Buffer.from(value, 'base64url'));
}

/** RFC 7638: names a key wherever it turns up. */
export function thumbprintOf(key: KeyObject): string {
  const { crv, kty, x } = key.export({ format: 'jwk' });
  return createHash('sha256').update(canonicalJson({ crv, kty, x })).digest('base64url');
}

/** What `GET /results/{id}/provenance` answers, and `healthvision provenance verify` reads. */
export const signedProvenanceSchema = z
  .object({
    statement: statementSchema,
    signature: signatureSchema,
    publicKey: publicKeySchema,
    output: z.object({ findings: z.array(z.unknown()), labels: z.array(z.unknown()), segments: z.array(z.unknown()) }).meta({ description: 'What `outputDigest` is over' }),
  })
  .meta({ id: 'SignedProvenance', description: 'Where a result comes from, signed by the installation; `healthvision provenance verify` checks it without one' });
export type SignedProvenance = z.infer<typeof signedProvenanceSchema>;

export type ProvenanceFault = 'key-not-trusted' | 'signature-invalid' | 'output-changed';

/**
 * Checks a document on its own.
 *
 * @param trusted  the key that it has to be signed by; the document's own without it, which says that nothing was changed, not who signed
 * @returns undefined when it holds
 */
export function faultOf({ statement, signature, publicKey, output }: SignedProvenance, trusted?: KeyObject): ProvenanceFault | undefined {
  const own = createPublicKey({ key: publicKey, format: 'jwk' });
  if (trusted && !trusted.equals(own)) return 'key-not-trusted';
  if (!isSignedBy(statement, signature, own)) return 'signature-invalid';
  return `sha256:${sha256Hex(canonicalJson(output))}` === statement.outputDigest ? undefined : 'output-changed';
}
