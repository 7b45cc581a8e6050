import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ResultJson } from '../../../src/modules/results/findings-json.js';
import { Metrics } from '../../../src/platform/ops/metrics.js';
import { broken, WRITERS, wrongReference } from '../../support/derived-writers.js';
import { ENDED, type AnalysisView, type UploadItem } from '../../support/flow.js';
import { eventually } from '../../support/product.js';
import { uploadForm } from '../../support/xray.js';
import { modelsDirectory } from '../analysis/model-packs.js';
import { openPatientHouse, type PatientHouse } from '../images/patient-house.js';
import { writeWith } from './derived-house.js';

let house: PatientHouse;
beforeAll(async () => { house = await openPatientHouse({ MODELS_DIR: modelsDirectory(['bright']) }); });
afterAll(async () => { await house.close(); });

/** A run of an X-ray to its end. */
async function analysed(grey: number): Promise<AnalysisView> {
  const pixels = Buffer.from(Uint8Array.from({ length: 128 * 128 }, (_, i) => grey + (i % 128) / 8));
  const png = await sharp(pixels, { raw: { width: 128, height: 128, channels: 1 } }).toColourspace('b-w').png().toBuffer();
  const form = uploadForm([{ name: 'image.png', bytes: png }], { patientId: `G${String(grey)}`, patientAge: '40', modality: 'DX', bodyPart: 'CHEST', viewPosition: 'PA' });
  const { items } = await house.json<{ items: UploadItem[] }>('/api/v1/images', { method: 'POST', body: form });
  const { id } = await house.json<AnalysisView>('/api/v1/analyses', {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ analysis: 'chest-xray-classification', studyInstanceUid: items[0]?.studyInstanceUid, model: 'bright' }),
  });
  return eventually('the end of the run', async () => {
    const view = await house.json<AnalysisView>(`/api/v1/analyses/${id}`);
    return ENDED.includes(view.status) && view;
  }, 60_000);
}

const topicsOf = (resultId: string): Promise<string[]> => eventually('a notification', async () => {
  const { items } = await house.json<{ items: { topic: string; critical: boolean; subject: { resultId?: string } }[] }>('/api/v1/notifications');
  const topics = items.filter(({ subject }) => subject.resultId === resultId).map(({ topic }) => topic);
  return topics.length > 0 && topics;
});

it('tells people and those who run the installation of a result that is withheld, and never that it is ready', async () => {
  await eventually('the model', async () => (await house.json<{ items: { state: string }[] }>('/api/v1/models')).items.some(({ state }) => state === 'active'), 60_000);
  writeWith(house, broken(wrongReference));
  const run = await analysed(200);
  expect(run).toMatchObject({ status: 'succeeded' });
  const id = run.resultId ?? '';
  const result = await house.json<ResultJson>(`/api/v1/results/${id}`);
  // A bright image is critical; nobody hears of what is not released.
  expect(result).toMatchObject({ status: 'withheld', findings: [], labels: [], summary: { critical: false } });
  expect(result.faults?.map(({ check }) => check)).toContain('reference');
  expect(await topicsOf(id)).toEqual(['result.withheld']);
  expect(await house.app.get(Metrics).withheldResults.get()).toMatchObject({ values: [{ labels: { check: 'reference' }, value: 1 }] });

  writeWith(house, WRITERS);
  const good = await analysed(190);
  expect(await house.json<ResultJson>(`/api/v1/results/${good.resultId ?? ''}`)).toMatchObject({ status: 'preliminary' });
  expect(await topicsOf(good.resultId ?? '')).toContain('result.ready');
  expect((await house.fetch(`/api/v1/results/${good.resultId ?? ''}/sr.dcm`)).status).toBe(200);
  expect((await house.fetch(`/api/v1/results/${good.resultId ?? ''}/seg.dcm`)).status).toBe(404);
  // What was made of the study starts nothing.
  expect((await house.json<{ items: unknown[] }>(`/api/v1/analyses?studyInstanceUid=${(await house.json<ResultJson>(`/api/v1/results/${good.resultId ?? ''}`)).studyInstanceUid}`)).items).toHaveLength(1);
});
