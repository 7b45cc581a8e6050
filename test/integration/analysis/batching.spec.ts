import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readModelFolders, type InstalledModel } from '../../../src/modules/analysis/models/model-folder.js';
import type { AnalysisInput } from '../../../src/imaging/analyses/analysis.js';
import { wrapImage } from '../../../src/imaging/dicom/wrap-image.js';
import { ComputePool } from '../../../src/platform/compute/compute-pool.js';
import type { ComputeRunResult } from '../../../src/platform/compute/compute-protocol.js';
import { parseConfig } from '../../../src/platform/config.js';
import { createLogger } from '../../../src/platform/ops/logger.js';
import { Metrics } from '../../../src/platform/ops/metrics.js';
import { modelsDirectory } from './model-packs.js';

const SIDE = 64;

function radiograph(grey: number): AnalysisInput {
  const pixels = Uint8Array.from({ length: SIDE * SIDE }, (_, i) => grey + (i % SIDE) / 8);
  const bytes = wrapImage({ pixels, width: SIDE, height: SIDE, channels: 1, bits: 8 }, { modality: 'DX', studyInstanceUid: '1.2.3', seriesInstanceUid: '1.2.3.4', sopInstanceUid: '1.2.3.4.5' });
  return { series: [{ role: 'radiograph', seriesInstanceUid: '1.2.3.4', frames: [{ sopInstanceUid: '1.2.3.4.5', frame: 1 }], reason: '' }], instances: [{ sopInstanceUid: '1.2.3.4.5', bytes }] };
}

describe('X-rays of several runs', () => {
  const metrics = new Metrics();
  const pool = new ComputePool(parseConfig({ WORKER_CONCURRENCY: '1' }), createLogger('silent'), metrics);
  const models = new Map<string, InstalledModel>();
  const model = (name: string): InstalledModel => {
    const found = models.get(name);
    if (!found) throw new Error(`no pack ${name}`);
    return found;
  };
  /** Inferences since the last look, and the runs that they served. */
  let before = { count: 0, sum: 0 };
  const joined = async (): Promise<{ count: number; sum: number }> => {
    const text = await metrics.registry.getSingleMetricAsString('healthvision_analysis_batch_size');
    const of = (name: string): number => Number(new RegExp(`_${name} (\\d+)`).exec(text)?.[1]);
    const now = { count: of('count'), sum: of('sum') };
    const since = { count: now.count - before.count, sum: now.sum - before.sum };
    before = now;
    return since;
  };

  beforeAll(async () => {
    for (const reading of await readModelFolders(modelsDirectory(['bright', 'bright-fp16', 'nan-dark', 'slow']))) if (reading.kind === 'installed') models.set(reading.model.manifest.name, reading.model);
  });
  afterAll(() => pool.close());

  const outcomeOf = ({ outcome }: ComputeRunResult): unknown => (outcome.kind === 'concluded' ? outcome.labels : outcome);

  it('go through the network together and give what each gives alone', async () => {
    const greys = [10, 60, 110, 160, 210];
    const alone = [];
    for (const grey of greys) alone.push(outcomeOf(await pool.run(model('bright'), radiograph(grey))));
    expect(await joined()).toEqual({ count: 5, sum: 5 });
    const together = await Promise.all(greys.map((grey) => pool.run(model('bright'), radiograph(grey))));
    expect(await joined()).toEqual({ count: 1, sum: 5 });
    expect(together.map(outcomeOf)).toEqual(alone);
  });

  it('go through networks in half precision as through others, together and alone', async () => {
    const greys = [10, 110, 160];
    const runs = await Promise.all(greys.map((grey) => pool.run(model('bright-fp16'), radiograph(grey))));
    for (const [i, { outcome }] of runs.entries()) {
      if (outcome.kind !== 'concluded') throw new Error(outcome.detail);
      const mean = ((greys[i] ?? 0) + 3.5) / 255;
      // Half precision has 11 bits.
      expect(outcome.labels[0]?.probability).toBeCloseTo(1 / (1 + Math.exp(-20 * (mean - 0.5))), 2);
    }
    expect(await joined()).toEqual({ count: 1, sum: 3 });
  });

  it('gather while all threads are busy, up to as many as the model takes', async () => {
    const runs = Array.from({ length: 20 }, (_, i) => pool.run(model('bright'), radiograph(10 * i)));
    await Promise.all(runs);
    const { count, sum } = await joined();
    expect(sum).toBe(20);
    expect(count).toBeLessThanOrEqual(4);
  });

  it('fail, are not analysable and are cancelled each alone', async () => {
    const abort = new AbortController();
    const broken = radiograph(100);
    const runs = [
      pool.run(model('nan-dark'), radiograph(200)),
      pool.run(model('nan-dark'), radiograph(0)),
      pool.run(model('nan-dark'), { ...broken, instances: broken.instances.map(({ bytes, ...rest }) => ({ ...rest, bytes: bytes.slice(0, 2_000) })) }),
      pool.run(model('nan-dark'), radiograph(220), { signal: abort.signal }),
    ];
    abort.abort(new Error('enough'));
    const [good, dark, unreadable, cancelled] = await Promise.allSettled(runs);
    expect(good).toMatchObject({ status: 'fulfilled', value: { outcome: { kind: 'concluded' } } });
    expect(dark).toMatchObject({ status: 'rejected', reason: { code: 'model-output-invalid' } });
    expect(unreadable).toMatchObject({ status: 'fulfilled', value: { outcome: { kind: 'not-analysable', code: 'study-not-readable' } } });
    expect(cancelled).toMatchObject({ status: 'rejected', reason: { message: 'enough' } });
  });

  it('let the thread go at once when the last one is cancelled in mid-inference', async () => {
    const abort = new AbortController();
    let infers: () => void = () => undefined;
    const inferring = new Promise<void>((resolve) => { infers = resolve; });
    const outcome = pool.run(model('slow'), radiograph(100), { signal: abort.signal, onProgress: (stage) => { if (stage === 'infer') infers(); } }).catch((error: unknown) => error);
    await inferring;
    abort.abort(new Error('enough'));
    const started = performance.now();
    expect(await outcome).toMatchObject({ message: 'enough' });
    expect(performance.now() - started).toBeLessThan(100);
    expect((await pool.run(model('bright'), radiograph(100))).outcome.kind).toBe('concluded');
  });

  it('end at the time limit of their model', async () => {
    const slow = model('slow');
    const hasty = { ...slow, manifest: { ...slow.manifest, resources: { timeLimitSeconds: 1 } } };
    const started = performance.now();
    await expect(pool.run(hasty, radiograph(100))).rejects.toMatchObject({ code: 'time-limit' });
    expect(performance.now() - started).toBeLessThan(3_000);
  });
});
