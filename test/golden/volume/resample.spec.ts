import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { splineCoefficients, type Interpolation } from '../../../src/imaging/volume/kernels.js';
import { orientationOf, reorient } from '../../../src/imaging/volume/reorient.js';
import { resample, resampleLabels, respacedGrid } from '../../../src/imaging/volume/resample.js';
import type { Affine, Grid, Vector3, Volume } from '../../../src/imaging/volume/volume.js';

interface Golden {
  source: { size: Vector3; affine: Affine };
  cases: { target: string; interpolation: Interpolation; grid: Grid; outside: number; mean: number; samples: [number, number][] }[];
  reoriented: Record<string, { size: Vector3; affine: Affine; samples: [number, number][] }>;
  spline: { line: number[]; coefficients: number[]; short: number[] };
}

// Written by resample.py beside it.
const golden = JSON.parse(readFileSync(new URL('resample.json', import.meta.url), 'utf8')) as Golden;
const OUTSIDE = -1000;
/** Of values that reach 400; SimpleITK computes its B-spline coefficients and windowed sinc in its own precision. */
const TOLERANCE: Record<Interpolation, number> = { nearest: 1e-4, linear: 1e-3, 'cubic-b-spline': 5e-3, lanczos: 5e-3 };

function source(): Volume<Float32Array> {
  const [columns, rows, slices] = golden.source.size;
  const voxels = new Float32Array(columns * rows * slices);
  for (let k = 0, p = 0; k < slices; k++) {
    for (let j = 0; j < rows; j++) {
      for (let i = 0; i < columns; i++, p++) voxels[p] = 200 * Math.sin(0.7 * i + 0.2) + 90 * Math.cos(0.9 * j - 0.3 * k) + 15 * k + ((i * 7 + j * 5 + k * 3) % 11);
    }
  }
  return { ...golden.source, voxels };
}

describe('resampling', () => {
  it.each(golden.cases.map((entry) => [`${entry.interpolation} on the grid "${entry.target}"`, entry] as const))('gives what SimpleITK gives: %s', (_, { interpolation, grid, outside, mean, samples }) => {
    const { voxels } = resample(source(), grid, { interpolation, outside: OUTSIDE });
    const inside = voxels.filter((value) => value !== OUTSIDE);
    expect(voxels.length - inside.length).toBe(outside);
    const tolerance = TOLERANCE[interpolation];
    expect(Math.abs(inside.reduce((sum, value) => sum + value, 0) / inside.length - mean)).toBeLessThan(tolerance);
    for (const [at, value] of samples) expect(Math.abs((voxels[at] ?? 0) - value), `voxel ${String(at)}`).toBeLessThan(tolerance);
  });

  it('gives the spline coefficients of scipy', () => {
    const line = Float64Array.from(golden.spline.line);
    splineCoefficients(line);
    for (const [i, value] of golden.spline.coefficients.entries()) expect(line[i]).toBeCloseTo(value, 6);
    const short = Float64Array.of(3, -1, 4);
    splineCoefficients(short);
    for (const [i, value] of golden.spline.short.entries()) expect(short[i]).toBeCloseTo(value, 9);
  });

  it('gives the volume back on its own grid, whatever the interpolation', () => {
    const volume = source();
    for (const interpolation of ['nearest', 'linear', 'cubic-b-spline', 'lanczos'] as const) {
      const { voxels } = resample(volume, volume, { interpolation, outside: OUTSIDE });
      for (const [at, value] of voxels.entries()) if (Math.abs(value - (volume.voxels[at] ?? 0)) > 1e-3) expect.fail(`${interpolation}: voxel ${String(at)}`);
    }
  });

  it('keeps a constant volume constant up to its edges', () => {
    const volume = { ...source(), voxels: new Int16Array(14 * 11 * 9).fill(-700) };
    for (const interpolation of ['nearest', 'linear', 'cubic-b-spline', 'lanczos'] as const) {
      const { voxels } = resample(volume, respacedGrid(volume, [0.5, 0.5, 1]), { interpolation, outside: -700 });
      expect(voxels.every((value) => Math.abs(value + 700) < 1e-3)).toBe(true);
    }
  });

  it('keeps the corner and the extent when voxels become another size', () => {
    const straight: Grid = { size: [10, 20, 8], affine: [[1, 0, 0, 5], [0, 1, 0, 6], [0, 0, 4, 7]] };
    const { size, affine } = respacedGrid(straight, [2, 0.5, 1]);
    expect(size).toEqual([5, 40, 32]);
    expect(affine).toEqual([[2, 0, 0, 5.5], [0, 0.5, 0, 5.75], [0, 0, 1, 5.5]]);
  });

  it('gives labels that are there, and none outside', () => {
    const { grid } = golden.cases.find(({ target }) => target === 'turned') ?? { grid: golden.source };
    const labels = { ...golden.source, voxels: Uint8Array.from({ length: 14 * 11 * 9 }, (_, p) => [0, 1, 4][p % 3] ?? 0) };
    const nearest = resample(labels, grid, { interpolation: 'nearest', outside: 0 });
    expect(Float32Array.from(resampleLabels(labels, grid).voxels)).toEqual(nearest.voxels);
  });

  it('tells how far it is', () => {
    const told: number[] = [];
    resample(source(), golden.source, { interpolation: 'linear', outside: 0 }, (done) => told.push(done));
    expect(told).toHaveLength(9);
    expect(told.at(-1)).toBe(1);
  });
});

describe('reorienting', () => {
  it.each(Object.entries(golden.reoriented))('gives what SimpleITK gives: %s', (code, expected) => {
    const volume = reorient(source(), code);
    expect(volume.size).toEqual(expected.size);
    expect(orientationOf(volume.affine)).toBe(code);
    for (const [axis, row] of expected.affine.entries()) for (const [i, value] of row.entries()) expect(volume.affine[axis]?.[i]).toBeCloseTo(value, 6);
    for (const [at, value] of expected.samples) expect(volume.voxels[at]).toBeCloseTo(value, 2);
  });

  it('comes back', () => {
    const volume = source();
    const back = reorient(reorient(volume, 'SRP'), orientationOf(volume.affine));
    expect(back.voxels).toEqual(volume.voxels);
    for (const [axis, row] of volume.affine.entries()) for (const [i, value] of row.entries()) expect(back.affine[axis]?.[i]).toBeCloseTo(value, 9);
  });

  it('refuses what is no orientation', () => {
    for (const code of ['LPX', 'LL', 'LRS', 'LPSL']) expect(() => reorient(source(), code)).toThrow(RangeError);
  });
});
