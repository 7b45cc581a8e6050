import { cpSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseInstanceBytes } from '../../src/imaging/dicom/header.js';
import { assembleSeries } from '../../src/imaging/volume/assemble.js';
import { describeSeries } from '../../src/imaging/volume/describe.js';
import { indexToLps } from '../../src/imaging/volume/geometry.js';
import type { Affine, Vector3 } from '../../src/imaging/volume/volume.js';
import { nativeCodec } from '../../src/platform/threads/codecs.js';
import { seriesOf, studyInputOf, uidOf, type DicomObject, type SourceVolume } from '../support/dicom-volumes.js';
import { ended, requestAnalysis, type UploadItem } from '../support/flow.js';
import { eventually, ROOT, startProduct, temporaryDirectory, type Product } from '../support/product.js';
import { randomOf } from '../support/random.mjs';
import { DATA, MODELS, sharedFile } from '../support/shared-data.js';

const CT = sharedFile(DATA, 'ct', 'LIDC-IDRI-0001');
const WEIGHTS = sharedFile(MODELS, 'lung-dlwpt');
/** Files in one request. */
const TOGETHER = 20;

interface Place { center?: number[]; box?: number[][]; sopInstanceUid: string; frame: number }
interface ResultView {
  id: string;
  summary: object;
  findings: { id: string; kind: string; score: number; location: Place; measurements: object[]; attributes: object[] }[];
  segments: object[];
  provenance: { details: { candidates: number; positive: number } };
}

let product: Product;
let files: DicomObject[];
/** What the product makes of the files. */
let volume: SourceVolume;

beforeAll(async () => {
  if (CT === undefined || WEIGHTS === undefined) return;
  const models = temporaryDirectory();
  cpSync(join(ROOT, 'test', 'model-packs', 'lung-dlwpt'), join(models, 'lung-dlwpt'), { recursive: true });
  for (const file of readdirSync(WEIGHTS)) if (file.endsWith('.onnx')) symlinkSync(join(WEIGHTS, file), join(models, 'lung-dlwpt', file));
  product = await startProduct({ env: { MODELS_DIR: models, SETTLE_SECONDS: '3600' } });
  files = readdirSync(CT, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.dcm')).map((name) => {
    const bytes = new Uint8Array(readFileSync(join(CT, name)));
    return { sopInstanceUid: parseInstanceBytes(bytes).sopInstanceUid, bytes };
  });
  volume = await assembleSeries(describeSeries(studyInputOf(files).series.flatMap(({ instances }) => instances)), files, nativeCodec);
  await eventually('the model', async () => (await product.json<{ items: { state: string }[] }>('/api/v1/models')).items.every(({ state }) => state === 'active'), 120_000);
});

afterAll(async () => { if (CT !== undefined && WEIGHTS !== undefined) await product.stop(); });

async function uploaded(objects: readonly DicomObject[]): Promise<string> {
  const stored: UploadItem[] = [];
  for (let at = 0; at < objects.length; at += TOGETHER) {
    const form = new FormData();
    for (const { bytes, sopInstanceUid } of objects.slice(at, at + TOGETHER)) form.append('files', new Blob([Uint8Array.from(bytes)]), `${sopInstanceUid}.dcm`);
    stored.push(...(await product.json<{ items: UploadItem[] }>('/api/v1/images', { method: 'POST', body: form })).items.filter(({ status }) => status === 'stored'));
  }
  expect(stored).toHaveLength(objects.length);
  const uid = stored[0]?.studyInstanceUid ?? '';
  await product.json(`/api/v1/studies/${uid}/complete`, { method: 'POST' });
  return uid;
}

async function resultOf(studyInstanceUid: string): Promise<ResultView> {
  const { id } = await requestAnalysis(product, studyInstanceUid, { analysis: 'lung-nodule-detection' });
  const run = await ended(product, id, 300_000);
  expect(run).toMatchObject({ status: 'succeeded' });
  return product.json<ResultView>(`/api/v1/results/${run.resultId ?? ''}`);
}

/** What does not depend on how the images are named. */
function told({ summary, findings, segments, provenance: { details: { candidates, positive } } }: ResultView): object {
  const places = findings.map(({ location: { center, box }, kind, score, measurements, attributes }) => ({ kind, score, center, box, measurements, attributes }));
  return { summary, segments, candidates, positive, places };
}

describe('LIDC-IDRI-0001 over the API', () => {
  it.skipIf(CT === undefined || WEIGHTS === undefined)('gives the same when its slices come in random order and as one enhanced multi-frame object', { timeout: 900_000 }, async () => {
    const random = randomOf(5);
    const shuffled = files.map((file) => ({ file, key: random() })).sort((a, b) => a.key - b.key).map(({ file }) => file);
    const single = await resultOf(await uploaded(shuffled));
    expect(Math.abs(single.provenance.details.candidates - 674)).toBeLessThanOrEqual(6);
    expect(single.provenance.details.positive).toBe(7);
    const [x = NaN, y = NaN, z = NaN] = single.findings[0]?.location.center ?? [];
    expect(Math.hypot(x - 56.20840547, y - 86.34341278, z + 115.8675792)).toBeLessThan(1.5);

    const enhanced = seriesOf(volume, { modality: 'CT', enhanced: true, study: 'enhanced', series: 'chest', patientId: 'ENHANCED', shuffle: 7, fields: { BodyPartExamined: 'CHEST', ConvolutionKernel: 'STANDARD' } });
    expect(enhanced).toHaveLength(1);
    const multi = await resultOf(await uploaded(enhanced));
    expect(told(multi)).toEqual(told(single));
    // Its frames count within the one object.
    expect(multi.findings[0]?.location.sopInstanceUid).toBe(enhanced[0]?.sopInstanceUid);
    expect(multi.findings[0]?.location.frame).toBeGreaterThan(1);
  });

  it.skipIf(CT === undefined || WEIGHTS === undefined)('tells of a second scan which nodule has grown, by how much, and which is gone', { timeout: 900_000 }, async () => {
    // The part of the chest that has them all: the rest would be searched for nothing, twice.
    const part = slicesOf(volume, 40, 112);
    const [grows, goes, stays] = [[160, 310, 70 - 40], [130, 300, 94 - 40], [340, 300, 82 - 40]] as const;
    const first = withBalls(part, [{ at: grows, radiusMm: 5 }, { at: goes, radiusMm: 4 }, { at: stays, radiusMm: 7 }]);
    const second = withBalls(part, [{ at: grows, radiusMm: 6.5 }, { at: stays, radiusMm: 7 }]);
    const scan = (name: string, date: string, source: SourceVolume): DicomObject[] => seriesOf(source, { modality: 'CT', study: name, series: 'chest', patientId: 'GROWTH', frameOfReferenceUid: uidOf(name, 'frame'), fields: { StudyDate: date, BodyPartExamined: 'CHEST', ConvolutionKernel: 'STANDARD' } });
    await resultOf(await uploaded(scan('then', '20260501', first)));
    // The patient lies a little elsewhere.
    const moved: SourceVolume['affine'] = [[...part.affine[0].slice(0, 3), part.affine[0][3] + 7], [...part.affine[1].slice(0, 3), part.affine[1][3] - 4], [...part.affine[2].slice(0, 3), part.affine[2][3] + 11]] as unknown as SourceVolume['affine']; // rows of four
    const later = await resultOf(await uploaded(scan('now', '20260801', { ...second, affine: moved })));
    const { days, registration, findings } = await product.json<ComparisonView>(`/api/v1/results/${later.id}/comparison`);
    expect([days, registration.method]).toEqual([92, 'affine']);
    // The annotated nodule of the scan is there both times.
    expect(findings.map(({ trend }) => trend).sort()).toEqual(['gone', 'grown', 'stable', 'stable']);
    const grown = findings.find(({ trend }) => trend === 'grown');
    const ratio = (name: string): number => { const one = grown?.measurements.find((measurement) => measurement.name === name); return (one?.current ?? NaN) / (one?.prior ?? NaN); };
    expect(Math.abs(ratio('diameter') / 1.3 - 1)).toBeLessThan(0.05);
    expect(Math.abs(ratio('volume') / 1.3 ** 3 - 1)).toBeLessThan(0.05);
    expect(grown?.distanceMm).toBeLessThan(2);
  });
});

interface ComparisonView {
  days: number;
  registration: { method: string };
  findings: { trend: string; distanceMm?: number; measurements: { name: string; prior: number; current: number }[] }[];
}

/** From one slice to before another. */
function slicesOf({ size: [columns, rows], affine, voxels }: SourceVolume, from: number, to: number): SourceVolume {
  const [x, y, z] = indexToLps(affine, [0, 0, from]);
  const row = (axis: 0 | 1 | 2, place: number): Affine[0] => [affine[axis][0], affine[axis][1], affine[axis][2], place];
  return { size: [columns, rows, to - from], affine: [row(0, x), row(1, y), row(2, z)], voxels: voxels.slice(from * columns * rows, to * columns * rows) };
}

/** Balls of soft tissue; places are indices. */
function withBalls({ size, affine, voxels }: SourceVolume, balls: readonly { at: Vector3; radiusMm: number }[]): SourceVolume {
  const out = Int16Array.from(voxels);
  const spacing = [Math.abs(affine[0][0]), Math.abs(affine[1][1]), Math.abs(affine[2][2])] as const;
  for (const { at: [x, y, z], radiusMm } of balls) {
    // A voxel on the border is partly tissue.
    const reach = radiusMm + spacing[0];
    const within = (axis: 0 | 1 | 2, at: number): number[] => Array.from({ length: size[axis] }, (_, index) => index).filter((index) => Math.abs(index - at) * spacing[axis] <= reach);
    for (const k of within(2, z)) for (const j of within(1, y)) for (const i of within(0, x)) {
      const distance = Math.hypot((i - x) * spacing[0], (j - y) * spacing[1], (k - z) * spacing[2]);
      const share = Math.min(1, Math.max(0, (radiusMm - distance) / spacing[0] + 0.5));
      const offset = (k * size[1] + j) * size[0] + i;
      if (share > 0) out[offset] = Math.round((out[offset] ?? 0) * (1 - share) + 30 * share);
    }
  }
  return { size, affine, voxels: out };
}
