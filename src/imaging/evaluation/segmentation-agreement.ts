import { distanceTo } from '../volume/distance.js';
import { boundingBoxOfAll } from '../volume/morphology.js';
import type { Vector3 } from '../volume/volume.js';

/** How two masks on one grid agree. */
export interface Agreement {
  /** 2·|A∩B| / (|A|+|B|); null where both are empty. */
  dice: number | null;
  /** 95th percentile of the distances between the two surfaces, both ways, in millimetres; null where one of them is empty. */
  hausdorff95Mm: number | null;
  /** Found and true, in millilitres. */
  foundMl: number;
  trueMl: number;
}

/**
 * @param found, truth  0 is outside, `[z, y, x]`
 * @param size  columns, rows, slices
 * @param spacing  of voxels, in millimetres
 * @see Taha, Hanbury, "Metrics for evaluating 3D medical image segmentation", BMC Medical Imaging 15:29 (2015)
 */
export function agreementOf(found: Uint8Array, truth: Uint8Array, size: Vector3, spacing: Vector3): Agreement {
  let [inFound, inTruth, inBoth] = [0, 0, 0];
  for (let i = 0; i < truth.length; i++) {
    const [f, t] = [found[i] !== 0, truth[i] !== 0];
    if (f) inFound++;
    if (t) inTruth++;
    if (f && t) inBoth++;
  }
  const millilitres = (spacing[0] * spacing[1] * spacing[2]) / 1000;
  return {
    dice: inFound + inTruth === 0 ? null : (2 * inBoth) / (inFound + inTruth),
    hausdorff95Mm: inFound === 0 || inTruth === 0 ? null : hausdorff95(found, truth, size, spacing),
    foundMl: inFound * millilitres,
    trueMl: inTruth * millilitres,
  };
}

function hausdorff95(found: Uint8Array, truth: Uint8Array, size: Vector3, spacing: Vector3): number {
  const [from, to] = boundingBoxOfAll([found, truth], size) ?? [[0, 0, 0], [-1, -1, -1]];
  const box: Box = { from, size: [to[0] - from[0] + 1, to[1] - from[1] + 1, to[2] - from[2] + 1] };
  const surfaces = [found, truth].map((mask) => surfaceIn(mask, size, box));
  const fields = surfaces.map((surface) => distanceTo(surface, box.size, spacing));
  const distances: number[] = [];
  for (const [of, to] of [[0, 1], [1, 0]] as const) {
    const surface = surfaces[of] ?? new Uint8Array();
    const field = fields[to] ?? new Float32Array();
    for (let i = 0; i < surface.length; i++) if (surface[i] !== 0) distances.push(field[i] ?? 0);
  }
  const sorted = Float64Array.from(distances).sort();
  return sorted[Math.ceil(0.95 * sorted.length) - 1] ?? 0;
}

interface Box {
  from: Vector3;
  size: Vector3;
}

/** Voxels of a mask that touch what is outside of it by a face; beyond the edge of the image is outside. */
function surfaceIn(mask: Uint8Array, [nx, ny, nz]: Vector3, { from, size }: Box): Uint8Array {
  const isIn = (x: number, y: number, z: number): boolean => x >= 0 && y >= 0 && z >= 0 && x < nx && y < ny && z < nz && mask[(z * ny + y) * nx + x] !== 0;
  const surface = new Uint8Array(size[0] * size[1] * size[2]);
  for (let k = 0, i = 0; k < size[2]; k++) for (let j = 0; j < size[1]; j++) for (let h = 0; h < size[0]; h++, i++) {
    const [x, y, z] = [from[0] + h, from[1] + j, from[2] + k];
    const isInner = isIn(x - 1, y, z) && isIn(x + 1, y, z) && isIn(x, y - 1, z) && isIn(x, y + 1, z) && isIn(x, y, z - 1) && isIn(x, y, z + 1);
    if (isIn(x, y, z) && !isInner) surface[i] = 1;
  }
  return surface;
}
