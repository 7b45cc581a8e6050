import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DerivedSource } from '../../../src/imaging/report/derived.js';
import { writeSeg } from '../../../src/imaging/report/seg.js';
import { checkSeg } from '../../../src/imaging/report/seg-check.js';
import { planesOf } from '../../../src/imaging/report/seg/planes.js';
import { dicomSegmentsOf } from '../../../src/imaging/report/seg/segments.js';
import { trackingUidOf } from '../../../src/imaging/report/tracking.js';
import { parseInstanceBytes } from '../../../src/imaging/dicom/header.js';
import { indexToLps } from '../../../src/imaging/volume/geometry.js';
import type { Affine, Vector3 } from '../../../src/imaging/volume/volume.js';
import { seriesOf, type DicomObject } from '../../support/dicom-volumes.js';
import { readNifti } from '../../support/nifti.js';
import { orthancIsMissing, startOrthanc } from '../../support/orthanc.mjs';
import { segSource, segSourceOf } from '../../support/seg-source.js';
import { DATA, sharedFile } from '../../support/shared-data.js';

const here = join(dirname(fileURLToPath(import.meta.url)), 'seg-readers');
const LIDC = sharedFile(DATA, 'ct', 'LIDC-IDRI-0001');
const BRAIN_T1 = sharedFile(DATA, 'mri', 'brain_t1_dicom_fnndsc');
const TCGA = sharedFile(DATA, 'mri', 'tcga_fg6692_native', 't1.nii.gz');
const BRATS = sharedFile(DATA, 'mri', 'brats_dqe', 't1c.nii.gz');

const HAS_DCIODVFY = has('dciodvfy', ['-version'], 'dciodvfy is not installed (Debian: apt-get install dicom3tools)');
const HAS_HIGHDICOM = has('python3', ['-c', 'import highdicom'], 'highdicom is not installed (pip install highdicom)');
const HAS_STORESCU = has('storescu', ['--version'], 'storescu is not installed (Debian: apt-get install dcmtk)');
const NO_ORTHANC = orthancIsMissing();
if (NO_ORTHANC !== undefined) console.warn(`SKIPPED: ${NO_ORTHANC}`);

function has(tool: string, args: readonly string[], otherwise: string): boolean {
  const there = spawnSync(tool, args).error === undefined && (tool !== 'python3' || spawnSync(tool, args).status === 0);
  if (!there) console.warn(`SKIPPED: ${otherwise}`);
  return there;
}

/** Turned about two axes, with a voxel of three lengths. */
const OBLIQUE = ((): Affine => {
  const [a, b] = [0.4, 0.25];
  const [x, y] = [[Math.cos(a), Math.sin(a), 0], [-Math.sin(a) * Math.cos(b), Math.cos(a) * Math.cos(b), Math.sin(b)]] as const;
  const z = [x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0]] as const;
  const row = (axis: 0 | 1 | 2): Affine[0] => [x[axis] * 0.7, y[axis] * 1.1, z[axis] * 3.3, [-40, 25, 110][axis] ?? 0];
  return [row(0), row(1), row(2)];
})();

interface Case {
  source: DerivedSource;
  labelMap: boolean;
  /** It refuses frames that end inside a byte when the last byte is padding and no slice is empty. */
  forCornerstone: boolean;
  path: string;
}

const folder = mkdtempSync(join(tmpdir(), 'healthvision-seg-'));
const cases = new Map<string, Case>();

function add(name: string, made: DerivedSource, { keepEmptyFrames = false, labelMap = false, forCornerstone = true } = {}): void {
  const source = { ...made, resultId: `0198c0de-4a10-7c3e-9d52-${String(cases.size).padStart(12, '0')}` };
  const object = writeSeg(source, { keepEmptyFrames, labelMap });
  if (object === null) throw new Error('no segmentation was written');
  const path = join(folder, `${String(cases.size)}.${labelMap ? 'label-map' : 'dcm'}`);
  writeFileSync(path, object.bytes);
  cases.set(name, { source, labelMap, forCornerstone, path });
  expect(checkSeg(object.bytes, source), name).toEqual([]);
}

function objectsIn(path: string): DicomObject[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.dcm')).map((name) => {
    const bytes = new Uint8Array(readFileSync(join(path, name)));
    return { sopInstanceUid: parseInstanceBytes(bytes).sopInstanceUid, bytes };
  });
}

beforeAll(() => {
  add('axial', segSource());
  add('axial with empty frames', segSource(), { keepEmptyFrames: true });
  add('oblique', segSource({ affine: OBLIQUE }));
  add('reversed', segSource({ affine: [[2, 0, 0, -30], [0, 2, 0, -20], [0, 0, -3, 50]], series: { shuffle: 3 } }));
  add('against the normal', segSource({ reversed: true }));
  add('sagittal', segSource({ affine: [[0, 0, 4.4, -60], [0.9, 0, 0, -80], [0, -1.3, 0, 90]], series: { modality: 'MR' } }));
  add('enhanced', segSource({ series: { enhanced: true } }));
  add('odd', segSource({ size: [31, 23, 9] }));
  add('odd, of two frames', segSource({ size: [31, 23, 9], label: ([i, j, k]) => ((k === 3 || k === 4) && i > 3 && i < 9 + k && j > 4 + k && j < 11 ? 1 : 0) }));
  add('odd, all slices', segSource({ size: [31, 23, 8], label: ([i, j, k]) => (i > 3 && i < 9 + k && j > 4 && j < 11 ? 1 : 0) }), { forCornerstone: false });
  add('overlapping', segSource({ label: ([i, j, k]) => (k < 3 || i > 20 ? 0 : j < 8 ? 1 : j < 12 ? 2 : 4), members: [{ segment: 1, values: [1, 2, 4] }, { segment: 2, values: [1, 4] }, { segment: 3, values: [4] }], names: ['Whole tumour', 'Tumour core', 'Enhancing tumour'], part: { analysis: 'brain-tumour-segmentation' } }));
  add('sparse', segSource({ label: ([i, j, k]) => (i === 4 && j === 5 && (k === 2 || k === 9) ? 1 : 0) }));
  add('of one voxel', segSource({ label: ([i, j, k]) => (i === 4 && j === 5 && k === 7 ? 1 : 0) }));
  add('of nothing', segSource({ label: () => 0, members: [{ segment: 1, values: [1] }] }));
  add('with an empty segment', segSource({ members: [{ segment: 1, values: [1] }, { segment: 2, values: [2] }] }));
  add('with a Chinese name', withName(segSource()));
  add('without optional tags', bare(segSource()));
  add('200 nodules', segSource({ size: [200, 8, 5], label: ([i, j]) => (j > 1 ? i + 1 : 0), names: [], withFindings: false }));
  add('label map', segSource({ label: ([i, j, k]) => (k < 3 ? 0 : i < 8 ? 1 : i < 20 && j > 5 ? 2 : i === 31 && k === 7 ? 3 : 0) }), { labelMap: true });
  add('oblique label map', segSource({ affine: OBLIQUE }), { labelMap: true });
  if (LIDC !== undefined) add('LIDC-IDRI-0001', segSourceOf(objectsIn(LIDC), { label: nodules }));
  if (BRAIN_T1 !== undefined) add('brain MR', segSourceOf(objectsIn(BRAIN_T1), { label: nodules, part: { analysis: 'brain-tumour-segmentation' } }));
  for (const [name, path] of [['BraTS', BRATS], ['TCGA', TCGA]] as const) {
    if (path !== undefined) add(name, segSourceOf(seriesOf(readNifti(path), { modality: 'MR' }), { label: nodules, part: { analysis: 'brain-tumour-segmentation' } }));
  }
});

afterAll(() => { rmSync(folder, { recursive: true, force: true }); });

/** Two small ones, of different size, off the middle. */
function nodules([i, j, k]: Vector3, [columns, rows, slices]: Vector3): number {
  const near = (x: number, y: number, z: number, radius: number): boolean => Math.hypot(i - columns * x, j - rows * y, (k - slices * z) * 2) <= radius;
  return near(0.3, 0.6, 0.4, 9) ? 1 : near(0.62, 0.44, 0.7, 5) ? 2 : 0;
}

function withName(source: DerivedSource): DerivedSource {
  const PatientName = { vr: 'PN', Value: [{ Alphabetic: 'Wang^XiaoDong', Ideographic: '王^小东' }] };
  return { ...source, instances: source.instances.map((instance) => ({ ...instance, attributes: { ...instance.attributes, '00100010': PatientName, '00080005': { vr: 'CS', Value: ['GB18030'] } } })) };
}

function bare(source: DerivedSource): DerivedSource {
  const kept = new Set(['00200032', '00200037', '00280030', '00280010', '00280011']);
  return { ...source, instances: source.instances.map((instance) => ({ ...instance, attributes: Object.fromEntries(Object.entries(instance.attributes).filter(([tag]) => kept.has(tag))) })) };
}

function masksIn({ source }: Case): { number: number; label: string; sha256: string; voxels: number; centroid: number[] }[] {
  const { segmentation } = source;
  if (segmentation === null) return [];
  const [columns, rows] = segmentation.grid.size;
  return dicomSegmentsOf(source).map(({ number, segment, values }) => {
    const mask = segmentation.labels.map((value) => (values.includes(value) ? 1 : 0));
    const sum = [0, 0, 0];
    let voxels = 0;
    for (const [at, inside] of mask.entries()) {
      if (inside === 0) continue;
      voxels++;
      const place = indexToLps(segmentation.grid.affine, [at % columns, Math.floor(at / columns) % rows, Math.floor(at / (columns * rows))]);
      for (const axis of [0, 1, 2] as const) sum[axis] = (sum[axis] ?? 0) + place[axis];
    }
    return { number, label: segment.name, sha256: createHash('sha256').update(mask).digest('hex'), voxels, centroid: sum.map((value) => value / voxels) };
  });
}

describe('segmentations', () => {
  it.skipIf(!HAS_DCIODVFY)('dciodvfy finds no error in any', () => {
    for (const [name, { path, labelMap }] of cases) {
      // Debian's does not know label maps.
      if (labelMap) continue;
      const { stdout, stderr } = spawnSync('dciodvfy', ['-new', path], { encoding: 'utf8' });
      expect(`${stdout}${stderr}`.split('\n').filter((line) => line.startsWith('Error')), name).toEqual([]);
      expect(`${stdout}${stderr}`, name).toContain('Segmentation');
    }
  });

  it.skipIf(!HAS_HIGHDICOM)('highdicom reads the identical masks, by reference and by geometry', () => {
    const jobs = [...cases.values()].map(({ source, path }) => ({
      path, isVolume: dicomSegmentsOf(source).some(({ extent }) => extent), multiFrame: source.instances.length === 1, frames: source.segmentation?.frames,
    }));
    const answers = JSON.parse(execFileSync('python3', [join(here, 'highdicom_masks.py')], { input: JSON.stringify(jobs), encoding: 'utf8', maxBuffer: 1 << 26 })) as
      { patientName: string; segments: { number: number; label: string; sha256: string; trackingUid: string; type: string; voxels?: number; centroid?: number[] }[] }[];
    for (const [index, [name, one]] of [...cases].entries()) {
      const wanted = masksIn(one);
      const found = answers[index]?.segments ?? [];
      expect(found.map(({ number, label, sha256 }) => ({ number, label, sha256 })), name).toEqual(wanted.map(({ number, label, sha256 }) => ({ number, label, sha256 })));
      expect(found.map(({ trackingUid }) => trackingUid)).toEqual(dicomSegmentsOf(one.source).map(({ trackingKey }) => trackingUidOf(one.source.resultId, trackingKey)));
      for (const [at, { voxels, centroid = [] }] of found.entries()) {
        if (voxels === undefined) continue;
        expect(voxels, name).toBe(wanted[at]?.voxels);
        for (const axis of voxels > 0 ? [0, 1, 2] : []) expect(Math.abs((centroid[axis] ?? 0) - (wanted[at]?.centroid[axis] ?? 0)), name).toBeLessThan(0.01);
      }
    }
    expect(answers[[...cases.keys()].indexOf('with a Chinese name')]?.patientName).toBe('Wang^XiaoDong=王^小东');
  });

  it('@cornerstonejs/adapters reads the identical masks', () => {
    const read = [...cases].filter(([, { forCornerstone }]) => forCornerstone);
    const jobs = read.map(([, { source, path }]) => {
      const { segmentation } = source;
      if (segmentation === null) throw new Error('no segmentation');
      const multiFrame = source.instances.length === 1;
      return {
        path,
        images: planesOf({ segmentation, instances: source.instances }).map(({ slice, place }) => {
          const ref = segmentation.frames[slice];
          return {
            imageId: multiFrame ? `wadors:https://pacs/instances/${ref?.sopInstanceUid ?? ''}/frames/${String(ref?.frame)}` : `wadors:https://pacs/instances/${ref?.sopInstanceUid ?? ''}/frames/1`,
            sopInstanceUid: ref?.sopInstanceUid, seriesInstanceUid: segmentation.seriesInstanceUid, frameOfReferenceUid: segmentation.grid.frameOfReferenceUid,
            columns: segmentation.grid.size[0], rows: segmentation.grid.size[1], ...place,
          };
        }),
      };
    });
    const list = join(folder, 'jobs.json');
    writeFileSync(list, JSON.stringify(jobs));
    const output = execFileSync(process.execPath, [join(here, 'cornerstone.mjs'), list], { encoding: 'utf8', maxBuffer: 1 << 26, cwd: here });
    const answers = JSON.parse(output.trim().split('\n').at(-1) ?? '[]') as { segments: { number: number; label: string; sha256: string }[] }[];
    for (const [index, [name, one]] of read.entries()) {
      expect(answers[index]?.segments, name).toEqual(masksIn(one).map(({ number, label, sha256 }) => ({ number, label, sha256 })));
    }
  });

  // Debian's storescu does not know label maps.
  it.skipIf(!HAS_STORESCU || NO_ORTHANC !== undefined)('Orthanc stores all of them', async () => {
    const orthanc = await startOrthanc();
    try {
      execFileSync('storescu', ['-R', '-aec', 'ORTHANC', '+sd', '+sp', '*.dcm', '127.0.0.1', String(orthanc.dicomPort), folder], { encoding: 'utf8' });
      const { CountInstances } = await (await fetch(`${orthanc.url}/statistics`)).json() as { CountInstances: number };
      expect(CountInstances).toBe([...cases.values()].filter(({ labelMap }) => !labelMap).length);
    } finally {
      await orthanc.stop();
    }
  });
});
