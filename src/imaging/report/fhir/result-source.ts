import type { Language } from '../../../kernel/errors.js';
import type { Finding, Label, Provenance, Segment } from '../finding.js';

/** Which documents a result can be had as. */
export const DOCUMENT_KINDS = ['pdf', 'sr', 'seg'] as const;
export type DocumentKind = (typeof DOCUMENT_KINDS)[number];

/** A result that was released, with what FHIR says of its study. */
export interface FhirResultSource {
  id: string;
  analysis: string;
  status: 'preliminary' | 'final' | 'amended';
  createdAt: Date;
  updatedAt: Date;
  findings: readonly Finding[];
  labels: readonly Label[];
  segments: readonly Segment[];
  provenance: Provenance;
  study: { id: string; studyInstanceUid: string; patientId: string | null; /** DA. */ studyDate: string | null };
  documents: readonly DocumentKind[];
  /** Who stands for it, once somebody does. */
  verifier: { name: string; organisation: string; at: Date } | null;
  /** Of the installation. */
  signatures: readonly FhirSignature[];
}

/** An Ed25519 signature (RFC 8032) over a statement in canonical JSON (RFC 8785). */
export interface FhirSignature {
  /** What is signed: where the result comes from, or that a person stands for it. */
  of: 'source' | 'verification';
  at: Date;
  keyId: string;
  /** Base64. */
  data: string;
}

/** For whom, and from where. */
export interface FhirReader {
  /** `https://host` */
  base: string;
  language: Language;
}

/** The parts that every resource of a result has alike. Each change of the result is a new version of all of them. */
export function versioned({ updatedAt }: Pick<FhirResultSource, 'updatedAt'>): { versionId: string; lastUpdated: string } {
  return { versionId: String(updatedAt.getTime()), lastUpdated: updatedAt.toISOString() };
}
