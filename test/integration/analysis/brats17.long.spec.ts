import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { Conclusion, InstanceBytes, Networks } from '../../../src/imaging/analyses/analysis.js';
import { brainTumourSegmentation } from '../../../src/imaging/analyses/brain-tumour/analysis.js';
import { runAnalysis } from '../../../src/imaging/analyses/run.js';
import { parseManifest } from '../../../src/imaging/model/manifest.js';
import { openOnnxSession } from '../../../src/platform/compute/onnx-session.js';
import { nativeCodec } from '../../../src/platform/threads/codecs.js';
import { seriesOf, studyInputOf, type Fields } from '../../support/dicom-volumes.js';
import { readNifti } from '../../support/nifti.js';
import { DATA, MODELS, sharedFile } from '../../support/shared-data.js';
import { PACKS } from './model-packs.js';

const weights = sharedFile(MODELS, 'brats17');
const images = sharedFile(DATA, 'mri', 'brats_dqe');
const manifest = parseManifest(JSON.parse(readFileSync(join(PACKS, 'brats17', 'manifest.json'), 'utf8')));

const SEQUENCES: Readonly<Record<string, { file: string; fields: Fields }>> = {
  flair: { file: 't2f.nii.gz', fields: { SeriesDescription: 'AX FLAIR', RepetitionTime: 9000, EchoTime: 120, InversionTime: 2500, ScanningSequence: ['SE', 'IR'] } },
  t1: { file: 't1n.nii.gz', fields: { SeriesDescription: 'AX T1', RepetitionTime: 550, EchoTime: 10, ScanningSequence: ['SE'] } },
  t1c: { file: 't1c.nii.gz', fields: { SeriesDescription: 'AX T1 +C', RepetitionTime: 550, EchoTime: 10, ScanningSequence: ['SE'], ContrastBolusAgent: 'Gadovist' } },
  t2: { file: 't2w.nii.gz', fields: { SeriesDescription: 'AX T2', RepetitionTime: 4500, EchoTime: 95, ScanningSequence: ['SE'] } },
};

/** The four volumes wrapped as DICOM series of one study. */
function study(): InstanceBytes[] {
  return Object.entries(SEQUENCES).flatMap(([name, { file, fields }]) => seriesOf(readNifti(join(images ?? '', file)), { modality: 'MR', study: 'brats', series: name, fields: { BodyPartExamined: 'BRAIN', ...fields } }));
}

const opened = new Map<string, ReturnType<Networks>>();
let bareMs = 0;
const networks: Networks = (path) => {
  const session = opened.get(path) ?? openOnnxSession(join(weights ?? '', path), { providers: ['cpu'], strict: true, gpu: { deviceId: 0, cuda: {}, tensorrt: {} }, intraOpThreads: 2 }).then((bare) => ({
    ...bare,
    run: async (feeds: Parameters<typeof bare.run>[0]) => {
      const started = performance.now();
      const outputs = await bare.run(feeds);
      bareMs += performance.now() - started;
      return outputs;
    },
  }));
  opened.set(path, session);
  return session;
};

/** The one array of an .npz, which is a ZIP of .npy files. */
function reference(): Int16Array {
  const zip = readFileSync(join(images ?? '', 'dqe_pred_zyx_int16.npz'));
  const end = zip.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  const central = zip.readUInt32LE(end + 16);
  const [method, packed] = [zip.readUInt16LE(central + 10), zip.readUInt32LE(central + 20)];
  const local = zip.readUInt32LE(central + 42);
  const from = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
  const npy = method === 8 ? inflateRawSync(zip.subarray(from, from + packed)) : zip.subarray(from, from + packed);
  const data = npy.subarray(10 + npy.readUInt16LE(8));
  return new Int16Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.length));
}

function dice(a: ArrayLike<number>, ofA: readonly number[], b: ArrayLike<number>, ofB: readonly number[]): number {
  let [both, sum] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    const [inA, inB] = [ofA.includes(a[i] ?? 0), ofB.includes(b[i] ?? 0)];
    sum += Number(inA) + Number(inB);
    both += Number(inA && inB);
  }
  return (2 * both) / sum;
}

async function analysed(instances: InstanceBytes[]): Promise<Conclusion> {
  const selected = brainTumourSegmentation.select(studyInputOf(instances), manifest);
  if (selected.kind !== 'selected') throw new Error(selected.detail);
  const { outcome, timings } = await runAnalysis(brainTumourSegmentation, { series: selected.series, instances }, { networks, codec: nativeCodec, manifest, reduced: false, progress: () => undefined });
  if (outcome.kind !== 'concluded') throw new Error(outcome.detail);
  const own = (timings.prepare ?? 0) + (timings.infer ?? 0) + (timings.conclude ?? 0);
  console.info(JSON.stringify({ timings, bareMs: Math.round(bareMs), ratio: Number((own / bareMs).toFixed(4)), summary: outcome.summary, segments: outcome.segments, findings: outcome.findings, details: outcome.details }));
  return outcome;
}

describe.skipIf(weights === undefined || images === undefined)('the cascade of Wang 2017 gives what the reference implementation gives', () => {
  it('takes the published networks', { timeout: 300_000 }, async () => {
    await expect(brainTumourSegmentation.check(manifest, networks)).resolves.toBeUndefined();
    bareMs = 0;
  });

  // Two minutes of networks on two quiet cores: before a release.
  it.skipIf(process.env.HEALTHVISION_CHECKS !== 'full')('on a case of BraTS wrapped as four DICOM series', { timeout: 1_800_000 }, async () => {
    const { segmentation, segments, findings, summary, keyImage } = await analysed(study());
    const { labels, grid } = segmentation ?? { labels: new Uint8Array(), grid: { size: [0, 0, 0] } };
    expect(grid.size).toEqual([240, 240, 155]);

    const expected = reference();
    const same = { whole: dice(labels, [1, 2, 4], expected, [1, 2, 4]), core: dice(labels, [1, 4], expected, [1, 4]), enhancing: dice(labels, [4], expected, [4]) };
    const { voxels: other } = readNifti(join(images ?? '', 'seg-BraTS23_1.nii.gz'));
    const against = { whole: dice(labels, [1, 2, 4], other, [1, 2, 3]), core: dice(labels, [1, 4], other, [1, 3]), enhancing: dice(labels, [4], other, [3]) };
    console.info(JSON.stringify({ same, against }));
    expect(same.whole).toBeGreaterThanOrEqual(0.99);
    expect(same.core).toBeGreaterThanOrEqual(0.99);
    expect(same.enhancing).toBeGreaterThanOrEqual(0.98);
    expect(Math.abs(against.whole - 0.961)).toBeLessThanOrEqual(0.005);
    expect(Math.abs(against.core - 0.951)).toBeLessThanOrEqual(0.005);
    expect(Math.abs(against.enhancing - 0.793)).toBeLessThanOrEqual(0.005);

    expect(findings.map(({ kind }) => kind)).toEqual(['tumour']);
    for (const [i, ml] of [124.1, 40.2, 16.3].entries()) expect(Math.abs((segments[i]?.volumeMl ?? 0) - ml)).toBeLessThan(1);
    expect(summary.text).toMatch(/^1 tumour, \d+(\.\d)? mm, Whole tumour 12\d/);
    expect(keyImage?.sopInstanceUid).toBeDefined();
  });
});
