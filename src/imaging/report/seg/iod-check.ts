import { isDicomUid } from '../../../kernel/uid.js';
import { number, numbers, sequence, text } from '../../dicom/attributes.js';
import type { DicomJson } from '../../dicom/dicom-json.js';
import { tagOf } from '../../dicom/dictionary.js';
import type { DerivedSource } from '../derived.js';
import type { ReadSeg } from '../seg-reader.js';
import type { Faults } from './faults.js';

/** Type 1: must be there and have a value. @see PS3.3 A.51.3 */
const TYPE_1 = [
  'SOPClassUID', 'SOPInstanceUID', 'StudyInstanceUID', 'SeriesInstanceUID', 'Modality', 'SeriesNumber', 'Manufacturer', 'ManufacturerModelName', 'DeviceSerialNumber', 'SoftwareVersions',
  'InstanceNumber', 'ContentDate', 'ContentTime', 'NumberOfFrames', 'SamplesPerPixel', 'PhotometricInterpretation', 'Rows', 'Columns', 'BitsAllocated', 'BitsStored', 'PixelRepresentation',
  'HighBit', 'ImageType', 'LossyImageCompression', 'ContentLabel', 'SegmentationType', 'SegmentSequence', 'SharedFunctionalGroupsSequence', 'PerFrameFunctionalGroupsSequence',
  'DimensionOrganizationSequence', 'DimensionIndexSequence', 'ReferencedSeriesSequence',
] as const;
/** Type 2: must be there. */
const TYPE_2 = ['PatientName', 'PatientID', 'PatientBirthDate', 'PatientSex', 'StudyDate', 'StudyTime', 'ReferringPhysicianName', 'StudyID', 'AccessionNumber', 'ContentDescription', 'ContentCreatorName'] as const;
const OF_A_SEGMENT = ['SegmentNumber', 'SegmentLabel', 'SegmentAlgorithmType', 'SegmentAlgorithmName', 'SegmentedPropertyCategoryCodeSequence', 'SegmentedPropertyTypeCodeSequence', 'TrackingID', 'TrackingUID'] as const;
/** Whose patient and study it is. */
const IDENTITY = ['PatientID', 'PatientName', 'PatientBirthDate', 'PatientSex', 'AccessionNumber'] as const;
const CODES = new Set(['00080100', '00080119', '00080120']);

/** Required attributes, whether they are those of the source, and what the values must be. @see PS3.3 A.51 */
export function checkIod({ attributes, segments, isLabelMap }: ReadSeg, source: DerivedSource, faults: Faults): void {
  for (const keyword of TYPE_1) if (!hasValue(attributes, keyword)) faults.add('iod', `${keyword} is missing`);
  for (const keyword of TYPE_2) if (attributes[tagOf(keyword)] === undefined) faults.add('iod', `${keyword} is missing`);
  const fixed: Readonly<Record<string, string>> = {
    Modality: 'SEG', SOPClassUID: `1.2.840.10008.5.1.4.1.1.66.${isLabelMap ? '7' : '4'}`, SegmentationType: isLabelMap ? 'LABELMAP' : 'BINARY', StudyInstanceUID: source.studyInstanceUid,
    SamplesPerPixel: '1', PixelRepresentation: '0', BitsStored: isLabelMap ? '8' : '1', HighBit: isLabelMap ? '7' : '0', PhotometricInterpretation: 'MONOCHROME2', SpecificCharacterSet: 'ISO_IR 192',
  };
  for (const [keyword, value] of Object.entries(fixed)) if (text(attributes, keyword) !== value) faults.add('iod', `${keyword} is not what it must be`);
  for (const keyword of IDENTITY) {
    const theirs = source.instances.map((instance) => writtenOut(instance.attributes, keyword)).find((value) => value !== '') ?? '';
    if (writtenOut(attributes, keyword) !== theirs) faults.add('iod', `${keyword} is not that of the images`);
  }
  for (const keyword of ['SOPInstanceUID', 'SeriesInstanceUID']) if (!isDicomUid(text(attributes, keyword))) faults.add('iod', `${keyword} is no UID`);
  for (const [index, { item, number: given }] of segments.entries()) {
    for (const keyword of OF_A_SEGMENT) if (!hasValue(item, keyword)) faults.add('iod', `${keyword} of segment ${String(index + 1)} is missing`);
    if (given !== index + 1) faults.add('iod', `Segment ${String(index + 1)} has another number`);
    if (!isDicomUid(text(item, 'TrackingUID'))) faults.add('iod', `Tracking UID of segment ${String(index + 1)} is no UID`);
  }
  checkDimensions(attributes, isLabelMap, faults);
}

/** Values that are there, names with all their groups. */
function writtenOut(attributes: DicomJson, keyword: string): string {
  const values = (attributes[tagOf(keyword)]?.Value ?? []).filter((value) => value !== null && value !== '');
  return values.map((value) => (typeof value === 'object' ? Object.values({ Alphabetic: '', Ideographic: '', Phonetic: '', ...value }).join('=').replace(/=+$/, '') : String(value))).join('\\');
}

/** @see PS3.3 C.7.6.17 */
function checkDimensions(attributes: DicomJson, isLabelMap: boolean, faults: Faults): void {
  const wanted = [...(isLabelMap ? [] : ['ReferencedSegmentNumber']), 'ImagePositionPatient'].map(tagOf);
  const pointers = sequence(attributes, 'DimensionIndexSequence').map((item) => text(item, 'DimensionIndexPointer'));
  if (pointers.join() !== wanted.join()) faults.add('iod', 'The dimensions are not segment and position');
  const seen = new Set<string>();
  for (const [index, group] of sequence(attributes, 'PerFrameFunctionalGroupsSequence').entries()) {
    const values = numbers(sequence(group, 'FrameContentSequence')[0] ?? {}, 'DimensionIndexValues');
    if (values.length !== wanted.length || values.some((value) => value < 1)) faults.add('iod', `Frame ${String(index + 1)} has no index for every dimension`);
    else if (seen.has(values.join())) faults.add('iod', `Frame ${String(index + 1)} has the index of another frame`);
    seen.add(values.join());
    if (!isLabelMap && number(sequence(group, 'SegmentIdentificationSequence')[0] ?? {}, 'ReferencedSegmentNumber') === undefined) faults.add('iod', `Frame ${String(index + 1)} names no segment`);
  }
}

function hasValue(attributes: DicomJson, keyword: string): boolean {
  return (attributes[tagOf(keyword)]?.Value ?? []).some((value) => value !== null && value !== '');
}

/** Every item of every code sequence, however deep, has value, scheme and meaning; each sequence that is there has an item. @see PS3.3 §8 */
export function checkCodes(attributes: DicomJson, faults: Faults): void {
  for (const tag of Object.keys(attributes)) {
    const items = sequence(attributes, tag);
    for (const item of items) {
      if (isCode(tag, item) && !isComplete(item)) faults.add('code', `A code in (${tag.slice(0, 4)},${tag.slice(4)}) lacks value, scheme or meaning`);
      checkCodes(item, faults);
    }
    if (CODE_SEQUENCES.has(tag) && items.length === 0) faults.add('code', `(${tag.slice(0, 4)},${tag.slice(4)}) has no code`);
  }
}

/** Code sequences that are written, so that an item without any code in it is found as well. */
const CODE_SEQUENCES = new Set(['SegmentedPropertyCategoryCodeSequence', 'SegmentedPropertyTypeCodeSequence', 'AlgorithmFamilyCodeSequence', 'AnatomicRegionSequence', 'AnatomicRegionModifierSequence', 'PurposeOfReferenceCodeSequence', 'DerivationCodeSequence'].map(tagOf));

function isCode(tag: string, item: DicomJson): boolean {
  return CODE_SEQUENCES.has(tag) || Object.keys(item).some((key) => CODES.has(key) || key === '00080104');
}

function isComplete(item: DicomJson): boolean {
  return [...CODES].some((tag) => hasValue(item, tag)) && hasValue(item, 'CodingSchemeDesignator') && hasValue(item, 'CodeMeaning');
}
