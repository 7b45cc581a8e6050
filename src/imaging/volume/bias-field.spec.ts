import { describe, expect, it } from 'vitest';
import { normalStream, uniformStream } from '../phantom/random.js';
import { correctBias } from './bias-field.js';
import { evaluateLattice, fitLattice } from './bias/spline.js';
import type { Affine, Vector3, Volume } from './volume.js';

const SIZE: Vector3 = [45, 50, 21];
const AFFINE: Affine = [[4, 0, 0, 0], [0, 4, 0, 0], [0, 0, 5.5, 0]];

function variation(values: readonly number[]): number {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length) / mean;
}

describe('correctBias', () => {
  it('takes a smooth field out of two tissues and keeps their contrast', () => {
    const count = SIZE[0] * SIZE[1] * SIZE[2];
    const noise = normalStream(uniformStream(1));
    const [voxels, mask, tissue] = [new Float32Array(count), new Uint8Array(count), new Uint8Array(count)];
    for (let k = 0, o = 0; k < SIZE[2]; k++) {
      for (let j = 0; j < SIZE[1]; j++) {
        for (let i = 0; i < SIZE[0]; i++, o++) {
          const [x, y, z] = [i / 44 - 0.5, j / 49 - 0.5, k / 20 - 0.5];
          mask[o] = Math.hypot(x, y, z) < 0.48 ? 1 : 0;
          tissue[o] = Math.sin(9 * x + 2) * Math.sin(11 * y) * Math.sin(8 * z + 1) > 0 ? 1 : 0;
          const field = Math.exp(0.6 * x - 0.5 * y * y + 0.4 * z * y + 0.3 * y);
          voxels[o] = mask[o] === 1 ? Math.max(1, ((tissue[o] === 1 ? 160 : 100) + 3 * noise()) * field) : 0;
        }
      }
    }
    const volume: Volume = { size: SIZE, affine: AFFINE, voxels };
    const told: number[] = [];
    const { volume: corrected, range } = correctBias(volume, mask, (done) => told.push(done));
    const of = (from: ArrayLike<number>, kind: number): number[] => Array.from(from).filter((_, o) => mask[o] === 1 && tissue[o] === kind);
    for (const kind of [0, 1]) expect(variation(of(corrected.voxels, kind))).toBeLessThan(0.45 * variation(of(voxels, kind)));
    const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
    expect(mean(of(corrected.voxels, 1)) / mean(of(corrected.voxels, 0))).toBeCloseTo(1.6, 1);
    expect(range[0]).toBeLessThan(0.9);
    expect(range[1]).toBeGreaterThan(1.1);
    expect(told.at(-1)).toBe(1);
    expect(corrected.voxels.every((value, o) => mask[o] === 1 || value === 0)).toBe(true);
  });

  it('leaves an image alone whose mask is empty', () => {
    const volume: Volume = { size: [4, 4, 4], affine: AFFINE, voxels: Float32Array.from({ length: 64 }, (_, i) => i) };
    expect([...correctBias(volume, new Uint8Array(64)).volume.voxels]).toEqual([...volume.voxels]);
  });
});

describe('fitLattice', () => {
  it('comes ever nearer to a constant when what is left is fitted again', () => {
    const size: Vector3 = [12, 10, 8];
    const offsets = Int32Array.from({ length: 960 }, (_, o) => o);
    let left = new Float64Array(960).fill(0.7);
    for (let round = 0; round < 20; round++) {
      const surface = evaluateLattice(fitLattice(left, offsets, size, [4, 2, 1]), size);
      left = left.map((value, o) => value - (surface[o] ?? 0));
    }
    // Corners, which few voxels speak for, come last.
    expect(left.reduce((sum, value) => sum + Math.abs(value), 0) / left.length).toBeLessThan(0.03);
  });
});
