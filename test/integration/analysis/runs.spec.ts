import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ended, requestAnalysis, uploadXray, type AnalysisView, type UploadItem } from '../../support/flow.js';
import { eventually, startProduct, type Product } from '../../support/product.js';
import { uploadForm } from '../../support/xray.js';
import { modelsDirectory, PACKS, writeManifest } from './model-packs.js';

interface ModelView { name: string; version: string; digest: string; state: string; reason?: { code: string; detail: string }; labels: { name: string; displayName: string }[]; domain: unknown }

const post = (body?: unknown): RequestInit => ({ method: 'POST', ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }) });

describe('the analysis module', () => {
  let product: Product;

  beforeAll(async () => {
    const models = modelsDirectory(['bright', 'broken', 'nan', 'nan-dark', 'slow']);
    const bright = JSON.parse(readFileSync(join(PACKS, 'bright', 'manifest.json'), 'utf8')) as object;
    writeManifest(models, 'mistyped', { ...bright, name: 'mistyped', licence: 'x' });
    writeManifest(models, 'tampered', { ...bright, name: 'tampered', files: [{ path: 'model.onnx', sha256: '0'.repeat(64) }] });
    writeManifest(models, 'no-json', '{');
    product = await startProduct({ env: { MODELS_DIR: models } });
  });
  afterAll(() => product.stop());

  const imageOf = async (grey: number): Promise<string> => {
    // A little slope, since blank images are refused.
    const pixels = Buffer.from(Uint8Array.from({ length: 128 * 128 }, (_, i) => grey + (i % 128) / 8));
    const png = await sharp(pixels, { raw: { width: 128, height: 128, channels: 1 } }).toColourspace('b-w').png().toBuffer();
    const form = uploadForm([{ name: 'image.png', bytes: png }], { patientId: `G${String(grey)}`, patientAge: '40', modality: 'DX', bodyPart: 'CHEST', viewPosition: 'PA' });
    const { items } = await product.json<{ items: UploadItem[] }>('/api/v1/images', { method: 'POST', body: form });
    return items[0]?.studyInstanceUid ?? '';
  };

  it('lists what lies in MODELS_DIR, broken packs with their reason', async () => {
    const { items } = await product.json<{ items: ModelView[] }>('/api/v1/models');
    const states = Object.fromEntries(items.map(({ name, state, reason }) => [name, [state, reason?.code]]));
    expect(states).toEqual({
      bright: ['active', undefined], slow: ['available', undefined], 'nan-dark': ['available', undefined],
      nan: ['rejected', 'model-output-invalid'], broken: ['rejected', 'model-load-failed'], mistyped: ['rejected', 'manifest-invalid'], tampered: ['rejected', 'model-load-failed'],
    });
    expect(items.find(({ name }) => name === 'mistyped')?.reason?.detail).toContain('did you mean "license"');
    const one = await product.json<ModelView>('/api/v1/models/bright/1.0.0', { headers: { 'accept-language': 'zh-CN' } });
    expect(one.labels).toMatchObject([{ name: 'Bright', displayName: '明亮' }]);
    expect(one.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  it('analyses a study on request and gives the same run for the same request', async () => {
    const study = await imageOf(200);
    const response = await product.fetch('/api/v1/analyses', post({ analysis: 'chest-xray-classification', studyInstanceUid: study, model: 'bright' }));
    expect(response.status).toBe(202);
    const first = (await response.json()) as AnalysisView;
    expect(response.headers.get('location')).toBe(`/api/v1/analyses/${first.id}`);
    expect(response.headers.get('etag')).toMatch(/^"/);
    const run = await ended(product, first.id);
    expect(run).toMatchObject({ status: 'succeeded', progress: 1, stage: 'done', model: { name: 'bright', version: '1.0.0' } });
    const result = await product.json<{ labels: unknown[]; findings: unknown[]; summary: { critical: boolean } }>(`/api/v1/results/${run.resultId ?? ''}`);
    expect(result.labels).toMatchObject([{ name: 'Bright', positive: true }]);
    expect(result.findings).toMatchObject([{ kind: 'label', location: { frame: 1 } }]);
    expect(result.summary.critical).toBe(true);
  });

  it('answers 200 for the same request again, whatever became of the run', async () => {
    const study = await uploadXray(product, 3, { modality: 'DX', bodyPart: 'HAND' });
    const first = await ended(product, (await requestAnalysis(product, study, { model: 'bright' })).id);
    expect(first).toMatchObject({ status: 'not-analysable', reason: { code: 'wrong-body-part', detail: 'The images show HAND; this model reads CHEST.' } });
    const again = await product.fetch('/api/v1/analyses', post({ analysis: 'chest-xray-classification', studyInstanceUid: study, model: 'bright@1.0.0' }));
    expect(again.status).toBe(200);
    expect(await again.json()).toMatchObject({ id: first.id, status: 'not-analysable' });
  });

  it('refuses what cannot be run, each with its code', async () => {
    const studyInstanceUid = await imageOf(100);
    const ask = async (body: object): Promise<[number, string]> => {
      const response = await product.fetch('/api/v1/analyses', post({ analysis: 'chest-xray-classification', studyInstanceUid, ...body }));
      return [response.status, ((await response.json()) as { code: string }).code];
    };
    expect(await ask({ studyInstanceUid: '1.2.3.4.5' })).toEqual([404, 'study-not-found']);
    expect(await ask({ seriesInstanceUids: ['1.2.3.4.5'] })).toEqual([404, 'series-not-found']);
    expect(await ask({ model: 'absent' })).toEqual([404, 'model-not-found']);
    expect(await ask({ model: 'bright@9.0.0' })).toEqual([404, 'model-not-found']);
    expect(await ask({ model: 'nan' })).toEqual([409, 'model-rejected']);
    expect(await ask({ analysis: 'lung-nodule-detection' })).toEqual([409, 'no-active-model']);
    expect(await ask({ analysis: 'lung-nodule-detection', model: 'bright' })).toEqual([422, 'model-mismatch']);
    expect(await ask({ analysis: 'palm-reading' })).toEqual([400, 'invalid-body']);
    expect(await ask({ surprise: true })).toEqual([400, 'invalid-body']);
    expect((await product.fetch('/api/v1/analyses/0198c0de-4a10-7b11-8a01-0c9d8e7f6a5b/events')).status).toBe(404);
  });

  it('fails with a code when the model gives numbers that are not finite, and runs again on request', async () => {
    const study = await imageOf(0);
    const run = await ended(product, (await requestAnalysis(product, study, { model: 'nan-dark' })).id);
    expect(run).toMatchObject({ status: 'failed', reason: { code: 'model-output-invalid' } });
    const retried = await product.json<AnalysisView>(`/api/v1/analyses/${run.id}/retry`, post());
    expect(retried).toMatchObject({ id: run.id, status: 'queued', progress: 0 });
    expect(await ended(product, run.id)).toMatchObject({ status: 'failed' });
  });

  it('plans a run by itself when a study is complete', async () => {
    const study = await imageOf(60);
    const run = await eventually('a planned run', async () => (await product.json<{ items: AnalysisView[] }>(`/api/v1/analyses?studyInstanceUid=${study}`)).items[0]);
    expect((await ended(product, run.id)).model.name).toBe('bright');
  });

  it('streams every change and ends with the final state', async () => {
    const study = await imageOf(180);
    const { id } = await requestAnalysis(product, study, { model: 'bright' });
    const response = await product.fetch(`/api/v1/analyses/${id}/events`);
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const events = (await response.text()).split('\n\n').filter((event) => event.includes('event: progress')).map((event) => JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? '') as AnalysisView);
    expect(events.at(-1)).toMatchObject({ id, status: 'succeeded', progress: 1 });
    expect(events.length).toBeGreaterThan(1);
    expect(events.at(-1)).toEqual(await product.json(`/api/v1/analyses/${id}`));
  });

  it('cancels a running analysis within about a second, and the next one runs', async () => {
    const study = await imageOf(140);
    const { id } = await requestAnalysis(product, study, { model: 'slow' });
    await eventually('the run to compute', async () => (await product.json<AnalysisView>(`/api/v1/analyses/${id}`)).stage === 'infer', 20_000);
    const started = Date.now();
    await product.json(`/api/v1/analyses/${id}/cancel`, post());
    expect(await ended(product, id)).toMatchObject({ status: 'cancelled' });
    expect(Date.now() - started).toBeLessThan(2_500);
    const refused = await product.fetch(`/api/v1/analyses/${(await ended(product, (await requestAnalysis(product, study, { model: 'bright' })).id)).id}/cancel`, post());
    expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([409, 'analysis-not-cancellable']);
  });

  it('cancels a run whose study is deleted', async () => {
    const study = await imageOf(150);
    const { id } = await requestAnalysis(product, study, { model: 'slow' });
    await eventually('the run to start', async () => (await product.json<AnalysisView>(`/api/v1/analyses/${id}`)).status === 'running', 20_000);
    expect((await product.fetch(`/api/v1/studies/${study}`, { method: 'DELETE' })).status).toBe(204);
    expect(await ended(product, id)).toMatchObject({ status: 'cancelled', reason: { code: 'study-deleted' } });
  });
});
