import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { CommandError } from '../failure.js';
import { findingRows, type FindingRow } from '../findings-table.js';
import type { Installation, Run } from '../installation.js';
import { ProgressBar } from '../terminal.js';

const ANALYSIS = 'chest-xray-classification';
const PLAN_PATIENCE_MS = 15_000;
const MODELS_PATIENCE_MS = 60_000;

/** A study that was uploaded. */
export interface DemoStudy {
  studyInstanceUid: string;
  /** Of the file it came from, without its ending. */
  name: string;
  truth: string;
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

/** Follows the runs of a study, planned or else asked for, and saves the pictures of their results. */
export async function followStudy(installation: Installation, study: DemoStudy, model: string | undefined, pictures: string, isQuiet: boolean): Promise<StudyOutcome[]> {
  const bar = new ProgressBar(study.name, isQuiet);
  const started = model === undefined ? await plannedRuns(installation, study.studyInstanceUid, bar) : [await installation.createRun({ analysis: ANALYSIS, studyInstanceUid: study.studyInstanceUid, model })];
  const outcomes: StudyOutcome[] = [];
  for (const [index, { id }] of started.entries()) {
    const run = await installation.follow(id, ({ progress, stage }) => { bar.update((index + progress) / started.length, stage); });
    const seconds = (performance.now() - study.uploadedAt) / 1000;
    bar.update((index + 1) / started.length, run.status);
    const resultId = run.resultId ?? null;
    const result = resultId === null ? null : await installation.result(resultId);
    const hasPicture = result !== null && run.status === 'succeeded';
    const preview = hasPicture ? join(pictures, `${study.name}${started.length > 1 ? `-${String(index + 1)}` : ''}.png`) : null;
    if (preview !== null && resultId !== null) await writeFile(preview, await installation.preview(resultId));
    outcomes.push({ study, run, resultId, rows: findingRows(study.name, study.truth, run, result, seconds), preview });
  }
  bar.finish();
  return outcomes;
}

/** The runs that the product planned by itself; where it planned none, one that says why. */
async function plannedRuns(installation: Installation, studyInstanceUid: string, bar: ProgressBar): Promise<Run[]> {
  for (const start = performance.now(); performance.now() - start < PLAN_PATIENCE_MS; ) {
    const runs = await installation.runsOf(studyInstanceUid);
    if (runs.length > 0) return runs;
    const study = z.object({ state: z.string() }).safeParse(await installation.json(`/api/v1/studies/${studyInstanceUid}`));
    bar.update(0, study.success && study.data.state === 'complete' ? 'complete, planning' : 'until the study is complete');
    // A complete study without a run after this has no model whose domain fits.
    if (study.success && study.data.state === 'complete' && performance.now() - start > 6_000) break;
    await pause(100);
  }
  return [await installation.createRun({ analysis: ANALYSIS, studyInstanceUid })];
}

/** `./healthvision-demo`, or a folder of the system where the current one cannot be written. */
export async function pictureFolder(): Promise<string> {
  for (const folder of [resolve('healthvision-demo'), join(tmpdir(), `healthvision-demo-pictures-${String(process.pid)}`)]) {
    const writable = await mkdir(folder, { recursive: true }).then(() => writeFile(join(folder, '.writable'), '')).then(() => true, () => false);
    if (writable) {
      const { rm } = await import('node:fs/promises');
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
