import { number, text } from '../dicom/attributes.js';
import type { DicomJson } from '../dicom/dicom-json.js';
import { tagOf } from '../dicom/dictionary.js';
import type { Fields } from './data-set.js';
import type { DerivedSource } from './derived.js';

/** Copied as they are, and there without a value where the source has none. @see PS3.3 C.7.1.1, C.7.2.1 */
const TYPE_2 = ['PatientName', 'PatientID', 'PatientBirthDate', 'PatientSex', 'StudyDate', 'StudyTime', 'ReferringPhysicianName', 'StudyID', 'AccessionNumber'] as const;
/** Copied where the source has them. @see PS3.3 C.7.1.1, C.7.2.1, C.7.2.2 */
const TYPE_3 = [
  'IssuerOfPatientID', 'IssuerOfPatientIDQualifiersSequence', 'PatientBirthTime', 'OtherPatientIDsSequence', 'EthnicGroup', 'PatientIdentityRemoved', 'DeidentificationMethod',
  'DeidentificationMethodCodeSequence', 'IssuerOfAccessionNumberSequence', 'StudyDescription', 'ProcedureCodeSequence', 'PatientAge', 'PatientSize', 'PatientWeight', 'TimezoneOffsetFromUTC',
] as const;

/** The modules of patient and study as an instance of the study has them. */
export function patientAndStudy(attributes: DicomJson): DicomJson {
  const copied: DicomJson = {};
  for (const keyword of [...TYPE_2, ...TYPE_3]) {
    const element = attributes[tagOf(keyword)];
    // Without a value are those that are empty and those that were left in the file.
    if (element?.Value !== undefined) copied[tagOf(keyword)] = { vr: element.vr, Value: element.Value };
    else if (TYPE_2.some((one) => one === keyword)) copied[tagOf(keyword)] = { vr: element?.vr ?? VR_OF[keyword] ?? 'LO' };
  }
  return copied;
}

const VR_OF: Readonly<Record<string, string>> = { PatientName: 'PN', PatientBirthDate: 'DA', PatientSex: 'CS', StudyDate: 'DA', StudyTime: 'TM', ReferringPhysicianName: 'PN', StudyID: 'SH', AccessionNumber: 'SH' };

const MANUFACTURER = 'HealthVision';
const LONG_STRING = 64;

/** What made the object: this product, with the model's digest for a serial number. @see PS3.3 C.7.5.1, C.7.5.2 */
export function equipment({ provenance: { model, software } }: Pick<DerivedSource, 'provenance'>): Fields {
  return {
    Manufacturer: MANUFACTURER,
    ManufacturerModelName: MANUFACTURER,
    DeviceSerialNumber: longString(model.digest.replace(/^sha256:/, '')) || '1',
    SoftwareVersions: [longString(`${MANUFACTURER} ${software}`), longString(`${model.name} ${model.version}`)],
  };
}

/** What LO can hold. A backslash would end the value. */
export function longString(value: string): string {
  // A character outside of the basic plane counts once, so that none is cut in two.
  return Array.from(value.replaceAll(/[\\\p{Cc}]+/gu, ' ').trim()).slice(0, LONG_STRING).join('').trim();
}

/** A number near the source's own, so that lists of series show the two together: of series 3 the first version is 301. */
export function derivedSeriesNumber(attributes: DicomJson, version: number): number {
  const source = number(attributes, 'SeriesNumber') ?? 0;
  const base = Number.isInteger(source) && source > 0 && source < 10_000_000 ? source : 90;
  return base * 100 + (version % 100);
}

/** Date and time in the zone of the study where it names one, else in UTC. @see PS3.3 C.12.1.1.8 */
export function dateAndTime(at: Date, attributes: DicomJson): { date: string; time: string } {
  const match = /^([+-])(\d{2})(\d{2})$/.exec(text(attributes, 'TimezoneOffsetFromUTC') ?? '');
  const minutes = match === null ? 0 : (match[1] === '-' ? -1 : 1) * (Number(match[2]) * 60 + Number(match[3]));
  const digits = new Date(at.getTime() + minutes * 60_000).toISOString().replaceAll(/\D/g, '');
  return { date: digits.slice(0, 8), time: digits.slice(8, 14) };
}
