import type { Coding, Endpoint, Identifier, ImagingStudy, ImagingStudySeries, ImagingStudySeriesInstance } from '@medplum/fhirtypes';
import { text } from '../../dicom/attributes.js';
import type { DicomJson } from '../../dicom/dicom-json.js';
import { DCM, plain } from './codes.js';
import { fhirDateTime } from './dates.js';
import { subjectOf } from './subject.js';

/** A stored study. Holds PHI. */
export interface FhirStudySource {
  id: string;
  updatedAt: Date;
  studyInstanceUid: string;
  patientId: string | null;
  /** Of patient and study; empty when they cannot be read any more. */
  attributes: DicomJson;
  /** DA and TM. */
  studyDate: string | null;
  studyTime: string | null;
  modalities: readonly string[];
  seriesCount: number;
  instanceCount: number;
  series: readonly FhirSeriesSource[];
}

export interface FhirSeriesSource {
  seriesInstanceUid: string;
  modality: string | null;
  seriesNumber: number | null;
  instanceCount: number;
  attributes: DicomJson;
  performedDate: string | null;
  performedTime: string | null;
  /** Nothing where they were not asked for. */
  instances: readonly { sopInstanceUid: string; sopClassUid: string; instanceNumber: number | null }[];
}

const SUBSETTED: Coding = { system: 'http://terminology.hl7.org/CodeSystem/v3-ObservationValue', code: 'SUBSETTED', display: 'subsetted' };
export const STUDY_UID_SYSTEM = 'urn:dicom:uid';
export const ACCESSION_SYSTEM = 'urn:healthvision:accession-number';
const ENDPOINT = 'dicom-web';

/**
 * A study with its series and instances.
 *
 * @param base  where DICOMweb is found below: `https://host`
 * @param whole  false for lists: series without their instances, and marked so
 */
export function fhirImagingStudy(study: FhirStudySource, base: string, whole: boolean): ImagingStudy {
  const { attributes } = study;
  const started = startedOf(study.studyDate, study.studyTime, attributes);
  const description = plain(text(attributes, 'StudyDescription'));
  const modality = [...new Set([...study.modalities])].map(modalityCoding).filter((coding) => coding !== undefined);
  return {
    resourceType: 'ImagingStudy', id: study.id,
    meta: { versionId: String(study.updatedAt.getTime()), lastUpdated: study.updatedAt.toISOString(), ...(!whole && { tag: [SUBSETTED] }) },
    contained: [endpoint(base)],
    identifier: identifiersOf(study),
    // Registered: nothing is there yet.
    status: study.instanceCount > 0 ? 'available' : 'registered',
    ...(modality.length > 0 && { modality }),
    subject: subjectOf(study.patientId),
    ...(started !== undefined && { started }),
    endpoint: [{ reference: `#${ENDPOINT}` }],
    numberOfSeries: study.seriesCount,
    numberOfInstances: study.instanceCount,
    ...(description !== undefined && { description }),
    ...(study.series.length > 0 && { series: study.series.map((series) => seriesOf(series, attributes)) }),
  };
}

function identifiersOf({ studyInstanceUid, attributes }: FhirStudySource): Identifier[] {
  const accession = plain(text(attributes, 'AccessionNumber'));
  return [
    { use: 'official', system: STUDY_UID_SYSTEM, value: `urn:oid:${studyInstanceUid}` },
    ...(accession === undefined ? [] : [{ use: 'usual' as const, type: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v2-0203', code: 'ACSN', display: 'Accession ID' }] }, system: ACCESSION_SYSTEM, value: accession }]),
  ];
}

/** WADO-RS, QIDO-RS and STOW-RS have the same address. */
function endpoint(base: string): Endpoint {
  return {
    resourceType: 'Endpoint', id: ENDPOINT, status: 'active',
    connectionType: { system: 'http://terminology.hl7.org/CodeSystem/endpoint-connection-type', code: 'dicom-wado-rs', display: 'DICOM WADO-RS' },
    payloadType: [{ text: 'DICOM' }],
    address: `${base}/dicom-web`,
  };
}

function seriesOf(series: FhirSeriesSource, study: DicomJson): ImagingStudySeries {
  const description = plain(text(series.attributes, 'SeriesDescription'));
  const started = startedOf(series.performedDate, series.performedTime, { ...study, ...series.attributes });
  const number = unsigned(series.seriesNumber);
  return {
    uid: series.seriesInstanceUid,
    ...(number !== undefined && { number }),
    modality: modalityCoding(series.modality) ?? { system: DCM, code: 'OT', display: 'Other' },
    ...(description !== undefined && { description }),
    numberOfInstances: series.instanceCount,
    ...(started !== undefined && { started }),
    ...(series.instances.length > 0 && { instance: series.instances.map(instanceOf) }),
  };
}

function instanceOf({ sopInstanceUid, sopClassUid, instanceNumber }: FhirSeriesSource['instances'][number]): ImagingStudySeriesInstance {
  const number = unsigned(instanceNumber);
  return { uid: sopInstanceUid, sopClass: { system: 'urn:ietf:rfc:3986', code: `urn:oid:${sopClassUid}` }, ...(number !== undefined && { number }) };
}

/** FHIR's unsignedInt; DICOM allows negative numbers. */
function unsigned(number: number | null): number | undefined {
  return number !== null && Number.isInteger(number) && number >= 0 && number <= 2_147_483_647 ? number : undefined;
}

function modalityCoding(modality: string | null): Coding | undefined {
  const code = plain(modality);
  return code === undefined || /\s/.test(code) ? undefined : { system: DCM, code };
}

function startedOf(da: string | null, tm: string | null, attributes: DicomJson): string | undefined {
  return fhirDateTime(da, tm, text(attributes, 'TimezoneOffsetFromUTC'));
}
