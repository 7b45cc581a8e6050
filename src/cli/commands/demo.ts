import { Command, InvalidArgumentError } from 'commander';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DemoEnvironment } from '../demo/environment.js';
import type { DemoPhantom } from '../demo/phantoms.js';
import { followStudy, pictureFolder, plainName, savePreviews, waitForModels, type DemoStudy, type StudyOutcome } from '../demo/session.js';
import { CommandError } from '../failure.js';
import { writeFindings } from '../findings-table.js';
import { Installation, type FileFate } from '../installation.js';
import { paint, Steps, writeJson, writeLine } from '../terminal.js';
import { gatherFiles, uploadAll } from '../upload.js';
import { curlLines, writeNextSteps, type NextSteps } from '../demo/next-steps.js';
import { formFields, withImageFields, writeFates, type ImageFields } from './ingest.js';

interface DemoOptions extends ImageFields {
  exit?: boolean;
  input?: string;
  model?: string;
  port?: number;
  host: string;
  keep?: boolean;
  json?: boolean;
}

/** `healthvision demo`: everything in a throw-away data directory, from an empty database to a finding. */
export function demoCommand(): Command {
  const command = new Command('demo')
    .description('start everything in a throw-away data directory and analyse an X-ray, a CT and an MR whose findings are known')
    .option('--exit', 'stop when the findings are there')
    .option('--input <path>', 'your own file or folder (DICOM, ZIP, PNG, JPEG) instead of the phantoms')
    .option('--model <name@version>', 'a model by name instead of the one that the product picks')
    .option('--port <port>', 'port to listen at (8080 where it is free, else any)', portNumber)
    .option('--host <address>', 'address to listen at', '127.0.0.1')
    .option('--keep', 'keep the data directory');
  return withImageFields(command).action(demo);
}

async function demo(options: DemoOptions): Promise<void> {
  const steps = new Steps();
  // Before anything is started: a path that is not there needs no database.
  const input = options.input === undefined ? undefined : await gatherFiles(options.input);
  const { createEnvironment } = await import('../demo/environment.js');
  const environment = await createEnvironment(options.host, options.port);
  const stopping = new AbortController();
  const stop = new Promise<void>((resolve) => { stopping.signal.addEventListener('abort', () => { resolve(); }); });
  const onSignal = (): void => { if (stopping.signal.aborted) process.exit(1); else stopping.abort(); };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal);
  const goOn = (): void => { if (stopping.signal.aborted) throw new CommandError('interrupted', 'Stopped before the findings were there'); };
  let close: (() => Promise<void>) | undefined;
  try {
    const [{ runRole }, { brainMrPhantom, chestCtPhantom, healthyXray, illXrays }] = await Promise.all([import('../../roles/run.js'), import('../demo/phantoms.js')]);
    steps.done('program loaded');
    const starting = runRole(environment.config, { logger: environment.logger, report: (step) => { steps.done(step === 'ready' ? 'queue, storage, HTTP' : step, step === 'ready' ? 'listening' : ''); } });
    // Reported where it is awaited.
    starting.catch(() => undefined);
    // PostgreSQL creates its files in processes of its own; meanwhile this one computes the pictures.
    await pause(300);
    const phantoms: DemoPhantom[] = [];
    for (const make of input ? [] : [healthyXray, chestCtPhantom, brainMrPhantom]) {
      phantoms.push(make());
      await pause(0);
    }
    const [ill, another] = illXrays();
    if (!input) phantoms.splice(1, 0, ill);
    const running = await starting;
    close = () => running.close();
    goOn();
    const email = running.firstAdministrator?.email ?? environment.config.BOOTSTRAP_ADMIN_EMAIL;
    const { installation } = await Installation.signIn(running.url, email, environment.password);
    const models = await waitForModels(installation);
    steps.done('models', models.join(', '));
    goOn();

    const uploadedAt = performance.now();
    const fates = input ? await uploadAll(installation, input, formFields(options), options.json === true) : [];
    for (const { images } of phantoms) fates.push(...(await installation.upload(images.map(({ file, bytes }) => ({ name: file, content: new Blob([Uint8Array.from(bytes)]) })))));
    steps.done('upload', `${String(fates.length)} ${fates.length === 1 ? 'object' : 'objects'}`);
    const refused = fates.filter(({ status }) => status === 'refused');
    if (refused.length > 0 && !options.json) writeFates(fates);
    const studies = phantoms.length > 0 ? phantoms.map(({ name, studyInstanceUid, truth }) => ({ name, studyInstanceUid, truth, uploadedAt })) : studiesOf(fates, uploadedAt);
    if (studies.length === 0) throw new CommandError('nothing-stored', 'None of the files was stored');

    const found: StudyOutcome[] = [];
    for (const study of studies) {
      goOn();
      found.push(...(await followStudy(installation, study, options.model, options.json === true)));
    }
    const secondsToFinding = steps.totalSeconds;
    steps.done('findings', `${secondsToFinding.toFixed(1)} s since the start`);
    const pictures = await pictureFolder();
    const outcomes = await savePreviews(installation, found, pictures);
    steps.done('previews');
    const [picture] = another.images;
    const upload = join(pictures, picture?.file ?? '');
    await writeFile(upload, picture?.bytes ?? '');
    show(outcomes, { url: running.url, email, password: environment.password, upload, pictures: outcomes.flatMap(({ preview }) => preview ?? []), logFile: environment.logFile, isRunning: options.exit !== true }, refused, secondsToFinding, steps, options);
    if (outcomes.some(({ run }) => run.status === 'failed' || run.status === 'cancelled' || (!input && run.status !== 'succeeded'))) process.exitCode = 1;
    if (options.exit !== true) {
      if (!options.json) writeLine(`\n${paint('dim', 'Running until Ctrl-C.')}`);
      await stop;
    }
  } catch (error) {
    // Where the log goes away with its folder, its end is what is left to tell why.
    if (!stopping.signal.aborted) await tellLog(environment);
    throw error;
  } finally {
    await close?.();
    if (options.keep) process.stderr.write(`Data directory kept: ${environment.dataDir}\n`);
    else await environment.remove();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, onSignal);
  }
  steps.done('stopped', options.keep ? '' : 'data directory removed');
  // Whatever a library still holds must not keep a demo that is over.
  process.exit(process.exitCode ?? 0);
}

function show(outcomes: readonly StudyOutcome[], next: NextSteps, refused: readonly FileFate[], secondsToFinding: number, steps: Steps, { json }: DemoOptions): void {
  if (json) {
    writeJson({
      url: next.url, docs: `${next.url}/docs`, email: next.email, password: next.password, secondsToFinding: Math.round(secondsToFinding * 10) / 10, steps: steps.timings,
      studies: outcomes.map(({ study, run, resultId, rows, preview }) => ({ studyInstanceUid: study.studyInstanceUid, file: study.name, analysisId: run.id, status: run.status, reason: run.reason ?? null, resultId, findings: rows, preview })),
      refused,
      next: curlLines(next),
    });
    return;
  }
  writeLine();
  writeFindings(outcomes.flatMap(({ rows }) => rows));
  writeNextSteps(next);
}

/** Each study once, named after the first file of it. */
function studiesOf(fates: readonly FileFate[], uploadedAt: number): DemoStudy[] {
  const studies = new Map<string, DemoStudy>();
  for (const { studyInstanceUid, file, status } of fates) {
    if (studyInstanceUid === undefined || status === 'refused' || studies.has(studyInstanceUid)) continue;
    const plain = plainName(file);
    const taken = [...studies.values()].filter(({ name }) => name === plain || name.startsWith(`${plain}-`)).length;
    studies.set(studyInstanceUid, { studyInstanceUid, name: taken === 0 ? plain : `${plain}-${String(taken + 1)}`, truth: { kind: 'words', text: '' }, uploadedAt });
  }
  return [...studies.values()];
}

async function tellLog({ logFile }: DemoEnvironment): Promise<void> {
  const { readFile } = await import('node:fs/promises');
  const lines = (await readFile(logFile, 'utf8').catch(() => '')).trim().split('\n').filter((line) => /"level":"(warn|error|fatal)"/.test(line));
  for (const line of lines.slice(-5)) process.stderr.write(`log: ${line}\n`);
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((done) => { setTimeout(done, milliseconds); });
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new InvalidArgumentError('must be a number from 0 to 65535.');
  return port;
}
