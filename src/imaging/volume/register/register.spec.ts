import { describe, expect, it } from 'vitest';
import { uniformStream } from '../../phantom/random.js';
import { composeAffines, indexToLps } from '../geometry.js';
import type { Affine, Vector3, Volume } from '../volume.js';
import { levelOf } from './level.js';
import { mutualInformation } from './mutual-information.js';
import { climb } from './optimise.js';
import { register } from './register.js';
import { extentOf, sampleFixed } from './samples.js';
import { affine, identityMap, rigid, toAffine } from './transform.js';

const SIZE: Vector3 = [48, 52, 24];
const GRID: Affine = [[2.5, 0, 0, -58], [0, 2.5, 0, -64], [0, 0, 4, -46]];
/** Ellipsoids in a head: centre, half axes, brightness on the one and on the other contrast. */
const PARTS: readonly (readonly [Vector3, Vector3, number, number])[] = [
  [[0, 0, 0], [46, 54, 38], 100, 60], [[0, 0, 0], [40, 48, 32], 60, 140], [[-15, 5, 4], [7, 20, 10], 20, 220], [[15, 5, 4], [7, 18, 10], 20, 220], [[12, -28, 8], [9, 7, 8], 90, 180], [[-22, 24, -10], [8, 6, 9], 75, 90],
];

/** The head as a scanner would see it had it moved; soft edges. */
function head(contrast: 0 | 1, moved: Affine = toAffine(identityMap([0, 0, 0]))): Volume<Float32Array> {
  const voxels = new Float32Array(SIZE[0] * SIZE[1] * SIZE[2]);
  const back = composeAffines(inverse(moved), GRID);
  let offset = 0;
  for (let k = 0; k < SIZE[2]; k++) {
    for (let j = 0; j < SIZE[1]; j++) {
      for (let i = 0; i < SIZE[0]; i++) {
        const point = indexToLps(back, [i, j, k]);
        let value = 0;
        for (const [centre, half, first, second] of PARTS) {
          const depth = 1 - Math.hypot(...([0, 1, 2] as const).map((axis) => (point[axis] - centre[axis]) / half[axis]));
          const inside = 1 / (1 + Math.exp(-12 * depth));
          value += inside * ((contrast === 0 ? first : second) - value);
        }
        voxels[offset++] = value;
      }
    }
  }
  return { size: SIZE, affine: GRID, voxels };
}

/** Of a rotation: its transpose. */
function inverse([x, y, z]: Affine): Affine {
  const shift = (a: number, b: number, c: number): number => -(a * x[3] + b * y[3] + c * z[3]);
  return [[x[0], y[0], z[0], shift(x[0], y[0], z[0])], [x[1], y[1], z[1], shift(x[1], y[1], z[1])], [x[2], y[2], z[2], shift(x[2], y[2], z[2])]];
}

function turned(degrees: Vector3, shift: Vector3): Affine {
  return toAffine(rigid(identityMap([0, 0, 0]), 180 / Math.PI).map(Float64Array.of(...degrees, ...shift)));
}

function meanError(a: Affine, b: Affine): number {
  const points: Vector3[] = [[-40, 0, 0], [40, 0, 0], [0, -45, 0], [0, 45, 0], [0, 0, -30], [0, 0, 30], [20, 20, 20], [-20, -20, -20]];
  return points.reduce((sum, point) => sum + Math.hypot(...indexToLps(a, point).map((value, axis) => value - (indexToLps(b, point)[axis] ?? 0))), 0) / points.length;
}

describe('register', () => {
  it.each<[string, Vector3, Vector3]>([['a shift', [0, 0, 0], [6, -9, 5]], ['a turn', [6, -4, 9], [0, 0, 0]], ['both, far', [-10, 7, 12], [14, 10, -8]]])('undoes %s between two contrasts', (_, degrees, shift) => {
    const truth = turned(degrees, shift);
    const { toMoving, mutualInformation: { before, after } } = register(head(0), head(1, truth), { kind: 'rigid', random: uniformStream(7) });
    expect(meanError(toMoving, truth)).toBeLessThan(1);
    expect(after).toBeGreaterThan(before);
  });

  // Nested ellipsoids fit each other at many sizes: affine freedom alone would shrink them.
  it('leaves what lies alike where it is, and tells how far it is', () => {
    const told: number[] = [];
    const { toMoving, overlap } = register(head(0), head(1), { kind: 'affine', random: uniformStream(7), progress: (done) => told.push(done) });
    expect(meanError(toMoving, turned([0, 0, 0], [0, 0, 0]))).toBeLessThan(0.7);
    expect(overlap).toBeGreaterThan(0.9);
    expect(told.at(-1)).toBe(1);
    expect(told).toEqual([...told].sort((a, b) => a - b));
  });

  it('gives the same for the same seed', () => {
    const run = (): Affine => register(head(0), head(1, turned([3, 2, 1], [1, 2, 3])), { kind: 'rigid', random: uniformStream(3) }).toMoving;
    expect(run()).toEqual(run());
  });

  it('survives images of one value', () => {
    const flat: Volume = { ...head(0), voxels: new Float32Array(SIZE[0] * SIZE[1] * SIZE[2]) };
    const { toMoving, mutualInformation: { after } } = register(flat, head(1), { kind: 'rigid', random: uniformStream(1) });
    expect(toMoving.flat().every(Number.isFinite)).toBe(true);
    expect(after).toBeLessThan(0.01);
  });
});

describe('mutualInformation', () => {
  const fixed = head(0);
  // Samples that leave the image make steps, which no derivative tells: these stay inside.
  const samples = sampleFixed(levelOf(fixed, 0), fixed, { ...extentOf(fixed), from: [6, 6, 4], to: [41, 45, 19] }, 6000, uniformStream(5));
  const moving = levelOf(head(1, turned([2, -3, 4], [2, 1, -2])), 0);

  it.each([['rigid', rigid], ['affine', affine]] as const)('has the derivative that differences give, %s', (_, freedom) => {
    const parametrisation = freedom(identityMap(extentOf(fixed).centre), 40);
    const value = (parameters: Float64Array): number => mutualInformation(samples, moving, parametrisation.map(parameters)).mutualInformation;
    const at = new Float64Array(parametrisation.count).map((__, i) => 0.1 * (i % 3) - 0.1);
    const gradient = parametrisation.gradient(at, mutualInformation(samples, moving, parametrisation.map(at)).gradient);
    for (let i = 0; i < at.length; i++) {
      const difference = (step: number): number => value(at.map((p, n) => (n === i ? p + step : p)));
      expect(gradient[i]).toBeCloseTo((difference(0.01) - difference(-0.01)) / 0.02, 3);
    }
  });
});

describe('climb', () => {
  it('finds the top of a narrow ridge', () => {
    const top = climb(([x = 0, y = 0]) => ({ value: -((1 - x) ** 2) - 100 * (y - x * x) ** 2, gradient: Float64Array.of(2 * (1 - x) + 400 * x * (y - x * x), -200 * (y - x * x)) }), Float64Array.of(-1.2, 1), { maxStep: 1, minStep: 1e-9, maxIterations: 200 });
    expect(top.parameters[0]).toBeCloseTo(1, 4);
    expect(top.parameters[1]).toBeCloseTo(1, 4);
  });
});
