import { personName, sequence, text } from '../../dicom/attributes.js';
import type { DicomJson } from '../../dicom/dicom-json.js';
import { tagOf } from '../../dicom/dictionary.js';
import type { ParsedInstance } from '../../dicom/header.js';
import { EXPLICIT_LITTLE } from '../../dicom/transfer-syntax.js';
import { isDicomUid } from '../../../kernel/uid.js';
import type { DerivedSource } from '../derived.js';
import { COMPREHENSIVE_3D_SR, srIdentity } from './document.js';
import type { SegReference } from './groups.js';
import type { Report } from './tree.js';

/** Types 1 and 2 of the modules that every Comprehensive 3D SR has. @see PS3.3 table A.35.13-1 */
const WITH_VALUE = [
  'SOPClassUID', 'SOPInstanceUID', 'StudyInstanceUID', 'SeriesInstanceUID', 'SeriesNumber', 'InstanceNumber', 'Modality', 'Manufacturer', 'ManufacturerModelName', 'DeviceSerialNumber', 'SoftwareVersions',
  'ContentDate', 'ContentTime', 'CompletionFlag', 'VerificationFlag', 'ValueType', 'ContinuityOfContent', 'ConceptNameCodeSequence', 'ContentTemplateSequence', 'ContentSequence',
] as const;
const PRESENT = [
  'PatientName', 'PatientID', 'PatientBirthDate', 'PatientSex', 'StudyDate', 'StudyTime', 'ReferringPhysicianName', 'StudyID', 'AccessionNumber', 'ReferencedPerformedProcedureStepSequence', 'PerformedProcedureCodeSequence',
] as const;

/** The modules around the content tree. */
export function checkDocument({ meta, attributes }: ParsedInstance, source: DerivedSource, seg: SegReference | null, report: Report): void {
  if (meta.transferSyntaxUid !== EXPLICIT_LITTLE) report('iod', 'The transfer syntax is not Explicit VR Little Endian');
  for (const keyword of WITH_VALUE) if ((attributes[tagOf(keyword)]?.Value?.length ?? 0) === 0) report('iod', `${keyword} has no value`);
  for (const keyword of PRESENT) if (attributes[tagOf(keyword)] === undefined) report('iod', `${keyword} is missing`);
  const identity = srIdentity(source);
  const expected: Readonly<Record<string, string>> = {
    SOPClassUID: COMPREHENSIVE_3D_SR, SOPInstanceUID: identity.sopInstanceUid, SeriesInstanceUID: identity.seriesInstanceUid, StudyInstanceUID: source.studyInstanceUid,
    Modality: 'SR', CompletionFlag: 'COMPLETE', VerificationFlag: source.verifier === null ? 'UNVERIFIED' : 'VERIFIED', InstanceNumber: String(source.version),
  };
  for (const [keyword, value] of Object.entries(expected)) if (text(attributes, keyword) !== value) report('iod', `${keyword} is not what it must be`);
  if (meta.mediaStorageSopInstanceUid !== identity.sopInstanceUid || meta.mediaStorageSopClassUid !== COMPREHENSIVE_3D_SR) report('iod', 'The file meta information names another object');
  checkVerifier(attributes, source, report);
  checkPatient(attributes, source, report);
  checkEvidence(attributes, source, seg, report);
}

function checkVerifier(attributes: DicomJson, { verifier }: DerivedSource, report: Report): void {
  const observers = sequence(attributes, 'VerifyingObserverSequence');
  if (verifier === null) {
    if (observers.length > 0) report('iod', 'An unverified report names who verified it');
    return;
  }
  const complete = observers.some((observer) => text(observer, 'VerifyingObserverName') && text(observer, 'VerifyingOrganization') && text(observer, 'VerificationDateTime'));
  if (!complete) report('iod', 'The verified report does not say who verified it, and when');
}

/** The patient is the one of the images, in every character set. */
function checkPatient(attributes: DicomJson, { instances }: DerivedSource, report: Report): void {
  for (const keyword of ['PatientID', 'PatientBirthDate', 'PatientSex'] as const) {
    const theirs = instances.map((instance) => text(instance.attributes, keyword)?.trim()).find(Boolean) ?? '';
    if ((text(attributes, keyword)?.trim() ?? '') !== theirs) report('iod', `${keyword} is not that of the images`);
  }
  const name = instances.map((instance) => nameIn(instance.attributes)).find((found) => found !== '') ?? '';
  if (nameIn(attributes) !== name) report('iod', 'PatientName is not that of the images');
}

/** All component groups. Data sets that came as JSON may have a text in place of them. */
function nameIn(attributes: DicomJson): string {
  const groups = personName(attributes, 'PatientName');
  const joined = groups === undefined ? text(attributes, 'PatientName') ?? '' : [groups.Alphabetic, groups.Ideographic, groups.Phonetic].map((group) => group?.trim() ?? '').join('=');
  return joined.replace(/=+$/, '').trim();
}

/** Everything that was read, and the segmentation, in the series that it is of. */
function checkEvidence(attributes: DicomJson, source: DerivedSource, seg: SegReference | null, report: Report): void {
  const listed = new Map<string, string>();
  for (const study of sequence(attributes, 'CurrentRequestedProcedureEvidenceSequence')) {
    if (text(study, 'StudyInstanceUID') !== source.studyInstanceUid) report('reference', 'The evidence is of another study');
    for (const series of sequence(study, 'ReferencedSeriesSequence')) {
      for (const object of sequence(series, 'ReferencedSOPSequence')) listed.set(text(object, 'ReferencedSOPInstanceUID') ?? '', `${text(series, 'SeriesInstanceUID') ?? ''} ${text(object, 'ReferencedSOPClassUID') ?? ''}`);
    }
  }
  const wanted = new Map([...source.instances, ...(seg === null ? [] : [seg])].map(({ sopInstanceUid, seriesInstanceUid, sopClassUid }) => [sopInstanceUid, `${seriesInstanceUid} ${sopClassUid}`]));
  const missing = [...wanted].filter(([uid, of]) => listed.get(uid) !== of).length;
  const foreign = [...listed.keys()].filter((uid) => !wanted.has(uid)).length;
  if (missing > 0) report('reference', `The evidence lacks ${String(missing)} of ${String(wanted.size)} objects, or has them in another series or of another class`);
  if (foreign > 0) report('reference', `The evidence lists ${String(foreign)} objects that were not read`);
  const before = sequence(attributes, 'PredecessorDocumentsSequence').flatMap((study) => sequence(study, 'ReferencedSeriesSequence')).flatMap((series) => sequence(series, 'ReferencedSOPSequence')).map((object) => text(object, 'ReferencedSOPInstanceUID') ?? '');
  if (before.some((uid) => !isDicomUid(uid))) report('reference', 'A predecessor has no UID');
  const { predecessors } = source;
  if (predecessors && (before.length !== predecessors.length || predecessors.some(({ sopInstanceUid }) => !before.includes(sopInstanceUid)))) report('reference', 'The predecessors are others than those of the result');
}
