import { ageYears, sequence, strings, text } from '../../dicom/attributes.js';
import type { DicomJson } from '../../dicom/dicom-json.js';
import type { ModelDomain } from '../../model/manifest.js';
import type { ImageClassifierManifest as Manifest } from '../../model/manifests/image-classifier.js';
import { notAnalysable, type NotAnalysable, type Selected, type StudyInput, type StudyInstance } from '../analysis.js';

/** Sides below this carry no chest, unless the network itself wants less. Pixels. */
const MIN_SIDE = 64;

/** Names that devices write into Body Part Examined for the chest, beside the defined term. */
const CHEST_NAMES: ReadonlySet<string> = new Set(['CHEST', 'THORAX', 'LUNG', 'LUNGS', 'CXR', 'PORT CHEST', 'CHEST PORT', 'CHEST PA', 'CHEST AP', 'PORTABLE CHEST']);
/** Anatomic Region: thorax in SNOMED CT and in the SNOMED RT that older devices write. @see PS3.16 CID 4031 */
const CHEST_CODES: ReadonlySet<string> = new Set(['51185008', '43799004', 'T-D3000', 'T-D3080']);
/** @see PS3.16 CID 4010 */
const VIEW_CODES: Readonly<Record<string, string>> = {
  '399348003': 'AP', 'R-10206': 'AP', '272479007': 'PA', 'R-10214': 'PA', '399067008': 'LATERAL', 'R-10236': 'LL', '399173006': 'LL', 'R-10232': 'RL', '399198007': 'RL',
};

interface Candidate {
  seriesInstanceUid: string;
  instance: StudyInstance;
  modality: string;
  bodyPart: string | undefined;
  view: string | undefined;
}

/** Whether some image has the model's modality and body part. */
export function fits(study: StudyInput, { domain }: Manifest): boolean {
  return candidatesOf(study).some((candidate) => domain.modalities.includes(candidate.modality) && isBodyPart(candidate, domain));
}

/**
 * Picks the one frontal radiograph of a study: PA before AP before an unnamed view, a radiograph before a secondary capture,
 * "for presentation" before "for processing", the newest.
 */
export function select(study: StudyInput, manifest: Manifest): Selected | NotAnalysable {
  const { domain } = manifest;
  const images = candidatesOf(study);
  if (images.length === 0) return notAnalysable('no-suitable-image', 'The study has no images.');
  const ofModality = images.filter(({ modality }) => domain.modalities.includes(modality));
  if (ofModality.length === 0) return outside(`The study has images of ${list(distinct(images.map(({ modality }) => modality || 'no named modality')))}`, `reads ${list(domain.modalities)}`);
  const ofBodyPart = ofModality.filter((candidate) => isBodyPart(candidate, domain));
  if (ofBodyPart.length === 0) {
    const found = distinct(ofModality.map(({ bodyPart }) => bodyPart ?? 'an unnamed body part'));
    return notAnalysable('wrong-body-part', `The images show ${list(found)}; this model reads ${list(domain.bodyParts)}.`);
  }
  const ofView = ofBodyPart.filter(({ view }) => isView(view, domain));
  if (ofView.length === 0) return outside(`The views are ${list(distinct(ofBodyPart.map(({ view }) => view ?? 'not named')))}`, `reads ${list(domain.viewPositions ?? [])}`);
  const ofAge = ofView.filter(({ instance }) => ageFault(instance.attributes, domain) === undefined);
  if (ofAge.length === 0) return ageFault(ofView[0]?.instance.attributes ?? {}, domain) ?? outside('The age is not known', 'needs it');
  const ofSize = ofAge.filter(({ instance }) => isLargeEnough(instance, manifest));
  const best = ofSize.sort(byPreference)[0];
  if (best === undefined) return notAnalysable('low-image-quality', `Every image is smaller than ${smallestSide(manifest)} pixels on a side.`);
  return {
    kind: 'selected',
    series: [{ role: 'radiograph', seriesInstanceUid: best.seriesInstanceUid, frames: [{ sopInstanceUid: best.instance.sopInstanceUid, frame: 1 }], reason: `The view is ${best.view ?? 'not named'}${ofSize.length > 1 ? `; the first choice of ${String(ofSize.length)} images` : ''}.` }],
    passedOver: [],
  };
}

function candidatesOf(study: StudyInput): Candidate[] {
  return study.series.flatMap((series) =>
    series.instances
      .filter(({ rows, columns }) => rows !== null && columns !== null)
      .map((instance) => ({ seriesInstanceUid: series.seriesInstanceUid, instance, modality: series.modality ?? text(instance.attributes, 'Modality') ?? '', bodyPart: bodyPartOf(instance.attributes), view: viewOf(instance.attributes) })));
}

function bodyPartOf(attributes: DicomJson): string | undefined {
  const region = text(sequence(attributes, 'AnatomicRegionSequence')[0] ?? {}, 'CodeValue');
  if (region !== undefined && CHEST_CODES.has(region)) return 'CHEST';
  const name = text(attributes, 'BodyPartExamined')?.trim().toUpperCase().replaceAll('_', ' ');
  if (name === undefined || name === '') return undefined;
  return CHEST_NAMES.has(name) ? 'CHEST' : name;
}

function viewOf(attributes: DicomJson): string | undefined {
  const code = text(sequence(attributes, 'ViewCodeSequence')[0] ?? {}, 'CodeValue');
  const position = text(attributes, 'ViewPosition')?.trim().toUpperCase();
  return (position === undefined || position === '' ? undefined : position) ?? VIEW_CODES[code ?? ''];
}

function isBodyPart({ bodyPart }: Candidate, domain: ModelDomain): boolean {
  return bodyPart === undefined ? domain.unknownBodyPart === 'inside' : domain.bodyParts.includes(bodyPart);
}

function isView(view: string | undefined, domain: ModelDomain): boolean {
  if (domain.viewPositions === undefined) return true;
  return view === undefined ? domain.unknownView === 'inside' : domain.viewPositions.includes(view);
}

function ageFault(attributes: DicomJson, { ageYears: range, unknownAge }: ModelDomain): NotAnalysable | undefined {
  if (range === undefined) return undefined;
  const age = ageYears(attributes);
  const made = `is for ages of ${range.min} to ${range.max} years`;
  if (age === undefined) return unknownAge === 'inside' ? undefined : outside('The age of the patient is not known', made);
  if (age >= range.min && age < range.max + 1) return undefined;
  return outside(age < 1 ? 'The patient is less than 1 year old' : `The patient is ${Math.floor(age)} ${Math.floor(age) === 1 ? 'year' : 'years'} old`, made);
}

function smallestSide({ input }: Manifest): number {
  return Math.min(MIN_SIDE, input.shape[2], input.shape[3]);
}

function isLargeEnough({ rows, columns }: StudyInstance, manifest: Manifest): boolean {
  return Math.min(rows ?? 0, columns ?? 0) >= smallestSide(manifest);
}

function byPreference(a: Candidate, b: Candidate): number {
  return rank(b) - rank(a) || takenAt(b).localeCompare(takenAt(a)) || (b.instance.instanceNumber ?? 0) - (a.instance.instanceNumber ?? 0) || (a.instance.sopInstanceUid < b.instance.sopInstanceUid ? -1 : 1);
}

function rank({ instance: { attributes, sopClassUid }, view }: Candidate): number {
  const viewRank = view === 'PA' ? 2 : view === 'AP' ? 1 : 0;
  // Secondary Capture and its multi-frame kin.
  const captured = sopClassUid.startsWith('1.2.840.10008.5.1.4.1.1.7') || strings(attributes, 'ImageType')[1] === 'SECONDARY';
  const raw = text(attributes, 'PresentationIntentType') === 'FOR PROCESSING';
  return viewRank * 4 + (captured ? 0 : 2) + (raw ? 0 : 1);
}

/** Digits of date and time, which sort as text. */
function takenAt({ instance: { attributes } }: Candidate): string {
  const first = (keywords: string[]): string => keywords.map((keyword) => text(attributes, keyword)).find((value) => value !== undefined) ?? '';
  return `${first(['AcquisitionDate', 'ContentDate', 'StudyDate']).padEnd(8, '0')}${first(['AcquisitionTime', 'ContentTime', 'StudyTime'])}`;
}

function outside(is: string, wants: string): NotAnalysable {
  return notAnalysable('outside-model-domain', `${is}; this model ${wants}.`);
}

function distinct(values: string[]): string[] {
  return [...new Set(values)];
}

function list(values: readonly string[]): string {
  return values.length < 2 ? (values[0] ?? 'nothing') : `${values.slice(0, -1).join(', ')} and ${values.at(-1) ?? ''}`;
}
