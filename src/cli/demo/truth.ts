import { agreementOf } from '../../imaging/evaluation/segmentation-agreement.js';
import type { TumourRegion } from '../../imaging/phantom/brain-mr.js';
import { masksOf, readSeg } from '../../imaging/report/seg-reader.js';
import { spacingOf } from '../../imaging/volume/geometry.js';
import type { Grid, Vector3 } from '../../imaging/volume/volume.js';
import { findingRows, findingText, rowWithout, type FindingRow, type RunFacts } from '../findings-table.js';
import type { AnalysisResult, Run } from '../installation.js';

export interface TrueNodule {
  /** LPS millimetres. */
  centre: Vector3;
  diameterMm: number;
  text: string;
}

export interface TrueRegion {
  region: TumourRegion;
  /** On the grid of the phantom, 1 inside. */
  mask: Uint8Array;
}

/** What is in a phantom. */
export type DemoTruth =
  | { kind: 'words'; text: string }
  | { kind: 'nodules'; nodules: readonly TrueNodule[] }
  | { kind: 'regions'; grid: Grid; regions: readonly TrueRegion[] };

/** A finding is of a nodule when its centre is at most that far from the nodule's, or within the nodule. */
const NEAR_MM = 5;

/** The findings of a run beside what is known to be there. @param segmentation  gets the bytes of the result's SEG */
export async function comparedRows(facts: RunFacts, truth: DemoTruth, run: Run, result: AnalysisResult | null, segmentation: () => Promise<Uint8Array>): Promise<FindingRow[]> {
  if (truth.kind === 'words') return findingRows(facts, truth.text, run, result);
  if (result === null || run.status !== 'succeeded') return [rowWithout(facts, '', run, result)];
  if (truth.kind === 'nodules') return noduleRows(facts, truth.nodules, result.findings);
  return regionRows(facts, truth, result.segments.length > 0 ? await segmentation() : null);
}

/** Every nodule with the nearest finding that is its own, then the findings that are nobody's. */
function noduleRows(facts: RunFacts, nodules: readonly TrueNodule[], findings: AnalysisResult['findings']): FindingRow[] {
  const left = new Set(findings);
  const rows = nodules.map((nodule): FindingRow => {
    const nearest = [...left]
      .flatMap((finding) => (finding.location?.center ? [{ finding, away: Math.hypot(...finding.location.center.map((part, axis) => part - (nodule.centre[axis] ?? 0))) }] : []))
      .sort((a, b) => a.away - b.away)[0];
    if (nearest === undefined || nearest.away > Math.max(NEAR_MM, nodule.diameterMm / 2)) return { ...facts, truth: nodule.text, label: '–', agreement: '', probability: null, threshold: null, verdict: 'missed', reason: null };
    left.delete(nearest.finding);
    return { ...facts, truth: nodule.text, label: findingText(nearest.finding), agreement: `${nearest.away.toFixed(1)} mm off`, distanceMm: rounded(nearest.away, 2), probability: nearest.finding.score, threshold: null, verdict: 'found', reason: null };
  });
  return [...rows, ...[...left].map((finding): FindingRow => ({ ...facts, truth: 'nothing', label: findingText(finding), agreement: '', probability: finding.score, threshold: null, verdict: 'false alarm', reason: null }))];
}

function regionRows(facts: RunFacts, { grid, regions }: Extract<DemoTruth, { kind: 'regions' }>, bytes: Uint8Array | null): FindingRow[] {
  const seg = bytes === null ? undefined : readSeg(bytes);
  const masks = seg && masksOf(seg, grid);
  return regions.map(({ region, mask }): FindingRow => {
    const segment = seg?.segments.find(({ label }) => label.toLowerCase().replaceAll(' ', '-') === region);
    const found = (segment && masks?.get(segment.number)) ?? new Uint8Array(mask.length);
    const { dice, foundMl, trueMl } = agreementOf(found, mask, grid.size, spacingOf(grid.affine));
    const base = { ...facts, truth: `${region.replaceAll('-', ' ')} ${trueMl.toFixed(1)} ml`, probability: null, threshold: null, reason: null };
    if (segment === undefined) return { ...base, label: '–', agreement: '', verdict: 'missed' };
    return { ...base, label: `${segment.label} ${foundMl.toFixed(1)} ml`, agreement: `Dice ${(dice ?? 0).toFixed(3)}`, dice: rounded(dice ?? 0, 4), verdict: 'segmented' };
  });
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
