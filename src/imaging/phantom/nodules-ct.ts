import type { Vector3 } from '../volume/volume.js';
import { CHEST_HU, chestTissue, LUNGS } from './chest-ct.js';
import { normalStream, uniformStream } from './random.js';
import { mix } from './strands.js';
import { vesselTree } from './vessels.js';
import { fillVolume, type PhantomVolume } from './volume-series.js';

export interface PhantomNodule {
  /** LPS millimetres. */
  centre: Vector3;
  diameterMm: number;
  side: 'left' | 'right';
}

export interface PhantomChest {
  volume: PhantomVolume;
  nodules: PhantomNodule[];
}

const SIZE: Vector3 = [256, 192, 108];
const SPACING: Vector3 = [1.25, 1.25, 2];
const DIAMETERS_MM = [7, 9, 12, 16];
const NODULE_HU = 20;
/** Nodules touch neither the chest wall nor each other. */
const [WITHIN_LUNG, APART_MM] = [0.72, 35];
const NOISE_HU = 18;
const HILUM_MM = 30;

/** A made-up chest of an adult in CT with the vessels of two lungs and four solid nodules in them, at random places. Slices of 2 mm; what lies partly in a voxel counts partly. */
export function chestWithNodules(seed = 1): PhantomChest {
  const uniform = uniformStream(seed);
  const nodules = places(uniform);
  const normal = normalStream(uniform);
  const volume = fillVolume(SIZE, SPACING, chestTissue);
  for (const { centre: [x, y, z], radii } of LUNGS) {
    const side = x < 0 ? -1 : 1;
    // A tree of vessels grows with z to the head in both.
    for (const branch of vesselTree([side * HILUM_MM, 0, 0], { centre: [x, y, z], semiAxes: [...radii] }, side, uniform)) {
      for (const [index, to] of branch.entries()) {
        const from = branch[index - 1];
        if (from === undefined) continue;
        const steps = Math.max(1, Math.ceil(Math.hypot(...to.at.map((part, axis) => part - (from.at[axis] ?? part))) / (SPACING[0] / 2)));
        for (let step = 0; step < steps; step++) {
          const part = step / steps;
          addBall(volume, [mix(from.at[0], to.at[0], part), mix(from.at[1], to.at[1], part), mix(from.at[2], to.at[2], part)], mix(from.radiusMm, to.radiusMm, part), CHEST_HU.tissue);
        }
      }
    }
  }
  for (const { centre, diameterMm } of nodules) addBall(volume, centre, diameterMm / 2, NODULE_HU);
  for (let at = 0; at < volume.voxels.length; at++) volume.voxels[at] = (volume.voxels[at] ?? 0) + Math.round(NOISE_HU * normal());
  return { volume, nodules };
}

function places(uniform: () => number): PhantomNodule[] {
  const nodules: PhantomNodule[] = [];
  for (const [index, diameterMm] of DIAMETERS_MM.entries()) {
    const lung = LUNGS[index % LUNGS.length] ?? LUNGS[0];
    for (;;) {
      const [u, v, w] = [2 * uniform() - 1, 2 * uniform() - 1, 2 * uniform() - 1];
      if (Math.hypot(u, v, w) > WITHIN_LUNG) continue;
      const centre: Vector3 = [lung.centre[0] + u * lung.radii[0], lung.centre[1] + v * lung.radii[1], lung.centre[2] + w * lung.radii[2]];
      if (nodules.some((other) => Math.hypot(...centre.map((part, axis) => part - (other.centre[axis] ?? part))) < APART_MM)) continue;
      nodules.push({ centre, diameterMm, side: centre[0] > 0 ? 'left' : 'right' });
      break;
    }
  }
  return nodules;
}

/** Makes a ball at least as dense as `hu`; at its border by the share of a voxel that it covers. Thinner than a voxel, it keeps its mass. */
function addBall({ size, spacing, voxels }: PhantomVolume, centre: Vector3, radiusMm: number, hu: number): void {
  const pitch = spacing[0];
  const radius = Math.max(radiusMm, pitch / 2);
  const full = Math.min(1, (radiusMm / radius) ** 2);
  const range = (axis: 0 | 1 | 2): [number, number] => {
    const at = centre[axis] / spacing[axis] + (size[axis] - 1) / 2;
    const reach = (radius + pitch / 2) / spacing[axis];
    return [Math.max(0, Math.ceil(at - reach)), Math.min(size[axis] - 1, Math.floor(at + reach))];
  };
  const place = (axis: 0 | 1 | 2, index: number): number => (index - (size[axis] - 1) / 2) * spacing[axis] - centre[axis];
  const [[i0, i1], [j0, j1], [k0, k1]] = [range(0), range(1), range(2)];
  for (let k = k0; k <= k1; k++) {
    for (let j = j0; j <= j1; j++) {
      for (let i = i0; i <= i1; i++) {
        const share = full * Math.min(1, (radius - Math.hypot(place(0, i), place(1, j), place(2, k))) / pitch + 0.5);
        if (share <= 0) continue;
        const offset = i + size[0] * (j + size[1] * k);
        const own = voxels[offset] ?? 0;
        voxels[offset] = Math.max(own, Math.round(mix(CHEST_HU.lung, hu, share)));
      }
    }
  }
}
