import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateRawSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Conclusion } from '../../../src/imaging/analyses/analysis.js';
import { conclude as concludeTumour } from '../../../src/imaging/analyses/brain-tumour/postprocess.js';
import { lungNoduleDetection } from '../../../src/imaging/analyses/lung-nodule/analysis.js';
import { runAnalysis } from '../../../src/imaging/analyses/run.js';
import { parseInstanceBytes } from '../../../src/imaging/dicom/header.js';
import { parseManifest } from '../../../src/imaging/model/manifest.js';
import type { Session } from '../../../src/imaging/model/session.js';
import { packLabels } from '../../../src/imaging/volume/packed-labels.js';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { openOnnxSession } from '../../../src/platform/compute/onnx-session.js';
import { nativeCodec } from '../../../src/platform/threads/codecs.js';
import { seriesOf, studyInputOf, type DicomObject } from '../../support/dicom-volumes.js';
import { readNifti } from '../../support/nifti.js';
import { DATA, MODELS, sharedFile } from '../../support/shared-data.js';
import { PACKS } from '../analysis/model-packs.js';
import { writeNothing } from './derived-house.js';
import { commitResult, openHouse, type House } from './house.js';
import { uploadVolume, volumeConclusion, type StoredVolume } from './volumes.js';

const weights = sharedFile(MODELS, 'lung-dlwpt');
const ct = sharedFile(DATA, 'ct', 'LIDC-IDRI-0001');
const mr = sharedFile(DATA, 'mri', 'brats_dqe');
const folder = process.env.HEALTHVISION_PICTURES ?? mkdtempSync(join(tmpdir(), 'healthvision-report-'));
mkdirSync(folder, { recursive: true });

let house: House;
beforeAll(async () => {
  house = await openHouse();
  writeNothing(house);
});
afterAll(async () => { await house.close(); });

function manifestOf(pack: string): ReturnType<typeof parseManifest> {
  return parseManifest(JSON.parse(readFileSync(join(PACKS, pack, 'manifest.json'), 'utf8')));
}

async function commit(volume: StoredVolume, { findings, segments, segmentation, summary }: Conclusion, analysis: string, pack: string): Promise<string> {
  if (!segmentation) throw new Error('nothing was segmented');
  const { name, version, intendedUse, domain: { modalities, bodyParts } } = manifestOf(pack);
  const base = volumeConclusion(house, volume, { findings: findings.map((finding) => ({ id: uuidv7(), ...finding })), labels: segmentation.labels, segments, members: segmentation.members });
  return commitResult(house, { ...base, analysis, summary, segmentation: packLabels(segmentation), provenance: { ...base.provenance, model: { name, version, digest: base.provenance.model.digest, intendedUse, domain: { modalities, bodyParts } } } });
}

async function fetched(path: string, name: string): Promise<Uint8Array> {
  const response = await house.fetch(path);
  if (response.status !== 200) throw new Error(await response.text());
  const bytes = new Uint8Array(await response.arrayBuffer());
  writeFileSync(join(folder, name), bytes);
  return bytes;
}

/** Previews and reports in both languages, with how long each took. */
async function drawn(id: string, finding: string, name: string): Promise<void> {
  const times: Record<string, number> = {};
  const timed = async (what: string, path: string, file: string): Promise<void> => {
    const started = performance.now();
    await fetched(`/api/v1/results/${id}/${path}`, file);
    times[what] = Math.round(performance.now() - started);
  };
  await timed('cold', `preview.png?finding=${finding}`, `${name}-preview.png`);
  await timed('axial', `preview.png?finding=${finding}&plane=axial`, `${name}-axial.png`);
  await timed('whole', `preview.png?finding=${finding}&crop=false`, `${name}-whole.png`);
  await timed('pdf', 'report.pdf?language=en', `${name}-en.pdf`);
  await timed('pdf in Chinese', 'report.pdf?language=zh-CN', `${name}-zh.pdf`);
  await timed('page', 'report.html?language=en', `${name}.html`);
  console.info(JSON.stringify({ name, times }));
}

const pagesOf = (name: string): number => Number(/^Pages:\s+(\d+)$/m.exec(execFileSync('pdfinfo', [join(folder, name)], { encoding: 'utf8' }))?.[1]);

describe('pictures and reports of real images', () => {
  it.skipIf(weights === undefined || ct === undefined)('shows the annotated nodule of LIDC-IDRI-0001', { timeout: 900_000 }, async () => {
    const objects: DicomObject[] = readdirSync(ct ?? '', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.dcm')).map((name) => {
      const bytes = new Uint8Array(readFileSync(join(ct ?? '', name)));
      return { sopInstanceUid: parseInstanceBytes(bytes).sopInstanceUid, bytes };
    });
    const manifest = manifestOf('lung-dlwpt');
    const opened = new Map<string, Promise<Session>>();
    const networks = (path: string): Promise<Session> => {
      const session = opened.get(path) ?? openOnnxSession(join(weights ?? '', path), { providers: ['cpu'], strict: true, gpu: { deviceId: 0, cuda: {}, tensorrt: {} }, intraOpThreads: 2 });
      opened.set(path, session);
      return session;
    };
    const selected = lungNoduleDetection.select(studyInputOf(objects), manifest);
    if (selected.kind !== 'selected') throw new Error(selected.detail);
    const { outcome } = await runAnalysis(lungNoduleDetection, { series: selected.series, instances: objects }, { networks, codec: nativeCodec, manifest, reduced: false, progress: () => undefined });
    if (outcome.kind !== 'concluded') throw new Error(outcome.detail);
    const volume = await uploadVolume(house, objects, selected.series[0]?.seriesInstanceUid);
    const id = await commit(volume, outcome, 'lung-nodule-detection', 'lung-dlwpt');
    const { findings } = (await (await house.fetch(`/api/v1/results/${id}`)).json()) as { findings: { id: string }[] };
    await drawn(id, findings[0]?.id ?? '', 'lidc');
    expect(pagesOf('lidc-en.pdf')).toBe(1);
    // The outline runs through lighter tissue on its inside than on its outside: the mark lies on the nodule.
    const middle = await sharp(join(folder, 'lidc-axial.png')).extract({ left: 300, top: 300, width: 40, height: 40 }).removeAlpha().greyscale().toBuffer();
    // Of what was cut out; of a pipeline `stats` would be those of the file.
    const axial = await sharp(middle).stats();
    expect(axial.channels[0]?.mean ?? 0).toBeGreaterThan(200);
  });

  it.skipIf(mr === undefined)('shows the tumour of a case of BraTS', { timeout: 300_000 }, async () => {
    const objects = seriesOf(readNifti(join(mr ?? '', 't1c.nii.gz')), { modality: 'MR', study: 'brats', series: 't1c', fields: { BodyPartExamined: 'BRAIN', SeriesDescription: 'AX T1 +C', PatientName: 'Doe^Jane' } });
    const volume = await uploadVolume(house, objects);
    const labels = Uint8Array.from(reference());
    const { grid, frames, seriesInstanceUid } = volume;
    // The reference lies as the images were written; the product's grid may run the other way.
    const source = readNifti(join(mr ?? '', 't1c.nii.gz'));
    const same = Math.sign(source.affine[2][2]) === Math.sign(grid.affine[2][2]);
    const placed = same ? labels : turnedRound(labels, grid.size);
    const manifest = manifestOf('brats17');
    if (manifest.recipe !== 'cascaded-anisotropic') throw new Error('another recipe');
    const outcome = concludeTumour({ segmentation: { grid, seriesInstanceUid, frames, labels: placed }, score: 0.97, midline: { status: 'not-measurable', reason: 'x' }, details: {} }, manifest);
    const id = await commit(volume, outcome, 'brain-tumour-segmentation', 'brats17');
    const { findings } = (await (await house.fetch(`/api/v1/results/${id}`)).json()) as { findings: { id: string }[] };
    await drawn(id, findings[0]?.id ?? '', 'brats');
    expect(pagesOf('brats-zh.pdf')).toBe(1);
  });
});

function turnedRound(labels: Uint8Array, [columns, rows, slices]: readonly [number, number, number]): Uint8Array {
  const out = new Uint8Array(labels.length);
  const area = columns * rows;
  for (let k = 0; k < slices; k++) out.set(labels.subarray(k * area, (k + 1) * area), (slices - 1 - k) * area);
  return out;
}

/** The one array of an .npz, which is a ZIP of .npy files. */
function reference(): Int16Array {
  const zip = readFileSync(join(mr ?? '', 'dqe_pred_zyx_int16.npz'));
  const central = zip.readUInt32LE(zip.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1')) + 16);
  const [method, packed, local] = [zip.readUInt16LE(central + 10), zip.readUInt32LE(central + 20), zip.readUInt32LE(central + 42)];
  const from = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
  const npy = method === 8 ? inflateRawSync(zip.subarray(from, from + packed)) : zip.subarray(from, from + packed);
  const data = npy.subarray(10 + npy.readUInt16LE(8));
  return new Int16Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.length));
}
