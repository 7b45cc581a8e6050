import type { CodeableConcept, Coding, Provenance, ProvenanceAgent, Reference, Signature } from '@medplum/fhirtypes';
import { plain } from './codes.js';
import { deviceReference } from './device.js';
import { documentId } from './documents.js';
import { observationIds, observationReference } from './observation.js';
import { versioned, type FhirResultSource, type FhirSignature } from './result-source.js';

const PARTICIPANT = 'http://terminology.hl7.org/CodeSystem/provenance-participant-type';
export const INPUT_DIGEST_SYSTEM = 'urn:healthvision:input-digest';
/** `GET /audit-events/keys` has them. */
export const SIGNING_KEY_SYSTEM = 'urn:healthvision:signing-key';
/** What was signed is at `/api/v1/results/{id}/provenance` and `/api/v1/results/{id}/versions`: bare bytes, for which there is no other type. */
const SIGNATURE_FORMAT = 'application/octet-stream';
/** @see ASTM E1762-95 */
const PURPOSES: Readonly<Record<FhirSignature['of'], Coding>> = {
  source: { system: 'urn:iso-astm:E1762-95:2013', code: '1.2.840.10065.1.12.1.14', display: 'Source Signature' },
  verification: { system: 'urn:iso-astm:E1762-95:2013', code: '1.2.840.10065.1.12.1.5', display: 'Verification Signature' },
};

/** Who made a result of what: the model, the software, the digest of the images, and the person who signed it. */
export function fhirProvenance(result: FhirResultSource): Provenance {
  const { provenance: { model, software, inputDigest, startedAt, finishedAt }, study, verifier, signatures } = result;
  const target: Reference[] = [
    { reference: `DiagnosticReport/${result.id}` },
    ...observationIds(result).map(observationReference),
    ...result.documents.map((kind) => ({ reference: `DocumentReference/${documentId(result.id, kind)}` })),
  ];
  return {
    resourceType: 'Provenance', id: result.id, meta: versioned(result),
    target: target,
    ...periodOf(startedAt, finishedAt),
    recorded: result.createdAt.toISOString(),
    activity: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-DataOperation', code: result.status === 'amended' ? 'UPDATE' : 'CREATE', display: result.status === 'amended' ? 'revise' : 'create' }] },
    agent: [
      { type: participant('author', 'Author'), who: deviceReference(model) },
      { type: participant('assembler', 'Assembler'), who: { display: `HealthVision ${plain(software) ?? ''}`.trim() } },
      ...(verifier ? [verifierOf(verifier)] : []),
    ],
    entity: [{ role: 'source', what: { reference: `ImagingStudy/${study.id}`, identifier: { system: INPUT_DIGEST_SYSTEM, value: inputDigest } } }],
    ...(signatures.length > 0 && { signature: signatures.map((one) => signatureOf(one, verifier)) }),
  };
}

/** The installation signs, for the person where it is a person's. */
function signatureOf({ of, at, keyId, data }: FhirSignature, verifier: FhirResultSource['verifier']): Signature {
  const installation = { display: 'HealthVision', identifier: { system: SIGNING_KEY_SYSTEM, value: keyId } };
  const person = of === 'verification' && verifier ? plain(verifier.name) : undefined;
  return { type: [PURPOSES[of]], when: at.toISOString(), who: installation, ...(person !== undefined && { onBehalfOf: { display: person } }), sigFormat: SIGNATURE_FORMAT, data };
}

function verifierOf({ name, organisation }: NonNullable<FhirResultSource['verifier']>): ProvenanceAgent {
  const behalf = plain(organisation);
  return { type: participant('verifier', 'Verifier'), who: { display: plain(name) ?? 'a person' }, ...(behalf !== undefined && { onBehalfOf: { display: behalf } }) };
}

function participant(code: string, display: string): CodeableConcept {
  return { coding: [{ system: PARTICIPANT, code, display }] };
}

function periodOf(start: string, end: string): Pick<Provenance, 'occurredPeriod'> {
  const [from, to] = [new Date(start), new Date(end)];
  return Number.isNaN(from.getTime()) || Number.isNaN(to.getTime()) ? {} : { occurredPeriod: { start: from.toISOString(), end: to.toISOString() } };
}
