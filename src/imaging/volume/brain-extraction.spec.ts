import { describe, expect, it } from 'vitest';
import { fillMesh } from './brain/fill-mesh.js';
import { sphere } from './brain/sphere.js';
import { extractBrain } from './brain-extraction.js';
import { squaredDistanceTo } from './distance.js';
import type { Affine, Vector3, Volume } from './volume.js';

describe('sphere', () => {
  it('is closed, even and seen from outside', () => {
    const { vertices, triangles, starts, neighbours } = sphere(3);
    expect(vertices).toHaveLength(3 * 642);
    expect(triangles).toHaveLength(3 * 1280);
    let volume = 0;
    for (let t = 0; t < triangles.length; t += 3) {
      const [a, b, c] = [0, 1, 2].map((corner) => vertices.subarray(3 * (triangles[t + corner] ?? 0), 3 * (triangles[t + corner] ?? 0) + 3)) as [Float64Array, Float64Array, Float64Array];
      const [[ax = 0, ay = 0, az = 0], [bx = 0, by = 0, bz = 0], [cx = 0, cy = 0, cz = 0]] = [a, b, c];
      volume += (ax * (by * cz - bz * cy) - ay * (bx * cz - bz * cx) + az * (bx * cy - by * cx)) / 6;
    }
    expect(volume).toBeGreaterThan(0.98 * (4 / 3) * Math.PI);
    expect([...starts.slice(1)].map((end, v) => end - (starts[v] ?? 0)).every((count) => count === 5 || count === 6)).toBe(true);
    expect(neighbours).toHaveLength(2 * 1920);
  });
});

describe('fillMesh', () => {
  it.each<[string, Affine]>([
    ['upright', [[1, 0, 0, -25], [0, 1, 0, -25], [0, 0, 2, -25]]],
    ['turned and mirrored', [[0, -0.8, 1.2, 4], [0.9, 0.1, 0, -22], [0.1, 0.6, 1.6, -40]]],
  ])('holds the volume of a sphere on a grid that is %s', (_, affine) => {
    const mesh = sphere(4);
    const radius = 14;
    const mask = fillMesh({ ...mesh, vertices: mesh.vertices.map((x) => radius * x) }, { size: [50, 50, 50], affine });
    const [[a, b, c], [d, e, f], [g, h, i]] = affine;
    const voxel = Math.abs(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g));
    expect((mask.reduce((sum, inside) => sum + inside, 0) * voxel) / ((4 / 3) * Math.PI * radius ** 3)).toBeCloseTo(1, 1);
  });
});

describe('squaredDistanceTo', () => {
  it('is what a search over all voxels gives', () => {
    const size: Vector3 = [9, 7, 5];
    const spacing: Vector3 = [1, 1.5, 4];
    const mask = new Uint8Array(9 * 7 * 5);
    const set: Vector3[] = [[1, 2, 0], [7, 6, 4], [4, 0, 2]];
    for (const [i, j, k] of set) mask[i + 9 * (j + 7 * k)] = 1;
    const found = squaredDistanceTo(mask, size, spacing);
    const wanted = Array.from(mask, (_, o) => Math.min(...set.map(([i, j, k]) => (spacing[0] * ((o % 9) - i)) ** 2 + (spacing[1] * ((Math.floor(o / 9) % 7) - j)) ** 2 + (spacing[2] * (Math.floor(o / 63) - k)) ** 2)));
    expect([...found]).toEqual(wanted.map((value) => expect.closeTo(value, 4) as number));
    expect(squaredDistanceTo(new Uint8Array(8), [2, 2, 2], spacing).every((value) => value === Infinity)).toBe(true);
  });
});

describe('extractBrain', () => {
  /** A brain of 60 × 72 × 54 mm half axes, water, bone, a fatty scalp, and a neck; slices of 5 mm. */
  const size: Vector3 = [64, 72, 36];
  const affine: Affine = [[3, 0, 0, -94.5], [0, 3, 0, -106.5], [0, 0, 5, -110]];
  const inBrain = new Uint8Array(size[0] * size[1] * size[2]);
  const [t1, t2] = [new Float32Array(inBrain.length), new Float32Array(inBrain.length)];
  for (let k = 0, o = 0; k < size[2]; k++) {
    for (let j = 0; j < size[1]; j++) {
      for (let i = 0; i < size[0]; i++, o++) {
        const [x, y, z] = [3 * i - 94.5, 3 * j - 106.5, 5 * k - 110];
        const shell = (grown: number): boolean => Math.hypot(x / (60 + grown), y / (72 + grown), z / (54 + grown)) < 1;
        const grain = 1 + 0.05 * Math.sin(12.9 * i + 78.2 * j + 37.7 * k);
        const [a, b] = shell(0) ? [300, 300] : shell(3) ? [90, 700] : shell(10) ? [25, 25] : shell(18) ? [900, 350] : z < 0 && Math.hypot(x, y) < 45 ? [280, 90] : [5, 5];
        inBrain[o] = shell(0) ? 1 : 0;
        [t1[o], t2[o]] = [a * grain, b * grain];
      }
    }
  }
  const volume = (voxels: Float32Array): Volume => ({ size, affine, voxels });

  it('finds the brain in a made-up head', () => {
    const told: number[] = [];
    const { mask, volumeMl } = extractBrain({ t1: volume(t1), t2: volume(t2) }, { fraction: 0.6, progress: (done) => told.push(done) });
    const both = mask.reduce((sum, inside, o) => sum + (inside & (inBrain[o] ?? 0)), 0);
    const dice = (2 * both) / (mask.reduce((sum, inside) => sum + inside, 0) + inBrain.reduce((sum, inside) => sum + inside, 0));
    expect(dice).toBeGreaterThan(0.93);
    expect(volumeMl / ((4 / 3) * Math.PI * 60 * 72 * 54 * 1e-3)).toBeCloseTo(1, 0);
    expect(told.at(-1)).toBe(1);
  });

  it('ends when there is nothing', () => {
    expect(extractBrain({ t1: volume(new Float32Array(inBrain.length)) }, { fraction: 0.6 })).toMatchObject({ volumeMl: 0, restarts: 0 });
  });
});
