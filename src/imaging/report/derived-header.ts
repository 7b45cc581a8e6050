import { number, text } from '../dicom/attributes.js';
import type { DicomJson } from '../dicom/dicom-json.js';
import { tagOf } from '../dicom/dictionary.js';
import { dataSetOf, type Fields } from './data-set.js';
import type { DerivedObject, DerivedSource } from './derived.js';
import { descriptionText } from './element-text.js';

/** There without a value where no source has one. @see PS3.3 C.7.1.1, C.7.2.1 */
const TYPE_2 = ['PatientName', 'PatientID', 'PatientBirthDate', 'PatientSex', 'StudyDate', 'StudyTime', 'ReferringPhysicianName', 'StudyID', 'AccessionNumber'] as const;
/** Copied where a source has them. @see PS3.3 C.7.1.1, C.7.1.3, C.7.2.1, C.7.2.2, C.12.1 */
const TYPE_3 = [
  'IssuerOfPatientID', 'IssuerOfPatientIDQualifiersSequence', 'TypeOfPatientID', 'PatientBirthTime', 'OtherPatientIDsSequence', 'EthnicGroup', 'PatientIdentityRemoved', 'DeidentificationMethod',
  'DeidentificationMethodCodeSequence', 'LongitudinalTemporalInformationModified', 'ClinicalTrialSponsorName', 'ClinicalTrialProtocolID', 'ClinicalTrialProtocolName', 'ClinicalTrialSiteID',
  'ClinicalTrialSiteName', 'ClinicalTrialSubjectID', 'ClinicalTrialSubjectReadingID', 'IssuerOfAccessionNumberSequence', 'StudyDescription', 'ProcedureCodeSequence', 'PatientAge', 'PatientSize',
  'PatientWeight', 'TimezoneOffsetFromUTC',
] as const;

export const MANUFACTURER = 'HealthVision';

/**
 * What every object of a result begins with: whose it is, of which study, and what made it when. The same for all objects of one version.
 *
 * @see PS3.3 C.7.1.1, C.7.2.1, C.7.3.1, C.7.5.1, C.7.5.2, C.12.1
 */
export function derivedHeader(source: DerivedSource, { sopClassUid, sopInstanceUid, seriesInstanceUid }: Omit<DerivedObject, 'kind' | 'bytes'>): DicomJson {
  const copied = patientAndStudy(source);
  const { date, time } = dateAndTime(source.createdAt, text(copied, 'TimezoneOffsetFromUTC'));
  return {
    ...copied,
    ...dataSetOf({
      SOPClassUID: sopClassUid, SOPInstanceUID: sopInstanceUid, InstanceCreationDate: date, InstanceCreationTime: time,
      StudyInstanceUID: source.studyInstanceUid,
      SeriesInstanceUID: seriesInstanceUid, SeriesDate: date, SeriesTime: time,
      ContentDate: date, ContentTime: time,
      ...equipment(source),
    }),
  };
}

/** Each element from the first instance that has it, so that one image without a name does not take it away. */
function patientAndStudy({ instances }: Pick<DerivedSource, 'instances'>): DicomJson {
  const copied = dataSetOf(Object.fromEntries(TYPE_2.map((keyword) => [keyword, ''])));
  for (const keyword of [...TYPE_2, ...TYPE_3]) {
    const tag = tagOf(keyword);
    // Without a value are those that are empty and those that were left in the file.
    const found = instances.find(({ attributes }) => attributes[tag]?.Value?.some((value) => value !== null && value !== ''))?.attributes[tag];
    if (found?.Value !== undefined) copied[tag] = { vr: found.vr, Value: found.Value };
  }
  return copied;
}

/** This product, with the model for a device of its own: its digest tells it from every other. */
function equipment({ provenance: { model, software } }: Pick<DerivedSource, 'provenance'>): Fields {
  return {
    Manufacturer: MANUFACTURER,
    ManufacturerModelName: MANUFACTURER,
    DeviceSerialNumber: serialNumberOf(model),
    SoftwareVersions: [descriptionText(`${MANUFACTURER} ${software}`), descriptionText(`${model.name} ${model.version}`)],
  };
}

/** The digest of the model, as long as LO may be. */
export function serialNumberOf({ digest }: Pick<DerivedSource['provenance']['model'], 'digest'>): string {
  return descriptionText(digest.replace(/^sha256:/, '')) || 'unknown';
}

/** A number near the source's own, so that lists of series show the two together: of series 3 the first version is 301. */
export function derivedSeriesNumber(attributes: DicomJson, version: number): number {
  const source = number(attributes, 'SeriesNumber') ?? 0;
  const base = Number.isInteger(source) && source > 0 && source < 10_000_000 ? source : 90;
  return base * 100 + (version % 100);
}

/** In the time zone of the study where it says which one that is, for it holds for every date and time of an object; else in UTC. @see PS3.3 C.12.1.1.8 */
export function dateAndTime(at: Date, timezone?: string): { date: string; time: string } {
  const [, sign, hours, minutes] = /^([+-])(\d{2})(\d{2})$/.exec(timezone ?? '') ?? [];
  const offset = sign === undefined ? 0 : (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
  const digits = new Date(at.getTime() + offset * 60_000).toISOString().replaceAll(/\D/g, '');
  return { date: digits.slice(0, 8), time: digits.slice(8, 14) };
}
