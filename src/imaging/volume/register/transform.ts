import type { Affine, Vector3 } from '../volume.js';

/** A map of points in LPS millimetres: y = linear · (x − centre) + centre + translation. `linear` is row by row. */
export interface LinearMap {
  centre: Vector3;
  /** 9 numbers, row by row. */
  linear: Float64Array;
  translation: Float64Array;
}

/** How a vector of parameters, in millimetres of typical displacement, becomes a map. */
export interface Parametrisation {
  count: number;
  map(parameters: Float64Array): LinearMap;
  /** Chain rule. @param byEntry  derivatives by the rows of [linear | translation], 12 numbers */
  gradient(parameters: Float64Array, byEntry: Float64Array): Float64Array;
}

/** Rotation about x, then y, then z, and a translation, upon `start`. A rotation counts by what it moves at `radiusMm` from the centre. */
export function rigid(start: LinearMap, radiusMm: number): Parametrisation {
  return {
    count: 6,
    map: (p) => ({ centre: start.centre, linear: product(rotation(angles(p, radiusMm)), start.linear), translation: start.translation.map((t, i) => t + (p[3 + i] ?? 0)) }),
    gradient: (p, byEntry) => {
      const out = new Float64Array(6);
      const at = angles(p, radiusMm);
      for (const axis of [0, 1, 2] as const) {
        const derivative = product(rotation(at, axis), start.linear);
        let sum = 0;
        for (let row = 0; row < 3; row++) for (let column = 0; column < 3; column++) sum += (derivative[3 * row + column] ?? 0) * (byEntry[4 * row + column] ?? 0);
        out[axis] = sum / radiusMm;
        out[3 + axis] = byEntry[4 * axis + 3] ?? 0;
      }
      return out;
    },
  };
}

/** All twelve numbers free, upon `start`; entries of the matrix count by what they move at `radiusMm` from the centre. */
export function affine(start: LinearMap, radiusMm: number): Parametrisation {
  return {
    count: 12,
    map: (p) => ({ centre: start.centre, linear: start.linear.map((entry, i) => entry + (p[i] ?? 0) / radiusMm), translation: start.translation.map((t, i) => t + (p[9 + i] ?? 0)) }),
    gradient: (_, byEntry) => Float64Array.from({ length: 12 }, (__, i) => (i < 9 ? (byEntry[4 * Math.floor(i / 3) + (i % 3)] ?? 0) / radiusMm : byEntry[4 * (i - 9) + 3] ?? 0)),
  };
}

export function identityMap(centre: Vector3, translation: Vector3 = [0, 0, 0]): LinearMap {
  return { centre, linear: Float64Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1), translation: Float64Array.from(translation) };
}

/** The map as [xx, xy, xz, t] rows about the origin. */
export function toAffine({ centre, linear, translation }: LinearMap): Affine {
  const row = (r: 0 | 1 | 2): [number, number, number, number] => {
    const [a, b, c] = [linear[3 * r] ?? 0, linear[3 * r + 1] ?? 0, linear[3 * r + 2] ?? 0];
    return [a, b, c, (translation[r] ?? 0) + centre[r] - a * centre[0] - b * centre[1] - c * centre[2]];
  };
  return [row(0), row(1), row(2)];
}

function angles(p: Float64Array, radiusMm: number): Vector3 {
  return [(p[0] ?? 0) / radiusMm, (p[1] ?? 0) / radiusMm, (p[2] ?? 0) / radiusMm];
}

/** Rz · Ry · Rx, or its derivative by the angle about one axis. */
function rotation(by: Vector3, derivedBy?: 0 | 1 | 2): Float64Array {
  const factor = (axis: 0 | 1 | 2): Float64Array => {
    const [sin, cos] = [Math.sin(by[axis]), Math.cos(by[axis])];
    const [s, c, one] = derivedBy === axis ? [cos, -sin, 0] : [sin, cos, 1];
    if (axis === 0) return Float64Array.of(one, 0, 0, 0, c, -s, 0, s, c);
    if (axis === 1) return Float64Array.of(c, 0, s, 0, one, 0, -s, 0, c);
    return Float64Array.of(c, -s, 0, s, c, 0, 0, 0, one);
  };
  return product(factor(2), product(factor(1), factor(0)));
}

function product(a: Float64Array, b: Float64Array): Float64Array {
  return Float64Array.from({ length: 9 }, (_, i) => {
    const [row, column] = [3 * Math.floor(i / 3), i % 3];
    return (a[row] ?? 0) * (b[column] ?? 0) + (a[row + 1] ?? 0) * (b[3 + column] ?? 0) + (a[row + 2] ?? 0) * (b[6 + column] ?? 0);
  });
}
