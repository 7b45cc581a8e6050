import { readFile } from 'node:fs/promises';
import type { NotAnalysable, Selected } from '../../imaging/analyses/analysis.js';
import { CATALOG } from '../../imaging/analyses/catalog.js';
import { AppError } from '../../kernel/errors.js';
import { ComputePool } from '../../platform/compute/compute-pool.js';
import type { ComputeRunResult } from '../../platform/compute/compute-protocol.js';
import type { Config } from '../../platform/config.js';
import { createLogger } from '../../platform/ops/logger.js';
import { Metrics } from '../../platform/ops/metrics.js';
import type { ModelPack } from '../../platform/packs/model-pack.js';
import { VERSION } from '../../platform/version.js';
import { CommandError } from '../failure.js';
import { writeLine, type ProgressBar } from '../terminal.js';
import { strangeShare, type StrangeShare } from './strange-share.js';
import { studiesBelow, type FolderStudy } from './studies.js';

/** What `evaluate` was asked to do with scans. */
export interface VolumeEvaluation {
  /** Folder of DICOM files. */
  dataset: string;
  /** File or folder. */
  truth: string;
  limit: number;
  /** Folder. */
  report: string;
  json: boolean;
}

export type VolumeConclusion = Exclude<ComputeRunResult['outcome'], NotAnalysable>;

/** A study with the series that the analysis reads of it. */
export interface SelectedStudy {
  study: FolderStudy;
  selected: Selected;
}

/** What is known of studies, and what becomes of one once the product has said its own. */
export interface Judge<Truth, Judged> {
  /** In the order of the studies. Called before the first of them is computed, so that faults of the truth are told at once. @throws CommandError `dataset-invalid` */
  truthsOf: (studies: readonly SelectedStudy[]) => readonly Truth[] | Promise<readonly Truth[]>;
  judge: (study: SelectedStudy, conclusion: VolumeConclusion, truth: Truth) => Judged | Promise<Judged>;
}

export interface NotAnalysed {
  studyInstanceUid: string;
  code: string;
  detail: string;
}

export interface Evaluated<Judged> {
  judged: Judged[];
  notAnalysable: { count: number; byCode: Record<string, number>; studies: NotAnalysed[] };
  /** null of a model that does not tell. */
  outOfDistribution: StrangeShare | null;
  seconds: number;
}

/**
 * Sends every study of a folder through what a run does: selected, decoded, prepared, inferred, concluded.
 *
 * @throws CommandError `dataset-invalid`, `nothing-analysed` when the model analyses none of them; AppError those of the model
 */
export async function evaluateStudies<Truth, Judged>({ dataset, limit }: VolumeEvaluation, { digest, manifest, files }: ModelPack, config: Config, bar: ProgressBar, { truthsOf, judge }: Judge<Truth, Judged>): Promise<Evaluated<Judged>> {
  const analysis = CATALOG[manifest.analysis];
  if (!analysis) throw new AppError('analysis-not-found');
  const studies = (await studiesBelow(dataset, (done, of) => { bar.update(0.05 * (done / of), `reading ${String(of)} files`); })).slice(0, limit);
  const refused: NotAnalysed[] = [];
  const refuse = (study: FolderStudy, { code, detail }: NotAnalysable): void => { refused.push({ studyInstanceUid: study.studyInstanceUid, code, detail }); };
  const chosen: SelectedStudy[] = [];
  for (const study of studies) {
    const selected = analysis.select(study.input, manifest);
    if (selected.kind === 'not-analysable') refuse(study, selected);
    else chosen.push({ study, selected });
  }
  const truths = await truthsOf(chosen);
  const wanted = truths.flatMap((truth, index) => { const one = chosen[index]; return one ? [{ ...one, truth }] : []; });
  const compute = new ComputePool({ ...config, WORKER_CONCURRENCY: 1 }, createLogger('warn', {}, 2), new Metrics());
  const judged: Judged[] = [];
  const verdicts: VolumeConclusion['outOfDistribution'][] = [];
  const started = performance.now();
  try {
    for (const [index, { study, selected, truth }] of wanted.entries()) {
      const tell = (done: number): void => { bar.update(0.05 + 0.95 * ((index + done) / wanted.length), `scan ${String(index + 1)} of ${String(wanted.length)}`); };
      tell(0);
      const sopInstanceUids = new Set(selected.series.flatMap(({ frames }) => frames.map(({ sopInstanceUid }) => sopInstanceUid)));
      const instances = await Promise.all([...sopInstanceUids].map(async (sopInstanceUid) => ({ sopInstanceUid, bytes: await readFile(study.files.get(sopInstanceUid) ?? '') })));
      const { outcome } = await compute.run({ digest, manifest, files }, { series: selected.series, instances }, { onProgress: (_stage, done) => { tell(done); } });
      if (outcome.kind === 'not-analysable') { refuse(study, outcome); continue; }
      verdicts.push(outcome.outOfDistribution);
      judged.push(await judge({ study, selected }, outcome, truth));
    }
  } finally {
    await compute.close();
  }
  const seconds = (performance.now() - started) / 1000;
  bar.finish(`Evaluated ${String(studies.length)} scans in ${seconds.toFixed(1)} s`);
  const byCode: Record<string, number> = {};
  for (const { code } of refused) byCode[code] = (byCode[code] ?? 0) + 1;
  if (judged.length === 0) throw new CommandError('nothing-analysed', `The model analyses no scan of this set (${Object.entries(byCode).map(([code, count]) => `${code}: ${String(count)}`).join(', ')})`);
  return { judged, notAnalysable: { count: refused.length, byCode, studies: refused }, outOfDistribution: strangeShare(verdicts), seconds };
}

/** What every report begins with. */
export function reportHead({ dataset }: VolumeEvaluation, { digest, manifest: { analysis, name, version } }: ModelPack, scans: number, truth: { kind: string; files: string[] }): { analysis: string; model: { name: string; version: string; digest: string }; software: string; dataset: { path: string; scans: number; truth: { kind: string; files: string[] } } } {
  return { analysis, model: { name, version, digest }, software: VERSION, dataset: { path: dataset, scans, truth } };
}

export function printNotAnalysable({ studies }: Evaluated<unknown>['notAnalysable']): void {
  for (const { studyInstanceUid, code, detail } of studies) writeLine(`  not analysed: ${studyInstanceUid}: ${code}: ${detail}`);
}
