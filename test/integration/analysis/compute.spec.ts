import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AnalysisInput } from '../../../src/imaging/analyses/analysis.js';
import { readModelFolders, type InstalledModel } from '../../../src/modules/analysis/models/model-folder.js';
import { wrapImage } from '../../../src/imaging/dicom/wrap-image.js';
import { ComputePool } from '../../../src/platform/compute/compute-pool.js';
import { parseConfig } from '../../../src/platform/config.js';
import { createLogger } from '../../../src/platform/ops/logger.js';
import { Metrics } from '../../../src/platform/ops/metrics.js';
import { modelsDirectory, PACKS } from './model-packs.js';

const SIDE = 64;

/** A study of one image. */
function radiograph(grey: number): AnalysisInput {
  return inputOf(imageOf(grey));
}

function inputOf(bytes: Uint8Array): AnalysisInput {
  return { series: [{ role: 'radiograph', seriesInstanceUid: '1.2.3.4', frames: [{ sopInstanceUid: '1.2.3.4.5', frame: 1 }], reason: '' }], instances: [{ sopInstanceUid: '1.2.3.4.5', bytes }] };
}

function imageOf(grey: number): Uint8Array {
  const pixels = Uint8Array.from({ length: SIDE * SIDE }, (_, i) => grey + (i % SIDE) / 8);
  return wrapImage({ pixels, width: SIDE, height: SIDE, channels: 1, bits: 8 }, { modality: 'DX', studyInstanceUid: '1.2.3', seriesInstanceUid: '1.2.3.4', sopInstanceUid: '1.2.3.4.5' });
}

describe('the compute pool', () => {
  const metrics = new Metrics();
  const pool = new ComputePool(parseConfig({ WORKER_CONCURRENCY: '1', EXECUTION_PROVIDERS: 'cuda,cpu' }), createLogger('silent'), metrics);
  const models = new Map<string, InstalledModel>();
  const model = (name: string): InstalledModel => {
    const found = models.get(name);
    if (!found) throw new Error(`no pack ${name}`);
    return found;
  };

  beforeAll(async () => {
    for (const reading of await readModelFolders(modelsDirectory(['bright', 'broken', 'nan', 'nan-dark', 'slow']))) {
      if (reading.kind === 'installed') models.set(reading.model.manifest.name, reading.model);
    }
  });
  afterAll(() => pool.close());

  it('runs a whole analysis in a thread, tells its progress, and keeps the session warm', async () => {
    const stages: string[] = [];
    const first = await pool.run(model('bright'), radiograph(200), { onProgress: (stage, done) => stages.push(`${stage} ${String(Math.round(done * 100))}`) });
    expect(stages).toEqual(['load 0', 'decode 5', 'prepare 25', 'infer 30', 'infer 43', 'infer 95', 'conclude 95']);
    if (first.outcome.kind !== 'concluded') throw new Error(first.outcome.detail);
    // The mean of the image is 203.5 / 255, the logit 20 (mean - 0.5).
    expect(first.outcome.labels[0]?.probability).toBeCloseTo(1 / (1 + Math.exp(-20 * (203.5 / 255 - 0.5))), 5);
    expect(first.outcome.heatMaps[0]).toMatchObject({ label: 'Bright', width: 7, height: 7 });
    const second = await pool.run(model('bright'), radiograph(10));
    expect(second.timings.load).toBeLessThan(Math.max(1, (first.timings.load ?? 0) / 2));
  });

  it('falls back to the next execution provider and counts it', async () => {
    expect((await pool.run(model('bright'), radiograph(50))).executionProvider).toBe('cpu');
    expect(await metrics.registry.getSingleMetricAsString('healthvision_provider_fallbacks_total')).toContain('{wanted="cuda",used="cpu"} 1');
  });

  it('refuses to fall back when that is asked for', async () => {
    const strict = new ComputePool(parseConfig({ EXECUTION_PROVIDERS: 'cuda,cpu', EXECUTION_PROVIDERS_STRICT: 'true' }), createLogger('silent'), new Metrics());
    await expect(strict.check(model('bright'))).rejects.toMatchObject({ code: 'model-load-failed' });
    await strict.close();
  });

  it('tells which execution providers cannot be had, by computing a sum on each', async () => {
    expect(Object.keys(await pool.probe(['cpu', 'cuda']))).toEqual(['cuda']);
  });

  it('tries models and says what is wrong with them', async () => {
    await expect(pool.check(model('bright'))).resolves.toEqual({ executionProvider: 'cpu' });
    await expect(pool.check(model('nan'))).rejects.toMatchObject({ code: 'model-output-invalid' });
    await expect(pool.check(model('broken'))).rejects.toMatchObject({ code: 'model-load-failed' });
    const gone = { ...model('bright'), digest: 'sha256:gone', files: model('bright').files.map((file) => ({ ...file, file: '/nowhere/model.onnx' })) };
    await expect(pool.check(gone)).rejects.toMatchObject({ code: 'model-load-failed', detail: 'The model\'s file "model.onnx" cannot be read' });
    const other = { ...model('bright'), digest: 'sha256:other', files: model('bright').files.map((file) => ({ ...file, file: join(PACKS, 'nan', 'model.onnx') })) };
    await expect(pool.check(other)).rejects.toMatchObject({ code: 'model-load-failed', detail: 'The model\'s file "model.onnx" is not the one that the manifest names' });
  });

  it('answers with a code when one image makes the model give NaN, and goes on', async () => {
    await expect(pool.run(model('nan-dark'), radiograph(0))).rejects.toMatchObject({ code: 'model-output-invalid' });
    expect((await pool.run(model('nan-dark'), radiograph(200))).outcome.kind).toBe('concluded');
  });

  it('calls a study not analysable when its image is broken or blank', async () => {
    const whole = imageOf(100);
    expect((await pool.run(model('bright'), inputOf(whole.slice(0, whole.length - 900)))).outcome).toMatchObject({ kind: 'not-analysable', code: 'study-not-readable' });
    expect((await pool.run(model('bright'), inputOf(new TextEncoder().encode('no DICOM')))).outcome).toMatchObject({ kind: 'not-analysable', code: 'study-not-readable' });
    const blank = wrapImage({ pixels: new Uint8Array(SIDE * SIDE).fill(80), width: SIDE, height: SIDE, channels: 1, bits: 8 }, { modality: 'DX', studyInstanceUid: '1.2.3', seriesInstanceUid: '1.2.3.4', sopInstanceUid: '1.2.3.4.5' });
    expect((await pool.run(model('bright'), inputOf(blank))).outcome).toMatchObject({ kind: 'not-analysable', code: 'low-image-quality' });
  });

  it('stops a run at its time limit and goes on with a fresh thread', async () => {
    await expect(pool.run(model('slow'), radiograph(100), { timeLimitMs: 300 })).rejects.toMatchObject({ code: 'time-limit' });
    expect((await pool.run(model('bright'), radiograph(100))).outcome.kind).toBe('concluded');
  });

  it('lets a run go at once when its signal aborts, and leaves the event loop free', async () => {
    const abort = new AbortController();
    let infers: () => void = () => undefined;
    const inferring = new Promise<void>((resolve) => { infers = resolve; });
    const run = pool.run(model('slow'), radiograph(100), { signal: abort.signal, onProgress: (stage) => { if (stage === 'infer') infers(); } });
    const outcome = run.catch((error: unknown) => error);
    await inferring;
    const before = performance.now();
    await wait(100);
    expect(performance.now() - before).toBeLessThan(400);
    abort.abort(new Error('enough'));
    const stopped = performance.now();
    expect(await outcome).toMatchObject({ message: 'enough' });
    expect(performance.now() - stopped).toBeLessThan(100);
  });

  it('gives the bytes to the thread instead of copying them', async () => {
    const bytes = new Uint8Array(readFileSync(join(PACKS, 'generate.py')));
    await pool.run(model('bright'), inputOf(bytes));
    expect(bytes.byteLength).toBe(0);
  });
});
