import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ended, requestAnalysis, type AnalysisView, type UploadItem } from '../../support/flow.js';
import { packArchive, packFolder, uploadPack, type ModelView } from '../../support/model-pack.js';
import { eventually, startProduct, type Product } from '../../support/product.js';
import { uploadForm } from '../../support/xray.js';
import { modelsDirectory } from './model-packs.js';

interface Switched { model: ModelView; displaced: { name: string; version: string } | null }
interface Transition { version: string; from: string; to: string; cause: string; reason: string | null; userId: string | null }
interface LabelAgreement { label: string; pairs: number; bothPositive: number; onlyFirst: number; onlySecond: number; bothNegative: number; kappa: number | null; meanProbabilityDifference: number }
interface Performance {
  versions: { version: string; state: string; clinical: { runs: Record<string, number>; latencyMs: Record<string, { runs: number; p50: number; p95: number }> }; shadow: { runs: Record<string, number> }; positiveRates: { label: string; results: number; positive: number; rate: number }[] }[];
  comparisons: { active: { version: string }; shadow: { version: string }; agreement: { pairs: number; labels: LabelAgreement[] } }[];
}

describe('models that serve', () => {
  let product: Product;

  beforeAll(async () => {
    product = await startProduct({ env: { MODELS_DIR: modelsDirectory(['bright']) } });
    // The same network, which calls an image bright from another probability on.
    for (const [version, threshold] of [['2.0.0', 0.6], ['3.0.0', 0.999]] as const) {
      await uploadPack(product, await packArchive(packFolder('bright', { version }, { threshold })));
      await eventually(`${version} to be tried`, async () => (await get(version)).state === 'available');
    }
  });
  afterAll(() => product.stop());

  const get = (version: string): Promise<ModelView> => product.json<ModelView>(`/api/v1/models/bright/${version}`);
  const send = (method: string, path: string, body?: object, headers: Record<string, string> = {}): Promise<Response> =>
    product.fetch(`/api/v1/models/${path}`, { method, headers: { ...(body && { 'content-type': 'application/json' }), ...headers }, ...(body && { body: JSON.stringify(body) }) });
  const set = async (version: string, state: string): Promise<Switched> => (await (await send('PATCH', `bright/${version}`, { state, reason: 'A test' })).json()) as Switched;
  const states = async (): Promise<string[]> => Promise.all(['1.0.0', '2.0.0', '3.0.0'].map(async (version) => (await get(version)).state));
  const codeOf = async (response: Response): Promise<[number, string]> => [response.status, ((await response.json()) as { code: string }).code];

  const imageOf = async (grey: number): Promise<string> => {
    // A little slope, since blank images are refused.
    const pixels = Buffer.from(Uint8Array.from({ length: 128 * 128 }, (_, i) => grey + (i % 128) / 8));
    const png = await sharp(pixels, { raw: { width: 128, height: 128, channels: 1 } }).toColourspace('b-w').png().toBuffer();
    const form = uploadForm([{ name: 'image.png', bytes: png }], { patientId: `G${String(grey)}`, patientAge: '40', modality: 'DX', bodyPart: 'CHEST', viewPosition: 'PA' });
    return (await product.json<{ items: UploadItem[] }>('/api/v1/images', { method: 'POST', body: form })).items[0]?.studyInstanceUid ?? '';
  };
  const planned = async (study: string): Promise<AnalysisView> => {
    const { id } = await eventually('a planned run', async () => (await product.json<{ items: AnalysisView[] }>(`/api/v1/analyses?studyInstanceUid=${study}`)).items[0]);
    return ended(product, id);
  };

  it('give their place to the one that is activated, in one step, and get it back in one call', async () => {
    expect(await states()).toEqual(['active', 'available', 'available']);
    expect(await set('2.0.0', 'active')).toMatchObject({ model: { version: '2.0.0', state: 'active' }, displaced: { version: '1.0.0' } });
    await set('3.0.0', 'active');
    expect(await states()).toEqual(['available', 'available', 'active']);
    const back = async (): Promise<Switched> => (await (await send('POST', 'bright/rollback', { reason: 'Too many' })).json()) as Switched;
    expect(await back()).toMatchObject({ model: { version: '2.0.0', state: 'active' }, displaced: { version: '3.0.0' } });
    expect((await back()).model.version).toBe('1.0.0');
    expect(await states()).toEqual(['active', 'available', 'available']);
    expect(await codeOf(await send('POST', 'bright/rollback', {}))).toEqual([409, 'no-earlier-model']);
  });

  it('keep who changed what, when and why', async () => {
    const { items } = await product.json<{ items: Transition[] }>('/api/v1/models/bright/history?limit=200');
    const activations = items.filter(({ to }) => to === 'active').reverse();
    expect(activations.map(({ version, cause }) => [version, cause])).toEqual([['1.0.0', 'checked'], ['2.0.0', 'set'], ['3.0.0', 'set'], ['2.0.0', 'rollback'], ['1.0.0', 'rollback']]);
    expect(activations[0]).toMatchObject({ userId: null, reason: null, from: 'checking' });
    expect(activations[1]).toMatchObject({ userId: expect.stringMatching(/^[0-9a-f-]{36}$/) as string, reason: 'A test', from: 'available' });
    expect(items.filter(({ cause }) => cause === 'displaced')).toHaveLength(4);
  });

  it('change only for those who have seen them as they are, and only between states that make sense', async () => {
    const etag = (await product.fetch('/api/v1/models/bright/2.0.0', { headers: { 'accept-language': 'zh-CN' } })).headers.get('etag') ?? '';
    await set('2.0.0', 'retired');
    expect(await codeOf(await send('PATCH', 'bright/2.0.0', { state: 'available' }, { 'if-match': etag }))).toEqual([412, 'precondition-failed']);
    const seen = (await product.fetch('/api/v1/models/bright/2.0.0', { headers: { 'accept-language': 'zh-CN' } })).headers.get('etag') ?? '';
    expect((await send('PATCH', 'bright/2.0.0', { state: 'available' }, { 'if-match': seen })).status).toBe(200);
    expect(await codeOf(await send('PATCH', 'bright/2.0.0', { state: 'rejected' }))).toEqual([400, 'invalid-body']);
    expect(await codeOf(await send('PATCH', 'bright/9.0.0', { state: 'active' }))).toEqual([404, 'model-not-found']);
    await uploadPack(product, await packArchive(packFolder('broken', { name: 'broken' })));
    await eventually('the broken one to be tried', async () => (await product.json<ModelView>('/api/v1/models/broken/1.0.0')).state === 'rejected');
    expect(await codeOf(await send('PATCH', 'broken/1.0.0', { state: 'active' }))).toEqual([409, 'model-not-switchable']);
  });

  it('are chosen by an institution for its own studies', async () => {
    expect((await planned(await imageOf(60))).model.version).toBe('1.0.0');
    const chosen = await send('PUT', 'bright/2.0.0/choice', { reason: 'Our scanners' });
    expect([chosen.status, await chosen.json()]).toMatchObject([200, { model: { version: '2.0.0', state: 'available' }, reason: 'Our scanners' }]);
    const study = await imageOf(61);
    expect((await planned(study)).model.version).toBe('2.0.0');
    expect((await requestAnalysis(product, await imageOf(62))).model.version).toBe('2.0.0');
    expect(await product.json('/api/v1/models/choices')).toMatchObject({ items: [{ analysis: 'chest-xray-classification', model: { name: 'bright', version: '2.0.0' } }] });
    // Retired, it is chosen in vain.
    await set('2.0.0', 'retired');
    expect((await planned(await imageOf(63))).model.version).toBe('1.0.0');
    await set('2.0.0', 'available');
    expect((await send('DELETE', 'bright/2.0.0/choice')).status).toBe(204);
    expect(await codeOf(await send('DELETE', 'bright/2.0.0/choice'))).toEqual([404, 'model-not-chosen']);
    expect((await planned(await imageOf(64))).model.version).toBe('1.0.0');
  });

  it('run in the shadow of the active one, apart from all that people see, and are compared', async () => {
    await set('3.0.0', 'shadow');
    const studies = await Promise.all([40, 50, 200, 230].map(imageOf));
    for (const study of studies) expect((await planned(study)).model.version).toBe('1.0.0');
    const performance = await eventually('the shadow runs', async () => {
      const found = await product.json<Performance>('/api/v1/models/bright/performance');
      return found.comparisons[0]?.agreement.pairs === 4 && found;
    });
    const [comparison] = performance.comparisons;
    expect(comparison).toMatchObject({ active: { version: '1.0.0' }, shadow: { version: '3.0.0' } });
    // The bright image of 200 is below 0.999, that of 230 is not.
    expect(comparison?.agreement.labels).toMatchObject([{ label: 'Bright', pairs: 4, bothPositive: 1, onlyFirst: 1, onlySecond: 0, bothNegative: 2, kappa: 0.5, meanProbabilityDifference: 0 }]);
    const [third, , first] = performance.versions;
    expect(third).toMatchObject({ version: '3.0.0', state: 'shadow', clinical: { runs: {} }, shadow: { runs: { succeeded: 4 } }, positiveRates: [{ label: 'Bright', results: 4, positive: 1, rate: 0.25 }] });
    expect(first?.clinical.runs.succeeded).toBeGreaterThanOrEqual(7);
    expect(Object.keys(first?.clinical.latencyMs ?? {})).toEqual(expect.arrayContaining(['read', 'infer', 'total']));
    const { p50 = NaN, p95 = NaN } = first?.clinical.latencyMs.total ?? {};
    expect(p50).toBeGreaterThan(0);
    expect(p95).toBeGreaterThanOrEqual(p50);
    for (const study of studies) {
      const results = await product.json<{ items: { provenance: { model: { version: string } } }[] }>(`/api/v1/results?studyInstanceUid=${study}`);
      expect(results.items.map(({ provenance }) => provenance.model.version)).toEqual(['1.0.0']);
      expect((await product.json<{ items: AnalysisView[] }>(`/api/v1/analyses?studyInstanceUid=${study}`)).items).toHaveLength(1);
    }
    const { items } = await product.json<{ items: { studyInstanceUid?: string }[] }>('/api/v1/notifications?limit=200');
    for (const study of studies) expect(items.filter(({ studyInstanceUid }) => studyInstanceUid === study).length).toBeLessThanOrEqual(1);
    expect((await product.json<Performance>('/api/v1/models/bright/performance?of=installation')).comparisons[0]?.agreement.pairs).toBe(4);
    expect(await codeOf(await product.fetch('/api/v1/models/absent/performance'))).toEqual([404, 'model-not-found']);
    await set('3.0.0', 'available');
  });
});
