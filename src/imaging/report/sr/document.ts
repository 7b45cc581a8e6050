import { sequence, text } from '../../dicom/attributes.js';
import type { DicomJson } from '../../dicom/dicom-json.js';
import { tagOf } from '../../dicom/dictionary.js';
import { derivedDicomUid } from '../../../kernel/uid.js';
import type { DerivedSource } from '../derived.js';
import { PRIVATE_SCHEME } from './concepts.js';
import { codeItem, dataSet, type InstanceReference } from './content.js';
import type { SegReference } from './groups.js';
import { descriptionText, nameText } from './text.js';

export const COMPREHENSIVE_3D_SR = '1.2.840.10008.5.1.4.1.1.88.34';
export const MANUFACTURER = 'HealthVision';
/** Behind what scanners number. */
const SERIES_NUMBER = 9002;

/** What is copied from the images: who and which study it is. @see PS3.3 C.7.1.1, C.7.1.3, C.7.2.1, C.7.2.2 */
const REQUIRED = ['PatientName', 'PatientID', 'PatientBirthDate', 'PatientSex', 'StudyDate', 'StudyTime', 'ReferringPhysicianName', 'StudyID', 'AccessionNumber'] as const;
const OPTIONAL = [
  'IssuerOfPatientID', 'TypeOfPatientID', 'OtherPatientIDsSequence', 'PatientIdentityRemoved', 'DeidentificationMethod', 'DeidentificationMethodCodeSequence', 'LongitudinalTemporalInformationModified',
  'ClinicalTrialSponsorName', 'ClinicalTrialProtocolID', 'ClinicalTrialProtocolName', 'ClinicalTrialSiteID', 'ClinicalTrialSiteName', 'ClinicalTrialSubjectID', 'ClinicalTrialSubjectReadingID',
  'StudyDescription', 'IssuerOfAccessionNumberSequence', 'ProcedureCodeSequence', 'PatientAge', 'PatientSize', 'PatientWeight', 'TimezoneOffsetFromUTC',
] as const;

/** UIDs of a result's report: one series, an instance for every version. */
export function srIdentity({ resultId, version }: Pick<DerivedSource, 'resultId' | 'version'>): SegReference {
  return { sopClassUid: COMPREHENSIVE_3D_SR, seriesInstanceUid: derivedDicomUid(`${resultId} sr series`), sopInstanceUid: derivedDicomUid(`${resultId} sr instance ${String(version)}`) };
}

/** Everything of the document but its content tree. @see PS3.3 A.35.13 */
export function documentModules(source: DerivedSource, seg: SegReference | null, predecessors: readonly SegReference[]): DicomJson {
  const { sopClassUid, sopInstanceUid, seriesInstanceUid } = srIdentity(source);
  const { provenance, verifier } = source;
  const copied = copiedAttributes(source);
  const written = dateAndTime(source.createdAt, text(copied, 'TimezoneOffsetFromUTC'));
  return {
    ...copied,
    ...dataSet({
      SpecificCharacterSet: 'ISO_IR 192',
      SOPClassUID: sopClassUid,
      SOPInstanceUID: sopInstanceUid,
      StudyInstanceUID: source.studyInstanceUid,
      SeriesInstanceUID: seriesInstanceUid,
      SeriesNumber: String(SERIES_NUMBER),
      SeriesDescription: descriptionText(`AI report ${source.analysis}`),
      SeriesDate: written.date,
      SeriesTime: written.time,
      Modality: 'SR',
      ReferencedPerformedProcedureStepSequence: [],
      Manufacturer: MANUFACTURER,
      ManufacturerModelName: MANUFACTURER,
      // A model is a device of its own: its digest tells it from every other.
      DeviceSerialNumber: descriptionText(provenance.model.digest) || 'unknown',
      SoftwareVersions: [descriptionText(`${MANUFACTURER} ${provenance.software}`), descriptionText(`${provenance.model.name} ${provenance.model.version}`)],
      InstanceNumber: String(source.version),
      InstanceCreationDate: written.date,
      InstanceCreationTime: written.time,
      ContentDate: written.date,
      ContentTime: written.time,
      CompletionFlag: 'COMPLETE',
      PreliminaryFlag: verifier === null ? 'PRELIMINARY' : 'FINAL',
      VerificationFlag: verifier === null ? 'UNVERIFIED' : 'VERIFIED',
      VerifyingObserverSequence: verifier === null ? undefined : [dataSet({
        VerifyingOrganization: descriptionText(verifier.organisation) || 'unknown',
        VerificationDateTime: `${dateAndTime(verifier.at, undefined).joined}+0000`,
        VerifyingObserverName: { Alphabetic: nameText(verifier.name) || 'unknown' },
        VerifyingObserverIdentificationCodeSequence: [],
      })],
      PredecessorDocumentsSequence: predecessors.length === 0 ? undefined : evidence(source.studyInstanceUid, predecessors),
      PerformedProcedureCodeSequence: procedureCodes(copied),
      CurrentRequestedProcedureEvidenceSequence: evidence(source.studyInstanceUid, [...source.instances, ...(seg === null ? [] : [seg])]),
      CodingSchemeIdentificationSequence: [dataSet({ CodingSchemeDesignator: PRIVATE_SCHEME, CodingSchemeName: 'HealthVision private codes', CodingSchemeResponsibleOrganization: MANUFACTURER })],
    }),
  };
}

/** Codes of the procedure as the source has them, whole ones only. */
export function procedureCodes(attributes: DicomJson): DicomJson[] {
  return sequence(attributes, 'ProcedureCodeSequence').flatMap((item) => {
    const [value, scheme, meaning] = [text(item, 'CodeValue'), text(item, 'CodingSchemeDesignator'), text(item, 'CodeMeaning')];
    return value && scheme && meaning ? [codeItem({ value, scheme, meaning })] : [];
  });
}

/** Each element from the first instance that has it, so that one image without a name does not take it away. */
function copiedAttributes({ instances }: DerivedSource): DicomJson {
  const copied: DicomJson = dataSet(Object.fromEntries(REQUIRED.map((keyword) => [keyword, ''])));
  for (const keyword of [...REQUIRED, ...OPTIONAL]) {
    const tag = tagOf(keyword);
    const found = instances.find(({ attributes }) => (attributes[tag]?.Value?.length ?? 0) > 0)?.attributes[tag];
    if (found !== undefined) copied[tag] = found;
  }
  return copied;
}

/** Instances by series. @see PS3.3 table C.17-3 */
function evidence(studyInstanceUid: string, instances: readonly (InstanceReference & { seriesInstanceUid: string })[]): DicomJson[] {
  const series = new Map<string, Map<string, DicomJson>>();
  for (const { seriesInstanceUid, sopClassUid, sopInstanceUid } of instances) {
    const objects = series.get(seriesInstanceUid) ?? new Map<string, DicomJson>();
    series.set(seriesInstanceUid, objects.set(sopInstanceUid, dataSet({ ReferencedSOPClassUID: sopClassUid, ReferencedSOPInstanceUID: sopInstanceUid })));
  }
  if (series.size === 0) return [];
  const bySeries = [...series].map(([seriesInstanceUid, objects]) => dataSet({ ReferencedSOPSequence: [...objects.values()], SeriesInstanceUID: seriesInstanceUid }));
  return [dataSet({ ReferencedSeriesSequence: bySeries, StudyInstanceUID: studyInstanceUid })];
}

/** In the time zone of the study where it says which one that is, for it holds for every date and time of an object. PS3.3 C.12.1.1 */
function dateAndTime(at: Date, timezone: string | undefined): { date: string; time: string; joined: string } {
  const [, sign, hours, minutes] = /^([+-])(\d{2})(\d{2})$/.exec(timezone ?? '') ?? [];
  const offset = sign === undefined ? 0 : (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
  const iso = new Date(at.getTime() + offset * 60_000).toISOString();
  const [date, time] = [iso.slice(0, 10).replaceAll('-', ''), iso.slice(11, 19).replaceAll(':', '')];
  return { date, time, joined: date + time };
}
