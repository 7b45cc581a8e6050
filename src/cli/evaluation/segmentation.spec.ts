import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { TumourReport } from '../../imaging/model/manifests/tumour-report.js';
import type { Affine, Volume } from '../../imaging/volume/volume.js';
import { drawOutlines, fullestSlice } from './outline-picture.js';
import { agreementsOf, regionFigures, regionMasks, type FoundLabels } from './segmentation.js';

const SIZE = [12, 10, 4] as const;
const AFFINE: Affine = [[1, 0, 0, -6], [0, 1, 0, -5], [0, 0, 2, 0]];
const GRID = { size: SIZE, affine: AFFINE };
/** As a model may name them: 1 enhancing, 2 core, 3 oedema. */
const REPORT: TumourReport = {
  minComponentMl: 0, connectivity: 6,
  segments: [{ number: 1, label: 0, region: 'whole-tumour', values: [1, 2, 3] }, { number: 2, label: 1, region: 'tumour-core', values: [1, 2] }, { number: 3, label: 2, region: 'enhancing-tumour', values: [1] }],
};
/** A block on slices 1 and 2 with nested labels. */
const labelled = (x0: number, [outer, core, inner]: readonly [number, number, number]): Uint8Array => Uint8Array.from({ length: 12 * 10 * 4 }, (_, at) => {
  const [x, y, z] = [at % 12, Math.floor(at / 12) % 10, Math.floor(at / 120)];
  if (z < 1 || z > 2 || y < 2 || y > 7 || x < x0 || x > x0 + 5) return 0;
  return y > 5 ? inner : y > 3 ? core : outer;
});
const truth: Volume<Uint8Array> = { ...GRID, voxels: labelled(2, [2, 1, 4]) };
const found = (labels: Uint8Array): FoundLabels => ({ grid: GRID, labels });

describe('a segmentation against its truth', () => {
  it('agrees by regions, whatever numbers a model has for them', () => {
    const agreements = agreementsOf(regionMasks(found(labelled(2, [3, 2, 1])), truth, REPORT, 'a.nii'), GRID);
    expect(agreements.map(({ region, dice, hausdorff95Mm, foundMl, trueMl }) => [region, dice, hausdorff95Mm, foundMl === trueMl])).toEqual([['whole-tumour', 1, 0, true], ['tumour-core', 1, 0, true], ['enhancing-tumour', 1, 0, true]]);
  });

  it('has nothing in common with what a model missed altogether, and leaves no region out', () => {
    const agreements = agreementsOf(regionMasks(found(new Uint8Array(480)), truth, REPORT, 'a.nii'), GRID);
    expect(agreements.map(({ dice }) => dice)).toEqual([0, 0, 0]);
  });

  it('is laid upon the grid of the product, whichever way the truth runs', () => {
    const flipped: Volume<Uint8Array> = { size: SIZE, affine: [[-1, 0, 0, 5], [0, 1, 0, -5], [0, 0, 2, 0]], voxels: Uint8Array.from({ length: 480 }, (_, at) => truth.voxels[at - (at % 12) + 11 - (at % 12)] ?? 0) };
    expect(agreementsOf(regionMasks(found(labelled(2, [3, 2, 1])), flipped, REPORT, 'a.nii'), GRID)[0]?.dice).toBe(1);
  });

  it('is refused where the truth lies elsewhere', () => {
    const elsewhere: Volume<Uint8Array> = { ...truth, affine: [[1, 0, 0, 60], [0, 1, 0, -5], [0, 0, 2, 0]] };
    expect(() => regionMasks(found(new Uint8Array(480)), elsewhere, REPORT, 'a.nii')).toThrow('a.nii lies elsewhere than the images');
  });

  it('has a mean over cases with an interval, without those where a figure has no meaning', () => {
    const whole = (dice: number | null, foundMl: number, trueMl: number) => [{ region: 'whole-tumour' as const, dice, hausdorff95Mm: null, foundMl, trueMl }];
    const [figures] = regionFigures([whole(0.8, 9, 10), whole(0.9, 12, 10), whole(null, 0, 0)]);
    expect(figures?.dice).toMatchObject({ cases: 2, low: 0.8, high: 0.9 });
    expect(figures?.dice?.mean).toBeCloseTo(0.85, 10);
    expect(figures?.dice?.median).toBeCloseTo(0.85, 10);
    expect(figures?.volumeError?.mean).toBeCloseTo(0.05, 10);
    expect(figures?.hausdorff95Mm).toBeNull();
  });
});

describe('the picture of a segmentation', () => {
  const masks = regionMasks(found(labelled(4, [3, 2, 1])), { ...truth, voxels: Uint8Array.from(truth.voxels, (label, at) => (at >= 240 ? label : 0)) }, REPORT, 'a.nii');

  it('is of the slice with most of the truth, else of the finding', () => {
    expect(fullestSlice(masks, SIZE)).toBe(2);
    expect(fullestSlice(masks.map((one) => ({ ...one, truth: new Uint8Array(480) })), SIZE)).toBe(1);
    expect(fullestSlice([], SIZE)).toBe(2);
  });

  it('has a panel for each region, with both outlines', async () => {
    const cut = (mask: Uint8Array): Uint8Array => mask.subarray(240, 360);
    const png = await drawOutlines({ title: '1.2.3', subtitle: 'a model', image: { width: 12, height: 10, channels: 1, data: new Uint8Array(120).fill(100) }, spacing: [1, 1], regions: masks.map((one) => ({ ...one, found: cut(one.found), truth: cut(one.truth), caption: one.region })) });
    const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    expect(info.width).toBe(3 * 440 + 4 * 12);
    const count = (colour: readonly number[]): number => { let n = 0; for (let at = 0; at < data.length; at += 3) if (colour.every((value, c) => data[at + c] === value)) n++; return n; };
    expect(count([86, 180, 233])).toBeGreaterThan(500);
    expect(count([230, 159, 0])).toBeGreaterThan(500);
  });
});
