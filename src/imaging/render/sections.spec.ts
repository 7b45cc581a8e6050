import { describe, expect, it } from 'vitest';
import type { Affine, Grid } from '../volume/volume.js';
import { asSeen, planeView, PLANES, rectangleOf } from './plane-view.js';
import { readingWindow } from './reading-window.js';
import { scaleBar } from './scale-bar.js';
import { partsOf, placeParts, planeSize, sectionPlan, type Planes, type SectionPlan } from './sections.js';

const grid = (affine: Affine, size: Grid['size'] = [10, 8, 6]): Grid => ({ size, affine });
const straight: Affine = [[1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 4, 0]];

/** Planes of a volume whose value at (i, j, k) is i + 10 j + 100 k. */
function planesOf({ size: [columns, rows, slices] }: Grid, plan: SectionPlan): Planes<Float32Array> {
  const plane = (across: 0 | 1 | 2): Float32Array => new Float32Array(planeSize(plan, across).width * planeSize(plan, across).height);
  const planes: Planes<Float32Array> = [plane(0), plane(1), plane(2)];
  for (let k = Math.max(0, plan.from[2]); k <= Math.min(slices - 1, plan.to[2]); k++) {
    const slice = Float32Array.from({ length: columns * rows }, (_, n) => (n % columns) + 10 * Math.floor(n / columns) + 100 * k);
    placeParts(planes, partsOf(slice, columns, k, plan), plan);
  }
  return planes;
}

describe('sectionPlan', () => {
  it('cuts a cube of millimetres around the target, no further than the grid', () => {
    const large = grid([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 5, 0]], [200, 200, 40]);
    expect(sectionPlan(large, { center: [100, 20, 100] }, true)).toEqual({ at: [100, 20, 20], from: [70, 0, 14], to: [130, 50, 26] });
    // 50 mm across: 2.6 times that.
    expect(sectionPlan(large, { center: [100, 100, 100], box: [[75, 95, 95], [125, 105, 105]] }, true)).toMatchObject({ from: [35, 35, 7], to: [165, 165, 33] });
    expect(sectionPlan(large, { center: [100, 100, 100], slice: 22 }, false)).toEqual({ at: [100, 100, 22], from: [0, 0, 0], to: [199, 199, 39] });
    expect(sectionPlan(large, { center: [9000, -9000, 0] }, true).at).toEqual([199, 0, 0]);
  });
});

describe('planes', () => {
  const plan: SectionPlan = { at: [4, 3, 2], from: [1, 1, 1], to: [8, 6, 4] };

  it('hold the values of the voxels that they cross', () => {
    const [sagittal, coronal, axial] = planesOf(grid(straight), plan);
    expect([...axial.subarray(0, 3), axial.length]).toEqual([211, 212, 213, 48]);
    expect([...coronal.subarray(0, 2), coronal[8], coronal.length]).toEqual([131, 132, 231, 32]);
    expect([...sagittal.subarray(0, 2), sagittal[6], sagittal.length]).toEqual([114, 124, 214, 24]);
  });

  it('take copies of a Buffer too, whose slices are views', () => {
    const labels = Buffer.from(Uint8Array.from({ length: 80 }, (_, n) => n % 7));
    const before = Buffer.from(labels);
    partsOf(labels, 10, 2, plan);
    expect(labels.equals(before)).toBe(true);
  });

  it.each([
    ['as scanners mostly write it', straight],
    ['from the left, the back and the head', [[-1, 0, 0, 9], [0, -2, 0, 14], [0, 0, -4, 20]]],
    ['sagittal slices', [[0, 0, -1, 9], [1, 0, 0, 0], [0, -2, 0, 14]]],
  ] as [string, Affine][])('show the right at the left, the front and the head at the top: %s', (_, affine) => {
    const whole = grid(affine);
    const all: SectionPlan = { at: [5, 4, 3], from: [0, 0, 0], to: [9, 7, 5] };
    const planes = planesOf(whole, all);
    const letters = PLANES.map((plane) => { const { left, right, top, bottom } = planeView(whole, plane).letters; return left + right + top + bottom; });
    expect(letters).toEqual(['RLAP', 'RLHF', 'APHF']);
    // Going right on the axial plane leads to the patient's left: x grows.
    const view = planeView(whole, 'axial');
    const { values, width } = asSeen(planes, all, view);
    const lps = (value: number): number[] => { const index = [value % 10, Math.floor(value / 10) % 10, Math.floor(value / 100)]; return affine.map((row) => row[0] * (index[0] ?? 0) + row[1] * (index[1] ?? 0) + row[2] * (index[2] ?? 0) + row[3]); };
    const [first = [], right = [], below = []] = [values[0] ?? 0, values[1] ?? 0, values[width] ?? 0].map(lps);
    expect((right[0] ?? 0) - (first[0] ?? 0)).toBeCloseTo(view.spacing[0]);
    expect((below[1] ?? 0) - (first[1] ?? 0)).toBeCloseTo(view.spacing[1]);
  });

  it('say with two letters that they stand oblique', () => {
    const [c, s] = [Math.cos(0.6), Math.sin(0.6)];
    expect(planeView(grid([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 3, 0]]), 'axial').letters).toEqual({ right: 'LP', left: 'RA', bottom: 'PR', top: 'AL' });
  });

  it('find the rectangle of a box however the axes run', () => {
    const box = [[2, 2, 2], [5, 4, 3]] as const;
    expect(rectangleOf(box, plan, planeView(grid(straight), 'axial'))).toEqual({ x: 1.5, y: 1.5, width: 3, height: 2 });
    expect(rectangleOf(box, plan, planeView(grid([[-1, 0, 0, 9], [0, 2, 0, 0], [0, 0, 4, 0]]), 'axial'))).toEqual({ x: 3.5, y: 1.5, width: 3, height: 2 });
  });
});

describe('scaleBar', () => {
  it('is as long as a round length that fits', () => {
    expect(scaleBar(10, 190)).toEqual({ pixels: 100, text: '1 cm' });
    expect(scaleBar(40, 190)).toEqual({ pixels: 80, text: '2 mm' });
    expect(scaleBar(0.5, 190)).toEqual({ pixels: 100, text: '20 cm' });
    expect([scaleBar(500, 190), scaleBar(0, 190), scaleBar(Number.NaN, 190)]).toEqual([undefined, undefined, undefined]);
  });
});

describe('readingWindow', () => {
  it('is that of the lungs for Hounsfield units', () => {
    expect(readingWindow('lung-nodule-detection', new Float32Array(4))).toEqual({ center: -600, width: 1500 });
  });

  it('spans what the values span, the background and outliers left aside', () => {
    const values = Float32Array.from({ length: 20_000 }, (_, n) => (n < 10_000 ? 0 : n === 19_999 ? 1e9 : 100 + (n - 10_000) / 100));
    const { center, width } = readingWindow('brain-tumour-segmentation', values);
    expect([center - width / 2, center + width / 2].map(Math.round)).toEqual([101, 200]);
    expect(readingWindow('brain-tumour-segmentation', new Float32Array(9)).width).toBeGreaterThan(0);
    expect(readingWindow('x', Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, 5)).width).toBeGreaterThan(0);
  });
});
