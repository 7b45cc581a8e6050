import type { Identifier, Patient, Reference } from '@medplum/fhirtypes';
import { personName, text } from '../../dicom/attributes.js';
import type { DicomJson } from '../../dicom/dicom-json.js';
import { plain } from './codes.js';
import { fhirDate } from './dates.js';
import { humanNames } from './person.js';

/** Everybody with one Patient ID. Holds PHI. */
export interface FhirPatientSource {
  id: string;
  versionId: string;
  updatedAt: Date;
  /** Of the newest study; empty when they cannot be read any more. */
  attributes: DicomJson;
}

export const PATIENT_ID_SYSTEM = 'urn:healthvision:patient-id';
const IDENTIFIER_TYPE = 'http://terminology.hl7.org/CodeSystem/v2-0203';
const GENDERS: Readonly<Record<string, Patient['gender']>> = { M: 'male', F: 'female', O: 'other' };
const ABSENT_REASON = 'http://hl7.org/fhir/StructureDefinition/data-absent-reason';

/** Who the newest study says they are. @see PS3.3 C.7.1.1 */
export function fhirPatient({ id, versionId, updatedAt, attributes }: FhirPatientSource): Patient {
  const identifier = identifierOf(attributes);
  const names = humanNames(personName(attributes, 'PatientName') ?? {});
  const birthDate = fhirDate(text(attributes, 'PatientBirthDate'));
  return {
    resourceType: 'Patient', id,
    meta: { versionId, lastUpdated: updatedAt.toISOString() },
    ...(identifier && { identifier: [identifier] }),
    ...(names.length > 0 && { name: names }),
    gender: GENDERS[text(attributes, 'PatientSex')?.trim().toUpperCase() ?? ''] ?? 'unknown',
    ...(birthDate !== undefined && { birthDate }),
  };
}

function identifierOf(attributes: DicomJson): Identifier | undefined {
  const value = plain(text(attributes, 'PatientID'));
  const issuer = plain(text(attributes, 'IssuerOfPatientID'));
  if (value === undefined) return undefined;
  return { use: 'usual', type: { coding: [{ system: IDENTIFIER_TYPE, code: 'MR', display: 'Medical record number' }] }, system: PATIENT_ID_SYSTEM, value, ...(issuer !== undefined && { assigner: { display: issuer } }) };
}

/** Whose it is; a study without Patient ID is nobody's that we know of. */
export function subjectOf(patientId: string | null): Reference<Patient> {
  return patientId === null ? { extension: [{ url: ABSENT_REASON, valueCode: 'unknown' }] } : { reference: `Patient/${patientId}` };
}
