import { describe, expect, it } from 'vitest';
import type { TumourReport } from '../../model/manifests/tumour-report.js';
import type { Affine, Grid, Vector3 } from '../../volume/volume.js';
import { largestDiameters } from './diameters.js';
import { measureTumours, volumeMl, withoutSmallParts } from './measure.js';
import { conclude } from './postprocess.js';

const REPORT: TumourReport = {
  segments: [{ number: 1, label: 1, region: 'whole-tumour', values: [1, 2, 4] }, { number: 2, label: 2, region: 'tumour-core', values: [1, 4] }, { number: 3, label: 3, region: 'enhancing-tumour', values: [4] }],
  minComponentMl: 0.5,
  connectivity: 18,
};
const SIZE: Vector3 = [64, 64, 16];
/** 0.8 × 0.9 × 4 mm. */
const AFFINE: Affine = [[0.8, 0, 0, -30], [0, 0.9, 0, -20], [0, 0, 4, 10]];
const grid: Grid = { size: SIZE, affine: AFFINE, frameOfReferenceUid: '1.2.3' };
const frames = Array.from({ length: 16 }, (_, k) => ({ sopInstanceUid: `1.2.3.${k}`, frame: 1 }));
const label = (index: number, name: string, critical = false) => ({ index, name, code: { system: 'SNOMED-CT', value: String(index), meaning: name }, threshold: 0.5, critical, enabled: true });
const manifest = { report: REPORT, labels: [label(1, 'Whole tumour'), label(2, 'Tumour core'), label(3, 'Enhancing tumour')] };

/** An ellipse of semi-axes in mm in slices `from` to `to`. */
function ellipse(labels: Uint8Array, value: number, [x, y]: readonly [number, number], [a, b]: readonly [number, number], from: number, to: number, turned = 0): void {
  for (let k = from; k <= to; k++) {
    for (let j = 0; j < SIZE[1]; j++) {
      for (let i = 0; i < SIZE[0]; i++) {
        const [dx, dy] = [(i - x) * 0.8, (j - y) * 0.9];
        const [u, v] = [dx * Math.cos(turned) + dy * Math.sin(turned), dy * Math.cos(turned) - dx * Math.sin(turned)];
        if ((u / a) ** 2 + (v / b) ** 2 <= 1) labels[i + SIZE[0] * (j + SIZE[1] * k)] = value;
      }
    }
  }
}

function tumour(): Uint8Array {
  const labels = new Uint8Array(SIZE[0] * SIZE[1] * SIZE[2]);
  ellipse(labels, 2, [30, 30], [18, 12], 4, 10, 0.5);
  ellipse(labels, 1, [30, 30], [10, 8], 5, 9);
  ellipse(labels, 4, [30, 30], [6, 6], 6, 8);
  return labels;
}

describe('largestDiameters', () => {
  it.each([0, 0.3, 0.8, 1.57])('measures an ellipse of 36 × 24 mm turned by %f', (turned) => {
    const mask = new Uint8Array(SIZE[0] * SIZE[1] * SIZE[2]);
    ellipse(mask, 1, [31.3, 30.6], [18, 12], 4, 4, turned);
    const found = largestDiameters(mask, SIZE, [0.8, 0.9, 4]);
    expect(found?.slice).toBe(4);
    expect(Math.abs((found?.longMm ?? 0) - 36)).toBeLessThan(1);
    expect(Math.abs((found?.shortMm ?? 0) - 24)).toBeLessThan(1);
  });

  it('measures a pixel as a pixel and nothing as nothing', () => {
    const mask = new Uint8Array(9);
    expect(largestDiameters(mask, [3, 3, 1], [1, 1, 1])).toBeUndefined();
    mask[4] = 1;
    expect(largestDiameters(mask, [3, 3, 1], [1, 1, 1])).toMatchObject({ longMm: 1, shortMm: 1 });
  });

  it('takes the slice with the largest product', () => {
    const mask = new Uint8Array(SIZE[0] * SIZE[1] * SIZE[2]);
    ellipse(mask, 1, [30, 30], [20, 3], 2, 2);
    ellipse(mask, 1, [30, 30], [15, 15], 7, 7);
    expect(largestDiameters(mask, SIZE, [0.8, 0.9, 4])?.slice).toBe(7);
  });
});

describe('measureTumours', () => {
  it('gives volumes, places and diameters in the patient\'s millimetres', () => {
    const [found, ...others] = measureTumours(tumour(), grid, REPORT);
    expect(others).toEqual([]);
    const [whole, core, enhancing] = found?.regions ?? [];
    // π a b × slices × 4 mm.
    expect(whole?.volumeMl).toBeCloseTo(Math.PI * 18 * 12 * 28 / 1000, 0);
    expect(core?.volumeMl).toBeCloseTo(Math.PI * 80 * 20 / 1000, 0);
    expect(enhancing?.volumeMl).toBeCloseTo(Math.PI * 36 * 12 / 1000, 1);
    expect(enhancing?.diameters?.longMm).toBeGreaterThan(11);
    expect(found?.centre.map((value) => Math.round(value))).toEqual([-6, 7, 38]);
    expect(found?.box[0][2]).toBe(24);
    expect(found?.box[1][2]).toBe(52);
    expect(volumeMl(tumour(), grid, [1, 2, 4])).toBe(whole?.volumeMl);
  });

  it('drops what is too small', () => {
    const labels = tumour();
    labels[3] = 2;
    expect(withoutSmallParts(labels, grid, REPORT)).toEqual({ labels: tumour(), dropped: 1 });
  });
});

describe('conclude', () => {
  const midline = { status: 'not-measurable', reason: 'x' } as const;
  const segmentation = { grid, seriesInstanceUid: '1.2', frames, labels: tumour() };

  it('has a finding for each tumour, a segment for each region and a sentence', () => {
    const labels = tumour();
    ellipse(labels, 2, [55, 55], [5, 5], 10, 13);
    const { findings, segments, summary, keyImage, segmentation: map } = conclude({ segmentation: { ...segmentation, labels }, score: 0.93, midline, details: {} }, manifest);
    expect(findings.map(({ kind, score, location }) => [kind, score, location?.frameOfReferenceUid])).toEqual([['tumour', 0.93, '1.2.3'], ['tumour', 0.93, '1.2.3']]);
    expect(findings[0]?.measurements.map(({ name, unit }) => `${name} ${unit}`)).toEqual(['volume ml', 'diameter mm', 'perpendicularDiameter mm', 'coreVolume ml', 'enhancingVolume ml', 'enhancingDiameter mm', 'enhancingPerpendicularDiameter mm']);
    expect(segments.map(({ number, name }) => [number, name])).toEqual([[1, 'Whole tumour'], [2, 'Tumour core'], [3, 'Enhancing tumour']]);
    expect(summary.text).toMatch(/^2 tumours, largest 3\d(\.\d)? mm, Whole tumour \d+(\.\d)? mL, Tumour core \d(\.\d)? mL, Enhancing tumour 1(\.\d)? mL$/);
    expect(keyImage?.sopInstanceUid).toBe('1.2.3.10');
    expect(map?.members).toEqual([{ segment: 1, values: [1, 2, 4] }, { segment: 2, values: [1, 4] }, { segment: 3, values: [4] }]);
  });

  it('says that no tumour was found', () => {
    const result = conclude({ segmentation: { ...segmentation, labels: new Uint8Array(segmentation.labels.length) }, score: 0, midline, details: {} }, manifest);
    expect(result).toMatchObject({ summary: { text: 'No tumour found', critical: false }, findings: [], segments: [], segmentation: null, keyImage: { sopInstanceUid: '1.2.3.8' } });
  });

  it('leaves out a region that is empty', () => {
    const labels = tumour().map((value) => (value === 4 ? 1 : value));
    expect(conclude({ segmentation: { ...segmentation, labels }, score: 1, midline, details: {} }, manifest).segmentation?.members).toHaveLength(2);
  });

  it('puts a midline shift with the largest tumour, and is critical from 5 mm on', () => {
    const measured = (shiftMm: number) => conclude({ segmentation, score: 1, midline: { status: 'measured', shiftMm, towards: 'left', shifted: shiftMm >= 5, symmetry: 0.8, slice: 7 }, details: {} }, manifest);
    expect(measured(6).findings[0]?.measurements.at(-1)).toEqual({ name: 'midlineShift', value: 6, unit: 'mm' });
    expect([measured(6).summary.critical, measured(2).summary.critical]).toEqual([true, false]);
  });
});
