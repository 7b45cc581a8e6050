import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { WorklistEntry } from '../../../src/modules/analysis/worklist/worklist-json.js';
import type { ModelJson } from '../../../src/modules/analysis/models/models-json.js';
import type { ResultJson } from '../../../src/modules/results/findings-json.js';
import { Metrics } from '../../../src/platform/ops/metrics.js';
import { ENDED, type AnalysisView, type UploadItem } from '../../support/flow.js';
import { eventually } from '../../support/product.js';
import { uploadForm } from '../../support/xray.js';
import { modelsDirectory } from '../analysis/model-packs.js';
import { openPatientHouse, type PatientHouse } from '../images/patient-house.js';

let house: PatientHouse;
beforeAll(async () => { house = await openPatientHouse({ MODELS_DIR: modelsDirectory(['stranger']) }); });
afterAll(async () => { await house.close(); });

const WARNING = { code: 'strange-input', text: 'The images look unlike those that the model was made with: judge its findings with care.' };

/** The result of an X-ray of about this grey. */
async function resultOf(grey: number): Promise<ResultJson> {
  const pixels = Buffer.from(Uint8Array.from({ length: 128 * 128 }, (_, i) => grey + (i % 128) / 8));
  const png = await sharp(pixels, { raw: { width: 128, height: 128, channels: 1 } }).toColourspace('b-w').png().toBuffer();
  const form = uploadForm([{ name: 'image.png', bytes: png }], { patientId: `G${String(grey)}`, patientAge: '40', modality: 'DX', bodyPart: 'CHEST', viewPosition: 'PA' });
  const { items } = await house.json<{ items: UploadItem[] }>('/api/v1/images', { method: 'POST', body: form });
  const { id } = await house.json<AnalysisView>('/api/v1/analyses', {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ analysis: 'chest-xray-classification', studyInstanceUid: items[0]?.studyInstanceUid, model: 'stranger' }),
  });
  const { resultId } = await eventually('the end of the run', async () => {
    const view = await house.json<AnalysisView>(`/api/v1/analyses/${id}`);
    return ENDED.includes(view.status) && view;
  }, 60_000);
  return house.json<ResultJson>(`/api/v1/results/${resultId ?? ''}`);
}

it('is flagged wherever its result is read, and its findings are given', async () => {
  const model = await eventually('the model', async () => (await house.json<{ items: ModelJson[] }>('/api/v1/models')).items.find(({ state }) => state === 'active') ?? false, 60_000);
  expect(model).toMatchObject({ outOfDistribution: { threshold: 4, falseAlarmRate: 0.05, n: 100 }, labels: [{ name: 'Bright' }], disabledLabels: [{ name: 'Dark', reason: 'unmeasured' }] });

  const ordinary = await resultOf(150);
  expect(ordinary.provenance.outOfDistribution).toMatchObject({ threshold: 4, strange: false });
  expect(ordinary.warnings).toBeUndefined();

  const strange = await resultOf(238);
  expect(strange.provenance.outOfDistribution).toMatchObject({ threshold: 4, strange: true });
  expect(strange).toMatchObject({ status: 'preliminary', warnings: [WARNING], labels: [{ name: 'Bright', positive: true }] });
  const chinese = await house.json<ResultJson>(`/api/v1/results/${strange.id}`, { headers: { 'accept-language': 'zh-CN' } });
  expect(chinese.warnings?.[0]?.text).toContain('请谨慎');
  const page = await (await house.fetch(`/api/v1/results/${strange.id}/report.html`)).text();
  expect(page).toContain(`<p class="warning">${WARNING.text}</p>`);
  expect((await house.fetch(`/api/v1/results/${strange.id}/report.pdf`)).status).toBe(200);
  expect((await house.fetch(`/api/v1/results/${strange.id}/sr.dcm`)).status).toBe(200);
  const worklist = await house.json<{ items: WorklistEntry[] }>('/api/v1/worklist');
  const warnings = new Map(worklist.items.flatMap(({ results }) => results.map((result) => [result.id, result.warnings])));
  expect([warnings.get(strange.id), warnings.get(ordinary.id)]).toEqual([[WARNING], undefined]);
  expect(await house.app.get(Metrics).strangeInputs.get()).toMatchObject({ values: [{ labels: { analysis: 'chest-xray-classification', model: 'stranger' }, value: 1 }] });
});

it('a label that is switched off is nowhere to be seen, however sure of it the model is', async () => {
  const dark = await resultOf(0);
  expect(dark).toMatchObject({ labels: [{ name: 'Bright', positive: false }], findings: [], summary: { critical: false } });
  expect(JSON.stringify(dark)).not.toContain('Dark');
});
