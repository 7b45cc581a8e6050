import type { Segmentation } from '../../src/imaging/analyses/analysis.js';
import type { DerivedSource } from '../../src/imaging/report/derived.js';
import type { Finding } from '../../src/imaging/report/finding.js';
import { describeSeries } from '../../src/imaging/volume/describe.js';
import { indexToLps, voxelVolumeMl } from '../../src/imaging/volume/geometry.js';
import type { Affine, Grid, Vector3 } from '../../src/imaging/volume/volume.js';
import { seriesOf, studyInputOf, uidOf, type DicomObject, type VolumeSeriesOptions } from './dicom-volumes.js';

export interface SegSourceOptions {
  size?: Vector3;
  affine?: Affine;
  /** Of the series that is segmented. */
  series?: VolumeSeriesOptions;
  /** The grid of the segmentation runs against the normal of its slices. */
  reversed?: boolean;
  /** Value of a voxel, by index of the grid; a ball in the middle without it. */
  label?: (index: Vector3, size: Vector3) => number;
  members?: Segmentation['members'];
  names?: readonly string[];
  /** A finding for every segment. */
  withFindings?: boolean;
  part?: Partial<DerivedSource>;
}

const RESULT = '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a4a';

/** What a Segmentation is made from: a series of one kind or another and a label map on its grid. */
export function segSource(options: SegSourceOptions = {}): DerivedSource {
  const { size = [32, 24, 12], affine = [[2, 0, 0, -30], [0, 2, 0, -20], [0, 0, 3, -50]], series = {} } = options;
  const voxels = new Int16Array(size[0] * size[1] * size[2]);
  return segSourceOf(seriesOf({ size, affine, voxels }, { modality: 'CT', ...series }), options);
}

/** The same of a series that is there. */
export function segSourceOf(objects: readonly DicomObject[], { reversed = false, label = ball, members, names = ['Nodule 1', 'Nodule 2', 'Nodule 3'], withFindings = true, part = {} }: SegSourceOptions = {}): DerivedSource {
  const [read] = studyInputOf(objects).series;
  if (read === undefined) throw new Error('no series');
  const [first] = read.instances;
  const frameOfReference = first?.attributes['00200052']?.Value?.[0];
  const { grid: found, frames: order, fault } = describeSeries(read.instances, typeof frameOfReference === 'string' ? frameOfReference : undefined);
  if (found === undefined) throw new Error(fault?.detail ?? 'no volume');
  const grid = reversed ? turned(found) : found;
  const frames = reversed ? order.toReversed() : order;
  const labels = new Uint8Array(grid.size[0] * grid.size[1] * grid.size[2]);
  const counts = new Uint32Array(256);
  let offset = 0;
  for (let k = 0; k < grid.size[2]; k++) for (let j = 0; j < grid.size[1]; j++) for (let i = 0; i < grid.size[0]; i++, offset++) {
    const value = label([i, j, k], grid.size);
    labels[offset] = value;
    counts[value] = (counts[value] ?? 0) + 1;
  }
  const present = [...counts.keys()].filter((value) => value > 0 && (counts[value] ?? 0) > 0);
  const groups = members ?? present.map((value, index) => ({ segment: index + 1, values: [value] }));
  const segments = groups.map(({ segment, values }) => ({
    number: segment, name: names[segment - 1] ?? `Segment ${String(segment)}`,
    volumeMl: Number((values.reduce((sum, value) => sum + (counts[value] ?? 0), 0) * voxelVolumeMl(grid.affine)).toFixed(3)),
  }));
  const study = first?.attributes['0020000D']?.Value?.[0];
  return {
    resultId: RESULT,
    analysisId: '0198c0de-4a10-7c3e-9d52-000000000001',
    analysis: 'lung-nodule-detection',
    studyInstanceUid: typeof study === 'string' ? study : uidOf('study'),
    version: 1,
    createdAt: new Date('2026-01-02T10:20:30Z'),
    summary: { text: '1 nodule', critical: false },
    findings: withFindings ? groups.flatMap(({ segment, values }, index) => findingOf(segment, values, index, { labels, grid, frames })) : [],
    labels: [],
    segments,
    provenance: {
      model: { name: 'retinanet-3d', version: '1.2.0', digest: `sha256:${'ab'.repeat(32)}` }, software: '1.0.0', inputDigest: 'cd'.repeat(32),
      executionProvider: 'cpu', startedAt: '2026-01-02T10:20:00Z', finishedAt: '2026-01-02T10:20:30Z',
    },
    keyImage: frames[0] ?? null,
    instances: read.instances.map(({ sopInstanceUid, sopClassUid, attributes }) => ({ sopInstanceUid, sopClassUid, seriesInstanceUid: read.seriesInstanceUid, attributes })),
    segmentation: { grid, seriesInstanceUid: read.seriesInstanceUid, frames, labels, members: groups },
    verifier: null,
    ...part,
  };
}

function turned(grid: Grid): Grid {
  const [columns, rows, slices] = grid.size;
  const origin = indexToLps(grid.affine, [0, 0, slices - 1]);
  const row = (axis: 0 | 1 | 2): Affine[0] => [grid.affine[axis][0], grid.affine[axis][1], -grid.affine[axis][2], origin[axis]];
  return { ...grid, size: [columns, rows, slices], affine: [row(0), row(1), row(2)] };
}

/** Off the middle, so that nothing that is turned or mirrored looks the same. */
export function ball([i, j, k]: Vector3, [columns, rows, slices]: Vector3): number {
  const [x, y, z] = [(i - columns * 0.3) / (columns * 0.2), (j - rows * 0.6) / (rows * 0.25), (k - slices * 0.4) / (slices * 0.3)];
  return x * x + y * y + z * z <= 1 ? 1 : 0;
}

function findingOf(segment: number, values: readonly number[], index: number, { labels, grid, frames }: Pick<Segmentation, 'labels' | 'grid' | 'frames'>): Finding[] {
  const [columns, rows, slices] = grid.size;
  const points: Vector3[] = [];
  for (let at = 0; at < labels.length; at++) if (values.includes(labels[at] ?? 0)) points.push([at % columns, Math.floor(at / columns) % rows, Math.floor(at / (columns * rows)) % slices]);
  if (points.length === 0) return [];
  const places = points.flatMap(([i, j, k]) => [-0.5, 0.5].flatMap((a) => [-0.5, 0.5].flatMap((b) => [-0.5, 0.5].map((c) => indexToLps(grid.affine, [i + a, j + b, k + c])))));
  const bound = (end: 1 | -1): [number, number, number] => {
    const out: [number, number, number] = [-end * Infinity, -end * Infinity, -end * Infinity];
    for (const place of places) for (const axis of [0, 1, 2] as const) if (end * (place[axis] - out[axis]) > 0) out[axis] = place[axis];
    return out;
  };
  const centre = places.reduce<[number, number, number]>((sum, [x, y, z]) => [sum[0] + x / places.length, sum[1] + y / places.length, sum[2] + z / places.length], [0, 0, 0]);
  const slice = points[Math.floor(points.length / 2)]?.[2] ?? 0;
  const frame = frames[slice];
  return frame === undefined ? [] : [{
    id: `0198c0de-0000-7000-8000-${String(segment).padStart(12, '0')}`,
    kind: 'nodule',
    code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' },
    score: 0.9 - index * 0.01,
    location: { ...(grid.frameOfReferenceUid !== undefined && { frameOfReferenceUid: grid.frameOfReferenceUid }), center: centre, box: [bound(-1), bound(1)], ...frame },
    measurements: [{ name: 'volume', value: Math.round(points.length * voxelVolumeMl(grid.affine) * 1000), unit: 'mm3' }],
    attributes: [{ name: 'side', value: 'right', code: { system: 'SNOMED-CT', value: '24028007', meaning: 'Right' } }],
  }];
}
