import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Interval } from '../../imaging/evaluation/roc.js';
import { VERSION } from '../../platform/version.js';
import type { ModelPack } from '../../platform/packs/model-pack.js';
import { paint, table, writeLine } from '../terminal.js';
import type { Dataset } from './dataset.js';
import { METHODS, type Figures, type LabelFigures } from './figures.js';
import type { Prediction } from './pipeline.js';
import { drawRoc } from './roc-picture.js';
import { strangeText } from './strange-share.js';
import type { figuresOf } from './figures.js';

export interface EvaluationReport {
  analysis: string;
  model: { name: string; version: string; digest: string };
  software: string;
  dataset: { path: string; kind: string; sha256: string; split: string | null; images: number };
  notes: string[];
  analysed: number;
  notAnalysable: { count: number; byCode: Record<string, number>; images: Figures['notAnalysable'] };
  macroAuc: number | null;
  outOfDistribution: Figures['outOfDistribution'];
  labels: LabelFigures[];
  methods: typeof METHODS;
  seconds: number;
}

export function reportOf(dataset: Dataset, images: number, pack: ModelPack, figures: Figures, seconds: number): EvaluationReport {
  const { manifest, digest } = pack;
  const byCode: Record<string, number> = {};
  for (const { code } of figures.notAnalysable) byCode[code] = (byCode[code] ?? 0) + 1;
  const notes = [
    ...(dataset.hasAges ? [] : ['Ages are not in the set; taken as inside the model\'s domain.']),
    ...(dataset.hasViews ? [] : ['View positions are not in the set; taken as inside the model\'s domain.']),
    ...(figures.notAnalysable.length === 0 ? [] : ['Images that the product does not analyse are counted apart and left out of the figures.']),
    ...(images < dataset.samples.length ? [`Only the first ${String(images)} of ${String(dataset.samples.length)} images.`] : []),
  ];
  const { analysed, notAnalysable, labels, macroAuc, outOfDistribution } = figures;
  return rounded({
    analysis: manifest.analysis, model: { name: manifest.name, version: manifest.version, digest }, software: VERSION,
    dataset: { path: dataset.path, kind: dataset.kind, sha256: dataset.sha256, split: dataset.split, images }, notes, analysed,
    notAnalysable: { count: notAnalysable.length, byCode, images: notAnalysable }, macroAuc, outOfDistribution, labels, methods: METHODS, seconds,
  });
}

/** Writes results.json, predictions.csv and roc.png. @returns their paths; no picture where no label has a curve */
export async function writeReport(folder: string, report: EvaluationReport, predictions: readonly Prediction[], pack: ModelPack, curves: ReturnType<typeof figuresOf>['curves']): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const files = [join(folder, 'results.json'), join(folder, 'predictions.csv')] as const;
  await writeFile(files[0], `${JSON.stringify(report, null, 2)}\n`);
  await writeFile(files[1], predictionsCsv(predictions, report.labels.map(({ name }) => name), pack));
  if (curves.length === 0) return [...files];
  const [only] = report.labels;
  const single = curves.length === 1 && only?.auc ? only : undefined;
  const picture = await drawRoc({
    title: single?.auc ? `${single.name}: AUC ${intervalText(single.auc)}` : `Macro AUC ${fixed(report.macroAuc)} over ${String(curves.length)} labels`,
    subtitle: `${report.model.name}@${report.model.version} on ${datasetName(report)}, n = ${String(report.analysed)}`,
    curves,
    ...(single?.sensitivity && single.specificity && {
      operatingPoint: { falsePositiveRate: 1 - single.specificity.value, truePositiveRate: single.sensitivity.value, text: `threshold ${fixed(single.threshold)}: sensitivity ${fixed(single.sensitivity.value)}, specificity ${fixed(single.specificity.value)}` },
    }),
  });
  const image = join(folder, 'roc.png');
  await writeFile(image, picture);
  return [...files, image];
}

export function printReport(report: EvaluationReport): void {
  const { model, analysed, notAnalysable, labels, macroAuc } = report;
  writeLine(`${paint('bold', `${model.name}@${model.version}`)} on ${datasetName(report)}: ${String(analysed)} images analysed, ${String(notAnalysable.count)} not analysable, ${report.seconds.toFixed(1)} s`);
  for (const [code, count] of Object.entries(notAnalysable.byCode)) writeLine(`  ${code}: ${String(count)}`);
  for (const note of report.notes) writeLine(`  ${note}`);
  if (report.outOfDistribution) writeLine(`  ${strangeText(report.outOfDistribution)}`);
  writeLine();
  if (analysed === 0) return;
  writeLine(table(labels, [
    { title: 'Label', value: ({ name }) => name },
    { title: 'n+', value: ({ positives }) => String(positives), align: 'right' },
    { title: 'n−', value: ({ negatives }) => String(negatives), align: 'right' },
    { title: 'AUC [95 % CI]', value: ({ auc }) => intervalText(auc) },
    { title: 'Threshold', value: ({ threshold }) => fixed(threshold), align: 'right' },
    { title: 'Sensitivity [95 % CI]', value: ({ sensitivity }) => intervalText(sensitivity) },
    { title: 'Specificity [95 % CI]', value: ({ specificity }) => intervalText(specificity) },
    { title: 'TP/FP/TN/FN', value: ({ confusion: c }) => [c.truePositives, c.falsePositives, c.trueNegatives, c.falseNegatives].join('/') },
    { title: 'ECE', value: (label) => fixed(label.expectedCalibrationError), align: 'right' },
    { title: 'Brier', value: ({ brier }) => fixed(brier), align: 'right' },
  ]));
  if (labels.length > 1) writeLine(`Macro AUC ${fixed(macroAuc)} (${METHODS.macroAuc})`);
  writeLine(`AUC: ${METHODS.auc}. Sensitivity, specificity: ${METHODS.shares}. ECE: ${METHODS.expectedCalibrationError}.`);
}

function datasetName({ dataset: { path, split } }: EvaluationReport): string {
  const name = path.split(/[/\\]/).filter((part) => part !== '').at(-1) ?? path;
  return split === null ? name : `${name} (${split})`;
}

function intervalText(interval: Interval | null): string {
  return interval ? `${fixed(interval.value)} [${fixed(interval.low)}, ${fixed(interval.high)}]` : '–';
}

function fixed(value: number | null): string {
  return value === null ? '–' : value.toFixed(4);
}

function predictionsCsv(predictions: readonly Prediction[], names: readonly string[], { manifest }: ModelPack): string {
  const labels = manifest.labels.filter(({ name }) => names.includes(name));
  const quoted = (text: string): string => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const head = ['image', 'status', ...labels.flatMap(({ name }) => [`truth ${name}`, `probability ${name}`])];
  const rows = predictions.map((prediction) => [
    prediction.sample.name, prediction.kind === 'labels' ? 'analysed' : prediction.code,
    ...labels.flatMap((label) => [prediction.sample.shows(label) ? '1' : '0', prediction.kind === 'labels' ? String(prediction.probabilities.get(label.name) ?? '') : '']),
  ]);
  return `${[head, ...rows].map((cells) => cells.map(quoted).join(',')).join('\n')}\n`;
}

/** Figures to four decimals, all the way down. */
export function rounded<T>(value: T): T {
  // Structure and types stay; only numbers lose digits.
  return JSON.parse(JSON.stringify(value), (_key, part: unknown) => (typeof part === 'number' ? Math.round(part * 1e4) / 1e4 : part)) as T;
}
