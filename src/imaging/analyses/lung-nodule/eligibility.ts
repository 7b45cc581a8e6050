import { strings, text } from '../../dicom/attributes.js';
import type { DicomJson } from '../../dicom/dicom-json.js';
import { frameAttributes } from '../../dicom/functional-groups.js';
import type { ModelDomain } from '../../model/manifest.js';
import { describeSeries, type SeriesDescription } from '../../volume/describe.js';
import { notAnalysable, type NotAnalysable, type Selected, type StudyInput } from '../analysis.js';
import { ageFault, bodyPartsOf, distinct, isBodyPartInside, isCaptured, list, outside, takenAt } from '../eligibility.js';
import { volumeFault } from '../volume-eligibility.js';
import { kernelClassOf, kernelNameOf, type KernelClass } from './kernel.js';

/** Pictures made of slices, not slices; and pictures for planning. */
const NO_SLICE_TYPES: ReadonlySet<string> = new Set([
  'LOCALIZER', 'SCOUT', 'TOPOGRAM', 'SCANOGRAM', 'MIP', 'MAX_IP', 'MINIP', 'MIN_IP', 'MAXIMUM', 'VRT', 'VOLUME_RENDER', 'VOLREN', 'RENDERED', 'SCREEN SAVE', 'SCREENSHOT', 'DOSE_INFO', 'PROJECTION IMAGE', 'CSA MIP', 'CURVED', 'CPR',
]);
const NO_SLICE_WORDS = /\b(MIN)?MIP\b|\bVRT?\b|\bSCOUT\b|TOPOGRAM|LOCALI[SZ]ER|SURVIEW|SCANOGRAM|DOSE REPORT|PATIENT PROTOCOL|\bCPR\b|定位|投影|剂量报告/;
/** Coverage within this part of the best is as good. */
const SAME_COVERAGE = 0.9;
const MAX_KERNEL_NAME = 16;

interface Candidate {
  seriesInstanceUid: string;
  attributes: DicomJson;
  instances: StudyInput['series'][number]['instances'];
  modality: string;
  description: SeriesDescription;
  kernel: KernelClass;
  isDerived: boolean;
  isCaptured: boolean;
}

/** How far a series came, and what stopped it. */
interface Fault {
  stage: number;
  fault: NotAnalysable;
}

/** Whether some series has the model's modality and body part. Looks at one image of each. */
export function fits(study: StudyInput, { domain }: { domain: ModelDomain }): boolean {
  return study.series.some((series) => {
    const [first] = series.instances;
    if (first === undefined) return false;
    const attributes = frameAttributes(first.attributes, 0);
    return domain.modalities.includes(series.modality ?? text(attributes, 'Modality') ?? '') && isBodyPartInside(bodyPartsOf(attributes), domain);
  });
}

/**
 * Picks the one series of slices that the model reads best: that covers most, of the preferred kernel, original before derived, of the thinnest
 * slices, the newest. Every series that is left is named with the reason.
 *
 * @returns for the series that came nearest why it cannot be read, when none can
 */
export function select(study: StudyInput, { domain }: { domain: ModelDomain }): Selected | NotAnalysable {
  const faults: (Fault & { seriesInstanceUid: string; images: number })[] = [];
  const candidates: Candidate[] = [];
  for (const series of study.series) {
    const candidate = examined(series, domain);
    if ('fault' in candidate) faults.push({ ...candidate, seriesInstanceUid: series.seriesInstanceUid, images: series.instances.length });
    else candidates.push(candidate);
  }
  const mostCovered = Math.max(0, ...candidates.map(({ description }) => description.coverageMm));
  const criteria = criteriaOf(domain, mostCovered);
  const [best, ...others] = candidates.sort((a, b) => compare(criteria, a, b));
  if (best === undefined) {
    const nearest = faults.sort((a, b) => b.stage - a.stage || b.images - a.images)[0];
    return nearest?.fault ?? notAnalysable('no-suitable-image', 'The study has no images.');
  }
  return {
    kind: 'selected',
    series: [{ role: 'ct', seriesInstanceUid: best.seriesInstanceUid, frames: best.description.frames, reason: `${described(best)}${others.length > 0 ? ` First of ${String(candidates.length)} series that can be read: it ${preference(criteria, best, others)}.` : ''}` }],
    passedOver: [
      ...others.map((other) => ({ seriesInstanceUid: other.seriesInstanceUid, reason: `${described(other)} Left, since the chosen one ${deciding(criteria, best, other)?.better(best) ?? 'is newer'}.` })),
      ...faults.map(({ seriesInstanceUid, fault }) => ({ seriesInstanceUid, reason: fault.detail })),
    ],
  };
}

function examined(series: StudyInput['series'][number], domain: ModelDomain): Candidate | Fault {
  const { seriesInstanceUid, instances } = series;
  const [first] = instances;
  if (first === undefined) return { stage: 0, fault: notAnalysable('no-suitable-image', 'The series has no images.') };
  const modality = series.modality ?? text(first.attributes, 'Modality') ?? '';
  if (!domain.modalities.includes(modality)) return { stage: 0, fault: outside(`The series has images of ${modality || 'no named modality'}`, `reads ${list(domain.modalities)}`) };
  const images = instances.filter(({ rows, columns }) => rows !== null && columns !== null);
  // A scout often comes first, so the middle one speaks for the series.
  const middle = images[Math.floor(images.length / 2)];
  if (middle === undefined) return { stage: 0, fault: notAnalysable('no-suitable-image', 'The series has no images.') };
  const attributes = frameAttributes(middle.attributes, 0);
  if (isNoSlice(attributes)) return { stage: 2, fault: notAnalysable('no-suitable-image', 'The series holds scout images, projections, renderings or captured screens, not slices.') };
  if (middle.sopClassUid.startsWith('1.2.840.10008.5.1.4.1.1.7')) return { stage: 2, fault: notAnalysable('no-suitable-image', 'The series holds secondary captures, not slices.') };
  const parts = bodyPartsOf(attributes);
  if (!isBodyPartInside(parts, domain)) return { stage: 3, fault: notAnalysable('wrong-body-part', `The images show ${list(parts.length === 0 ? ['an unnamed body part'] : parts.map(named))}; this model reads ${list(domain.bodyParts)}.`) };
  const age = ageFault(attributes, domain);
  if (age !== undefined) return { stage: 4, fault: age };
  const description = describeSeries(images, text(attributes, 'FrameOfReferenceUID'));
  const fault = volumeFault(description, domain);
  if (fault !== undefined) return { stage: stageOf(fault), fault };
  const kernel = kernelClassOf(attributes);
  if (domain.kernels !== undefined && !domain.kernels.includes(kernel)) return { stage: 9, fault: outside(`The kernel is ${kernel === 'unknown' ? 'not known' : kernel}`, `reads ${list(domain.kernels)}`) };
  return { seriesInstanceUid, attributes, instances, modality, description, kernel, isDerived: strings(attributes, 'ImageType')[0] === 'DERIVED', isCaptured: isCaptured(middle.sopClassUid, attributes) };
}

/** Of a study's series the one that came furthest says what is wrong: a thick axial series rather than a coronal one beside it. */
function stageOf({ code }: NotAnalysable): number {
  return code === 'not-axial' ? 5 : code === 'too-few-slices' ? 6 : code === 'series-not-a-volume' ? 7 : 8;
}

function isNoSlice(attributes: DicomJson): boolean {
  const types = [...strings(attributes, 'ImageType'), ...strings(attributes, 'FrameType')].map((type) => type.toUpperCase());
  return types.some((type) => NO_SLICE_TYPES.has(type)) || NO_SLICE_WORDS.test((text(attributes, 'SeriesDescription') ?? '').toUpperCase());
}

/** A part of the body that is no word of ours came from the sender; it is told only where it can be no name. */
function named(part: string): string {
  return /^[A-Z ]{2,16}$/.test(part) ? part : 'another body part';
}

interface Criterion {
  /** The lower the better. */
  cost: (candidate: Candidate) => number;
  /** What the chosen one does or is that the other does not. */
  better: (best: Candidate) => string;
}

function criteriaOf(domain: ModelDomain, mostCovered: number): Criterion[] {
  const place = (kernel: KernelClass): number => domain.kernels?.indexOf(kernel) ?? 0;
  return [
    { cost: ({ description }) => (description.coverageMm >= SAME_COVERAGE * mostCovered ? 0 : 1), better: () => 'covers more' },
    { cost: ({ kernel }) => place(kernel), better: ({ kernel }) => `has the kernel that the model prefers (${kernel})` },
    { cost: (candidate) => (candidate.isDerived ? 1 : 0) + (candidate.isCaptured ? 1 : 0), better: () => 'is original, not derived' },
    { cost: ({ description }) => Math.round((description.thicknessMm ?? description.spacingMm ?? 0) * 10), better: () => 'has thinner slices' },
    { cost: ({ description }) => Math.round((description.spacingMm ?? 0) * 10), better: () => 'has slices nearer to each other' },
    { cost: ({ description }) => -description.frames.length, better: () => 'has more slices' },
  ];
}

function compare(criteria: readonly Criterion[], a: Candidate, b: Candidate): number {
  for (const { cost } of criteria) if (cost(a) !== cost(b)) return cost(a) - cost(b);
  return takenAt(b.attributes).localeCompare(takenAt(a.attributes)) || (a.seriesInstanceUid < b.seriesInstanceUid ? -1 : 1);
}

function deciding(criteria: readonly Criterion[], best: Candidate, other: Candidate): Criterion | undefined {
  return criteria.find(({ cost }) => cost(best) !== cost(other));
}

function preference(criteria: readonly Criterion[], best: Candidate, others: readonly Candidate[]): string {
  const reasons = distinct(others.map((other) => deciding(criteria, best, other)?.better(best) ?? 'is newer'));
  return list(reasons);
}

function described({ attributes, description: { frames, spacingMm, thicknessMm, coverageMm, plane, leftOut }, kernel, isDerived }: Candidate): string {
  const name = kernelNameOf(attributes)?.slice(0, MAX_KERNEL_NAME).replace(/[^\w ./+-]/g, '');
  const kernelText = kernel === 'unknown' ? 'of an unknown kernel' : `of a ${kernel} kernel${name === undefined ? '' : ` (${name})`}`;
  const left = leftOut.localizers + leftOut.strays;
  const without = [...(left > 0 ? [`${String(left)} scout images`] : []), ...(leftOut.duplicates > 0 ? [`${String(leftOut.duplicates)} repeated slices`] : [])];
  return `${String(frames.length)} ${isDerived ? 'derived' : 'original'} ${plane ?? 'unplaced'} slices ${kernelText}, ${thicknessMm === undefined ? '' : `${mm(thicknessMm)} thick, `}${mm(spacingMm)} apart, over ${mm(coverageMm)}${without.length === 0 ? '' : `, without ${list(without)}`}.`;
}

function mm(value: number | undefined): string {
  return `${String(Math.round((value ?? 0) * 100) / 100)} mm`;
}
