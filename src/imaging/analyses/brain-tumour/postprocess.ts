import type { Manifest } from '../../model/manifest.js';
import type { TumourReport, TumourRegion } from '../../model/manifests/tumour-report.js';
import type { Finding, Segment } from '../../report/finding.js';
import { DEFAULT_CRITICAL_RULES, isCritical } from '../../report/critical.js';
import { summaryText } from '../../report/summary.js';
import type { Conclusion, FrameRef, Segmentation } from '../analysis.js';
import { fullestSlice, measureTumours, volumeMl, withoutSmallParts, type RegionMeasures, type Tumour } from './measure.js';
import type { MidlineShift } from './midline.js';

/** What a finding says of each region; the whole tumour goes without its name. */
const PREFIX: Readonly<Record<TumourRegion, string>> = { 'whole-tumour': '', 'tumour-core': 'core', 'enhancing-tumour': 'enhancing' };
/** Diameters are of use for the whole and for what enhances. @see Wen et al. 2010 (RANO) */
const WITH_DIAMETERS: ReadonlySet<TumourRegion> = new Set<TumourRegion>(['whole-tumour', 'enhancing-tumour']);
/** Both diameters at least this make a lesion measurable. @see Wen et al. 2010 (RANO) */
const MEASURABLE_MM = 10;

/** What is concluded from. */
export interface Segmented {
  /** On the grid of the reference series; members are filled in here. */
  segmentation: Omit<Segmentation, 'members'>;
  /** Mean probability of what is marked as tumour; 1 where the recipe gives none. */
  score: number;
  midline: MidlineShift;
  /** For the provenance. */
  details: Record<string, unknown>;
}

type TumourManifest = Pick<Manifest, 'labels'> & { report: TumourReport };

/**
 * Findings, segments and a sentence from a label map: a finding for every connected tumour, a segment for every region.
 * Without a tumour there is nothing but the sentence that says so.
 */
export function conclude({ segmentation, score, midline, details }: Segmented, manifest: TumourManifest): Conclusion {
  const { report } = manifest;
  const { grid, frames } = segmentation;
  const { labels, dropped } = withoutSmallParts(segmentation.labels, grid, report);
  const tumours = measureTumours(labels, grid, report);
  const keyImage = frames[fullestSlice(labels, grid.size)] ?? null;
  const findings = tumours.map((tumour) => findingOf(tumour, manifest, score, grid.frameOfReferenceUid, frames));
  if (midline.status === 'measured' && findings[0]) findings[0] = withShift(findings[0], midline);
  const segments = tumours.length === 0 ? [] : segmentsOf(labels, segmentation, manifest);
  const present = new Set(segments.map(({ number }) => number));
  const marked = report.segments.filter(({ number }) => present.has(number));
  const critical = isCritical({ findings, labels: [] }, DEFAULT_CRITICAL_RULES) || manifest.labels.some(({ index, critical: urgent }) => urgent && marked.some(({ label }) => label === index));
  return {
    kind: 'concluded',
    summary: { text: summaryText({ analysis: 'brain-tumour-segmentation', findings: findings.map((finding) => ({ ...finding, id: '' })), labels: [], segments }, 'en'), critical },
    findings,
    labels: [],
    segments,
    keyImage,
    heatMaps: [],
    segmentation: tumours.length === 0 ? null : { ...segmentation, labels, members: marked.map(({ number, values }) => ({ segment: number, values })) },
    details: {
      ...details,
      tumours: tumours.length,
      droppedParts: dropped,
      volumesMl: Object.fromEntries(report.segments.map(({ region, values }) => [region, rounded(volumeMl(labels, grid, values), 3)])),
      diameters: tumours.map(({ regions }) => Object.fromEntries(regions.filter(({ region }) => WITH_DIAMETERS.has(region)).map((one) => [one.region, diameterDetails(one, frames)]))),
      midlineShift: midline,
    },
  };
}

function findingOf({ centre, box, slice, regions }: Tumour, { labels, report }: TumourManifest, score: number, frameOfReferenceUid: string | undefined, frames: readonly FrameRef[]): Omit<Finding, 'id'> {
  const frame = frames[slice];
  const whole = report.segments.find(({ region }) => region === 'whole-tumour');
  const code = labels.find(({ index }) => index === whole?.label)?.code ?? { system: 'SNOMED-CT', value: '108369006', meaning: 'Neoplasm' };
  return {
    kind: 'tumour',
    code,
    score: rounded(score, 4),
    ...(frame && {
      location: {
        ...(frameOfReferenceUid !== undefined && { frameOfReferenceUid }),
        center: point(centre),
        box: [point(box[0]), point(box[1])],
        ...frame,
      },
    }),
    measurements: regions.flatMap(measurementsOf),
  };
}

function measurementsOf({ region, volumeMl: ml, diameters }: RegionMeasures): Finding['measurements'] {
  const prefix = PREFIX[region];
  const named = (name: string): string => (prefix === '' ? name : prefix + name.charAt(0).toUpperCase() + name.slice(1));
  const volume = { name: named('volume'), value: rounded(ml, 2), unit: 'ml' };
  if (diameters === undefined || !WITH_DIAMETERS.has(region)) return [volume];
  return [
    volume,
    { name: named('diameter'), value: rounded(diameters.longMm, 1), unit: 'mm' },
    { name: named('perpendicularDiameter'), value: rounded(diameters.shortMm, 1), unit: 'mm' },
  ];
}

/** The brain has one midline: its shift stands with the largest tumour. */
function withShift(finding: Omit<Finding, 'id'>, { shiftMm, shifted }: Extract<MidlineShift, { status: 'measured' }>): Omit<Finding, 'id'> {
  return {
    ...finding,
    measurements: [...finding.measurements, { name: 'midlineShift', value: shiftMm, unit: 'mm' }],
    attributes: [...(finding.attributes ?? []), { name: 'midlineShift', value: shifted ? 'present' : 'absent' }],
  };
}

function segmentsOf(labels: Uint8Array, { grid }: Pick<Segmentation, 'grid'>, manifest: TumourManifest): Segment[] {
  return manifest.report.segments
    .map(({ number, label, values }) => ({ number, name: manifest.labels.find(({ index }) => index === label)?.name ?? `Segment ${number}`, volumeMl: rounded(volumeMl(labels, grid, values), 2) }))
    .filter(({ volumeMl: ml }) => ml > 0);
}

function diameterDetails({ diameters }: RegionMeasures, frames: readonly FrameRef[]): Record<string, unknown> | null {
  if (diameters === undefined) return null;
  const { longMm, shortMm, slice, long } = diameters;
  return {
    longMm: rounded(longMm, 1),
    shortMm: rounded(shortMm, 1),
    productMm2: rounded(longMm * shortMm, 0),
    measurable: Math.min(longMm, shortMm) >= MEASURABLE_MM,
    /** Ends of the long one: column, row of the frame. */
    long: long.map(([column, row]) => [rounded(column, 1), rounded(row, 1)]),
    ...frames[slice],
  };
}

function point([x, y, z]: readonly [number, number, number]): [number, number, number] {
  return [rounded(x, 2), rounded(y, 2), rounded(z, 2)];
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
