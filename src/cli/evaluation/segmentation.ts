import { agreementOf, type Agreement } from '../../imaging/evaluation/segmentation-agreement.js';
import type { TumourRegion, TumourReport } from '../../imaging/model/manifests/tumour-report.js';
import { uniformStream } from '../../imaging/phantom/random.js';
import { spacingOf, voxelVolumeMl } from '../../imaging/volume/geometry.js';
import { resampleLabels } from '../../imaging/volume/resample.js';
import type { Grid, Volume } from '../../imaging/volume/volume.js';
import { CommandError } from '../failure.js';

/** Which labels of BraTS make up a region; what the model calls them is in its manifest. */
const TRUE_VALUES: Readonly<Record<TumourRegion, readonly number[]>> = { 'whole-tumour': [1, 2, 4], 'tumour-core': [1, 4], 'enhancing-tumour': [4] };
/** A label map of the same head loses little of its tumour on the grid of the images. */
const LEAST_SHARE = 0.5;

/** A label map that the product made; `labels` `[z, y, x]` on the grid. */
export interface FoundLabels {
  grid: Grid;
  labels: Uint8Array;
}

/** One region, found and true, on the product's grid: 0 or 1, `[z, y, x]`. */
export interface RegionMasks {
  region: TumourRegion;
  found: Uint8Array;
  truth: Uint8Array;
}

export interface RegionAgreement extends Agreement {
  region: TumourRegion;
}

/**
 * Every region of the model with what it is in the truth.
 *
 * @throws CommandError `dataset-invalid` when the truth lies elsewhere than the images
 */
export function regionMasks({ grid, labels }: FoundLabels, truth: Volume<Uint8Array>, { segments }: TumourReport, name: string): RegionMasks[] {
  const onGrid = resampleLabels(truth, grid).voxels;
  const [before, after] = [tumourMl(truth), tumourMl({ ...grid, voxels: onGrid })];
  if (before > 0 && after < LEAST_SHARE * before) throw new CommandError('dataset-invalid', `${name} lies elsewhere than the images: of its ${before.toFixed(1)} ml of tumour ${after.toFixed(1)} ml are in them`);
  return segments.map(({ region, values }) => ({ region, found: maskOf(labels, values), truth: maskOf(onGrid, TRUE_VALUES[region]) }));
}

export function agreementsOf(masks: readonly RegionMasks[], { size, affine }: Grid): RegionAgreement[] {
  return masks.map(({ region, found, truth }) => ({ region, ...agreementOf(found, truth, size, spacingOf(affine)) }));
}

function maskOf(labels: Uint8Array, values: readonly number[]): Uint8Array {
  const isIn = new Uint8Array(256);
  for (const value of values) isIn[value] = 1;
  return labels.map((label) => isIn[label] ?? 0);
}

function tumourMl({ voxels, affine }: Volume<Uint8Array>): number {
  let count = 0;
  for (const label of voxels) if (label !== 0) count++;
  return count * voxelVolumeMl(affine);
}

export interface Spread {
  cases: number;
  mean: number;
  median: number;
  /** Of the mean: 2.5th and 97.5th percentile of cases drawn with replacement. */
  low: number;
  high: number;
}

export interface RegionFigures {
  region: TumourRegion;
  /** null where no case has the region. */
  dice: Spread | null;
  hausdorff95Mm: Spread | null;
  /** (found − true) / true. */
  volumeError: Spread | null;
}

export function regionFigures(cases: readonly (readonly RegionAgreement[])[]): RegionFigures[] {
  const regions = [...new Set(cases.flatMap((one) => one.map(({ region }) => region)))];
  return regions.map((region) => {
    const own = cases.flatMap((one) => one.filter((agreement) => agreement.region === region));
    const spread = (of: (agreement: RegionAgreement) => number | null): Spread | null => spreadOf(own.map(of).filter((value) => value !== null));
    return { region, dice: spread(({ dice }) => dice), hausdorff95Mm: spread(({ hausdorff95Mm }) => hausdorff95Mm), volumeError: spread(({ foundMl, trueMl }) => (trueMl === 0 ? null : (foundMl - trueMl) / trueMl)) };
  });
}

const REPETITIONS = 1_000;

function spreadOf(values: readonly number[]): Spread | null {
  if (values.length === 0) return null;
  const meanOf = (of: readonly number[]): number => of.reduce((sum, value) => sum + value, 0) / of.length;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (place: number): number => sorted[place] ?? 0;
  const uniform = uniformStream(1);
  const means = Array.from({ length: REPETITIONS }, () => meanOf(values.map(() => values[Math.floor(uniform() * values.length)] ?? 0))).sort((a, b) => a - b);
  return {
    cases: values.length, mean: meanOf(values), median: (at(Math.floor((sorted.length - 1) / 2)) + at(Math.floor(sorted.length / 2))) / 2,
    low: means[Math.floor(REPETITIONS * 0.025)] ?? 0, high: means[Math.ceil(REPETITIONS * 0.975) - 1] ?? 0,
  };
}
