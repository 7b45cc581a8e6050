import { describe, expect, it } from 'vitest';
import { chestCt } from '../../../test/support/chest-ct.js';
import { seriesOf } from '../../../test/support/dicom-volumes.js';
import { segSource, segSourceOf } from '../../../test/support/seg-source.js';
import type { Conclusion } from '../analyses/analysis.js';
import { conclude as concludeTumours } from '../analyses/brain-tumour/postprocess.js';
import { conclude as concludeNodules } from '../analyses/lung-nodule/postprocess.js';
import { noduleFindingsSchema } from '../model/manifests/nodule-findings.js';
import type { TumourReport } from '../model/manifests/tumour-report.js';
import { lpsToIndex } from '../volume/geometry.js';
import type { Affine, Vector3 } from '../volume/volume.js';
import type { DerivedSource } from './derived.js';
import { writeSeg } from './seg.js';
import { checkSeg } from './seg-check.js';
import { dicomSegmentsOf } from './seg/segments.js';

function resultOf(base: DerivedSource, { findings, segments, segmentation }: Conclusion, analysis: string): DerivedSource {
  return { ...base, analysis, segments, segmentation, findings: findings.map((finding, index) => ({ ...finding, id: `0198c0de-0000-7000-8000-${String(index).padStart(12, '0')}` })) };
}

function faultsOf(source: DerivedSource): unknown[] {
  return checkSeg(writeSeg(source)?.bytes ?? new Uint8Array(), source);
}

describe('the segmentation of what an analysis concludes', () => {
  it.each([[96, 96, 64, 0.8, 0.8, 1.25], [110, 110, 32, 0.7, 0.7, 2.5], [110, 110, 16, 0.7, 0.7, 5]])('passes the check with nodules alone, near each other and touching, each with its finding (%d × %d × %d)', (columns, rows, slices, dx, dy, dz) => {
    const balls = [[[-20, -10, 5], 6], [[14, 8, -8], 5], [[14, 18.4, -8], 5.5], [[-20, 20, -20], 2.5], [[20, -25, 20], 4], [[20, -25, 29], 4.5]] as const;
    const ct = chestCt({ size: [columns, rows, slices], spacing: [dx, dy, dz], onlyLung: {}, balls: balls.map(([centre, radiusMm]) => ({ centre, radiusMm, hu: 40 })) });
    const objects = seriesOf(ct, { modality: 'CT' });
    const base = segSourceOf(objects, { label: () => 0, members: [], withFindings: false });
    const detections = balls.map(([centre, radiusMm], index) => {
      const at = lpsToIndex(ct, centre);
      const half = [radiusMm / dx, radiusMm / dy, radiusMm / dz];
      const corner = (sign: number): Vector3 => [at[0] + sign * (half[0] ?? 0), at[1] + sign * (half[1] ?? 0), at[2] + sign * (half[2] ?? 0)];
      return { centre: at, box: [corner(-1), corner(1)] as [Vector3, Vector3], score: 0.9 - index / 100 };
    });
    const framed = { ...ct, frames: base.segmentation?.frames ?? [], frameOfReferenceUid: base.segmentation?.grid.frameOfReferenceUid ?? '' };
    const concluded = concludeNodules(framed, { detections, details: {} }, { findings: noduleFindingsSchema.parse({ lungMask: { enabled: false } }), label: { code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' } }, seriesInstanceUid: base.segmentation?.seriesInstanceUid ?? '' });
    const source = resultOf(base, concluded, 'lung-nodule-detection');
    expect(source.segments.length).toBeGreaterThanOrEqual(4);
    expect(faultsOf(source)).toEqual([]);
    expect(dicomSegmentsOf(source).map(({ finding }) => finding?.id)).toEqual(source.findings.map(({ id }) => id));
    // A finding that was rejected takes its segment with it.
    const amended = { ...source, version: 2, findings: source.findings.slice(1), segments: source.segments.slice(1) };
    expect(faultsOf(amended)).toEqual([]);
    expect(dicomSegmentsOf(amended).map(({ number, finding }) => [number, finding?.id])).toEqual(source.findings.slice(1).map(({ id }, index) => [index + 1, id]));
  });

  const REPORT: TumourReport = {
    segments: [{ number: 1, label: 1, region: 'whole-tumour', values: [1, 2, 4] }, { number: 2, label: 2, region: 'tumour-core', values: [1, 4] }, { number: 3, label: 3, region: 'enhancing-tumour', values: [4] }],
    minComponentMl: 0.05,
    connectivity: 18,
  };
  const label = (index: number, name: string) => ({ index, name, code: { system: 'SNOMED-CT', value: '108369006', meaning: 'Neoplasm' }, threshold: 0.5, critical: false, enabled: true });
  const manifest = { report: REPORT, labels: [label(1, 'Whole tumour'), label(2, 'Tumour core'), label(3, 'Enhancing tumour')] };
  const sagittal: Affine = [[0.2, 0, 3.9, -60], [0.88, 0.05, -0.5, -80], [0.1, -1.3, 0.2, 90]];

  it.each([
    ['one tumour, seen obliquely', perpendicular(sagittal), [[0.5, 0.5, 0.5]]],
    ['two tumours', perpendicular(sagittal), [[0.3, 0.3, 0.4], [0.75, 0.7, 0.6]]],
  ] as const)('passes the check with %s', (_, affine, centres) => {
    const size: Vector3 = [48, 40, 16];
    const made = segSource({
      size, affine, series: { modality: 'MR' }, withFindings: false, members: [],
      label: ([i, j, k]) => {
        const r = Math.min(...centres.map(([x, y, z], index) => Math.hypot(i - x * 48, (j - y * 40) * 1.3, (k - z * 16) * 2) * (1 + index / 3)));
        return r < 3 ? 4 : r < 5 ? 1 : r < 8 ? 2 : 0;
      },
    });
    if (made.segmentation === null) throw new Error('no segmentation');
    const concluded = concludeTumours({ segmentation: made.segmentation, score: 0.9, midline: { status: 'not-measurable', reason: 'x' }, details: {} }, manifest);
    const source = resultOf(made, concluded, 'brain-tumour-segmentation');
    expect(source.findings).toHaveLength(centres.length);
    expect(faultsOf(source)).toEqual([]);
    expect(dicomSegmentsOf(source).map(({ finding }) => finding?.id)).toEqual([centres.length === 1 ? source.findings[0]?.id : undefined, undefined, undefined]);
  });
});

/** The rows made perpendicular to the columns, and the slices to both. */
function perpendicular(affine: Affine): Affine {
  const axis = (n: 0 | 1 | 2): Vector3 => [affine[0][n], affine[1][n], affine[2][n]];
  const dot = (p: Vector3, q: Vector3): number => p[0] * q[0] + p[1] * q[1] + p[2] * q[2];
  const minus = (p: Vector3, q: Vector3): Vector3 => { const f = dot(p, q) / dot(q, q); return [p[0] - f * q[0], p[1] - f * q[1], p[2] - f * q[2]]; };
  const x = axis(0);
  const y = minus(axis(1), x);
  const z = minus(minus(axis(2), x), y);
  return [[x[0], y[0], z[0], affine[0][3]], [x[1], y[1], z[1], affine[1][3]], [x[2], y[2], z[2], affine[2][3]]];
}
