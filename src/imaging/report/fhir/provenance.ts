import type { CodeableConcept, Provenance, ProvenanceAgent, Reference } from '@medplum/fhirtypes';
import { plain } from './codes.js';
import { deviceReference } from './device.js';
import { documentId } from './documents.js';
import { observationIds, observationReference } from './observation.js';
import { versioned, type FhirResultSource } from './result-source.js';

const PARTICIPANT = 'http://terminology.hl7.org/CodeSystem/provenance-participant-type';
export const INPUT_DIGEST_SYSTEM = 'urn:healthvision:input-digest';

/** Who made a result of what: the model, the software, the digest of the images, and the person who signed it. */
export function fhirProvenance(result: FhirResultSource): Provenance {
  const { provenance: { model, software, inputDigest, startedAt, finishedAt }, study, verifier, signature } = result;
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
    ...(signature && {
      signature: [{
        type: [{ system: 'urn:iso-astm:E1762-95:2013', code: '1.2.840.10065.1.12.1.14', display: 'Source Signature' }],
        when: signature.at.toISOString(), who: { display: 'HealthVision' }, sigFormat: signature.format, data: signature.data,
      }],
    }),
  };
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
