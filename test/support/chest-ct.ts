import type { FramedVolume } from '../../src/imaging/analyses/lung-nodule/postprocess.js';
import { chestTissue } from '../../src/imaging/phantom/chest-ct.js';
import type { Affine, Vector3 } from '../../src/imaging/volume/volume.js';

export interface Ball {
  /** LPS millimetres. */
  centre: Vector3;
  radiusMm: number;
  hu: number;
}

export interface ChestOptions {
  size?: Vector3;
  spacing?: Vector3;
  balls?: readonly Ball[];
  /** Turned half round, as of a patient who lies face down. */
  prone?: boolean;
  /** Nothing but lung, with a vessel along x from the origin to the left when its radius is given. */
  onlyLung?: { vesselMm?: number };
}

/**
 * A made-up chest CT: a body of soft tissue with two lungs of −850 HU, and balls in it. A voxel at the border of a ball holds the mean of what it covers.
 * Voxels are Int16 Hounsfield units.
 */
export function chestCt({ size = [128, 100, 96], spacing = [2.5, 2.5, 2.5], balls = [], prone = false, onlyLung }: ChestOptions = {}): FramedVolume {
  const [columns, rows, slices] = size;
  const start = size.map((n, axis) => (-(n - 1) / 2) * (spacing[axis] ?? 1)) as unknown as Vector3; // three axes
  const sign = prone ? -1 : 1;
  const affine: Affine = [[sign * spacing[0], 0, 0, sign * start[0]], [0, sign * spacing[1], 0, sign * start[1]], [0, 0, spacing[2], start[2]]];
  const voxels = new Int16Array(columns * rows * slices);
  for (let k = 0, offset = 0; k < slices; k++) {
    for (let j = 0; j < rows; j++) {
      for (let i = 0; i < columns; i++, offset++) {
        const point: Vector3 = [sign * (start[0] + i * spacing[0]), sign * (start[1] + j * spacing[1]), start[2] + k * spacing[2]];
        voxels[offset] = Math.round(withBalls(point, spacing, balls, onlyLung ? (point[0] > 0 && Math.hypot(point[1], point[2]) <= (onlyLung.vesselMm ?? 0) ? 40 : -850) : chestTissue(...point)));
      }
    }
  }
  const frames = Array.from({ length: slices }, (_, k) => ({ sopInstanceUid: `2.25.${1000 + k}`, frame: 1 }));
  return { size, affine, voxels, frames, frameOfReferenceUid: '2.25.7' };
}

/** 5³ samples in a voxel near the border of a ball. */
function withBalls(point: Vector3, spacing: Vector3, balls: readonly Ball[], outside: number): number {
  let value = outside;
  for (const { centre, radiusMm, hu } of balls) {
    const away = Math.hypot(point[0] - centre[0], point[1] - centre[1], point[2] - centre[2]);
    const reach = Math.hypot(...spacing) / 2;
    if (away >= radiusMm + reach) continue;
    if (away <= radiusMm - reach) {
      value = hu;
      continue;
    }
    let inside = 0;
    for (let s = 0; s < 125; s++) {
      const part = (n: number, axis: 0 | 1 | 2): number => point[axis] + ((n - 2) / 5) * spacing[axis] - centre[axis];
      if (Math.hypot(part(s % 5, 0), part(Math.floor(s / 5) % 5, 1), part(Math.floor(s / 25), 2)) <= radiusMm) inside++;
    }
    value += (inside / 125) * (hu - value);
  }
  return value;
}
