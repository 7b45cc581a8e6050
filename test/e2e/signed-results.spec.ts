import { execFileSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sequence, text } from '../../src/imaging/dicom/attributes.js';
import { parseInstanceBytes } from '../../src/imaging/dicom/header.js';
import { ended, requestAnalysis, uploadXray, type UploadItem } from '../support/flow.js';
import { ADMIN, eventually, ROOT, startProduct, temporaryDirectory, type Product } from '../support/product.js';
import { DATA, MODELS, sharedFile } from '../support/shared-data.js';

const CT = sharedFile(DATA, 'ct', 'LIDC-IDRI-0001');
const WEIGHTS = sharedFile(MODELS, 'lung-dlwpt');
/** Files in one request. */
const TOGETHER = 20;
const hasValidators = ['dciodvfy', 'dsrdump'].every((tool) => { try { execFileSync('which', [tool], { stdio: 'ignore' }); return true; } catch { return false; } });

interface ResultView { id: string; status: string; findings: { id: string; review?: { state: string } }[]; segments: { number: number }[] }

let product: Product;
beforeAll(async () => {
  const models = temporaryDirectory();
  cpSync(join(ROOT, 'test', 'model-packs', 'bright'), join(models, 'bright'), { recursive: true });
  if (WEIGHTS !== undefined) {
    cpSync(join(ROOT, 'test', 'model-packs', 'lung-dlwpt'), join(models, 'lung-dlwpt'), { recursive: true });
    for (const file of readdirSync(WEIGHTS)) if (file.endsWith('.onnx')) symlinkSync(join(WEIGHTS, file), join(models, 'lung-dlwpt', file));
  }
  product = await startProduct({ env: { MODELS_DIR: models, SETTLE_SECONDS: '3600' } });
  await eventually('the models', async () => (await product.json<{ items: { state: string }[] }>('/api/v1/models')).items.every(({ state }) => state === 'active'), 120_000);
});
afterAll(async () => { await product.stop(); });

const post = (id: string, what: string, body: object): Promise<ResultView> => product.json(`/api/v1/results/${id}/${what}`, { method: 'POST', headers: { 'content-type': 'application/json', 'if-match': '*' }, body: JSON.stringify(body) });
const sign = (id: string): Promise<ResultView> => post(id, 'sign-off', { meaning: 'approved', password: ADMIN.password });

interface Read { file: string; parsed: ReturnType<typeof parseInstanceBytes> }
async function object(id: string, kind: 'sr' | 'seg'): Promise<Read> {
  const response = await product.fetch(`/api/v1/results/${id}/${kind}.dcm`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (response.status !== 200) throw new Error(`${Buffer.from(bytes).toString()} ${JSON.stringify(await product.json(`/api/v1/results/${id}`))}`);
  const file = join(temporaryDirectory(), `${kind}.dcm`);
  writeFileSync(file, bytes);
  return { file, parsed: parseInstanceBytes(bytes) };
}

const verified = (id: string): Promise<Read> => eventually('the verified report', async () => {
  const report = await object(id, 'sr');
  return text(report.parsed.attributes, 'VerificationFlag') === 'VERIFIED' && report;
}, 30_000);

/** Nothing that dciodvfy calls an error; its complaints come on either stream. */
function isValid(file: string): void {
  if (!hasValidators) {
    console.warn('SKIPPED: dciodvfy and dsrdump are not installed');
    return;
  }
  const complaints = execFileSync('sh', ['-c', 'dciodvfy "$0" 2>&1 || true', file], { encoding: 'utf8' });
  expect(complaints.split('\n').filter((line) => line.startsWith('Error'))).toEqual([]);
}

describe('what an analysis found and a person has signed', () => {
  it('in an X-ray is a verified report', async () => {
    const run = await ended(product, (await requestAnalysis(product, await uploadXray(product, 1, { patientAge: '40', modality: 'DX', bodyPart: 'CHEST', viewPosition: 'PA' }))).id);
    const id = run.resultId ?? '';
    await sign(id);
    const { file, parsed } = await verified(id);
    expect(sequence(parsed.attributes, 'PredecessorDocumentsSequence')).toHaveLength(1);
    isValid(file);
  });

  it.skipIf(CT === undefined || WEIGHTS === undefined)('in a CT is a report and a segmentation, of every version that was signed', async () => {
    const files = readdirSync(CT ?? '', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.dcm'));
    let uid = '';
    for (let at = 0; at < files.length; at += TOGETHER) {
      const form = new FormData();
      for (const name of files.slice(at, at + TOGETHER)) form.append('files', new Blob([new Uint8Array(readFileSync(join(CT ?? '', name)))]), name.replaceAll('/', '-'));
      uid = (await product.json<{ items: UploadItem[] }>('/api/v1/images', { method: 'POST', body: form })).items.find((one) => one.studyInstanceUid !== undefined)?.studyInstanceUid ?? uid;
    }
    await product.json(`/api/v1/studies/${uid}/complete`, { method: 'POST' });
    const run = await ended(product, (await requestAnalysis(product, uid, { analysis: 'lung-nodule-detection' })).id, 300_000);
    const id = run.resultId ?? '';
    const before = await object(id, 'seg');
    await sign(id);
    const first = await verified(id);
    const seg = await object(id, 'seg');
    expect(seg.parsed.sopInstanceUid).not.toBe(before.parsed.sopInstanceUid);
    expect(JSON.stringify(first.parsed.attributes)).toContain(seg.parsed.sopInstanceUid);
    for (const { file } of [first, seg]) isValid(file);
    // The one nodule was none after all.
    const { findings } = await product.json<ResultView>(`/api/v1/results/${id}`);
    await post(id, 'amendments', { reason: 'A scar', decisions: findings.map((finding) => ({ decision: 'reject', finding: finding.id, reason: 'normal-anatomy' })) });
    expect((await sign(id)).status).toBe('amended');
    const second = await eventually('the second report', async () => {
      const report = await object(id, 'sr');
      return report.parsed.sopInstanceUid !== first.parsed.sopInstanceUid && report;
    }, 30_000);
    expect(JSON.stringify(second.parsed.attributes['0040A360'])).toContain(first.parsed.sopInstanceUid);
    expect((await product.fetch(`/api/v1/results/${id}/seg.dcm`)).status).toBe(404);
    isValid(second.file);
    if (hasValidators) expect(execFileSync('dsrdump', [second.file], { encoding: 'utf8' })).toMatch(/predecessor/i);
  });
});
