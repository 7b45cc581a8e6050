import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { frameAttributes } from '../../imaging/dicom/functional-groups.js';
import { parseInstanceBytes } from '../../imaging/dicom/header.js';
import type { Manifest } from '../../imaging/model/manifest.js';
import type { TumourReport } from '../../imaging/model/manifests/tumour-report.js';
import { readingWindow } from '../../imaging/render/reading-window.js';
import { modalityValues, toDisplay, type DisplayImage } from '../../imaging/render/window.js';
import { describeSeries } from '../../imaging/volume/describe.js';
import { spacingOf } from '../../imaging/volume/geometry.js';
import { unpackLabels } from '../../imaging/volume/packed-labels.js';
import type { Volume } from '../../imaging/volume/volume.js';
import type { Config } from '../../platform/config.js';
import type { ModelPack } from '../../platform/packs/model-pack.js';
import { ImagingThreads } from '../../platform/threads/imaging-threads.service.js';
import { CommandError } from '../failure.js';
import { paint, table, writeJson, writeLine, type ProgressBar } from '../terminal.js';
import { labelMapsOf, readLabelMap } from './label-maps.js';
import { drawOutlines, fullestSlice, REGION_NAMES } from './outline-picture.js';
import { rounded } from './report.js';
import { agreementsOf, regionFigures, regionMasks, type FoundLabels, type RegionAgreement, type RegionFigures, type RegionMasks, type Spread } from './segmentation.js';
import { strangeText, type StrangeShare } from './strange-share.js';
import { evaluateStudies, printNotAnalysable, reportHead, type Evaluated, type SelectedStudy, type VolumeConclusion, type VolumeEvaluation } from './volume-evaluation.js';

const METHODS = {
  grid: 'on the grid of the product’s segmentation; labels of the truth by nearest voxel',
  dice: '2·|A∩B| / (|A|+|B|); cases in which both are empty are left out',
  hausdorff95Mm: '95th percentile of the distances between the surfaces, both ways, in mm; cases in which one is empty are left out',
  volumeError: '(found − true) / true; cases in which there is none are left out',
  interval: '95 %, percentiles of 1,000 samples of cases with replacement',
} as const;

interface SegmentedCase {
  studyInstanceUid: string;
  /** Name of the file. */
  truth: string;
  picture: string;
  regions: RegionAgreement[];
}

type SegmentationReport = ReturnType<typeof reportHead> & { notAnalysable: Evaluated<unknown>['notAnalysable']; outOfDistribution: StrangeShare | null; regions: RegionFigures[]; cases: SegmentedCase[]; methods: typeof METHODS; seconds: number };
type TumourManifest = Extract<Manifest, { report: TumourReport }>;
type Found = FoundLabels & { frames: { sopInstanceUid: string; frame: number }[] };

/** Tumours of a folder of studies against label maps (NIfTI). @throws CommandError `dataset-invalid`, `nothing-analysed` */
export async function evaluateSegmentation(evaluation: VolumeEvaluation, pack: ModelPack, config: Config, bar: ProgressBar): Promise<void> {
  const { manifest } = pack;
  if (!('report' in manifest)) throw new CommandError('usage', `${manifest.name} does not segment`);
  await mkdir(evaluation.report, { recursive: true });
  const threads = new ImagingThreads({ threads: 1 });
  const { judged: cases, notAnalysable, outOfDistribution, seconds } = await evaluateStudies(evaluation, pack, config, bar, {
    truthsOf: async (studies) => {
      const paths = await labelMapsOf(studies.map(({ study }) => study), evaluation.truth, evaluation.dataset);
      // Read twice, so that a faulty one is told before hours of work and not all of them are held meanwhile.
      for (const path of paths) await readLabelMap(path);
      return paths;
    },
    judge: async (one, conclusion, path): Promise<SegmentedCase> => {
      const found = foundIn(one, conclusion, manifest);
      const masks = regionMasks(found, await readLabelMap(path), manifest.report, path);
      const regions = agreementsOf(masks, found.grid);
      const picture = `${one.study.studyInstanceUid}.png`;
      await writeFile(join(evaluation.report, picture), await pictureOf(one, found, masks, regions, threads, `${manifest.name}@${manifest.version} against ${basename(path)}`));
      return { studyInstanceUid: one.study.studyInstanceUid, truth: basename(path), picture, regions };
    },
  }).finally(() => threads.close());
  const head = reportHead(evaluation, pack, cases.length, { kind: 'label-maps', files: cases.map(({ truth }) => truth) });
  const report: SegmentationReport = rounded({ ...head, notAnalysable, outOfDistribution, regions: regionFigures(cases.map(({ regions }) => regions)), cases, methods: METHODS, seconds });
  const files = [join(evaluation.report, 'results.json'), join(evaluation.report, 'cases.csv')] as const;
  await writeFile(files[0], `${JSON.stringify(report, null, 2)}\n`);
  await writeFile(files[1], casesCsv(report.cases));
  const all = [...files, ...cases.map(({ picture }) => join(evaluation.report, picture))];
  if (evaluation.json) writeJson({ ...report, files: all });
  else print(report, all);
}

/** What was segmented; where nothing was, an empty map on the grid of the series that the result would be shown on. */
function foundIn({ study, selected }: SelectedStudy, { segmentation }: VolumeConclusion, { preparation }: TumourManifest): Found {
  if (segmentation) return unpackLabels(segmentation);
  const wanted = selected.series.find(({ role }) => role === preparation.reference) ?? selected.series[0];
  const series = study.input.series.find(({ seriesInstanceUid }) => seriesInstanceUid === wanted?.seriesInstanceUid);
  const { grid, frames } = describeSeries(series?.instances ?? []);
  if (!grid) throw new CommandError('dataset-invalid', `Study ${study.studyInstanceUid} has no volume to compare on`);
  return { grid, frames, labels: new Uint8Array(grid.size[0] * grid.size[1] * grid.size[2]) };
}

async function pictureOf({ study }: SelectedStudy, { grid, frames }: Found, masks: readonly RegionMasks[], agreements: readonly RegionAgreement[], threads: ImagingThreads, subtitle: string): Promise<Buffer> {
  const slice = fullestSlice(masks, grid.size);
  const area = grid.size[0] * grid.size[1];
  const cut = (mask: Volume<Uint8Array>['voxels']): Uint8Array => mask.subarray(slice * area, (slice + 1) * area);
  const [columnMm, rowMm] = spacingOf(grid.affine);
  return drawOutlines({
    title: study.studyInstanceUid, subtitle: `${subtitle}, slice ${String(slice + 1)} of ${String(grid.size[2])}`, image: await imageOf(study.files, frames[slice], threads), spacing: [columnMm, rowMm],
    regions: masks.map(({ region, found, truth }, index) => ({ region, found: cut(found), truth: cut(truth), caption: `${REGION_NAMES[region]}: ${captionOf(agreements[index])}` })),
  });
}

async function imageOf(files: ReadonlyMap<string, string>, place: Found['frames'][number] | undefined, threads: ImagingThreads): Promise<DisplayImage> {
  const bytes = await readFile(files.get(place?.sopInstanceUid ?? '') ?? '');
  const index = (place?.frame ?? 1) - 1;
  const frame = await threads.decode(bytes, index);
  const attributes = frameAttributes(parseInstanceBytes(bytes).attributes, index);
  return toDisplay(frame, attributes, { window: readingWindow('brain-tumour-segmentation', modalityValues(frame, attributes)) });
}

function captionOf(agreement: RegionAgreement | undefined): string {
  if (!agreement) return '';
  const { dice, foundMl, trueMl } = agreement;
  return `${dice === null ? 'none' : `Dice ${dice.toFixed(3)}`}, ${foundMl.toFixed(1)} of ${trueMl.toFixed(1)} ml`;
}

function casesCsv(cases: readonly SegmentedCase[]): string {
  const rows = cases.flatMap(({ studyInstanceUid, truth, regions }) => regions.map((one) => [studyInstanceUid, truth, one.region, one.dice, one.hausdorff95Mm, one.foundMl, one.trueMl].map((value) => String(value ?? ''))));
  return [['study', 'truth', 'region', 'dice', 'hausdorff95_mm', 'found_ml', 'true_ml'], ...rows].map((row) => `${row.map(quoted).join(',')}\n`).join('');
}

function quoted(text: string): string {
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function print({ model, dataset, notAnalysable, outOfDistribution, regions, seconds }: SegmentationReport, files: readonly string[]): void {
  writeLine(`${paint('bold', `${model.name}@${model.version}`)} on ${basename(dataset.path)}: ${String(dataset.scans)} studies analysed, ${String(notAnalysable.count)} not analysable, ${seconds.toFixed(1)} s`);
  printNotAnalysable(notAnalysable);
  if (outOfDistribution) writeLine(`  ${strangeText(outOfDistribution)}`);
  writeLine();
  writeLine(table(regions, [
    { title: 'Region', value: ({ region }) => REGION_NAMES[region] },
    { title: 'Dice [95 % CI]', value: ({ dice }) => spreadText(dice, 4) },
    { title: 'Hausdorff 95 %, mm', value: ({ hausdorff95Mm }) => spreadText(hausdorff95Mm, 2) },
    { title: 'Volume error', value: ({ volumeError }) => spreadText(volumeError, 3) },
    { title: 'Cases', value: ({ dice }) => String(dice?.cases ?? 0), align: 'right' },
  ]));
  writeLine(`Dice: ${METHODS.dice}. Interval: ${METHODS.interval}. ${METHODS.grid}.`);
  writeLine(`Written: ${files.join(', ')}`);
}

function spreadText(spread: Spread | null, digits: number): string {
  return spread ? `${spread.mean.toFixed(digits)} [${spread.low.toFixed(digits)}, ${spread.high.toFixed(digits)}]` : '–';
}
