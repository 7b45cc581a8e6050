import { FHIR_PERMISSIONS } from '../../users/users.contract.js';

/** What is served. */
export const FHIR_TYPES = ['Patient', 'ImagingStudy', 'DiagnosticReport', 'Observation', 'DocumentReference', 'Provenance', 'Device'] as const satisfies readonly (keyof typeof FHIR_PERMISSIONS)[];
export type FhirType = (typeof FHIR_TYPES)[number];

/** `day`: of what has no time. `instant`: to the millisecond. `phrase`: a text, whole. */
export type ParameterKind = 'id' | 'token' | 'reference' | 'day' | 'instant' | 'phrase';

export interface ParameterDefinition {
  kind: ParameterKind;
  documentation: string;
  /** Of a reference: what it points to. */
  target?: FhirType;
}

const ID: ParameterDefinition = { kind: 'id', documentation: 'Id of the resource' };
const UPDATED: ParameterDefinition = { kind: 'instant', documentation: 'When the resource last changed' };
const PATIENT: ParameterDefinition = { kind: 'reference', target: 'Patient', documentation: 'Whose it is: the id of a Patient here' };
const ISSUED_DAY: ParameterDefinition = { kind: 'day', documentation: 'Day of the study; a time is taken for its day' };
const STATUS: ParameterDefinition = { kind: 'token', documentation: 'preliminary, final or amended' };
const STUDY: ParameterDefinition = { kind: 'reference', target: 'ImagingStudy', documentation: 'The study that it was read from' };

/** As in R4; `study` of DiagnosticReport is from R5, for R4 has none. */
export const SEARCH_PARAMETERS: Readonly<Record<FhirType, Readonly<Record<string, ParameterDefinition>>>> = {
  Patient: { _id: ID, identifier: { kind: 'token', documentation: 'Exactly this Patient ID' } },
  ImagingStudy: {
    _id: ID, _lastUpdated: UPDATED, patient: PATIENT, subject: PATIENT,
    identifier: { kind: 'token', documentation: 'Study Instance UID (urn:dicom:uid|urn:oid:1.2…) or Accession Number' },
    started: ISSUED_DAY, status: { kind: 'token', documentation: 'available' }, modality: { kind: 'token', documentation: 'For example CT' },
  },
  DiagnosticReport: {
    _id: ID, _lastUpdated: UPDATED, patient: PATIENT, subject: PATIENT, date: ISSUED_DAY, issued: { kind: 'instant', documentation: 'When the analysis was done' },
    status: STATUS, code: { kind: 'token', documentation: 'LOINC code of the kind of examination' }, category: { kind: 'token', documentation: 'RAD' },
    identifier: { kind: 'token', documentation: 'urn:ietf:rfc:3986|urn:uuid:… of the result' }, study: STUDY, result: { kind: 'reference', target: 'Observation', documentation: 'One of its observations' },
  },
  Observation: {
    _id: ID, _lastUpdated: UPDATED, patient: PATIENT, subject: PATIENT, date: ISSUED_DAY, status: STATUS, code: { kind: 'token', documentation: 'Code of the finding or label' },
    'category': { kind: 'token', documentation: 'imaging' }, 'derived-from': STUDY, 'device': { kind: 'reference', target: 'Device', documentation: 'The model that found it' },
  },
  DocumentReference: {
    _id: ID, _lastUpdated: UPDATED, patient: PATIENT, subject: PATIENT, date: { kind: 'instant', documentation: 'When the document was made' }, status: { kind: 'token', documentation: 'current' },
    contenttype: { kind: 'token', documentation: 'application/pdf or application/dicom' }, related: STUDY,
  },
  Provenance: {
    _id: ID, _lastUpdated: UPDATED, patient: PATIENT, recorded: { kind: 'instant', documentation: 'When the analysis was done' }, target: { kind: 'reference', documentation: 'A DiagnosticReport, Observation or DocumentReference' },
    agent: { kind: 'reference', target: 'Device', documentation: 'The model' },
  },
  Device: { '_id': ID, 'identifier': { kind: 'token', documentation: 'Digest of the model: sha256:…' }, 'device-name': { kind: 'phrase', documentation: 'The model’s name begins like this, whatever its case' } },
};

/** Parameters that can be followed by `_include`: of the type → what they lead to. */
export const INCLUDES: Readonly<Record<FhirType, Readonly<Record<string, FhirType>>>> = {
  Patient: {},
  ImagingStudy: { patient: 'Patient', subject: 'Patient' },
  DiagnosticReport: { patient: 'Patient', subject: 'Patient', result: 'Observation', study: 'ImagingStudy' },
  Observation: { 'patient': 'Patient', 'subject': 'Patient', 'derived-from': 'ImagingStudy', 'device': 'Device' },
  DocumentReference: { patient: 'Patient', subject: 'Patient', related: 'ImagingStudy' },
  Provenance: { agent: 'Device' },
  Device: {},
};

export function isFhirType(text: string): text is FhirType {
  return (FHIR_TYPES as readonly string[]).includes(text);
}
