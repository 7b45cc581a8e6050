import type { Config } from '../../platform/config.js';
import type { ModelPack } from '../../platform/packs/model-pack.js';
import { CommandError } from '../failure.js';
import { writeJson, writeLine, type ProgressBar } from '../terminal.js';
import { openDataset } from './dataset.js';
import { figuresOf } from './figures.js';
import { predict } from './pipeline.js';
import { printReport, reportOf, writeReport } from './report.js';

export interface ImageEvaluation {
  /** An .npz or a folder with labels.csv. */
  dataset: string;
  /** Part of an .npz. */
  split: string;
  limit: number;
  /** Folder. */
  report: string;
  json: boolean;
}

/** Labels of a set of X-rays against what is true of them. @throws CommandError `dataset-invalid`, `nothing-analysed` */
export async function evaluateClassification({ dataset: path, split, limit, report: folder, json }: ImageEvaluation, pack: ModelPack, config: Config, bar: ProgressBar): Promise<void> {
  const dataset = await openDataset(path, split, pack.manifest);
  const samples = dataset.samples.slice(0, limit);
  const started = performance.now();
  const predictions = await predict(dataset, samples, pack, config, (done) => {
    const perSecond = done / ((performance.now() - started) / 1000);
    bar.update(done / samples.length, `${String(done)} of ${String(samples.length)}, ${perSecond.toFixed(0)}/s`);
  });
  const seconds = (performance.now() - started) / 1000;
  bar.finish(`Evaluated ${String(samples.length)} images in ${seconds.toFixed(1)} s`);
  const figures = figuresOf(predictions, pack.manifest);
  const report = reportOf(dataset, samples.length, pack, figures, seconds);
  const files = await writeReport(folder, report, predictions, pack, figures.curves);
  if (json) writeJson({ ...report, files });
  else {
    printReport(report);
    writeLine(`Written: ${files.join(', ')}`);
  }
  if (figures.analysed === 0) throw new CommandError('nothing-analysed', 'The model analyses no image of this set');
}
