import type { DicomJson } from '../../dicom/dicom-json.js';
import { frameAttributes } from '../../dicom/functional-groups.js';
import { text } from '../../dicom/attributes.js';
import type { Manifest, ModelDomain } from '../../model/manifest.js';
import { describeSeries, type SeriesDescription } from '../../volume/describe.js';
import { notAnalysable, type NotAnalysable, type Selected, type SelectedSeries, type StudyInput } from '../analysis.js';
import { ageFault, bodyPartsOf, distinct, isBodyPartInside, isCaptured, list, outside, takenAt } from '../eligibility.js';
import { volumeFault } from '../volume-eligibility.js';
import { classifySequence, ROLE_NAMES, type MrRole, type SequenceVerdict } from './sequences.js';

/** Roles that the four-sequence networks need, where a manifest names none. */
const ALL_ROLES: readonly MrRole[] = ['t1', 't1c', 't2', 'flair'];
/** Slices no further apart than this can be reformatted: their plane does not matter, unless the manifest insists. Millimetres. */
const REFORMATTED_MM = 2;

interface Candidate {
  seriesInstanceUid: string;
  modality: string;
  /** Of the first frame, functional groups laid over. */
  attributes: DicomJson;
  isSecondary: boolean;
  describe(): SeriesDescription;
}

interface Judged {
  candidate: Candidate;
  verdict: SequenceVerdict;
  description: SeriesDescription;
  fault: NotAnalysable | undefined;
}

/** Whether some series has the model's modality and body part. */
export function fits(study: StudyInput, { domain }: Manifest): boolean {
  return candidatesOf(study).some(({ modality, attributes }) => domain.modalities.includes(modality) && isBodyPartInside(bodyPartsOf(attributes), domain));
}

/**
 * Picks one series for each sequence that the model reads, or says which is missing and why what is there will not do. Among several series of
 * one sequence: those that are a volume the model reads, then the clearest evidence, originals before reformats, axial before others, thinner
 * slices, the newest.
 */
export function select(study: StudyInput, { domain }: Manifest): Selected | NotAnalysable {
  const all = candidatesOf(study);
  if (all.length === 0) return notAnalysable('no-suitable-image', 'The study has no images.');
  const ofModality = all.filter(({ modality }) => domain.modalities.includes(modality));
  if (ofModality.length === 0) return outside(`The study has images of ${list(distinct(all.map(({ modality }) => modality || 'no named modality')))}`, `reads ${list(domain.modalities)}`);
  const ofBodyPart = ofModality.filter(({ attributes }) => isBodyPartInside(bodyPartsOf(attributes), domain));
  if (ofBodyPart.length === 0) {
    const found = distinct(ofModality.flatMap(({ attributes }) => orUnnamed(bodyPartsOf(attributes))));
    return notAnalysable('wrong-body-part', `The images show ${list(found)}; this model reads ${list(domain.bodyParts)}.`);
  }
  const ofAge = ofBodyPart.filter(({ attributes }) => ageFault(attributes, domain) === undefined);
  if (ofAge.length === 0) return ageFault(ofBodyPart[0]?.attributes ?? {}, domain) ?? outside('The age is not known', 'needs it');
  const judged = ofAge.map((candidate) => judge(candidate, domain));
  const roles = domain.sequences ?? ALL_ROLES;
  const ofRole = (role: MrRole): Judged[] => judged.filter(({ verdict }) => verdict.kind === 'role' && verdict.role === role).sort(byPreference);
  const missing = roles.filter((role) => ofRole(role).length === 0);
  if (missing.length > 0) return notAnalysable('missing-sequence', `The study has no ${list(missing.map((role) => ROLE_NAMES[role]))}; this model reads ${list(roles.map((role) => ROLE_NAMES[role]))} together.`);
  const series: SelectedSeries[] = [];
  for (const role of roles) {
    const [best] = ofRole(role);
    if (best === undefined) continue;
    if (best.fault !== undefined) return notAnalysable(best.fault.code, `${ROLE_NAMES[role]}: ${best.fault.detail}`);
    series.push({ role, seriesInstanceUid: best.candidate.seriesInstanceUid, frames: best.description.frames, reason: best.verdict.reason });
  }
  const taken = new Set(series.map(({ seriesInstanceUid }) => seriesInstanceUid));
  const judgedUids = new Set(judged.map(({ candidate }) => candidate.seriesInstanceUid));
  const passedOver = [
    ...judged.filter(({ candidate }) => !taken.has(candidate.seriesInstanceUid)).map((entry) => ({ seriesInstanceUid: entry.candidate.seriesInstanceUid, reason: whyNot(entry, roles) })),
    ...all.filter(({ seriesInstanceUid }) => !judgedUids.has(seriesInstanceUid)).map((candidate) => ({ seriesInstanceUid: candidate.seriesInstanceUid, reason: domain.modalities.includes(candidate.modality) ? 'It shows another body part.' : 'It is of another modality.' })),
  ];
  return { kind: 'selected', series, passedOver };
}

function candidatesOf(study: StudyInput): Candidate[] {
  return study.series.flatMap((series) => {
    const images = series.instances.filter(({ rows, columns }) => rows !== null && columns !== null);
    const [first] = images;
    if (first === undefined) return [];
    const attributes = frameAttributes(first.attributes, 0);
    return [{
      seriesInstanceUid: series.seriesInstanceUid,
      modality: series.modality ?? text(attributes, 'Modality') ?? '',
      attributes,
      isSecondary: isCaptured(first.sopClassUid, attributes) || text(attributes, 'ImageType')?.toUpperCase() === 'DERIVED',
      describe: () => describeSeries(images, text(attributes, 'FrameOfReferenceUID')),
    }];
  });
}

function judge(candidate: Candidate, domain: ModelDomain): Judged {
  const verdict = classifySequence(candidate.attributes);
  const description = candidate.describe();
  const canBeReformatted = domain.plane === undefined && description.spacingMm !== undefined && description.spacingMm <= REFORMATTED_MM;
  return { candidate, verdict, description, fault: volumeFault(description, canBeReformatted ? { ...domain, plane: 'any' } : domain) };
}

function byPreference(a: Judged, b: Judged): number {
  return Number(a.fault !== undefined) - Number(b.fault !== undefined)
    || scoreOf(b) - scoreOf(a)
    || Number(a.candidate.isSecondary) - Number(b.candidate.isSecondary)
    || Number(b.description.plane === 'axial') - Number(a.description.plane === 'axial')
    || tenths(a.description.spacingMm) - tenths(b.description.spacingMm)
    || takenAt(b.candidate.attributes).localeCompare(takenAt(a.candidate.attributes))
    || (a.candidate.seriesInstanceUid < b.candidate.seriesInstanceUid ? -1 : 1);
}

/** In steps of two: what differs by less is equally clear. */
function scoreOf({ verdict }: Judged): number {
  return verdict.kind === 'role' ? Math.round(verdict.score / 2) : 0;
}

function tenths(mm: number | undefined): number {
  return mm === undefined ? Number.MAX_SAFE_INTEGER : Math.round(mm * 10);
}

function whyNot({ verdict, fault }: Judged, roles: readonly MrRole[]): string {
  if (verdict.kind === 'other') return verdict.reason;
  if (!roles.includes(verdict.role)) return `${ROLE_NAMES[verdict.role]}, which the model does not read.`;
  if (fault !== undefined) return `${verdict.reason} ${fault.detail}`;
  return `${verdict.reason} Another series serves better: clearer by its attributes, original, axial, thinner or newer.`;
}

function orUnnamed(parts: readonly string[]): readonly string[] {
  return parts.length === 0 ? ['an unnamed body part'] : parts;
}
