import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { FALSE_POSITIVE_RATES } from '../../imaging/evaluation/froc.js';
import type { Config } from '../../platform/config.js';
import type { ModelPack } from '../../platform/packs/model-pack.js';
import { CommandError } from '../failure.js';
import { paint, table, writeJson, writeLine, type ProgressBar } from '../terminal.js';
import { candidatesOf, detectionFigures, type DetectedScan, type DetectionFigures } from './detection.js';
import { drawFroc } from './froc-picture.js';
import { openLesionTruth } from './lesion-truth.js';
import { rounded } from './report.js';
import { strangeText, type StrangeShare } from './strange-share.js';
import { evaluateStudies, printNotAnalysable, reportHead, type Evaluated, type SelectedStudy, type VolumeEvaluation } from './volume-evaluation.js';

const METHODS = {
  hit: 'a candidate within the radius of a nodule (LUNA16); what does not count is neither right nor wrong',
  interval: '95 %, percentiles of 1,000 samples of scans with replacement',
  mean: 'of the sensitivities at 1/8, 1/4, 1/2, 1, 2, 4 and 8 false positives a scan',
} as const;

/** Resampled, so few say nothing of nodules that are not among them. */
const FEW_LESIONS = 30;

type DetectionReport = ReturnType<typeof reportHead> & DetectionFigures & { notAnalysable: Evaluated<unknown>['notAnalysable']; outOfDistribution: StrangeShare | null; notes: string[]; methods: typeof METHODS; seconds: number };

/** Nodules of a folder of scans against what radiologists have outlined. @throws CommandError `dataset-invalid`, `nothing-analysed` */
export async function evaluateDetection(evaluation: VolumeEvaluation, pack: ModelPack, config: Config, bar: ProgressBar): Promise<void> {
  const truth = await openLesionTruth(evaluation.truth);
  const notes: string[] = [];
  const { judged: scans, notAnalysable, outOfDistribution, seconds } = await evaluateStudies(evaluation, pack, config, bar, {
    truthsOf: (studies) => {
      const series = studies.map(seriesOf);
      const unnamed = series.filter((one) => !truth.names(one)).length;
      if (series.length > 0 && unnamed === series.length) throw new CommandError('dataset-invalid', `The truth at ${evaluation.truth} names none of the ${String(series.length)} scans: it is of others, or there is no sensitivity to tell`);
      if (truth.kind === 'luna16' && unnamed > 0) notes.push(`${String(unnamed)} of ${String(series.length)} scans have no row in the annotations: taken as without a nodule.`);
      return series.map((one) => ({ series: one.seriesInstanceUid, lesions: truth.of(one) }));
    },
    judge: ({ study }, { findings }, { series, lesions }): DetectedScan => ({ studyInstanceUid: study.studyInstanceUid, seriesInstanceUid: series, candidates: candidatesOf(findings), lesions }),
  });
  const figures = detectionFigures(scans);
  if (figures.froc && figures.froc.lesions < FEW_LESIONS) notes.push(`Few nodules count (${String(figures.froc.lesions)}): the intervals are narrower than what is not known.`);
  const report: DetectionReport = rounded({ ...reportHead(evaluation, pack, scans.length, { kind: truth.kind, files: truth.files.map((file) => basename(file)) }), notes, notAnalysable, outOfDistribution, ...figures, methods: METHODS, seconds });
  const files = await write(evaluation.report, report, scans);
  if (evaluation.json) writeJson({ ...report, files });
  else print(report, files);
}

/** The one that the analysis reads. */
function seriesOf({ study, selected }: SelectedStudy): SelectedStudy['study']['input']['series'][number] {
  const series = study.input.series.find(({ seriesInstanceUid }) => seriesInstanceUid === selected.series[0]?.seriesInstanceUid);
  if (!series) throw new CommandError('dataset-invalid', `Study ${study.studyInstanceUid} has no series to detect nodules in`);
  return series;
}

async function write(folder: string, report: DetectionReport, scans: readonly DetectedScan[]): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const files: (readonly [string, string | Buffer])[] = [['results.json', `${JSON.stringify(report, null, 2)}\n`], ['candidates.csv', candidatesCsv(scans)]];
  if (report.froc) {
    const { mean, scans: count, lesions } = report.froc;
    files.push(['froc.png', await drawFroc(`Mean sensitivity ${mean.value.toFixed(3)} [${mean.low.toFixed(3)}, ${mean.high.toFixed(3)}]`, `${report.model.name}@${report.model.version} on ${basename(report.dataset.path)}: ${String(lesions)} ${lesions === 1 ? 'nodule' : 'nodules'} in ${String(count)} ${count === 1 ? 'scan' : 'scans'}`, report.froc)]);
  }
  for (const [name, content] of files) await writeFile(join(folder, name), content);
  return files.map(([name]) => join(folder, name));
}

/** As LUNA16's own evaluation reads it, with diameters. */
function candidatesCsv(scans: readonly DetectedScan[]): string {
  const rows = scans.flatMap(({ seriesInstanceUid, candidates }) => candidates.map(({ centre, score, diameterMm }) => [seriesInstanceUid, ...centre.map((value) => value.toFixed(3)), String(score), String(diameterMm ?? '')]));
  return [['seriesuid', 'coordX', 'coordY', 'coordZ', 'probability', 'diameter_mm'], ...rows].map((row) => `${row.join(',')}\n`).join('');
}

function print({ model, dataset, notAnalysable, outOfDistribution, notes, froc, lesions, falsePositivesPerScan, seconds }: DetectionReport, files: readonly string[]): void {
  writeLine(`${paint('bold', `${model.name}@${model.version}`)} on ${basename(dataset.path)}: ${String(dataset.scans)} scans analysed, ${String(notAnalysable.count)} not analysable, ${falsePositivesPerScan.toFixed(1)} false positives a scan, ${seconds.toFixed(1)} s`);
  printNotAnalysable(notAnalysable);
  if (outOfDistribution) writeLine(`  ${strangeText(outOfDistribution)}`);
  for (const note of notes) writeLine(`  ${note}`);
  writeLine();
  writeLine(table(lesions, [
    { title: 'Nodule at (LPS, mm)', value: ({ centre }) => centre.map((value) => value.toFixed(1)).join(', ') },
    { title: 'Diameter', value: ({ diameterMm }) => `${diameterMm.toFixed(1)} mm`, align: 'right' },
    { title: 'Counts', value: ({ counts }) => (counts ? 'yes' : 'no') },
    { title: 'Found', value: ({ distanceMm }) => (distanceMm === null ? '–' : `${distanceMm.toFixed(1)} mm from its centre`), style: ({ counts, distanceMm }) => (counts && distanceMm !== null ? 'green' : undefined) },
    { title: 'Score', value: ({ score }) => score?.toFixed(3) ?? '–', align: 'right' },
  ]));
  writeLine();
  if (froc) {
    writeLine(table(froc.at, [
      { title: 'False positives a scan', value: ({ falsePositivesPerScan: rate }) => (rate < 1 ? `1/${String(1 / rate)}` : String(rate)), align: 'right' },
      { title: 'Sensitivity [95 % CI]', value: ({ sensitivity, low, high }) => `${sensitivity.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]` },
    ]));
    writeLine(`Mean of the ${String(FALSE_POSITIVE_RATES.length)}: ${froc.mean.value.toFixed(3)} [${froc.mean.low.toFixed(3)}, ${froc.mean.high.toFixed(3)}]`);
  } else writeLine('No nodule counts: there is no sensitivity to tell.');
  writeLine(`Hit: ${METHODS.hit}. Interval: ${METHODS.interval}. What lies below the model's threshold is not reported, so the curve ends there.`);
  writeLine(`Written: ${files.join(', ')}`);
}
