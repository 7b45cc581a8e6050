import type { Voxels } from './volume.js';

/** The value at fractional index coordinates (i, j, k); beyond the edge, that of the edge. Numbers one by one, because it is called by the hundred million. */
export function trilinear(voxels: Voxels, columns: number, rows: number, slices: number, i: number, j: number, k: number): number {
  const x = i < 0 ? 0 : i > columns - 1 ? columns - 1 : i;
  const y = j < 0 ? 0 : j > rows - 1 ? rows - 1 : j;
  const z = k < 0 ? 0 : k > slices - 1 ? slices - 1 : k;
  const i0 = x | 0;
  const j0 = y | 0;
  const k0 = z | 0;
  const u = x - i0;
  const v = y - j0;
  const w = z - k0;
  const di = u === 0 ? 0 : 1;
  const dj = v === 0 ? 0 : columns;
  const dk = w === 0 ? 0 : columns * rows;
  const at = i0 + columns * (j0 + rows * k0);
  const a = voxels[at] ?? 0;
  const b = voxels[at + dj] ?? 0;
  const c = voxels[at + dk] ?? 0;
  const d = voxels[at + dj + dk] ?? 0;
  const near = a + u * ((voxels[at + di] ?? 0) - a);
  const nearRow = b + u * ((voxels[at + di + dj] ?? 0) - b);
  const far = c + u * ((voxels[at + di + dk] ?? 0) - c);
  const farRow = d + u * ((voxels[at + di + dj + dk] ?? 0) - d);
  const first = near + v * (nearRow - near);
  return first + w * (far + v * (farRow - far) - first);
}
