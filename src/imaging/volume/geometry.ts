import type { Affine, Grid, Vector3, Vector4 } from './volume.js';

/** An index (column, row, slice), fractional or not, in LPS millimetres. */
export function indexToLps([x, y, z]: Affine, [i, j, k]: Vector3): Vector3 {
  const at = (row: Vector4): number => row[0] * i + row[1] * j + row[2] * k + row[3];
  return [at(x), at(y), at(z)];
}

/** LPS millimetres as an index, fractional and perhaps outside of the grid. */
export function lpsToIndex({ affine }: Pick<Grid, 'affine'>, point: Vector3): Vector3 {
  return indexToLps(invertAffine(affine), point);
}

/** @throws RangeError when the axes lie in a plane */
export function invertAffine([[a, b, c, tx], [d, e, f, ty], [g, h, i, tz]]: Affine): Affine {
  const determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  if (!(Math.abs(determinant) > 1e-12)) throw new RangeError('The axes of the grid lie in a plane');
  const row = (p: number, q: number, r: number): Vector4 => [p / determinant, q / determinant, r / determinant, -(p * tx + q * ty + r * tz) / determinant];
  return [row(e * i - f * h, c * h - b * i, b * f - c * e), row(f * g - d * i, a * i - c * g, c * d - a * f), row(d * h - e * g, b * g - a * h, a * e - b * d)];
}

/** First `inner`, then `outer`. */
export function composeAffines(outer: Affine, inner: Affine): Affine {
  const [x, y, z] = inner;
  const compose = (row: Vector4): Vector4 => [
    row[0] * x[0] + row[1] * y[0] + row[2] * z[0],
    row[0] * x[1] + row[1] * y[1] + row[2] * z[1],
    row[0] * x[2] + row[1] * y[2] + row[2] * z[2],
    row[0] * x[3] + row[1] * y[3] + row[2] * z[3] + row[3],
  ];
  return [compose(outer[0]), compose(outer[1]), compose(outer[2])];
}

/** Millimetres between voxels along columns, rows and slices. */
export function spacingOf(affine: Affine): Vector3 {
  return [length(axisOf(affine, 0)), length(axisOf(affine, 1)), length(axisOf(affine, 2))];
}

/** Unit vectors of the three axes in LPS. */
export function directionOf(affine: Affine): readonly [Vector3, Vector3, Vector3] {
  return [unit(axisOf(affine, 0)), unit(axisOf(affine, 1)), unit(axisOf(affine, 2))];
}

/** Millilitres of one voxel. */
export function voxelVolumeMl([[a, b, c], [d, e, f], [g, h, i]]: Affine): number {
  return Math.abs(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)) / 1000;
}

/** Same size, and every voxel within `toleranceMm` of its counterpart. */
export function sameGrid(a: Grid, b: Grid, toleranceMm = 0.01): boolean {
  if (a.size.some((n, axis) => n !== b.size[axis])) return false;
  const [columns, rows, slices] = a.size;
  return [0, columns - 1].every((i) => [0, rows - 1].every((j) => [0, slices - 1].every((k) => {
    const [p, q] = [indexToLps(a.affine, [i, j, k]), indexToLps(b.affine, [i, j, k])];
    return Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]) <= toleranceMm;
  })));
}

function axisOf(affine: Affine, axis: 0 | 1 | 2): Vector3 {
  return [affine[0][axis], affine[1][axis], affine[2][axis]];
}

function length([x, y, z]: Vector3): number {
  return Math.hypot(x, y, z);
}

function unit(vector: Vector3): Vector3 {
  const norm = length(vector) || 1;
  return [vector[0] / norm, vector[1] / norm, vector[2] / norm];
}
