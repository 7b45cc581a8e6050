#!/usr/bin/env node
// How much does the product add to what the networks take? Every figure is set against ONNX Runtime alone in the same run.
//   xray    the compute pool against a bare loop at its best batch size, and the whole queue against the smaller of the pool and an empty flow, with one core left to
//           the flow, which is how a worker with the database beside it is to be set; with every core, too, without a limit, for then each takes from the other
//   brain   prepare + infer + conclude of the brats17 pack on brats_dqe against its own session.run times, and against 116 s
//   lung    the same of the lung-dlwpt pack on LIDC-IDRI-0001
//   memory  peak of a worker that looks for nodules in a CT of 1,000 slices; runs only when it is named, for it takes long
// Warm: the models are loaded by first runs, which do not count. Nothing else should run on the machine.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { buildIfStale } from '../src/cli/build.mjs';
import { report, ROOT, startProduct, temporaryDirectory } from './measure.mjs';

if (process.argv.includes('--help')) {
  console.log('usage: npm run bench:inference -- [--only xray,brain,lung,memory] [--runs N] [--slices N]   (defaults: xray,brain,lung; 128 X-rays; 1000 slices)');
  process.exit(0);
}
const value = (flag, otherwise) => (process.argv.includes(flag) ? process.argv[process.argv.indexOf(flag) + 1] : otherwise);
const ONLY = value('--only', 'xray,brain,lung').split(',');
const RUNS = Number(value('--runs', 128));
/** Runs in which Node.js compiles what the others use. */
const WARM_UP = 48;
const SLICES = Number(value('--slices', 1000));
const LIMITS = { pool: 0.95, queue: 0.9, brain: 1.05, brainSeconds: 116, lung: 1.1, blockedMs: 20, memoryMb: 3 * 1024 };

buildIfStale();
const DATA = join(ROOT, process.env.HEALTHVISION_TEST_DATA ?? '../shared/data');
const WEIGHTS = join(ROOT, process.env.HEALTHVISION_TEST_MODELS ?? '../shared/models');
const compiled = (file) => import(new URL(`../dist/${file}`, import.meta.url).href);
// What the tests wrap volumes with, compiled beside the product.
const swc = spawnSync(process.execPath, [join(ROOT, 'node_modules', '@swc', 'cli', 'bin', 'swc.js'), 'test/support/dicom-volumes.ts', 'test/support/nifti.ts', '--out-dir', 'dist', '--config-file', '.swcrc', '--quiet'], { cwd: ROOT, encoding: 'utf8' });
if (swc.status !== 0) throw new Error(swc.stderr);
const { seriesOf, studyInputOf, uidOf } = await compiled('test/support/dicom-volumes.js');
const { readNifti } = await compiled('test/support/nifti.js');
const { ComputePool } = await compiled('src/platform/compute/compute-pool.js');
const { parseConfig } = await compiled('src/platform/config.js');
const { createLogger } = await compiled('src/platform/ops/logger.js');
const { Metrics } = await compiled('src/platform/ops/metrics.js');
const { readModelFolders } = await compiled('src/modules/analysis/models/model-folder.js');
const { CATALOG } = await compiled('src/imaging/analyses/catalog.js');
const { parseInstanceBytes: parse } = await compiled('src/imaging/dicom/header.js');
const { wrapImage } = await compiled('src/imaging/dicom/wrap-image.js');

const rows = [];
const add = (measure, figure, unit, limit, within) => rows.push({ measure, figure: Math.round(figure * 1000) / 1000, unit, limit: limit ?? '', within: within ?? '' });

if (ONLY.includes('xray')) await xray();
if (ONLY.includes('brain')) await volume('brain', 'brats17', 'brats17', brainStudy, LIMITS.brain, LIMITS.brainSeconds);
if (ONLY.includes('lung')) await volume('lung', 'lung-dlwpt', 'lung-dlwpt', lungStudy, LIMITS.lung);
if (ONLY.includes('memory')) await memory();
report('inference', rows, rows.every(({ within }) => within !== false));

/** X-rays through the network of nih15, which has no activation map: with the occlusion map each is 65 images. What is compared takes turns, for machines change their pace. */
async function xray() {
  const modelsDir = packs(['nih15', 'bright'], 'cxr-eval');
  const model = await installed(modelsDir, 'nih15');
  const best = await bestBatch(model);
  const input = (i) => ({ series: [{ role: 'radiograph', seriesInstanceUid: '1.2.3', frames: [{ sopInstanceUid: `1.2.3.${i}`, frame: 1 }], reason: '' }], instances: [{ sopInstanceUid: `1.2.3.${i}`, bytes: radiograph(i, 512) }] });
  const cores = availableParallelism();
  const spare = Math.max(1, cores - 1);
  const bare = { images: 0, seconds: 0 };
  /** With every core, and with one left to everything else, as where the database shares the machine. */
  const pools = new Map([cores, spare].map((threads) => [threads, { runs: 0, seconds: 0 }]));
  const turn = async () => {
    const loop = await bareLoop(model, best, 6_000);
    bare.images += loop.images;
    bare.seconds += loop.seconds;
    for (const [threads, sum] of pools) {
      const pool = poolOf({ WORKER_CONCURRENCY: String(threads), INFERENCE_THREADS: String(threads) });
      await Promise.all(Array.from({ length: 16 }, (_, i) => pool.run(model, input(i))));
      const inputs = Array.from({ length: RUNS / 4 }, (_, i) => input(i));
      const started = performance.now();
      await Promise.all(inputs.map((one) => pool.run(model, one)));
      sum.seconds += (performance.now() - started) / 1000;
      sum.runs += inputs.length;
      await pool.close();
    }
  };
  for (let i = 0; i < 2; i++) await turn();
  const empty = await throughQueue(modelsDir, 'bright', RUNS * 2, spare);
  const queues = new Map();
  for (const threads of pools.keys()) queues.set(threads, await throughQueue(modelsDir, 'nih15', RUNS, threads));
  for (let i = 0; i < 2; i++) await turn();

  const bareImages = bare.images / bare.seconds;
  add(`bare loop, best batch ${best.batch}, ${best.threads} threads`, bareImages, 'images/s');
  add('empty flow', empty, 'runs/s');
  for (const [threads, { runs, seconds }] of pools) {
    const [alone, queue] = [runs / seconds, queues.get(threads)];
    add(`compute pool, ${threads} threads`, alone, 'runs/s');
    if (threads === cores) add('compute pool / bare loop', (alone * 65) / bareImages, '×', `≥ ${LIMITS.pool}`, (alone * 65) / bareImages >= LIMITS.pool);
    add(`through the queue, ${threads} threads`, queue, 'runs/s');
    const share = queue / Math.min(alone, empty);
    if (threads === spare) add(`queue / min(pool, empty flow), ${threads} threads`, share, '×', `≥ ${LIMITS.queue}`, share >= LIMITS.queue);
    else add(`queue / min(pool, empty flow), ${threads} threads`, share, '×');
  }
}

async function bestBatch(model) {
  let best = { imagesPerSecond: 0 };
  for (const threads of new Set([1, availableParallelism()])) {
    for (const batch of [1, 2, 4, 8, 16, 32]) {
      const { images, seconds } = await bareLoop(model, { batch, threads }, 2_000);
      if (images / seconds > best.imagesPerSecond) best = { imagesPerSecond: images / seconds, batch, threads };
    }
  }
  return best;
}

async function bareLoop(model, { batch, threads }, milliseconds) {
  const [, channels, height, width] = model.manifest.input.shape;
  const session = await InferenceSession.create(model.files[0].file, { intraOpNumThreads: threads, interOpNumThreads: 1, logSeverityLevel: 4 });
  const feeds = { [model.manifest.input.name]: new Tensor('float32', new Float32Array(batch * channels * height * width).map((_, i) => Math.sin(i)), [batch, channels, height, width]) };
  await session.run(feeds);
  const started = performance.now();
  let images = 0;
  while (performance.now() - started < milliseconds) {
    await session.run(feeds);
    images += batch;
  }
  const seconds = (performance.now() - started) / 1000;
  await session.release();
  return { images, seconds };
}

/** Runs a second once the first of them have warmed the worker, when all wait before it starts. */
async function throughQueue(modelsDir, model, runs, threads) {
  const env = { MODELS_DIR: modelsDir, SETTLE_SECONDS: '3600', RATE_LIMIT_PRINCIPAL: '0', RATE_LIMIT_ADDRESS: '0', WORKER_CONCURRENCY: String(threads), INFERENCE_THREADS: String(threads) };
  const api = await startProduct({ ...env, APP_ROLE: 'api' });
  const checker = await startProduct({ ...env, APP_ROLE: 'worker' }, api.dataDir);
  while ((await (await api.fetch('/api/v1/models')).json()).items.some(({ state }) => state === 'checking')) await pause(200);
  await checker.stop();
  const ids = [];
  for (let i = 0; i < WARM_UP + runs; i++) {
    const form = new FormData();
    form.append('files', new Blob([radiograph(i, 512)]), `x${i}.dcm`);
    const { items } = await (await api.fetch('/api/v1/images', { method: 'POST', body: form })).json();
    const run = await (await api.fetch('/api/v1/analyses', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ analysis: 'chest-xray-classification', studyInstanceUid: items[0].studyInstanceUid, model }) })).json();
    ids.push(run.id);
  }
  const worker = await startProduct({ ...env, APP_ROLE: 'worker' }, api.dataDir);
  const ended = new Map();
  while (ended.size < WARM_UP + runs) {
    await pause(250);
    for (const id of ids) if (!ended.has(id)) {
      const run = await (await api.fetch(`/api/v1/analyses/${id}`)).json();
      if (run.finishedAt === undefined) break;
      if (run.status !== 'succeeded') throw new Error(`a run ended ${run.status}: ${JSON.stringify(run.reason)}`);
      ended.set(id, run);
    }
  }
  const ends = [...ended.values()].map(({ finishedAt }) => Date.parse(finishedAt)).sort((a, b) => a - b);
  await worker.stop();
  await api.stop();
  return runs / ((ends.at(-1) - ends[WARM_UP - 1]) / 1000);
}

/** One study through the pool, twice: the first run loads the networks. */
async function volume(name, pack, weights, study, limit, secondsLimit) {
  const objects = study();
  if (!existsSync(join(ROOT, 'test', 'model-packs', pack)) || !objects) return console.log(`SKIPPED ${name}: no pack or no images`);
  const model = await installed(packs([pack], weights), pack);
  const analysis = CATALOG[model.manifest.analysis];
  if (!analysis) return console.log(`SKIPPED ${name}: no code for ${model.manifest.analysis}`);
  const selected = analysis.select(studyInputOf(objects), model.manifest);
  if (selected.kind !== 'selected') throw new Error(`${name}: ${selected.code}: ${selected.detail}`);
  const names = new Set(selected.series.flatMap(({ frames }) => frames.map(({ sopInstanceUid }) => sopInstanceUid)));
  const input = () => ({ series: selected.series, instances: objects.filter(({ sopInstanceUid }) => names.has(sopInstanceUid)).map(({ sopInstanceUid, bytes }) => ({ sopInstanceUid, bytes: Uint8Array.from(bytes) })) });
  const pool = poolOf({ WORKER_CONCURRENCY: '1' });
  await pool.run(model, input());
  // The networks take every core there is, and then whoever wants one waits for the operating system; what the product adds must not come on top.
  const blockedMs = { infer: 0, other: 0 };
  let [watched, loop] = ['other', monitorEventLoopDelay({ resolution: 1 })];
  // A monitor that is switched on again takes the time in between for a delay, so each stage has its own.
  const watch = (next) => {
    loop.disable();
    blockedMs[watched] = Math.max(blockedMs[watched], loop.max / 1e6);
    [watched, loop] = [next, monitorEventLoopDelay({ resolution: 1 })];
    loop.enable();
  };
  const given = input();
  loop.enable();
  const { outcome, timings } = await pool.run(model, given, { onProgress: (stage) => {
    const next = stage === 'infer' ? 'infer' : 'other';
    if (next !== watched) watch(next);
  } });
  watch('other');
  loop.disable();
  await pool.close();
  if (outcome.kind !== 'concluded') throw new Error(`${name}: ${outcome.code}: ${outcome.detail}`);
  const own = (timings.prepare ?? 0) + (timings.infer ?? 0) + (timings.conclude ?? 0);
  for (const stage of ['load', 'decode', 'register', 'prepare', 'infer', 'conclude']) if (timings[stage] !== undefined) add(`${name}: ${stage}`, timings[stage] / 1000, 's');
  add(`${name}: session.run`, timings.network / 1000, 's');
  add(`${name}: (prepare + infer + conclude) / session.run`, own / timings.network, '×', `≤ ${limit}`, own / timings.network <= limit);
  if (secondsLimit !== undefined) add(`${name}: prepare + infer + conclude`, own / 1000, 's', `< ${secondsLimit}`, own / 1000 < secondsLimit);
  const blocked = blockedMs.other;
  add(`${name}: event loop blocked at most by decoding, preparation and post-processing`, blocked, 'ms', `≤ ${LIMITS.blockedMs}`, blocked <= LIMITS.blockedMs);
  add(`${name}: … while the networks have every core`, blockedMs.infer, 'ms');
}

/** In a process of its own, whose peak the kernel keeps. */
async function memory() {
  if (!process.argv.includes('--child')) {
    const child = spawnSync(process.execPath, [import.meta.filename ?? join(ROOT, 'bench', 'inference.mjs'), '--only', 'memory', '--slices', String(SLICES), '--child'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 2 ** 24 });
    const peakMb = Number(/PEAK (\d+)/.exec(child.stdout)?.[1] ?? NaN);
    add(`peak memory of a worker, CT of ${SLICES} slices`, peakMb, 'MiB', `≤ ${LIMITS.memoryMb}`, peakMb <= LIMITS.memoryMb);
    return;
  }
  const model = await installed(packs(['lung-dlwpt'], 'lung-dlwpt'), 'lung-dlwpt');
  const analysis = CATALOG['lung-nodule-detection'];
  if (!analysis) throw new Error('no code for lung-nodule-detection');
  let objects = seriesOf(chest(SLICES), { modality: 'CT', study: 'bench', fields: { BodyPartExamined: 'CHEST' } });
  const selected = analysis.select(studyInputOf(objects), model.manifest);
  if (selected.kind !== 'selected') throw new Error(`${selected.code}: ${selected.detail}`);
  const input = { series: selected.series, instances: objects.map(({ sopInstanceUid, bytes }) => ({ sopInstanceUid, bytes: Uint8Array.from(bytes) })) };
  objects = undefined;
  globalThis.gc?.();
  const pool = poolOf({ WORKER_CONCURRENCY: '1' });
  let peak = 0;
  const sampler = setInterval(() => { peak = Math.max(peak, process.memoryUsage.rss()); }, 20);
  await pool.run(model, input);
  clearInterval(sampler);
  await pool.close();
  console.log(`PEAK ${Math.ceil(peak / 2 ** 20)}`);
  process.exit(0);
}

/** A body of soft tissue with two lungs, in air. */
function chest(slices) {
  const [columns, height] = [512, 512];
  const voxels = new Int16Array(columns * height * slices).fill(-1000);
  for (let k = 0; k < slices; k++) {
    const along = Math.sin((Math.PI * (k + 0.5)) / slices);
    for (let y = 0; y < height; y++) for (let x = 0; x < columns; x++) {
      const body = ((x - 256) / 220) ** 2 + ((y - 256) / 160) ** 2;
      const lung = Math.min(((x - 160) / 85) ** 2, ((x - 352) / 85) ** 2) + ((y - 250) / 115) ** 2;
      if (body < 1) voxels[x + columns * (y + height * k)] = lung < along ? -850 + ((x * 7 + y * 13 + k) % 31) : 40 + ((x + y + k) % 17);
    }
  }
  return { size: [columns, height, slices], affine: [[0.7, 0, 0, -180], [0, 0.7, 0, -180], [0, 0, 0.6, 0]], voxels };
}

function brainStudy() {
  const folder = join(DATA, 'mri', 'brats_dqe');
  if (!existsSync(folder)) return undefined;
  const described = { t1n: 'T1', t1c: 'T1 contrast', t2w: 'T2', t2f: 'FLAIR' };
  return Object.entries(described).flatMap(([file, description], i) => seriesOf(readNifti(join(folder, `${file}.nii.gz`)), { modality: 'MR', study: 'dqe', series: file, seriesDescription: description, fields: { SeriesNumber: i + 1 } }));
}

function lungStudy() {
  const folder = join(DATA, 'ct', 'LIDC-IDRI-0001');
  if (!existsSync(folder)) return undefined;
  return readdirSync(folder, { recursive: true }).filter((name) => String(name).endsWith('.dcm')).map((name) => objectOf(new Uint8Array(readFileSync(join(folder, String(name))))));
}

function objectOf(bytes) {
  return { bytes, sopInstanceUid: parse(bytes).sopInstanceUid };
}

function radiograph(seed, side) {
  const pixels = Uint8Array.from({ length: side * side }, (_, i) => 128 + 80 * Math.sin(i / (40 + seed)) + (i % 17));
  return wrapImage({ pixels, width: side, height: side, channels: 1, bits: 8 }, { modality: 'DX', bodyPart: 'CHEST', viewPosition: 'PA', studyInstanceUid: uidOf('bench', seed, Date.now()), seriesInstanceUid: uidOf('bench-series', seed, Date.now()), sopInstanceUid: uidOf('bench-image', seed, Date.now()) });
}

function poolOf(variables) {
  return new ComputePool(parseConfig({ COMPUTE_TIME_LIMIT_SECONDS: '36000', ...variables }), createLogger('silent'), new Metrics());
}

/** A MODELS_DIR with packs of the tests and their published weights. */
function packs(names, weights) {
  const folder = join(temporaryDirectory(), 'models');
  mkdirSync(folder);
  for (const name of names) {
    cpSync(join(ROOT, 'test', 'model-packs', name), join(folder, name), { recursive: true });
    const { files } = JSON.parse(readFileSync(join(folder, name, 'manifest.json'), 'utf8'));
    for (const { path } of files) if (!existsSync(join(folder, name, path))) symlinkSync(join(WEIGHTS, weights, path), join(folder, name, path));
  }
  return folder;
}

async function installed(modelsDir, name) {
  for (const reading of await readModelFolders(modelsDir)) {
    if (reading.kind === 'installed' && reading.model.manifest.name === name) return reading.model;
    if (reading.kind !== 'installed' && reading.folder.endsWith(name)) throw new Error(`${name}: ${JSON.stringify(reading.reason)}`);
  }
  throw new Error(`no pack ${name}`);
}

function pause(ms) {
  return new Promise((resolve) => { setTimeout(resolve, ms); });
}
