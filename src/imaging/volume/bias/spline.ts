import type { Vector3 } from '../volume.js';

/** Control points of a uniform cubic B-spline over a box, `[z, y, x]`: three more along an axis than it has spans. */
export interface Lattice {
  spans: Vector3;
  points: Float64Array;
}

/** Where the voxels of one axis lie between the control points: first of four, and their weights. */
interface AxisWeights {
  first: Int32Array;
  weights: Float64Array;
}

function axisWeights(length: number, spans: number): AxisWeights {
  const first = new Int32Array(length);
  const weights = new Float64Array(4 * length);
  for (let i = 0; i < length; i++) {
    const place = length === 1 ? 0.5 * spans : (i / (length - 1)) * spans;
    const span = Math.min(spans - 1, Math.floor(place));
    const t = place - span;
    first[i] = span;
    weights.set([(1 - t) ** 3 / 6, (3 * t ** 3 - 6 * t ** 2 + 4) / 6, (-3 * t ** 3 + 3 * t ** 2 + 3 * t + 1) / 6, t ** 3 / 6], 4 * i);
  }
  return { first, weights };
}

/**
 * Approximates values at voxels of a grid by a B-spline surface.
 *
 * @param offsets  voxels that have a value
 * @see Lee, Wolberg, Shin, Scattered data interpolation with multilevel B-splines, IEEE TVCG 3 (1997), eq. 3–5
 */
export function fitLattice(values: Float64Array, offsets: Int32Array, [columns, rows, slices]: Vector3, spans: Vector3): Lattice {
  const x = axisWeights(columns, spans[0]);
  const y = axisWeights(rows, spans[1]);
  const z = axisWeights(slices, spans[2]);
  const [nx, ny, nz] = [spans[0] + 3, spans[1] + 3, spans[2] + 3];
  const sums = new Float64Array(nx * ny * nz);
  const norms = new Float64Array(nx * ny * nz);
  const squares = ({ weights }: AxisWeights, i: number): number => (weights[4 * i] ?? 0) ** 2 + (weights[4 * i + 1] ?? 0) ** 2 + (weights[4 * i + 2] ?? 0) ** 2 + (weights[4 * i + 3] ?? 0) ** 2;
  for (let v = 0; v < offsets.length; v++) {
    const offset = offsets[v] ?? 0;
    const i = offset % columns;
    const j = Math.floor(offset / columns) % rows;
    const k = Math.floor(offset / (columns * rows));
    const scaled = (values[v] ?? 0) / (squares(x, i) * squares(y, j) * squares(z, k));
    for (let c = 0; c < 4; c++) {
      const wz = z.weights[4 * k + c] ?? 0;
      for (let b = 0; b < 4; b++) {
        const wyz = wz * (y.weights[4 * j + b] ?? 0);
        const to = (x.first[i] ?? 0) + nx * ((y.first[j] ?? 0) + b + ny * ((z.first[k] ?? 0) + c));
        for (let a = 0; a < 4; a++) {
          const w = wyz * (x.weights[4 * i + a] ?? 0);
          sums[to + a] = (sums[to + a] ?? 0) + w * w * w * scaled;
          norms[to + a] = (norms[to + a] ?? 0) + w * w;
        }
      }
    }
  }
  return { spans, points: sums.map((sum, p) => ((norms[p] ?? 0) > 0 ? sum / (norms[p] ?? 1) : 0)) };
}

/** The surface at every voxel of a grid that covers the lattice's box. */
export function evaluateLattice({ spans, points }: Lattice, [columns, rows, slices]: Vector3): Float32Array {
  const x = axisWeights(columns, spans[0]);
  const y = axisWeights(rows, spans[1]);
  const z = axisWeights(slices, spans[2]);
  const [nx, ny] = [spans[0] + 3, spans[1] + 3];
  const out = new Float32Array(columns * rows * slices);
  const plane = new Float64Array(nx * ny);
  const line = new Float64Array(nx);
  let offset = 0;
  for (let k = 0; k < slices; k++) {
    const fromZ = nx * ny * (z.first[k] ?? 0);
    for (let p = 0; p < plane.length; p++) {
      let sum = 0;
      for (let c = 0; c < 4; c++) sum += (z.weights[4 * k + c] ?? 0) * (points[fromZ + c * nx * ny + p] ?? 0);
      plane[p] = sum;
    }
    for (let j = 0; j < rows; j++) {
      const fromY = nx * (y.first[j] ?? 0);
      for (let p = 0; p < nx; p++) {
        let sum = 0;
        for (let b = 0; b < 4; b++) sum += (y.weights[4 * j + b] ?? 0) * (plane[fromY + b * nx + p] ?? 0);
        line[p] = sum;
      }
      for (let i = 0; i < columns; i++) {
        const from = x.first[i] ?? 0;
        let sum = 0;
        for (let a = 0; a < 4; a++) sum += (x.weights[4 * i + a] ?? 0) * (line[from + a] ?? 0);
        out[offset++] = sum;
      }
    }
  }
  return out;
}
