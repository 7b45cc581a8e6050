import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ended, requestAnalysis, uploadXray, type AnalysisView } from '../../support/flow.js';
import { eventually, startProduct, type Product } from '../../support/product.js';
import { modelsDirectory } from './model-packs.js';

describe('a run whose worker is lost', () => {
  let api: Product;
  let env: Record<string, string>;

  beforeAll(async () => {
    env = { MODELS_DIR: modelsDirectory(['bright', 'slow']) };
    api = await startProduct({ env: { ...env, APP_ROLE: 'api' } });
  });
  afterAll(() => api.stop());

  const worker = (): Promise<Product> => startProduct({ dataDir: api.dataDir, env: { ...env, APP_ROLE: 'worker' } });

  it('ends succeeded once, on another worker, when the first is killed in mid-run', { timeout: 180_000 }, async () => {
    const first = await worker();
    await eventually('the models to be checked', async () => (await api.json<{ items: { name: string; state: string }[] }>('/api/v1/models')).items.every(({ state }) => state !== 'checking'));
    const { id } = await requestAnalysis(api, await uploadXray(api, 5), { model: 'slow' });
    await eventually('the run to compute', async () => (await api.json<AnalysisView>(`/api/v1/analyses/${id}`)).stage === 'infer');
    first.process.kill('SIGKILL');
    await once(first.process, 'exit');
    const killed = Date.now();
    const second = await worker();
    expect(await ended(api, id, 60_000)).toMatchObject({ status: 'succeeded' });
    expect(Date.now() - killed).toBeLessThan(45_000);
    const { items } = await api.json<{ items: { analysisId: string }[] }>('/api/v1/results');
    expect(items.filter(({ analysisId }) => analysisId === id).length).toBe(1);
    await second.stop();
  });

  it('is handed back when the worker is asked to stop, or finished before it stops', { timeout: 180_000 }, async () => {
    const first = await worker();
    const { id } = await requestAnalysis(api, await uploadXray(api, 6), { model: 'slow' });
    await eventually('the run to compute', async () => (await api.json<AnalysisView>(`/api/v1/analyses/${id}`)).stage === 'infer');
    expect(await first.stop()).toBe(0);
    const { status } = await api.json<AnalysisView>(`/api/v1/analyses/${id}`);
    expect(['queued', 'succeeded']).toContain(status);
    const second = await worker();
    expect(await ended(api, id, 60_000)).toMatchObject({ status: 'succeeded' });
    await second.stop();
  });
});
