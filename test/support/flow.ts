import { eventually, type Product } from './product.js';
import { grayPng, uploadForm, type UploadFields } from './xray.js';

export interface UploadItem {
  file: string;
  status: 'stored' | 'duplicate' | 'refused';
  studyInstanceUid?: string;
  seriesInstanceUid?: string;
  sopInstanceUid?: string;
  code?: string;
  detail?: string;
}

export interface AnalysisView {
  id: string;
  analysis: string;
  status: 'queued' | 'running' | 'succeeded' | 'not-analysable' | 'failed' | 'cancelled';
  progress: number;
  stage: string;
  model: { name: string; version: string; digest: string };
  resultId?: string;
  reason?: { code: string; detail: string };
}

export const ENDED: readonly string[] = ['succeeded', 'not-analysable', 'failed', 'cancelled'];

/** A child inside the domain of the model that ships with the product. */
export const CHILD: UploadFields = { patientAge: '3', patientSex: 'F', modality: 'DX', bodyPart: 'CHEST', viewPosition: 'AP' };

/** Uploads one generated X-ray and gives its study. */
export async function uploadXray(product: Product, seed: number, fields: UploadFields = CHILD): Promise<string> {
  const form = uploadForm([{ name: `xray-${String(seed)}.png`, bytes: await grayPng(seed) }], { patientId: `P${String(seed)}`, ...fields });
  const { items } = await product.json<{ items: UploadItem[] }>('/api/v1/images', { method: 'POST', body: form });
  const uid = items[0]?.studyInstanceUid;
  if (uid === undefined) throw new Error(`not stored: ${JSON.stringify(items)}`);
  return uid;
}

export function requestAnalysis(product: Product, studyInstanceUid: string, more: object = {}): Promise<AnalysisView> {
  return product.json<AnalysisView>('/api/v1/analyses', {
    method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ analysis: 'chest-xray-classification', studyInstanceUid, ...more }),
  });
}

export function ended(product: Product, id: string, timeoutMs = 60_000): Promise<AnalysisView> {
  return eventually(`the end of analysis ${id}`, async () => {
    const view = await product.json<AnalysisView>(`/api/v1/analyses/${id}`);
    return ENDED.includes(view.status) && view;
  }, timeoutMs);
}
