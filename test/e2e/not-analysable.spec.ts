import { cpSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseInstanceBytes } from '../../src/imaging/dicom/header.js';
import { assembleSeries } from '../../src/imaging/volume/assemble.js';
import { describeSeries } from '../../src/imaging/volume/describe.js';
import { nativeCodec } from '../../src/platform/threads/codecs.js';
import { seriesOf, studyInputOf, type DicomObject, type SourceVolume, type VolumeSeriesOptions } from '../support/dicom-volumes.js';
import { ended, requestAnalysis, uploadXray, type AnalysisView, type UploadItem } from '../support/flow.js';
import { readNifti } from '../support/nifti.js';
import { eventually, ROOT, startProduct, temporaryDirectory, type Product } from '../support/product.js';
import { DATA, MODELS, sharedFile } from '../support/shared-data.js';
import { grayPng, uploadForm } from '../support/xray.js';

const CT = sharedFile(DATA, 'ct', 'LIDC-IDRI-0001');
const MR = sharedFile(DATA, 'mri', 'tcga_fg6692_native');
const PACKS: Record<string, string | undefined> = { 'lung-dlwpt': sharedFile(MODELS, 'lung-dlwpt'), brats17: sharedFile(MODELS, 'brats17') };
const HERE = CT !== undefined && MR !== undefined && !Object.values(PACKS).includes(undefined);

let product: Product;
let chest: SourceVolume;

beforeAll(async () => {
  if (!HERE) return;
  const models = temporaryDirectory();
  cpSync(join(ROOT, 'models', 'chest-xray-pneumonia'), join(models, 'chest-xray-pneumonia'), { recursive: true });
  for (const [pack, weights] of Object.entries(PACKS)) {
    cpSync(join(ROOT, 'test', 'model-packs', pack), join(models, pack), { recursive: true });
    if (weights !== undefined) for (const file of readdirSync(weights)) if (file.endsWith('.onnx')) symlinkSync(join(weights, file), join(models, pack, file));
  }
  product = await startProduct({ env: { MODELS_DIR: models, SETTLE_SECONDS: '3600' } });
  chest = halved(await chestOf(CT));
  await eventually('the models', async () => {
    const { items } = await product.json<{ items: { state: string }[] }>('/api/v1/models');
    return items.length >= 3 && items.every(({ state }) => state === 'active');
  }, 120_000);
});

afterAll(async () => { if (HERE) await product.stop(); });

async function chestOf(folder: string): Promise<SourceVolume> {
  const objects = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.dcm')).map((name) => {
    const bytes = new Uint8Array(readFileSync(join(folder, name)));
    return { sopInstanceUid: parseInstanceBytes(bytes).sopInstanceUid, bytes };
  });
  return assembleSeries(describeSeries(studyInputOf(objects).series.flatMap(({ instances }) => instances)), objects, nativeCodec);
}

/** Every other voxel in the plane: a quarter of the bytes to send. */
function halved({ size: [columns, rows, slices], affine, voxels }: SourceVolume): SourceVolume {
  const size = [columns / 2, rows / 2, slices] as const;
  const row = ([x, y, z, t]: SourceVolume['affine'][0]): SourceVolume['affine'][0] => [2 * x, 2 * y, z, t];
  const out = Int16Array.from({ length: size[0] * size[1] * slices }, (_, at) => voxels[2 * (at % size[0]) + columns * (2 * (Math.floor(at / size[0]) % size[1]) + rows * Math.floor(at / (size[0] * size[1])))] ?? 0);
  return { size, affine: [row(affine[0]), row(affine[1]), row(affine[2])], voxels: out };
}

/** The same voxels with the rows as slices: as a scanner reformats to coronal. */
function coronal({ size: [columns, rows, slices], affine, voxels }: SourceVolume): SourceVolume {
  const row = ([x, y, z, t]: SourceVolume['affine'][0]): SourceVolume['affine'][0] => [x, -z, y, t + z * (slices - 1)];
  const out = Int16Array.from({ length: voxels.length }, (_, at) => {
    const [i, k, j] = [at % columns, Math.floor(at / columns) % slices, Math.floor(at / (columns * slices))];
    return voxels[i + columns * (j + rows * (slices - 1 - k))] ?? 0;
  });
  return { size: [columns, slices, rows], affine: [row(affine[0]), row(affine[1]), row(affine[2])], voxels: out };
}

const ct = (name: string, options: VolumeSeriesOptions = {}, volume = chest): DicomObject[] =>
  seriesOf(volume, { modality: 'CT', study: name, series: 'chest', patientId: name, ...options, fields: { BodyPartExamined: 'CHEST', ConvolutionKernel: 'B30f', ...options.fields } });

const SEQUENCES = { t1: 'T1', t1c: 'T1 +C', t2: 'T2', fla: 'FLAIR' } as const;
const mr = (name: string, files: Partial<Record<keyof typeof SEQUENCES, keyof typeof SEQUENCES>>, options: VolumeSeriesOptions = {}): DicomObject[] =>
  Object.entries(files).flatMap(([sequence, file], i) => seriesOf(readNifti(join(MR ?? '', `${file}.nii.gz`)), {
    modality: 'MR', study: name, series: sequence, patientId: name, seriesDescription: SEQUENCES[sequence as keyof typeof SEQUENCES], ...options, fields: { SeriesNumber: i + 1, BodyPartExamined: 'BRAIN', ...options.fields },
  }));

async function uploaded(objects: readonly DicomObject[]): Promise<string> {
  const form = new FormData();
  for (const { bytes, sopInstanceUid } of objects) form.append('files', new Blob([Uint8Array.from(bytes)]), `${sopInstanceUid}.dcm`);
  const { items } = await product.json<{ items: UploadItem[] }>('/api/v1/images', { method: 'POST', body: form });
  expect(items.filter(({ status }) => status === 'stored')).toHaveLength(objects.length);
  return items[0]?.studyInstanceUid ?? '';
}

async function outcomeOf(studyInstanceUid: string, analysis: string): Promise<Pick<AnalysisView, 'status' | 'reason'>> {
  const { id } = await requestAnalysis(product, studyInstanceUid, { analysis });
  const { status, reason } = await ended(product, id, 120_000);
  return { status, ...(reason && { reason }) };
}

const LUNG = 'lung-nodule-detection';
const BRAIN = 'brain-tumour-segmentation';

describe.skipIf(!HERE)('what cannot be analysed is told with its reason', () => {
  it.each<[string, string, () => DicomObject[], string, RegExp]>([
    ['a chest with slices missing in the middle', LUNG, () => ct('gap', { drop: [60, 61, 62] }), 'series-not-a-volume', /gap|missing|between/i],
    ['a chest of which every third slice was sent', LUNG, () => ct('thick', { drop: thinned(3) }), 'slice-too-thick', /7\.5.*3/],
    ['a CT of the head', LUNG, () => ct('head', { fields: { BodyPartExamined: 'HEAD' } }), 'wrong-body-part', /HEAD/],
    ['a coronal reformat', LUNG, () => ct('coronal', {}, coronal(chest)), 'not-axial', /coronal|axial/i],
    ['an MR of the head', LUNG, () => mr('mr', { t1: 't1' }), 'outside-model-domain', /MR/],
    ['a child', LUNG, () => ct('child', { fields: { PatientAge: '009Y' } }), 'outside-model-domain', /9 years/],
    ['the first twenty slices', LUNG, () => ct('few', { drop: Array.from({ length: 113 }, (_, i) => 20 + i) }), 'too-few-slices', /20/],
    ['four sequences without contrast', BRAIN, () => mr('no-t1c', { t1: 't1', t2: 't2', fla: 'fla' }), 'missing-sequence', /T1c|contrast/i],
    ['two of the four', BRAIN, () => mr('two', { t1: 't1', t1c: 't1c' }), 'missing-sequence', /(T2.*FLAIR|FLAIR.*T2)/i],
    ['a CT of the chest', BRAIN, () => ct('chest'), 'outside-model-domain', /CT/],
    ['sequences of eight slices', BRAIN, () => mr('thin', { t1: 't1', t1c: 't1c', t2: 't2', fla: 'fla' }, { drop: Array.from({ length: 18 }, (_, i) => 8 + i) }), 'too-few-slices', /8/],
  ])('%s', async (_, analysis, objects, code, detail) => {
    const { status, reason } = await outcomeOf(await uploaded(objects()), analysis);
    expect({ status, code: reason?.code }).toEqual({ status: 'not-analysable', code });
    expect(reason?.detail).toMatch(detail);
  });

  it('an X-ray as small as a stamp', async () => {
    const form = uploadForm([{ name: 'stamp.png', bytes: await grayPng(1, 24) }], { patientId: 'STAMP', patientAge: '3', modality: 'DX', bodyPart: 'CHEST', viewPosition: 'AP' });
    const { items } = await product.json<{ items: UploadItem[] }>('/api/v1/images', { method: 'POST', body: form });
    expect((await outcomeOf(items[0]?.studyInstanceUid ?? '', 'chest-xray-classification')).reason?.code).toBe('low-image-quality');
  });

  it('and an X-ray is no CT', async () => {
    expect((await outcomeOf(await uploadXray(product, 7), LUNG)).reason?.code).toBe('outside-model-domain');
  });
});

function thinned(step: number): number[] {
  return Array.from({ length: chest.size[2] }, (_, slice) => slice).filter((slice) => slice % step !== 0);
}
