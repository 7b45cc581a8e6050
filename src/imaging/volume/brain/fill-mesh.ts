import type { Grid } from '../volume.js';
import { invertAffine } from '../geometry.js';
import type { Mesh } from './sphere.js';

/**
 * The voxels whose centres a closed surface encloses, counted by winding: where the surface folds over itself the inside stays filled.
 *
 * @param mesh  vertices in LPS millimetres
 * @returns 0 or 1 for each voxel, `[z, y, x]`
 */
export function fillMesh({ vertices, triangles }: Pick<Mesh, 'vertices' | 'triangles'>, { size: [columns, rows, slices], affine }: Grid): Uint8Array<ArrayBuffer> {
  const inverse = invertAffine(affine);
  const points = new Float64Array(vertices.length);
  for (let v = 0; v < vertices.length; v += 3) {
    for (const axis of [0, 1, 2] as const) points[v + axis] = inverse[axis][0] * (vertices[v] ?? 0) + inverse[axis][1] * (vertices[v + 1] ?? 0) + inverse[axis][2] * (vertices[v + 2] ?? 0) + inverse[axis][3];
  }
  const plane = columns * rows;
  // How the winding changes when a line along the slices enters voxel k; lines stand a hair beside the centres, so that they meet no edge.
  const change = new Int8Array(plane * (slices + 1));
  const aside = 1.7e-5;
  for (let t = 0; t < triangles.length; t += 3) {
    const [a, b, c] = [3 * (triangles[t] ?? 0), 3 * (triangles[t + 1] ?? 0), 3 * (triangles[t + 2] ?? 0)];
    const [ax, ay, az] = [points[a] ?? 0, points[a + 1] ?? 0, points[a + 2] ?? 0];
    const [bx, by, bz] = [points[b] ?? 0, points[b + 1] ?? 0, points[b + 2] ?? 0];
    const [cx, cy, cz] = [points[c] ?? 0, points[c + 1] ?? 0, points[c + 2] ?? 0];
    const area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay);
    if (area === 0) continue;
    const iFrom = Math.max(0, Math.ceil(Math.min(ax, bx, cx) - 1));
    const iTo = Math.min(columns - 1, Math.floor(Math.max(ax, bx, cx) + 1));
    const jFrom = Math.max(0, Math.ceil(Math.min(ay, by, cy) - 1));
    const jTo = Math.min(rows - 1, Math.floor(Math.max(ay, by, cy) + 1));
    for (let j = jFrom; j <= jTo; j++) {
      for (let i = iFrom; i <= iTo; i++) {
        const x = i + aside;
        const y = j + aside * 0.61;
        const u = ((bx - x) * (cy - y) - (cx - x) * (by - y)) / area;
        const v = ((cx - x) * (ay - y) - (ax - x) * (cy - y)) / area;
        const w = 1 - u - v;
        if (u < 0 || v < 0 || w < 0) continue;
        const k = Math.min(slices, Math.max(0, Math.ceil(u * az + v * bz + w * cz)));
        const at = i + columns * j + plane * k;
        change[at] = (change[at] ?? 0) + Math.sign(area);
      }
    }
  }
  const mask = new Uint8Array(plane * slices);
  const winding = new Int16Array(plane);
  for (let k = 0; k < slices; k++) {
    for (let at = 0; at < plane; at++) {
      const sum = (winding[at] ?? 0) + (change[at + plane * k] ?? 0);
      winding[at] = sum;
      if (sum !== 0) mask[at + plane * k] = 1;
    }
  }
  return mask;
}
