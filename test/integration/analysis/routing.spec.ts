import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ended, requestAnalysis, type AnalysisView, type UploadItem } from '../../support/flow.js';
import { eventually, startProduct, type Product } from '../../support/product.js';
import { uploadForm } from '../../support/xray.js';
import { modelsDirectory } from './model-packs.js';

interface RuleView { id: string; name: string; position: number; enabled: boolean }
interface TestView { byRules: boolean; rules: { name: string; outcome: string; why: string }[]; planned: { analysis: string; outcome: string; priority: string; model: { name: string } | null; reason?: { code: string } }[] }

const send = (method: string, body: unknown, headers: Record<string, string> = {}): RequestInit => ({ method, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });

describe('what an institution decides about its studies', () => {
  let product: Product;

  beforeAll(async () => { product = await startProduct({ env: { MODELS_DIR: modelsDirectory(['bright', 'nan-dark']), SETTLE_SECONDS: '1' } }); });
  afterAll(() => product.stop());

  const upload = async (seed: number, bodyPart = 'CHEST'): Promise<string> => {
    const pixels = Buffer.from(Uint8Array.from({ length: 128 * 128 }, (_, i) => 150 + seed + (i % 128) / 8));
    const png = await sharp(pixels, { raw: { width: 128, height: 128, channels: 1 } }).toColourspace('b-w').png().toBuffer();
    const form = uploadForm([{ name: 'image.png', bytes: png }], { patientId: `R${String(seed)}`, patientAge: '40', modality: 'DX', bodyPart, viewPosition: 'PA' });
    const { items } = await product.json<{ items: UploadItem[] }>('/api/v1/images', { method: 'POST', body: form });
    return items[0]?.studyInstanceUid ?? '';
  };
  const create = (rule: object): Promise<RuleView> => product.json<RuleView>('/api/v1/routing-rules', send('POST', rule));
  const test = (studyInstanceUid: string): Promise<TestView> => product.json<TestView>('/api/v1/routing-rules/test', send('POST', { studyInstanceUid }));
  const runsOf = async (study: string): Promise<(AnalysisView & { priority: string })[]> => (await product.json<{ items: (AnalysisView & { priority: string })[] }>(`/api/v1/analyses?studyInstanceUid=${study}`)).items;

  it('is everything that fits while there are no rules, and the dry run says so', async () => {
    const study = await upload(1);
    await eventually('the models to be checked', async () => (await product.json<{ items: { state: string }[] }>('/api/v1/models')).items.every(({ state }) => state !== 'checking'));
    expect(await test(study)).toMatchObject({ byRules: false, rules: [], planned: expect.arrayContaining([expect.objectContaining({ analysis: 'chest-xray-classification', outcome: 'analysed', priority: 'routine' })]) as unknown });
    expect(await test(await upload(2, 'HAND'))).toMatchObject({ planned: expect.arrayContaining([expect.objectContaining({ analysis: 'chest-xray-classification', outcome: 'not-planned', reason: expect.objectContaining({ code: 'no-active-model' }) as unknown })]) as unknown });
    expect((await product.fetch('/api/v1/routing-rules/test', send('POST', { studyInstanceUid: '1.2.3' }))).status).toBe(404);
  });

  it('are rules, with whose priority and model a study is analysed when it is complete', async () => {
    const never = await create({ name: 'Never', conditions: { modalities: ['MR'] }, plan: [{ analysis: 'brain-tumour-segmentation' }] });
    const urgent = await create({ name: 'Chest at once', conditions: { modalities: ['DX', 'CR'], bodyParts: ['*chest*'] }, plan: [{ analysis: 'chest-xray-classification', priority: 'stat', model: 'bright@1.0.0' }] });
    expect([never.position, urgent.position]).toEqual([10, 20]);
    const study = await upload(3);
    const [run] = await eventually('a run of the rule', async () => { const runs = await runsOf(study); return runs.length > 0 && runs; });
    expect(run).toMatchObject({ priority: 'stat', model: { name: 'bright' } });
    const told = await test(study);
    expect(told.rules.map(({ name, outcome }) => [name, outcome])).toEqual([['Never', 'not-matched'], ['Chest at once', 'matched']]);
    expect(told.planned).toMatchObject([{ outcome: 'analysed', priority: 'stat', model: { name: 'bright' } }]);
    const other = await upload(4, 'HAND');
    expect((await test(other)).planned).toEqual([]);
  });

  it('can be changed by whoever has seen them, and refuses what makes no sense', async () => {
    const { id } = await create({ name: 'Draft', enabled: false, plan: [] });
    const etag = (await product.fetch(`/api/v1/routing-rules/${id}`)).headers.get('etag') ?? '';
    expect((await product.fetch(`/api/v1/routing-rules/${id}`, send('PATCH', { name: 'Renamed' }, { 'if-match': etag }))).status).toBe(200);
    expect((await product.fetch(`/api/v1/routing-rules/${id}`, send('PATCH', { name: 'Again' }, { 'if-match': etag }))).status).toBe(412);
    expect((await product.fetch(`/api/v1/routing-rules/${id}`, { method: 'DELETE' })).status).toBe(204);
    expect((await product.fetch(`/api/v1/routing-rules/${id}`)).status).toBe(404);
    const plan = [{ analysis: 'chest-xray-classification' }];
    for (const bad of [{ name: 'x', plan: [...plan, ...plan] }, { name: 'x', plan, conditions: { modality: ['CT'] } }, { name: 'x', plan, conditions: { modalities: ['*a'.repeat(9)] } }, { name: '', plan }]) {
      expect((await product.fetch('/api/v1/routing-rules', send('POST', bad))).status).toBe(400);
    }
  });

  it('includes what is critical', async () => {
    const read = async (): Promise<{ rules: { id: string }[]; updatedAt: string | null }> => product.json('/api/v1/critical-rules');
    const own = await read();
    expect(own.updatedAt).toBeNull();
    expect(own.rules.length).toBeGreaterThan(2);
    const criticalOf = async (study: string): Promise<boolean> => {
      const run = await ended(product, (await requestAnalysis(product, study, { model: 'bright' })).id);
      return (await product.json<{ summary: { critical: boolean } }>(`/api/v1/results/${run.resultId ?? ''}`)).summary.critical;
    };
    expect(await criticalOf(await upload(20))).toBe(true);
    const etag = (await product.fetch('/api/v1/critical-rules')).headers.get('etag') ?? '';
    expect((await product.fetch('/api/v1/critical-rules', send('PUT', { rules: [{ id: 'sure', when: 'label', names: ['Dark'] }] }, { 'if-match': etag }))).status).toBe(200);
    expect((await product.fetch('/api/v1/critical-rules', send('PUT', { rules: [] }, { 'if-match': etag }))).status).toBe(412);
    expect((await product.fetch('/api/v1/critical-rules', send('PUT', { rules: [{ id: 'x', when: 'moon' }] }))).status).toBe(400);
    expect(await criticalOf(await upload(21))).toBe(false);
    expect((await product.fetch('/api/v1/critical-rules', { method: 'DELETE' })).status).toBe(204);
    expect((await read()).updatedAt).toBeNull();
  });
});
