import type { Vector3 } from './volume.js';

/** Neighbours that share a face (6), an edge too (18), a corner too (26). */
export type Connectivity = 6 | 18 | 26;

const ALL: readonly Vector3[] = [-1, 0, 1].flatMap((k) => [-1, 0, 1].flatMap((j) => [-1, 0, 1].map((i): Vector3 => [i, j, k]))).filter(([i, j, k]) => i !== 0 || j !== 0 || k !== 0);

/** Steps (column, row, slice) to the neighbours, without the voxel itself. */
export function offsetsOf(connectivity: Connectivity): readonly Vector3[] {
  const reach = connectivity === 6 ? 1 : connectivity === 18 ? 2 : 3;
  return ALL.filter(([i, j, k]) => Math.abs(i) + Math.abs(j) + Math.abs(k) <= reach);
}
