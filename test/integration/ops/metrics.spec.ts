import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WRITERS_LOCK } from '../../../src/platform/audit/audit-events.store.js';
import { parseConfig } from '../../../src/platform/config.js';
import { openDatabase, type OpenedDatabase } from '../../../src/platform/database/open-database.js';
import { createLogger } from '../../../src/platform/ops/logger.js';
import { VERSION } from '../../../src/platform/version.js';
import { ended, uploadXray, type AnalysisView } from '../../support/flow.js';
import { scrape, valueOf } from '../../support/metrics.js';
import { ADMIN, eventually, startProduct, temporaryDirectory, type Product } from '../../support/product.js';
import { modelsDirectory } from '../analysis/model-packs.js';

const ANALYSIS = 'chest-xray-classification';
const ADULT = { patientAge: '40', modality: 'DX', bodyPart: 'CHEST', viewPosition: 'PA' } as const;

/** A folder with an `nvidia-smi` of its own: no GPU is at hand. */
function folderOfTool(): string {
  const folder = temporaryDirectory();
  const file = join(folder, 'nvidia-smi');
  writeFileSync(file, '#!/bin/sh\necho "0, 1024, 81920, 25"\necho "1, 2, 4, [N/A]"\n');
  chmodSync(file, 0o755);
  return folder;
}

describe('the metrics of a running product', () => {
  let product: Product;
  let database: OpenedDatabase;
  const runs: AnalysisView[] = [];
  const metrics = (): Promise<string> => scrape(product.url);

  beforeAll(async () => {
    product = await startProduct({ env: { MODELS_DIR: modelsDirectory(['bright']), EXECUTION_PROVIDERS: 'cuda,cpu', COMPUTE_MEMORY_MB: '2000', PATH: `${folderOfTool()}:${process.env.PATH ?? ''}` } });
    database = await openDatabase(parseConfig({ DATA_DIR: product.dataDir }), createLogger('silent'));
    for (const seed of [1, 2]) {
      const studyInstanceUid = await uploadXray(product, seed, ADULT);
      const run = await eventually('a planned run', async () => (await product.json<{ items: AnalysisView[] }>(`/api/v1/analyses?studyInstanceUid=${studyInstanceUid}`)).items[0]);
      runs.push(await ended(product, run.id));
    }
  });
  afterAll(async () => {
    await database.close();
    await product.stop();
  });

  it('say what runs, and within what limits', async () => {
    const text = await metrics();
    expect(valueOf(text, 'healthvision_build_info', { version: VERSION, role: 'all' })).toBe(1);
    expect(valueOf(text, 'healthvision_cpu_limit_cores')).toBeGreaterThan(0);
    const limit = valueOf(text, 'healthvision_memory_limit_bytes') ?? 0;
    expect(limit).toBeGreaterThan(2 ** 28);
    expect(valueOf(text, 'healthvision_memory_used_bytes')).toBeGreaterThan(0);
    const size = valueOf(text, 'healthvision_storage_size_bytes') ?? 0;
    expect(size).toBeGreaterThan(2 ** 20);
    expect(valueOf(text, 'healthvision_storage_free_bytes')).toBeLessThanOrEqual(size);
    expect(valueOf(text, 'healthvision_tls_certificate_expiry_timestamp_seconds')).toBeUndefined();
  });

  it('have the GPUs of the machine', async () => {
    // The first answer of the tool may come too late for its scrape.
    const text = await eventually('GPUs', async () => { const one = await metrics(); return one.includes('healthvision_gpu_memory_used_bytes{') && one; });
    expect(valueOf(text, 'healthvision_gpu_memory_used_bytes', { gpu: '0' })).toBe(2 ** 30);
    expect(valueOf(text, 'healthvision_gpu_memory_size_bytes', { gpu: '0' })).toBe(80 * 2 ** 30);
    expect(valueOf(text, 'healthvision_gpu_utilization_ratio', { gpu: '0' })).toBe(0.25);
    expect(valueOf(text, 'healthvision_gpu_utilization_ratio', { gpu: '1' })).toBeUndefined();
  });

  it('count whole runs, completed studies, and what was loaded for them', async () => {
    expect(runs.map(({ status }) => status)).toEqual(['succeeded', 'succeeded']);
    const text = await metrics();
    expect(valueOf(text, 'healthvision_run_duration_seconds_count', { analysis: ANALYSIS, outcome: 'succeeded' })).toBe(2);
    expect(valueOf(text, 'healthvision_run_duration_seconds_sum', { analysis: ANALYSIS, outcome: 'succeeded' })).toBeGreaterThan(0);
    expect(valueOf(text, 'healthvision_studies_completed_total', { modality: 'DX' })).toBe(2);
    expect(valueOf(text, 'healthvision_model_load_seconds_count', { model: 'bright', provider: 'cpu' })).toBe(1);
    expect(valueOf(text, 'healthvision_models_resident', { provider: 'cpu' })).toBe(1);
    expect(valueOf(text, 'healthvision_models_resident', { provider: 'cuda' })).toBe(0);
    // Loaded by the check at the start.
    expect(valueOf(text, 'healthvision_cache_requests_total', { cache: 'model-session', outcome: 'hit' })).toBe(2);
    expect(valueOf(text, 'healthvision_execution_provider_available', { provider: 'cuda' })).toBe(0);
    expect(valueOf(text, 'healthvision_execution_provider_available', { provider: 'cpu' })).toBe(1);
    expect((await fetch(`${product.url}/ready`)).status).toBe(200);
    expect(product.output().match(/execution provider not available"/g)).toHaveLength(1);
  });

  it('count what caches had, and connections', async () => {
    const path = `/api/v1/results/${runs[0]?.resultId ?? ''}/preview.png`;
    for (let i = 0; i < 3; i++) await (await product.fetch(path)).arrayBuffer();
    const text = await metrics();
    expect(valueOf(text, 'healthvision_cache_requests_total', { cache: 'preview', outcome: 'miss' })).toBe(1);
    expect(valueOf(text, 'healthvision_cache_requests_total', { cache: 'preview', outcome: 'hit' })).toBe(2);
    for (const cache of ['person', 'access-token', 'data-key']) expect(valueOf(text, 'healthvision_cache_requests_total', { cache, outcome: 'miss' }), cache).toBeGreaterThan(0);
    for (const pool of ['app', 'system', 'queue']) {
      const [inUse = NaN, idle = NaN, waiting] = ['in-use', 'idle', 'waiting'].map((state) => valueOf(text, 'healthvision_database_pool_connections', { pool, state }));
      expect(inUse + idle, pool).toBeGreaterThan(0);
      expect(waiting, pool).toBeGreaterThanOrEqual(0);
    }
  });

  it('count reviews by what they say, and sign-offs only without one', async () => {
    const outcomes = async (): Promise<(number | undefined)[]> => {
      const text = await metrics();
      return ['agreed', 'corrected', 'rejected'].map((outcome) => valueOf(text, 'healthvision_reviews_total', { analysis: ANALYSIS, outcome }));
    };
    const post = async (index: number, what: string, body: object): Promise<void> => {
      const response = await product.fetch(`/api/v1/results/${runs[index]?.resultId ?? ''}/${what}`, { method: 'POST', headers: { 'content-type': 'application/json', 'if-match': '*' }, body: JSON.stringify(body) });
      expect(response.ok, await response.text()).toBe(true);
    };
    const signOff = { meaning: 'approved', password: ADMIN.password };
    expect(await outcomes()).toEqual([0, 0, 0]);
    await post(0, 'reviews', { decisions: [{ decision: 'label', label: 'Bright', agrees: false }] });
    expect(await outcomes()).toEqual([0, 0, 1]);
    await post(0, 'reviews', { decisions: [{ decision: 'add', kind: 'nodule', code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' } }] });
    expect(await outcomes()).toEqual([0, 1, 1]);
    await post(0, 'sign-off', signOff);
    expect(await outcomes()).toEqual([0, 1, 1]);
    await post(1, 'sign-off', signOff);
    expect(await outcomes()).toEqual([1, 1, 1]);
  });

  it('tell how long audit events wait for their chain', async () => {
    const unsealed = async (): Promise<number> => valueOf(await metrics(), 'healthvision_audit_unsealed_seconds') ?? NaN;
    await expect.poll(unsealed, { timeout: 20_000 }).toBe(0);
    const writer = new pg.Client({ connectionString: database.url });
    await writer.connect();
    try {
      // As a writer that does not come to its end: the sealer may not pass it.
      await writer.query('SELECT pg_advisory_lock_shared($1)', [String(WRITERS_LOCK)]);
      await product.fetch('/api/v1/studies');
      await expect.poll(unsealed, { timeout: 20_000 }).toBeGreaterThan(0.5);
    } finally {
      await writer.end();
    }
    await expect.poll(unsealed, { timeout: 20_000 }).toBe(0);
  });

  it('say of a strict worker that its GPU is missing; it is not ready, and leaves runs to others', async () => {
    const worker = await startProduct({ dataDir: product.dataDir, env: { APP_ROLE: 'worker', EXECUTION_PROVIDERS: 'cuda,cpu', EXECUTION_PROVIDERS_STRICT: 'true', MODELS_DIR: modelsDirectory(['bright']) } });
    try {
      const ready = async (): Promise<unknown> => {
        const response = await fetch(`${worker.url}/ready`);
        return [response.status, ((await response.json()) as { error: unknown }).error];
      };
      await expect.poll(ready, { timeout: 20_000 }).toEqual([503, { 'execution-provider': { status: 'down', code: 'execution-provider-unavailable' } }]);
      expect((await fetch(`${worker.url}/health`)).status).toBe(200);
      await expect.poll(async () => valueOf(await scrape(worker.url), 'healthvision_execution_provider_available', { provider: 'cuda' }), { timeout: 20_000 }).toBe(0);
      // Of all other queues there are two: the product itself, and this worker.
      const alone = async (): Promise<[string, number][]> => {
        const { items } = await product.json<{ items: { name: string; consumers: number }[] }>('/api/v1/queues');
        return items.filter(({ consumers }) => consumers !== 2).map(({ name, consumers }) => [name, consumers]);
      };
      await expect.poll(alone, { timeout: 20_000 }).toEqual([['run', 1], ['check-model', 1]]);
    } finally {
      await worker.stop();
    }
  });
});
