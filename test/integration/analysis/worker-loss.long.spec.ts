import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packArchive, packFolder, uploadPack, type ModelView } from '../../support/model-pack.js';
import { ended, requestAnalysis, uploadXray, type AnalysisView } from '../../support/flow.js';
import { eventually, startProduct, type Product } from '../../support/product.js';
import { query, readState } from '../database/processes.js';
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

  it('waits for a worker that has the files of its model', { timeout: 180_000 }, async () => {
    const without = await startProduct({ dataDir: api.dataDir, env: { MODELS_DIR: modelsDirectory(['bright']), APP_ROLE: 'worker' } });
    const { id } = await requestAnalysis(api, await uploadXray(api, 7), { model: 'slow' });
    await eventually('the worker to give the run back', () => Promise.resolve(without.output().includes('model-files-missing')));
    expect((await api.json<AnalysisView>(`/api/v1/analyses/${id}`)).status).not.toBe('failed');
    const second = await worker();
    expect(await ended(api, id, 120_000)).toMatchObject({ status: 'succeeded' });
    await Promise.all([without.stop(), second.stop()]);
  });

  it('is no loss to an uploaded model that was to be tried', { timeout: 180_000 }, async () => {
    const first = await worker();
    await uploadPack(api, await packArchive(packFolder('bright', { name: 'late' })));
    const state = async (): Promise<string> => (await api.json<ModelView>('/api/v1/models/late/1.0.0')).state;
    await eventually('the model to be tried', async () => (await state()) !== 'checking');
    await first.stop();
    // As after a job that was given up.
    const { port, password } = await readState(api.dataDir);
    await query(`postgresql://healthvision:${password}@127.0.0.1:${String(port)}/healthvision`, `UPDATE models SET state = 'checking', checked_at = NULL WHERE name = 'late'`);
    const second = await worker();
    await eventually('the model to be tried again', async () => (await state()) === 'available');
    await second.stop();
  });
});
