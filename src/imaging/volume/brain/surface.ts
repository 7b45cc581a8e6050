import type { Mesh } from './sphere.js';

/** What the surface is drawn to. Intensities as in Smith 2002: robust minimum, background threshold, median of the brain. */
export interface Forces {
  t2: number;
  t: number;
  tm: number;
  /** 0–1; the greater, the smaller the brain. 0.5 in the paper. */
  fraction: number;
  /** The intensity at a point, LPS millimetres. */
  at: (x: number, y: number, z: number) => number;
}

/** Radii between which the surface may bend, millimetres: below the first it is smoothed hard, above the second hardly. */
const [MIN_RADIUS_MM, MAX_RADIUS_MM] = [3.33, 10];
/** How deep is searched for the darkest and for the brightest intensity. */
const [DARK_DEPTH_MM, BRIGHT_DEPTH_MM] = [20, 10];
const UPDATES_BETWEEN_LENGTHS = 50;

/**
 * Lets a sphere grow until it lies on the brain: each vertex is drawn to its neighbours' middle along the surface, smoothed where it
 * bends too sharply, and pushed out where the tissue beneath is brain.
 *
 * @param mesh  changed in place; vertices in LPS millimetres
 * @see Smith, Fast robust automated brain extraction, Human Brain Mapping 17 (2002), eq. 5–13
 */
export function grow(mesh: Mesh, forces: Forces, updates: number, progress?: (done: number) => void): void {
  const { vertices, neighbours, starts } = mesh;
  const count = vertices.length / 3;
  const { t2, t, tm, fraction, at } = forces;
  const e = (1 / MIN_RADIUS_MM + 1 / MAX_RADIUS_MM) / 2;
  const f = 6 / (1 / MIN_RADIUS_MM - 1 / MAX_RADIUS_MM);
  const next = new Float64Array(vertices.length);
  let edge = 1;
  for (let update = 0; update < updates; update++) {
    if (update % UPDATES_BETWEEN_LENGTHS === 0) {
      edge = meanEdge(mesh);
      progress?.(update / updates);
    }
    const normals = normalsOf(mesh);
    for (let v = 0; v < count; v++) {
      const x = vertices[3 * v] ?? 0;
      const y = vertices[3 * v + 1] ?? 0;
      const z = vertices[3 * v + 2] ?? 0;
      const nx = normals[3 * v] ?? 0;
      const ny = normals[3 * v + 1] ?? 0;
      const nz = normals[3 * v + 2] ?? 0;
      let mx = 0;
      let my = 0;
      let mz = 0;
      const from = starts[v] ?? 0;
      const to = starts[v + 1] ?? 0;
      for (let n = from; n < to; n++) {
        const o = 3 * (neighbours[n] ?? 0);
        mx += vertices[o] ?? 0;
        my += vertices[o + 1] ?? 0;
        mz += vertices[o + 2] ?? 0;
      }
      const sx = mx / (to - from) - x;
      const sy = my / (to - from) - y;
      const sz = mz / (to - from) - z;
      const sn = sx * nx + sy * ny + sz * nz;
      const curvature = (2 * Math.abs(sn)) / (edge * edge);
      const f2 = (1 + Math.tanh(f * (curvature - e))) / 2;
      let dark = Math.min(tm, at(x, y, z));
      let bright = Math.max(t, dark);
      for (let depth = 1; depth <= DARK_DEPTH_MM; depth++) {
        const value = at(x - depth * nx, y - depth * ny, z - depth * nz);
        if (value < dark) dark = value;
        if (depth <= BRIGHT_DEPTH_MM && value > bright) bright = value;
      }
      dark = Math.max(t2, dark);
      bright = Math.min(tm, bright);
      const local = (bright - t2) * fraction + t2;
      const f3 = bright > t2 ? (2 * (dark - local)) / (bright - t2) : 0;
      const along = f2 * sn + 0.05 * f3 * edge;
      next[3 * v] = x + 0.5 * (sx - sn * nx) + along * nx;
      next[3 * v + 1] = y + 0.5 * (sy - sn * ny) + along * ny;
      next[3 * v + 2] = z + 0.5 * (sz - sn * nz) + along * nz;
    }
    vertices.set(next);
  }
  progress?.(1);
}

function normalsOf({ vertices, triangles }: Mesh): Float64Array {
  const normals = new Float64Array(vertices.length);
  for (let t = 0; t < triangles.length; t += 3) {
    const a = 3 * (triangles[t] ?? 0);
    const b = 3 * (triangles[t + 1] ?? 0);
    const c = 3 * (triangles[t + 2] ?? 0);
    const ux = (vertices[b] ?? 0) - (vertices[a] ?? 0);
    const uy = (vertices[b + 1] ?? 0) - (vertices[a + 1] ?? 0);
    const uz = (vertices[b + 2] ?? 0) - (vertices[a + 2] ?? 0);
    const wx = (vertices[c] ?? 0) - (vertices[a] ?? 0);
    const wy = (vertices[c + 1] ?? 0) - (vertices[a + 1] ?? 0);
    const wz = (vertices[c + 2] ?? 0) - (vertices[a + 2] ?? 0);
    const nx = uy * wz - uz * wy;
    const ny = uz * wx - ux * wz;
    const nz = ux * wy - uy * wx;
    for (let corner = 0; corner < 3; corner++) {
      const o = corner === 0 ? a : corner === 1 ? b : c;
      normals[o] = (normals[o] ?? 0) + nx;
      normals[o + 1] = (normals[o + 1] ?? 0) + ny;
      normals[o + 2] = (normals[o + 2] ?? 0) + nz;
    }
  }
  for (let o = 0; o < normals.length; o += 3) {
    const x = normals[o] ?? 0;
    const y = normals[o + 1] ?? 0;
    const z = normals[o + 2] ?? 0;
    const length = Math.sqrt(x * x + y * y + z * z) || 1;
    normals[o] = x / length;
    normals[o + 1] = y / length;
    normals[o + 2] = z / length;
  }
  return normals;
}

function meanEdge({ vertices, neighbours, starts }: Mesh): number {
  let sum = 0;
  for (let v = 0; v < starts.length - 1; v++) {
    for (let n = starts[v] ?? 0; n < (starts[v + 1] ?? 0); n++) {
      const o = 3 * (neighbours[n] ?? 0);
      sum += Math.hypot((vertices[o] ?? 0) - (vertices[3 * v] ?? 0), (vertices[o + 1] ?? 0) - (vertices[3 * v + 1] ?? 0), (vertices[o + 2] ?? 0) - (vertices[3 * v + 2] ?? 0));
    }
  }
  return sum / neighbours.length;
}
