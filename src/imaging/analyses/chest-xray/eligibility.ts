import { sequence, text } from '../../dicom/attributes.js';
import type { DicomJson } from '../../dicom/dicom-json.js';
import type { ModelDomain } from '../../model/manifest.js';
import type { ImageClassifierManifest as Manifest } from '../../model/manifests/image-classifier.js';
import { notAnalysable, type NotAnalysable, type Selected, type StudyInput, type StudyInstance } from '../analysis.js';
import { ageFault, distinct, isCaptured, list, outside, takenAt } from '../eligibility.js';

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

function smallestSide({ input }: Manifest): number {
  return Math.min(MIN_SIDE, input.shape[2], input.shape[3]);
}

function isLargeEnough({ rows, columns }: StudyInstance, manifest: Manifest): boolean {
  return Math.min(rows ?? 0, columns ?? 0) >= smallestSide(manifest);
}

function byPreference(a: Candidate, b: Candidate): number {
  return rank(b) - rank(a) || takenAt(b.instance.attributes).localeCompare(takenAt(a.instance.attributes)) || (b.instance.instanceNumber ?? 0) - (a.instance.instanceNumber ?? 0) || (a.instance.sopInstanceUid < b.instance.sopInstanceUid ? -1 : 1);
}

function rank({ instance: { attributes, sopClassUid }, view }: Candidate): number {
  const viewRank = view === 'PA' ? 2 : view === 'AP' ? 1 : 0;
  const raw = text(attributes, 'PresentationIntentType') === 'FOR PROCESSING';
  return viewRank * 4 + (isCaptured(sopClassUid, attributes) ? 0 : 2) + (raw ? 0 : 1);
}
