import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { uniformStream } from '../../../src/imaging/phantom/random.js';
import { composeAffines, indexToLps } from '../../../src/imaging/volume/geometry.js';
import { otsuThreshold } from '../../../src/imaging/volume/otsu.js';
import { register, type RegistrationKind } from '../../../src/imaging/volume/register/register.js';
import { identityMap, rigid, toAffine } from '../../../src/imaging/volume/register/transform.js';
import { resample } from '../../../src/imaging/volume/resample.js';
import type { Affine, Volume } from '../../../src/imaging/volume/volume.js';
import { readNifti } from '../../support/nifti.js';
import { ROOT } from '../../support/product.js';
import { DATA, sharedFile } from '../../support/shared-data.js';

const folder = sharedFile(DATA, 'mri', 'tcga_fg6692_native');

function load(name: string): Volume {
  const { size, affine, voxels } = readNifti(`${folder ?? ''}/${name}.nii.gz`);
  return { size, affine, voxels: Float32Array.from(voxels) };
}

/** Rotations in degrees about the middle of the volume, then millimetres. */
function turn(volume: Volume, degrees: readonly [number, number, number], shift: readonly [number, number, number]): Affine {
  const [columns, rows, slices] = volume.size;
  const centre = indexToLps(volume.affine, [columns / 2, rows / 2, slices / 2]);
  const radius = 180 / Math.PI;
  return toAffine(rigid(identityMap(centre), radius).map(Float64Array.of(...degrees, ...shift)));
}

/** The volume as it would be stored had the head lain otherwise. */
function moved(volume: Volume, by: Affine): Volume {
  return resample({ ...volume, affine: composeAffines(by, volume.affine) }, volume, { interpolation: 'cubic-b-spline', outside: 0 });
}

/** Mean and greatest distance in millimetres of where two maps bring the points of the head. */
function errorOf(head: Volume, a: Affine, b: Affine): { mean: number; max: number } {
  const threshold = otsuThreshold(head.voxels);
  let [sum, count, max] = [0, 0, 0];
  for (let k = 0; k < head.size[2]; k += 2) {
    for (let j = 0; j < head.size[1]; j += 6) {
      for (let i = 0; i < head.size[0]; i += 6) {
        if ((head.voxels[i + head.size[0] * (j + head.size[1] * k)] ?? 0) < threshold) continue;
        const point = indexToLps(head.affine, [i, j, k]);
        const [p, q] = [indexToLps(a, point), indexToLps(b, point)];
        const distance = Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]);
        sum += distance;
        count++;
        max = Math.max(max, distance);
      }
    }
  }
  return { mean: sum / count, max };
}

describe.skipIf(folder === undefined)('register, on a head of 26 slices of 5.5 mm', () => {
  const found = (fixed: Volume, moving: Volume, kind: RegistrationKind = 'rigid'): Affine => register(fixed, moving, { kind, random: uniformStream(1) }).toMoving;

  it.each<[string, [number, number, number], [number, number, number]]>([
    ['a small one', [2, -3, 4], [3, -4, 2]],
    ['a turned head', [-8, 5, 12], [10, 6, -5]],
    ['a head that lies far off', [4, -6, -10], [25, -20, 15]],
  ])('undoes a known movement of the same sequence: %s', (_, degrees, shift) => {
    const fixed = load('t1c');
    const by = turn(fixed, degrees, shift);
    const error = errorOf(fixed, found(fixed, moved(fixed, by)), by);
    console.info(`same sequence: mean ${error.mean.toFixed(3)} mm, max ${error.max.toFixed(3)} mm`);
    expect(error.mean).toBeLessThan(0.5);
  });

  it.each<[string, [number, number, number], [number, number, number]]>([
    ['t2', [5, -4, 8], [8, -6, 4]],
    ['fla', [-6, 3, 7], [-7, 9, -5]],
    ['t1', [3, 7, -9], [12, 4, 6]],
  ])('finds %s again after a known movement', (name, degrees, shift) => {
    const fixed = load('t1c');
    const other = load(name);
    const by = turn(other, degrees, shift);
    const error = errorOf(fixed, found(fixed, moved(other, by)), composeAffines(by, found(fixed, other)));
    console.info(`${name}: mean ${error.mean.toFixed(3)} mm, max ${error.max.toFixed(3)} mm`);
    expect(error.mean).toBeLessThan(1);
  });

  it('undoes a known stretch with affine freedom', () => {
    const fixed = load('t1c');
    const stretch: Affine = [[1.04, 0.02, 0, 5], [-0.01, 0.97, 0.01, -4], [0, 0.02, 1.03, 3]];
    const error = errorOf(fixed, found(fixed, moved(fixed, stretch), 'affine'), stretch);
    console.info(`affine: mean ${error.mean.toFixed(3)} mm, max ${error.max.toFixed(3)} mm`);
    expect(error.mean).toBeLessThan(1);
  });

  it.each(['t1', 't2', 'fla'] as const)('comes to where SimpleITK comes for %s', (name) => {
    const golden = JSON.parse(readFileSync(join(ROOT, 'test/golden/volume/registration.json'), 'utf8')) as { maps: Record<typeof name, Affine> };
    const fixed = load('t1c');
    const error = errorOf(fixed, found(fixed, load(name)), golden.maps[name]);
    console.info(`${name} against SimpleITK: mean ${error.mean.toFixed(3)} mm, max ${error.max.toFixed(3)} mm`);
    expect(error.mean).toBeLessThan(1);
  });

  it('gives the same for the same input', () => {
    const [fixed, moving] = [load('t1c'), load('t2')];
    expect(found(fixed, moving)).toEqual(found(fixed, moving));
  });
});
