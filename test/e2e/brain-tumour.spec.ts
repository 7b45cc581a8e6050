import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seriesOf, type DicomObject } from '../support/dicom-volumes.js';
import { ended, requestAnalysis, type UploadItem } from '../support/flow.js';
import { readNifti } from '../support/nifti.js';
import { eventually, ROOT, startProduct, temporaryDirectory, type Product } from '../support/product.js';
import { DATA, MODELS, sharedFile } from '../support/shared-data.js';

/** Minutes of computing: before a release. */
const full = process.env.HEALTHVISION_CHECKS === 'full';
const WEIGHTS = sharedFile(MODELS, 'brats17');
const TOGETHER = 40;
const hasValidators = ['dciodvfy', 'dsrdump'].every((tool) => { try { execFileSync('which', [tool], { stdio: 'ignore' }); return true; } catch { return false; } });
const PICTURES = process.env.HEALTHVISION_PICTURES;

/** File of each sequence, in the order of the series. */
const CASES = [
  { name: 'of BraTS, on one grid', folder: sharedFile(DATA, 'mri', 'brats_dqe'), files: { t1n: 'T1', t1c: 'T1 contrast', t2w: 'T2', t2f: 'FLAIR' } },
  { name: 'as it was acquired, each sequence with its own slices', folder: sharedFile(DATA, 'mri', 'tcga_fg6692_native'), files: { t1: 'T1', t1c: 'T1 contrast', t2: 'T2', fla: 'FLAIR' } },
] as const;

interface ResultView { id: string; status: string; segments: { name: string; volumeMl: number }[]; findings: { id: string; kind: string; measurements: { name: string; value: number }[] }[] }

let product: Product;
beforeAll(async () => {
  if (!full || WEIGHTS === undefined) return;
  const models = temporaryDirectory();
  cpSync(join(ROOT, 'test', 'model-packs', 'brats17'), join(models, 'brats17'), { recursive: true });
  for (const file of readdirSync(WEIGHTS)) if (file.endsWith('.onnx')) symlinkSync(join(WEIGHTS, file), join(models, 'brats17', file));
  product = await startProduct({ env: { MODELS_DIR: models, SETTLE_SECONDS: '3600' } });
  await eventually('the model', async () => (await product.json<{ items: { state: string }[] }>('/api/v1/models')).items.every(({ state }) => state === 'active'), 300_000);
}, 600_000);
afterAll(async () => { if (full && WEIGHTS !== undefined) await product.stop(); });

async function uploaded(objects: readonly DicomObject[]): Promise<string> {
  let uid = '';
  for (let at = 0; at < objects.length; at += TOGETHER) {
    const form = new FormData();
    for (const { bytes, sopInstanceUid } of objects.slice(at, at + TOGETHER)) form.append('files', new Blob([Uint8Array.from(bytes)]), `${sopInstanceUid}.dcm`);
    const { items } = await product.json<{ items: UploadItem[] }>('/api/v1/images', { method: 'POST', body: form });
    expect(items.every(({ status }) => status === 'stored')).toBe(true);
    uid = items[0]?.studyInstanceUid ?? uid;
  }
  await product.json(`/api/v1/studies/${uid}/complete`, { method: 'POST' });
  return uid;
}

async function bytesOf(path: string): Promise<Uint8Array> {
  const response = await product.fetch(path);
  if (response.status !== 200) throw new Error(`${path}: ${String(response.status)} ${await response.text()}`);
  return new Uint8Array(await response.arrayBuffer());
}

describe('a brain tumour over the API', () => {
  for (const [n, { name, folder, files }] of CASES.entries()) {
    it.skipIf(!full || WEIGHTS === undefined || folder === undefined)(`${name}: result, report, segmentation and pictures`, { timeout: 1_800_000 }, async () => {
      const objects = Object.entries(files).flatMap(([file, description], i) => seriesOf(readNifti(join(folder ?? '', `${file}.nii.gz`)), { modality: 'MR', study: `brain-${String(n)}`, series: file, patientId: `BRAIN${String(n)}`, seriesDescription: description, shuffle: n + 1, fields: { SeriesNumber: i + 1, BodyPartExamined: 'BRAIN' } }));
      const run = await ended(product, (await requestAnalysis(product, await uploaded(objects), { analysis: 'brain-tumour-segmentation' })).id, 1_500_000);
      expect(run).toMatchObject({ status: 'succeeded' });
      const result = await product.json<ResultView>(`/api/v1/results/${run.resultId ?? ''}`);
      expect(result.status).toBe('preliminary');
      const ml = (segment: string): number => result.segments.find((one) => one.name === segment)?.volumeMl ?? 0;
      expect(ml('Whole tumour')).toBeGreaterThan(5);
      expect(ml('Whole tumour')).toBeGreaterThanOrEqual(ml('Tumour core'));
      const directory = temporaryDirectory();
      for (const kind of ['seg', 'sr'] as const) {
        const file = join(directory, `${kind}.dcm`);
        writeFileSync(file, await bytesOf(`/api/v1/results/${result.id}/${kind}.dcm`));
        if (!hasValidators) console.warn('SKIPPED: dciodvfy and dsrdump are not installed');
        else expect(execFileSync('sh', ['-c', 'dciodvfy "$0" 2>&1 || true', file], { encoding: 'utf8' }).split('\n').filter((line) => line.startsWith('Error'))).toEqual([]);
        if (hasValidators && kind === 'sr') expect(execFileSync('dsrdump', [file], { encoding: 'utf8' })).toContain('Imaging Measurement');
      }
      const pictures = { 'preview.png': `/api/v1/results/${result.id}/preview.png`, 'report.pdf': `/api/v1/results/${result.id}/report.pdf` };
      if (PICTURES !== undefined) mkdirSync(PICTURES, { recursive: true });
      for (const [file, path] of Object.entries(pictures)) writeFileSync(join(PICTURES ?? directory, `brain-${String(n)}-${file}`), await bytesOf(path));
      console.log(JSON.stringify({ case: name, segments: result.segments, timings: (run as { timings?: object }).timings }));
    });
  }
});
