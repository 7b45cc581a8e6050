import { Argument, Command } from 'commander';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { ANALYSIS_NAMES } from '../../imaging/model/manifest.js';
import { parseConfig } from '../../platform/config.js';
import { CommandError } from '../failure.js';
import { listModelPacks } from '../packs/models-folder.js';
import type { ModelPack } from '../../platform/packs/model-pack.js';
import { ProgressBar, writeJson, writeLine } from '../terminal.js';

interface EvaluateOptions {
  model?: string;
  split: string;
  limit?: string;
  report: string;
  json?: boolean;
}

/** `healthvision evaluate`: the product's own pipeline over a labelled set, without a server. */
export function evaluateCommand(): Command {
  return new Command('evaluate')
    .description('run an analysis over a labelled set and report how good it is')
    .addArgument(new Argument('<analysis>', 'the analysis').choices(ANALYSIS_NAMES))
    .argument('<dataset>', '.npz with <split>_images and <split>_labels, or a folder with labels.csv')
    .option('--model <name@version>', 'a model in MODELS_DIR; needed when several fit')
    .option('--split <name>', 'part of an .npz', 'test')
    .option('--limit <n>', 'only the first n images')
    .option('--report <dir>', 'folder for results.json, predictions.csv and roc.png', './healthvision-evaluation')
    .action(async (analysis: string, path: string, options: EvaluateOptions) => {
      // Loaded here: other commands need no inference.
      const [{ openDataset }, { predict }, { figuresOf }, { printReport, reportOf, writeReport }] = await Promise.all([
        import('../evaluation/dataset.js'), import('../evaluation/pipeline.js'), import('../evaluation/figures.js'), import('../evaluation/report.js'),
      ]);
      const limit = options.limit === undefined ? Infinity : Number(options.limit);
      if (!(limit >= 1)) throw new CommandError('usage', '--limit must be a number from 1');
      const config = { ...parseConfig(), WORKER_CONCURRENCY: Math.min(4, availableParallelism()) };
      const pack = await chooseModel(analysis, options.model, config.modelsDir);
      const dataset = await openDataset(resolve(path), options.split, pack.manifest);
      const samples = dataset.samples.slice(0, limit);
      const bar = new ProgressBar('Evaluating', options.json);
      const started = performance.now();
      const predictions = await predict(dataset, samples, pack, config, (done) => {
        const perSecond = done / ((performance.now() - started) / 1000);
        bar.update(done / samples.length, `${String(done)} of ${String(samples.length)}, ${perSecond.toFixed(0)}/s`);
      });
      const seconds = (performance.now() - started) / 1000;
      bar.finish(`Evaluated ${String(samples.length)} images in ${seconds.toFixed(1)} s`);
      const figures = figuresOf(predictions, pack.manifest);
      const report = reportOf(dataset, samples.length, pack, figures, seconds);
      const files = await writeReport(resolve(options.report), report, predictions, pack, figures.curves);
      if (options.json) writeJson({ ...report, files });
      else {
        printReport(report);
        writeLine(`Written: ${files.join(', ')}`);
      }
      if (figures.analysed === 0) throw new CommandError('nothing-analysed', 'The model analyses no image of this set');
    });
}

async function chooseModel(analysis: string, wanted: string | undefined, modelsDir: string): Promise<ModelPack> {
  const listed = await listModelPacks(modelsDir);
  const packs = listed.flatMap((one) => ('pack' in one && one.pack.manifest.analysis === analysis ? [one.pack] : []));
  const named = wanted === undefined ? packs : packs.filter(({ manifest: { name, version } }) => wanted === name || wanted === `${name}@${version}`);
  const [only] = named;
  if (only && named.length === 1) return only;
  const choice = packs.map(({ manifest: { name, version } }) => `${name}@${version}`).join(', ');
  if (!only) {
    const faulty = listed.flatMap((one) => ('fault' in one ? [`; ${one.folder}: ${one.fault}`] : [])).join('');
    throw new CommandError('model-not-found', `${wanted === undefined ? 'No model' : `No model ${wanted}`} for ${analysis} in ${modelsDir}${choice === '' ? '' : ` (there is ${choice})`}${faulty}`);
  }
  throw new CommandError('usage', `Several models fit: pick one with --model (${choice})`);
}
