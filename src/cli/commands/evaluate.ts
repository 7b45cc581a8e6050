import { Argument, Command } from 'commander';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { ANALYSIS_NAMES } from '../../imaging/model/manifest.js';
import { parseConfig } from '../../platform/config.js';
import { CommandError } from '../failure.js';
import { listModelPacks } from '../packs/models-folder.js';
import type { ModelPack } from '../../platform/packs/model-pack.js';
import { ProgressBar } from '../terminal.js';

interface EvaluateOptions {
  model?: string;
  split: string;
  truth?: string;
  limit?: string;
  allLabels?: boolean;
  report: string;
  json?: boolean;
}

/** `healthvision evaluate`: the product's own pipeline over a labelled set, without a server. */
export function evaluateCommand(): Command {
  return new Command('evaluate')
    .description('run an analysis over a labelled set and report how good it is')
    .addArgument(new Argument('<analysis>', 'the analysis').choices(ANALYSIS_NAMES))
    .argument('<dataset>', 'X-rays: .npz with <split>_images and <split>_labels, or a folder with labels.csv; scans: a folder of DICOM studies')
    .option('--model <name@version>', 'a model in MODELS_DIR; needed when several fit (of X-rays the one is taken that suits the set by labels and ages)')
    .option('--split <name>', 'part of an .npz', 'test')
    .option('--truth <path>', 'what is true of scans: a file or a folder (default: the dataset)')
    .option('--all-labels', 'X-rays: labels that the model has switched off, too')
    .option('--limit <n>', 'only the first n images or scans')
    .option('--report <dir>', 'folder for results.json, a CSV of what was found, and pictures', './healthvision-evaluation')
    .addHelpText('after', HELP)
    .action(async (analysis: string, path: string, options: EvaluateOptions) => {
      const limit = options.limit === undefined ? Infinity : Number(options.limit);
      if (!(limit >= 1)) throw new CommandError('usage', '--limit must be a number from 1');
      const config = { ...parseConfig(), WORKER_CONCURRENCY: Math.min(4, availableParallelism()) };
      const pack = await chooseModel(analysis, options.model, config.modelsDir, async (manifest) => {
        const [{ openDataset }, { suitability }] = await Promise.all([import('../evaluation/dataset.js'), import('../evaluation/suits.js')]);
        return analysis === 'chest-xray-classification' ? suitability(await openDataset(resolve(path), options.split, manifest), manifest) : 0;
      });
      const bar = new ProgressBar('Evaluating', options.json);
      const evaluation = { dataset: resolve(path), truth: resolve(options.truth ?? path), limit, report: resolve(options.report), json: options.json === true };
      // Loaded here: other commands need no inference.
      if (pack.manifest.analysis === 'lung-nodule-detection') await (await import('../evaluation/evaluate-detection.js')).evaluateDetection(evaluation, pack, config, bar);
      else if (pack.manifest.analysis === 'brain-tumour-segmentation') await (await import('../evaluation/evaluate-segmentation.js')).evaluateSegmentation(evaluation, pack, config, bar);
      else if (options.truth !== undefined) throw new CommandError('usage', '--truth is for scans; X-rays have their labels in the dataset');
      else await (await import('../evaluation/evaluate-classification.js')).evaluateClassification({ ...evaluation, split: options.split }, options.allLabels === true ? withAllLabels(pack) : pack, config, bar);
    });
}

const HELP = `
Truth of scans:
  lung-nodule-detection       annotations of LUNA16 (seriesuid,coordX,coordY,coordZ,diameter_mm; LPS millimetres), or
                              readings of LIDC-IDRI (.xml); scans that the table does not name have no nodule
  brain-tumour-segmentation   NIfTI label maps of BraTS (1 core, 2 oedema, 3 or 4 enhancing): *seg*.nii.gz beside the
                              images, or in a folder of their own, named after the study's folder or its UID

Examples:
  $ healthvision evaluate chest-xray-classification ./labelled
  $ healthvision evaluate lung-nodule-detection ./scans --truth annotations.csv
  $ healthvision evaluate brain-tumour-segmentation ./studies --truth ./label-maps --report ./validation-2026`;

/** For whoever wants to know whether a label could be switched on. */
function withAllLabels({ manifest, ...pack }: ModelPack): ModelPack {
  return { ...pack, manifest: { ...manifest, labels: manifest.labels.map((label) => ({ ...label, enabled: true })) } };
}

/** @param suits  how well the set suits a model, asked where several could be meant */
async function chooseModel(analysis: string, wanted: string | undefined, modelsDir: string, suits: (manifest: ModelPack['manifest']) => Promise<number>): Promise<ModelPack> {
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
  const ranked: { pack: ModelPack; fit: number }[] = [];
  for (const pack of named) ranked.push({ pack, fit: await suits(pack.manifest) });
  const [best, next] = ranked.sort((a, b) => b.fit - a.fit);
  if (best && best.fit > (next?.fit ?? 0)) return best.pack;
  throw new CommandError('usage', `Several models fit: pick one with --model (${choice})`);
}
