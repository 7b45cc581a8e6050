import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { preparedDirectory } from '../support/data-directory.js';
import { startProduct, type Product } from '../support/product.js';
import { ended, requestAnalysis, uploadXray } from '../support/flow.js';
import { redisIsInstalled, startRedis, type RedisServer } from '../support/redis.js';

const RUNS = 50;

describe.each(['postgres', ...(redisIsInstalled() ? ['redis'] : [])])('one api and two workers on %s', (backend) => {
  let redis: RedisServer | undefined;
  let api: Product;
  let workers: Product[] = [];

  beforeAll(async () => {
    if (backend === 'redis') redis = await startRedis();
    const dataDir = await preparedDirectory();
    const env: Record<string, string> = { QUEUE_BACKEND: backend, ...(redis && { REDIS_URL: redis.url }) };
    // Nothing is planned by itself here: the studies stay open, so that every run is one that the test asked for.
    api = await startProduct({ dataDir, env: { ...env, APP_ROLE: 'api' } });
    workers = await Promise.all([1, 2].map(() => startProduct({ dataDir, env: { ...env, APP_ROLE: 'worker', SETTLE_SECONDS: '3600' } })));
  });

  afterAll(async () => {
    for (const product of [...workers, api]) expect(await product.stop()).toBe(0);
    await redis?.stop();
  });

  it(`does ${String(RUNS)} runs, each once, and shares the work`, async () => {
    const studies: string[] = [];
    for (let seed = 0; seed < RUNS; seed++) studies.push(await uploadXray(api, seed));
    const runs = await Promise.all(studies.map((uid) => requestAnalysis(api, uid)));
    const views = await Promise.all(runs.map(({ id }) => ended(api, id, 120_000)));
    expect(views.map(({ status }) => status)).toEqual(views.map(() => 'succeeded'));
    expect(new Set(views.map(({ resultId }) => resultId)).size).toBe(RUNS);

    const done = await Promise.all(workers.map(runsDone));
    expect(done.reduce((sum, count) => sum + count, 0)).toBe(RUNS);
    expect(Math.min(...done)).toBeGreaterThan(0);
  });

  it('answers nothing but health and metrics on a worker', async () => {
    const [worker] = workers;
    if (!worker) throw new Error('no worker');
    expect((await fetch(`${worker.url}/health`)).status).toBe(200);
    expect((await fetch(`${worker.url}/ready`)).status).toBe(200);
    expect((await fetch(`${worker.url}/metrics`)).status).toBe(200);
    expect((await fetch(`${worker.url}/api/v1/studies`)).status).toBe(404);
    expect((await fetch(`${worker.url}/oauth2/token`, { method: 'POST' })).status).toBe(404);
  });

  it('never loads ONNX Runtime in the api', async () => {
    const { readFile } = await import('node:fs/promises');
    const maps = await readFile(`/proc/${String(api.process.pid)}/maps`, 'utf8').catch(() => '');
    expect(maps).not.toContain('onnxruntime');
  });

  it('streams the progress of a run on the worker from the api', async () => {
    const { id } = await requestAnalysis(api, await uploadXray(api, 1_000));
    const response = await api.fetch(`/api/v1/analyses/${id}/events`);
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const text = await response.text();
    const states = [...text.matchAll(/^data: ?(.*)$/gm)].map(([, json]) => (JSON.parse(json ?? '') as { status: string }).status);
    expect(states.at(-1)).toBe('succeeded');
  });
});

async function runsDone(worker: Product): Promise<number> {
  const text = await (await fetch(`${worker.url}/metrics`)).text();
  return Number(/healthvision_analysis_runs_total\{[^}]*outcome="succeeded"[^}]*\} (\d+)/.exec(text)?.[1] ?? 0);
}
