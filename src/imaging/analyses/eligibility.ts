import { ageYears, sequence, strings, text } from '../dicom/attributes.js';
import type { DicomJson } from '../dicom/dicom-json.js';
import type { ModelDomain } from '../model/manifest.js';
import { notAnalysable, type NotAnalysable } from './analysis.js';

export type BodyPart = 'CHEST' | 'HEAD' | 'NECK' | 'ABDOMEN' | 'PELVIS' | 'SPINE' | 'EXTREMITY' | 'BREAST' | 'HEART';

/** Anatomic Region in SNOMED CT and in the SNOMED RT that older devices write. @see PS3.16 CID 4031 and Annex L */
const REGION_CODES: Readonly<Record<string, BodyPart>> = {
  '51185008': 'CHEST', '43799004': 'CHEST', '39607008': 'CHEST', 'T-D3000': 'CHEST', 'T-D3080': 'CHEST', 'T-28000': 'CHEST',
  '69536005': 'HEAD', '12738006': 'HEAD', '89546000': 'HEAD', 'T-D1100': 'HEAD', 'T-A0100': 'HEAD', 'T-11100': 'HEAD',
  '45048000': 'NECK', 'T-D1600': 'NECK', '818981001': 'ABDOMEN', '113345001': 'ABDOMEN', 'T-D4000': 'ABDOMEN', '12921003': 'PELVIS', '816092008': 'PELVIS', 'T-D6000': 'PELVIS',
};
/** Words of devices and of people, English and Chinese. Letters next to an English word make it another one, but "CHESTABD" is two. */
const WORDS: readonly (readonly [BodyPart, RegExp])[] = [
  ['CHEST', /CHEST|THORA|LUNG|\bCXR\b|\bCAP\b|\bTHX\b|胸|肺/],
  ['HEAD', /HEAD(?!\s*(FIRST|-FIRST))|BRAIN|SKULL|CRANI|CEREBR|\bIAC\b|头|颅|脑/],
  ['NECK', /NECK|CAROTID|颈/],
  ['ABDOMEN', /ABD|LIVER|KIDNEY|PANCREA|\bCAP\b|腹|肝|肾|胰/],
  ['PELVIS', /PELVI|\bCAP\b|HIP\b|盆腔|骨盆|髋/],
  ['SPINE', /SPINE|\b[CTL]SPINE|LUMBAR|CERVICAL|脊|腰椎|颈椎|胸椎/],
  ['BREAST', /BREAST|乳/],
  ['HEART', /HEART|CARDIAC|CORONARY|心脏|冠状动脉|冠脉/],
  ['EXTREMITY', /EXTREMITY|KNEE|ANKLE|SHOULDER|WRIST|ELBOW|FOOT|HAND\b|膝|踝|肩|腕|肘|足/],
];

/**
 * Body parts that the attributes name: by the anatomic region, Body Part Examined and the series' own descriptions together, and only where none
 * of these says anything by the description of the study. Empty when nothing does. A body part that is no word of ours is given as it was written.
 *
 * @param attributes  of a single frame or of an enhanced object's first frame, functional groups laid over
 */
export function bodyPartsOf(attributes: DicomJson): string[] {
  const region = text(sequence(attributes, 'AnatomicRegionSequence')[0] ?? {}, 'CodeValue');
  const fromRegion = region === undefined ? undefined : REGION_CODES[region];
  const written = text(attributes, 'BodyPartExamined')?.trim().toUpperCase().replaceAll('_', ' ');
  const fromWritten = written === undefined || written === '' ? [] : partsIn(written);
  const described = partsIn([text(attributes, 'SeriesDescription'), text(attributes, 'ProtocolName')].join(' | '));
  const parts = distinct([...(fromRegion === undefined ? [] : [fromRegion]), ...fromWritten, ...described]);
  if (parts.length > 0) return parts;
  if (written !== undefined && written !== '' && !WHOLE.has(written)) return [written];
  return partsIn(text(attributes, 'StudyDescription') ?? '');
}

/** Names for everything, which say nothing. */
const WHOLE: ReadonlySet<string> = new Set(['WHOLE BODY', 'WHOLEBODY', 'BODY', 'UNKNOWN', 'OTHER', 'DEFAULT']);

function partsIn(words: string): BodyPart[] {
  // Vertebrae of neck and chest are spine.
  const upper = words.toUpperCase();
  const found = WORDS.filter(([, pattern]) => pattern.test(upper)).map(([part]) => part);
  if (/颈椎|CERVICAL SP|C-?SPINE/.test(upper)) return found.filter((part) => part !== 'NECK');
  return /胸椎|THORACIC SP|T-?SPINE/.test(upper) ? found.filter((part) => part !== 'CHEST') : found;
}

/** Whether a model reads one of the body parts; unknown ones as its manifest says. */
export function isBodyPartInside(parts: readonly string[], { bodyParts, unknownBodyPart }: ModelDomain): boolean {
  if (parts.length === 0) return unknownBodyPart === 'inside';
  return parts.some((part) => bodyParts.includes(part)) || (parts.includes('HEAD') && bodyParts.includes('BRAIN'));
}

/** Why the age of the patient is not the model's, if it is not. */
export function ageFault(attributes: DicomJson, { ageYears: range, unknownAge }: ModelDomain): NotAnalysable | undefined {
  if (range === undefined) return undefined;
  const age = ageYears(attributes);
  const made = `is for ages of ${range.min} to ${range.max} years`;
  if (age === undefined) return unknownAge === 'inside' ? undefined : outside('The age of the patient is not known', made);
  if (age >= range.min && age < range.max + 1) return undefined;
  return outside(age < 1 ? 'The patient is less than 1 year old' : `The patient is ${Math.floor(age)} ${Math.floor(age) === 1 ? 'year' : 'years'} old`, made);
}

/** Digits of date and time, which sort as text. */
export function takenAt(attributes: DicomJson): string {
  const first = (keywords: string[]): string => keywords.map((keyword) => text(attributes, keyword)).find((value) => value !== undefined) ?? '';
  return `${first(['AcquisitionDate', 'ContentDate', 'StudyDate']).padEnd(8, '0')}${first(['AcquisitionTime', 'ContentTime', 'StudyTime'])}`;
}

/** Secondary Capture and its multi-frame kin, or what calls itself so. */
export function isCaptured(sopClassUid: string, attributes: DicomJson): boolean {
  return sopClassUid.startsWith('1.2.840.10008.5.1.4.1.1.7') || strings(attributes, 'ImageType')[1] === 'SECONDARY';
}

export function outside(is: string, wants: string): NotAnalysable {
  return notAnalysable('outside-model-domain', `${is}; this model ${wants}.`);
}

export function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}

/** `a, b and c`. */
export function list(values: readonly string[]): string {
  return values.length < 2 ? (values[0] ?? 'nothing') : `${values.slice(0, -1).join(', ')} and ${values.at(-1) ?? ''}`;
}
