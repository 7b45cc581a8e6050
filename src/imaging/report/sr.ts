import { strings, text } from '../dicom/attributes.js';
import type { DicomJson } from '../dicom/dicom-json.js';
import { EXPLICIT_LITTLE } from '../dicom/transfer-syntax.js';
import { encodeDataSet, encodeFileHead } from '../dicom/write-data-set.js';
import { groupBy } from '../../kernel/group-by.js';
import { derivedDicomUid } from '../../kernel/uid.js';
import { dataSetOf, type Fields } from './data-set.js';
import { MANUFACTURER, serialNumberOf } from './derived-header.js';
import type { DerivedObject, DerivedSource, SourceInstance } from './derived.js';
import { nameText } from './element-text.js';
import { dcm, NAMES, subjectOf, VALUES, type Concept } from './sr/concepts.js';
import { codeItem, codeValue, container, containerFields, dateValue, imageValue, personValue, textValue, uidValue } from './sr/content.js';
import { documentModules, procedureCodes, srIdentity } from './sr/document.js';
import { evaluationsOf, groupsOf, nothingFound, type SegReference } from './sr/groups.js';

/**
 * A result as a Comprehensive 3D SR: an Imaging Measurement Report as TID 1500 and the profile AI Results of IHE have it.
 *
 * @param seg  the result's segmentation, for segments to be referenced in; without it findings are marked with regions alone
 * @param predecessors  reports that this one takes the place of
 * @see PS3.3 A.35.13; PS3.16 TID 1500; IHE RAD TF, AI Results. The codes are in docs/dicom-sr.md.
 */
export function writeSr(source: DerivedSource, seg: SegReference | null, predecessors: readonly SegReference[] = []): DerivedObject {
  const identity = srIdentity(source);
  const modules = documentModules(source, seg, predecessors);
  // Of a tree of thousands of small items dcmjs takes seconds.
  const dataSet = encodeDataSet<Uint8Array>({ ...modules, ...dataSetOf(rootOf(source, seg, modules)) });
  return { kind: 'sr', ...identity, bytes: new Uint8Array(Buffer.concat([encodeFileHead({ ...identity, transferSyntaxUid: EXPLICIT_LITTLE }), ...dataSet])) };
}

/** @see PS3.16 TID 1500 */
function rootOf(source: DerivedSource, seg: SegReference | null, modules: DicomJson): Fields {
  const groups = groupsOf(source, seg);
  const procedures = procedureCodes(modules);
  return {
    ValueType: 'CONTAINER',
    ConceptNameCodeSequence: [codeItem(NAMES.report)],
    ...containerFields('1500'),
    ContentSequence: [
      codeValue('HAS CONCEPT MOD', NAMES.language, VALUES.english),
      ...observers(source),
      ...(procedures.length > 0 ? procedures : [codeItem(subjectOf(source.analysis).procedure)]).map(procedureReported),
      ...imageLibrary(source.instances),
      ...(groups.length > 0 ? [container(NAMES.measurements, groups), ...evaluationsOf(source)] : [nothingFound(source)]),
    ],
  };
}

function procedureReported(code: Fields): Fields {
  return { RelationshipType: 'HAS CONCEPT MOD', ValueType: 'CODE', ConceptNameCodeSequence: [codeItem(NAMES.procedure)], ConceptCodeSequence: [code] };
}

/** Who looked: the model, and who stands for what it found. @see PS3.16 TID 1001 to 1004 */
function observers({ provenance: { model }, verifier }: DerivedSource): Fields[] {
  const device = [
    codeValue('HAS OBS CONTEXT', NAMES.observerType, VALUES.device),
    uidValue('HAS OBS CONTEXT', NAMES.deviceUid, derivedDicomUid(`model ${model.digest}`)),
    textValue('HAS OBS CONTEXT', NAMES.deviceName, model.name),
    textValue('HAS OBS CONTEXT', NAMES.deviceManufacturer, MANUFACTURER),
    textValue('HAS OBS CONTEXT', NAMES.deviceModel, `${model.name} ${model.version}`),
    textValue('HAS OBS CONTEXT', NAMES.deviceSerial, serialNumberOf(model)),
  ];
  if (verifier === null) return device;
  return [
    ...device,
    codeValue('HAS OBS CONTEXT', NAMES.observerType, VALUES.person),
    personValue('HAS OBS CONTEXT', NAMES.personName, nameText(verifier.name) || 'unknown'),
    ...(verifier.organisation.trim() === '' ? [] : [textValue('HAS OBS CONTEXT', NAMES.personOrganisation, verifier.organisation)]),
  ];
}

/** @see PS3.16 CID 29 */
const MODALITIES: Readonly<Record<string, Concept>> = {
  CT: dcm('CT', 'Computed Tomography'), MR: dcm('MR', 'Magnetic Resonance'), CR: dcm('CR', 'Computed Radiography'), DX: dcm('DX', 'Digital Radiography'),
};

/** What was read, a group for every series. @see PS3.16 TID 1600 to 1602 */
function imageLibrary(instances: readonly SourceInstance[]): Fields[] {
  const series = groupBy(instances, ({ seriesInstanceUid }) => seriesInstanceUid);
  const groups = [...series.values()].map((members) => container(NAMES.imageLibraryGroup, [
    ...descriptors(members.map(({ attributes }) => attributes)),
    ...members.map((instance) => imageValue('CONTAINS', NAMES.source, instance)),
  ]));
  return groups.length === 0 ? [] : [container(NAMES.imageLibrary, groups)];
}

function descriptors(members: readonly DicomJson[]): Fields[] {
  const shared = (keyword: string): string | undefined => {
    const values = new Set(members.map((attributes) => strings(attributes, keyword)[0] ?? ''));
    const [value] = values;
    return values.size === 1 && value !== '' ? value : undefined;
  };
  const modality = MODALITIES[members.map((attributes) => text(attributes, 'Modality')).find((value) => value !== undefined) ?? ''] ?? dcm('OT', 'Other Modality');
  const [date, frameOfReference] = [shared('StudyDate'), shared('FrameOfReferenceUID')];
  return [
    codeValue('HAS ACQ CONTEXT', NAMES.modality, modality),
    ...(date !== undefined && /^\d{8}$/.test(date) ? [dateValue('HAS ACQ CONTEXT', NAMES.studyDate, date)] : []),
    ...(frameOfReference === undefined ? [] : [uidValue('HAS ACQ CONTEXT', NAMES.frameOfReference, frameOfReference)]),
  ];
}
