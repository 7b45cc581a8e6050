import { mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { CommandError } from '../failure.js';
import { runFacts, type FindingRow } from '../findings-table.js';
import type { Installation, Run } from '../installation.js';
import { ProgressBar } from '../terminal.js';
import { comparedRows, type DemoTruth } from './truth.js';

/** A complete study without a run after this has no model whose domain fits. */
const PLAN_PATIENCE_MS = 6_000;
const MODELS_PATIENCE_MS = 60_000;

/** A study that was uploaded. */
export interface DemoStudy {
  studyInstanceUid: string;
  /** Of the file it came from, without its ending. */
  name: string;
  truth: DemoTruth;
  uploadedAt: number;
}

export interface StudyOutcome {
  study: DemoStudy;
  run: Run;
  resultId: string | null;
  rows: FindingRow[];
  preview: string | null;
}

/** Waits until the models of MODELS_DIR have been tried. @returns those that are active */
export async function waitForModels(installation: Installation): Promise<string[]> {
  const schema = z.object({ items: z.array(z.object({ name: z.string(), version: z.string(), state: z.string() })) });
  for (const start = performance.now(); ; ) {
    const { items } = schema.parse(await installation.models());
    const active = items.filter(({ state }) => state === 'active').map(({ name, version }) => `${name}@${version}`);
    if (active.length > 0 && items.every(({ state }) => state !== 'checking')) return active;
    if (performance.now() - start > MODELS_PATIENCE_MS) throw new CommandError('no-active-model', `No model became active: ${items.map(({ name, state }) => `${name} is ${state}`).join(', ') || 'there is none'}`);
    await pause(100);
  }
}

/** Declares a study complete, so that nobody waits for more of it, and follows its runs, planned or else asked for. */
export async function followStudy(installation: Installation, study: DemoStudy, model: string | undefined, isQuiet: boolean): Promise<StudyOutcome[]> {
  const bar = new ProgressBar(study.name, isQuiet);
  await installation.json(`/api/v1/studies/${study.studyInstanceUid}/complete`, { method: 'POST' });
  const started = model === undefined ? await plannedRuns(installation, study.studyInstanceUid, bar) : [await installation.createRun({ analysis: await analysisOf(installation, model), studyInstanceUid: study.studyInstanceUid, model })];
  const outcomes: StudyOutcome[] = [];
  for (const [index, { id }] of started.entries()) {
    const run = await installation.follow(id, ({ progress, stage }) => { bar.update((index + progress) / started.length, stage); });
    const seconds = (performance.now() - study.uploadedAt) / 1000;
    bar.update((index + 1) / started.length, run.status);
    const resultId = run.resultId ?? null;
    const result = resultId === null ? null : await installation.result(resultId);
    outcomes.push({ study, run, resultId, rows: await comparedRows(runFacts(study.name, run, result, seconds), study.truth, run, result, () => installation.segmentation(run.resultId ?? '')), preview: null });
  }
  bar.finish();
  return outcomes;
}

/** Saves the picture of every result. @returns the outcomes with the paths of their pictures */
export async function savePreviews(installation: Installation, outcomes: readonly StudyOutcome[], folder: string): Promise<StudyOutcome[]> {
  const saved: StudyOutcome[] = [];
  for (const outcome of outcomes) {
    const { study, run, resultId } = outcome;
    if (resultId === null || run.status !== 'succeeded') {
      saved.push(outcome);
      continue;
    }
    const ofStudy = outcomes.filter((other) => other.study === study);
    const preview = join(folder, `${study.name}${ofStudy.length > 1 ? `-${String(ofStudy.indexOf(outcome) + 1)}` : ''}.png`);
    await writeFile(preview, await installation.preview(resultId));
    saved.push({ ...outcome, preview });
  }
  return saved;
}

/** The runs that the product planned by itself; where it planned none, one that says why. */
async function plannedRuns(installation: Installation, studyInstanceUid: string, bar: ProgressBar): Promise<Run[]> {
  for (const start = performance.now(); performance.now() - start < PLAN_PATIENCE_MS; ) {
    const runs = await installation.runsOf(studyInstanceUid);
    if (runs.length > 0) return runs;
    bar.update(0, 'planning');
    await pause(100);
  }
  return [await installation.createRun({ analysis: await likelyAnalysis(installation, studyInstanceUid), studyInstanceUid })];
}

/** What a model by the name `name@version` does. @throws CommandError `model-not-found` */
async function analysisOf(installation: Installation, model: string): Promise<string> {
  const schema = z.object({ items: z.array(z.object({ name: z.string(), version: z.string(), analysis: z.string() })) });
  const { items } = schema.parse(await installation.models());
  const found = items.find(({ name, version }) => `${name}@${version}` === model);
  if (!found) throw new CommandError('model-not-found', `There is no model ${model}; there are ${items.map(({ name, version }) => `${name}@${version}`).join(', ')}`);
  return found.analysis;
}

/** What would be done with images of the study's kind, were there a model that they suit. */
async function likelyAnalysis(installation: Installation, studyInstanceUid: string): Promise<string> {
  const { modalities } = z.object({ modalities: z.array(z.string()) }).parse(await installation.json(`/api/v1/studies/${studyInstanceUid}`));
  return modalities.includes('CT') ? 'lung-nodule-detection' : modalities.includes('MR') ? 'brain-tumour-segmentation' : 'chest-xray-classification';
}

/** `./healthvision-demo`, or a folder of the system where the current one cannot be written. */
export async function pictureFolder(): Promise<string> {
  for (const folder of [resolve('healthvision-demo'), join(tmpdir(), `healthvision-demo-pictures-${String(process.pid)}`)]) {
    const writable = await mkdir(folder, { recursive: true }).then(() => writeFile(join(folder, '.writable'), '')).then(() => true, () => false);
    if (writable) {
      await rm(join(folder, '.writable'), { force: true });
      return folder;
    }
  }
  throw new CommandError('permission-denied', 'Neither the current folder nor the temporary one can be written');
}

/** A file's name without folder and ending, fit for another file's name. */
export function plainName(file: string): string {
  return basename(file).replace(/\.(dcm|png|jpe?g|zip|gz)$/i, '').replaceAll(/[^\w.-]+/g, '_') || 'image';
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((done) => { setTimeout(done, milliseconds); });
}
