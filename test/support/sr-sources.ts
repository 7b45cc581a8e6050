import type { DerivedSource, SourceInstance } from '../../src/imaging/report/derived.js';
import type { Finding, Label } from '../../src/imaging/report/finding.js';
import { parseInstanceBytes } from '../../src/imaging/dicom/header.js';
import { describeSlices } from '../../src/imaging/volume/describe.js';
import { indexToLps, spacingOf } from '../../src/imaging/volume/geometry.js';
import { slicesOf } from '../../src/imaging/volume/slices.js';
import type { Affine, Vector3 } from '../../src/imaging/volume/volume.js';
import { dataSetOf, seriesOf, uidOf, type DicomObject, type Fields, type VolumeSeriesOptions } from './dicom-volumes.js';

/** Of a made-up series of 48 × 40 × 30 voxels. */
export type Course = 'axial' | 'oblique' | 'reversed';

const SIZE: Vector3 = [48, 40, 30];

function affineOf(course: Course): Affine {
  if (course === 'axial') return [[0.8, 0, 0, 20], [0, 0.8, 0, 60], [0, 0, 2.5, -150]];
  // From head to feet: the normal of the slices points the other way.
  if (course === 'reversed') return [[0.8, 0, 0, 20], [0, 0.8, 0, 60], [0, 0, -2.5, -70]];
  const [c, s] = [Math.cos(0.4), Math.sin(0.4)];
  return [[0.8 * c, 0, 2.5 * s, 20], [0, 0.8, 0, 60], [-0.8 * s, 0, 2.5 * c, -150]];
}

export interface SeriesOptions extends Omit<VolumeSeriesOptions, 'modality'> {
  course?: Course;
}

/** A made-up series, its files and what the report is made from. */
function seriesSource(modality: 'CT' | 'MR', { course = 'axial', ...options }: SeriesOptions): { objects: DicomObject[]; instances: SourceInstance[]; grid: ReturnType<typeof describeSlices> } {
  const affine = affineOf(course);
  const objects = seriesOf({ size: SIZE, affine, voxels: new Int16Array(SIZE[0] * SIZE[1] * SIZE[2]).fill(-850) }, { modality, ...options });
  const instances = objects.map(instanceOf);
  const [first] = instances;
  if (first === undefined) throw new Error('no slices');
  return { objects, instances, grid: describeSlices(slicesOf(instances), frameOfReferenceOf(first)) };
}

function frameOfReferenceOf({ attributes }: SourceInstance): string | undefined {
  const value = attributes['00200052']?.Value?.[0];
  return typeof value === 'string' ? value : undefined;
}

export function instanceOf({ bytes }: Pick<DicomObject, 'bytes'>): SourceInstance {
  const { sopInstanceUid, sopClassUid, seriesInstanceUid, attributes } = parseInstanceBytes(bytes);
  return { sopInstanceUid, sopClassUid, seriesInstanceUid, attributes };
}

const COMMON = {
  resultId: '01999999-0000-7000-8000-000000000001',
  analysisId: '01999999-0000-7000-8000-000000000002',
  version: 1,
  createdAt: new Date('2026-11-29T12:34:56Z'),
  provenance: {
    model: { name: 'lung-test', version: '1.2.3', digest: 'ab'.repeat(32) }, software: '0.1.0', inputDigest: 'cd'.repeat(32), executionProvider: 'cpu',
    startedAt: '2026-11-29T12:34:00Z', finishedAt: '2026-11-29T12:34:56Z',
  },
  verifier: null,
} as const;

export const idOf = (n: number): string => `01999999-0000-7000-9000-${String(n).padStart(12, '0')}`;

/** Nodules in a CT, one segment each. */
export function noduleSource({ count = 2, ...options }: SeriesOptions & { count?: number } = {}): DerivedSource & { objects: DicomObject[] } {
  const { objects, instances, grid: { grid, frames } } = seriesSource('CT', options);
  const [first] = instances;
  if (grid === undefined || first === undefined) throw new Error('no volume');
  const [columns, rows] = SIZE;
  const labels = new Uint8Array(SIZE[0] * SIZE[1] * SIZE[2]);
  const [dx, dy] = spacingOf(grid.affine);
  const nodules = Array.from({ length: count }, (_, n): Vector3 => [4 + (n * 7) % 40, 4 + (Math.floor(n / 6) * 7) % 33, 3 + (Math.floor(n / 30) * 4 + n * 3) % 25]);
  for (const [n, [i, j, k]] of nodules.entries()) {
    for (let dj = -2; dj <= 2; dj++) for (let di = -2; di <= 2; di++) if (di * di + dj * dj <= 5) labels[i + di + columns * (j + dj + rows * k)] = n + 1;
  }
  const findings = nodules.map((index, n): Finding => {
    const center = indexToLps(grid.affine, index);
    const corners = [-2.5, 2.5].flatMap((i) => [-2.5, 2.5].flatMap((j) => [-0.5, 0.5].map((k) => indexToLps(grid.affine, [index[0] + i, index[1] + j, index[2] + k]))));
    const bound = (of: (...values: number[]) => number): [number, number, number] => [of(...corners.map(([x]) => x)), of(...corners.map(([, y]) => y)), of(...corners.map(([, , z]) => z))];
    const frame = frames[index[2]];
    if (frame === undefined) throw new Error('no frame');
    return {
      id: idOf(n), kind: 'nodule', code: { system: 'SNOMED-CT', value: '427359005', meaning: 'Solitary nodule of lung' }, score: Number((0.97 - n / 1000).toFixed(4)),
      location: { ...(grid.frameOfReferenceUid !== undefined && { frameOfReferenceUid: grid.frameOfReferenceUid }), center: [...center], box: [bound(Math.min), bound(Math.max)], ...frame },
      measurements: [
        { name: 'diameter', value: 4.2, unit: 'mm' }, { name: 'longAxis', value: Number((5 * dx).toFixed(1)), unit: 'mm' }, { name: 'shortAxis', value: Number((4 * dy).toFixed(1)), unit: 'mm' },
        ...(n === 0 ? [{ name: 'solidDiameter', value: 3.1, unit: 'mm' }] : []), { name: 'volume', value: 34 + n, unit: 'mm3' }, { name: 'meanAttenuation', value: -231, unit: 'HU' },
      ],
      attributes: [
        { name: 'attenuation', value: 'part-solid', code: { system: 'RADLEX', value: 'RID50152', meaning: 'part-solid pulmonary nodule' } },
        { name: 'side', value: 'left', concept: { system: 'SNOMED-CT', value: '272741003', meaning: 'Laterality' }, code: { system: 'SNOMED-CT', value: '7771000', meaning: 'Left' } },
        { name: 'zone', value: 'upper' }, { name: 'lungRads', value: '4A' },
      ],
    };
  });
  return {
    ...COMMON, analysis: 'lung-nodule-detection', studyInstanceUid: uidOfStudy(first), summary: { text: count === 0 ? 'No nodule found' : `${String(count)} nodules`, critical: false },
    findings, labels: [], segments: nodules.map((_, n) => ({ number: n + 1, name: `Nodule ${String(n + 1)}`, volumeMl: 0.034 })), keyImage: frames[0] ?? null, instances,
    segmentation: count === 0 ? null : { grid, seriesInstanceUid: first.seriesInstanceUid, frames, labels, members: nodules.map((_, n) => ({ segment: n + 1, values: [n + 1] })) },
    objects,
  };
}

/** One tumour, or two that share their regions' segments. */
export function tumourSource({ tumours = 1, ...options }: SeriesOptions & { tumours?: 1 | 2 } = {}): DerivedSource & { objects: DicomObject[] } {
  const sequences = ['t1', 't1c', 't2', 'flair'].map((series) => seriesSource('MR', { ...options, series }));
  const [, contrast] = sequences;
  if (contrast?.grid.grid === undefined) throw new Error('no volume');
  const { instances: [first], grid: { grid, frames } } = contrast;
  if (first === undefined) throw new Error('no slices');
  const labels = new Uint8Array(SIZE[0] * SIZE[1] * SIZE[2]);
  const middles = ([[14, 18, 12], [36, 25, 20]] as const).slice(0, tumours);
  for (const [i, j, k] of middles) {
    for (let dk = -3; dk <= 3; dk++) for (let dj = -6; dj <= 6; dj++) for (let di = -6; di <= 6; di++) {
      const away = Math.hypot(di, dj, 2 * dk);
      if (away <= 6) labels[i + di + SIZE[0] * (j + dj + SIZE[1] * (k + dk))] = away <= 2 ? 1 : away <= 4 ? 4 : 2;
    }
  }
  const findings = middles.map((index, n): Finding => {
    const center = indexToLps(grid.affine, index);
    const frame = frames[index[2]];
    if (frame === undefined) throw new Error('no frame');
    return {
      id: idOf(n), kind: 'tumour', code: { system: 'SNOMED-CT', value: '108369006', meaning: 'Neoplasm' }, score: 0.91,
      location: { ...(grid.frameOfReferenceUid !== undefined && { frameOfReferenceUid: grid.frameOfReferenceUid }), center: [...center], ...frame },
      measurements: [
        { name: 'volume', value: 12.34, unit: 'ml' }, { name: 'diameter', value: 9.6, unit: 'mm' }, { name: 'perpendicularDiameter', value: 9.5, unit: 'mm' }, { name: 'coreVolume', value: 4.5, unit: 'ml' },
        { name: 'enhancingVolume', value: 3.2, unit: 'ml' }, { name: 'enhancingDiameter', value: 6.4, unit: 'mm' }, { name: 'enhancingPerpendicularDiameter', value: 6.1, unit: 'mm' }, { name: 'midlineShift', value: 6.5, unit: 'mm' },
      ],
      attributes: [{ name: 'midlineShift', value: 'present' }],
    };
  });
  const segments = ['Whole tumour', 'Tumour core', 'Enhancing tumour'].map((name, n) => ({ number: n + 1, name, volumeMl: 12 - n }));
  return {
    ...COMMON, analysis: 'brain-tumour-segmentation', studyInstanceUid: uidOfStudy(first), summary: { text: 'Tumour', critical: true }, findings, labels: [], segments, keyImage: frames[12] ?? null,
    instances: sequences.flatMap(({ instances }) => instances),
    segmentation: { grid, seriesInstanceUid: first.seriesInstanceUid, frames, labels, members: [{ segment: 1, values: [1, 2, 4] }, { segment: 2, values: [1, 4] }, { segment: 3, values: [4] }] },
    objects: sequences.flatMap(({ objects }) => objects),
  };
}

/** A classified X-ray. @param fields  of the image, over what it has */
export function xraySource(fields: Fields = {}, names: readonly string[] = ['Pneumonia', 'Effusion', 'No Finding']): DerivedSource {
  const sopInstanceUid = uidOf('x-ray', 'instance');
  const attributes = dataSetOf({
    SOPClassUID: '1.2.840.10008.5.1.4.1.1.1.1', SOPInstanceUID: sopInstanceUid, StudyInstanceUID: uidOf('x-ray'), SeriesInstanceUID: uidOf('x-ray', 'series'), Modality: 'DX',
    PatientID: 'XRAY-1', PatientBirthDate: '', PatientSex: 'F', StudyDate: '20260102', StudyTime: '101500', Rows: 512, Columns: 384, ...fields,
  });
  const labels = names.map((name, n): Label => ({ name, probability: n === 0 ? 0.93 : 0.07, threshold: 0.5, positive: n === 0, code: { system: 'SNOMED-CT', value: String(233604007 + n), meaning: name } }));
  const location = { sopInstanceUid, frame: 1 };
  const [first] = labels;
  return {
    ...COMMON, analysis: 'chest-xray-classification', studyInstanceUid: uidOf('x-ray'), summary: { text: 'Pneumonia 93 %', critical: false },
    findings: first?.code === undefined ? [] : [{ id: idOf(0), kind: 'label', code: first.code, score: first.probability, location, measurements: [] }],
    labels, segments: [], keyImage: location, instances: [{ sopInstanceUid, sopClassUid: '1.2.840.10008.5.1.4.1.1.1.1', seriesInstanceUid: uidOf('x-ray', 'series'), attributes }], segmentation: null,
  };
}

/** Stands for the segmentation of a result. */
export const SEG = { sopClassUid: '1.2.840.10008.5.1.4.1.1.66.4', sopInstanceUid: uidOf('seg', 'instance'), seriesInstanceUid: uidOf('seg', 'series') };

function uidOfStudy({ attributes }: SourceInstance): string {
  const value = attributes['0020000D']?.Value?.[0];
  if (typeof value !== 'string') throw new Error('no study');
  return value;
}
