import type { Vector3 } from '../../volume/volume.js';

type Point = readonly [number, number];

/** Two perpendicular diameters in one slice, in millimetres, with their ends in index coordinates (column, row) of that slice. */
export interface Diameters {
  slice: number;
  longMm: number;
  shortMm: number;
  long: readonly [Point, Point];
}

/**
 * The largest pair of perpendicular diameters over all slices: in each slice the longest diameter of what is marked and the longest chord
 * across it of its convex hull; the slice with the largest product counts, as RANO has it.
 *
 * A pixel reaches half a pixel to each side, so that a disc of n pixels across measures n pixels.
 *
 * @param mask     [z, y, x], 0 or 1
 * @param spacing  millimetres between columns, rows, slices
 * @returns undefined for an empty mask
 * @see Wen et al. 2010 (RANO), J Clin Oncol 28:1963
 */
export function largestDiameters(mask: Uint8Array, [columns, rows, slices]: Vector3, [dx, dy]: Vector3): Diameters | undefined {
  let best: Diameters | undefined;
  for (let k = 0; k < slices; k++) {
    const hull = convexHull(outline(mask.subarray(k * columns * rows, (k + 1) * columns * rows), columns, rows, dx, dy));
    const found = hull.length === 0 ? undefined : diametersOf(hull);
    if (found === undefined || (best !== undefined && found.longMm * found.shortMm <= best.longMm * best.shortMm)) continue;
    const [[ax, ay], [bx, by]] = found.ends;
    best = { slice: k, longMm: found.longMm, shortMm: found.shortMm, long: [[ax / dx, ay / dy], [bx / dx, by / dy]] };
  }
  return best;
}

/** The middles of the sides of each row's first and last pixel, in millimetres: their hull is the hull of all pixels'. */
function outline(slice: Uint8Array, columns: number, rows: number, dx: number, dy: number): Point[] {
  const points: Point[] = [];
  for (let j = 0; j < rows; j++) {
    const row = slice.subarray(j * columns, (j + 1) * columns);
    const first = row.indexOf(1);
    if (first < 0) continue;
    const last = row.lastIndexOf(1);
    points.push([(first - 0.5) * dx, j * dy], [(last + 0.5) * dx, j * dy]);
    for (const i of [first, last]) points.push([i * dx, (j - 0.5) * dy], [i * dx, (j + 0.5) * dy]);
  }
  return points;
}

/** Counter-clockwise, without points on the edges. @see Andrew 1979 (monotone chain) */
function convexHull(points: readonly Point[]): Point[] {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const half = (list: readonly Point[]): Point[] => {
    const chain: Point[] = [];
    for (const point of list) {
      for (let a = chain.at(-2), b = chain.at(-1); a !== undefined && b !== undefined && (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0]) <= 0; a = chain.at(-2), b = chain.at(-1)) chain.pop();
      chain.push(point);
    }
    return chain.slice(0, -1);
  };
  return [...half(sorted), ...half([...sorted].reverse())];
}

function diametersOf(hull: readonly Point[]): { longMm: number; shortMm: number; ends: readonly [Point, Point] } | undefined {
  let longMm = -1;
  let ends: readonly [Point, Point] | undefined;
  for (const [n, a] of hull.entries()) {
    for (const b of hull.slice(n + 1)) {
      const distance = Math.hypot(a[0] - b[0], a[1] - b[1]);
      if (distance > longMm) {
        longMm = distance;
        ends = [a, b];
      }
    }
  }
  if (ends === undefined || longMm <= 0) return undefined;
  const along: Point = [(ends[1][0] - ends[0][0]) / longMm, (ends[1][1] - ends[0][1]) / longMm];
  // The chord's length is concave along the diameter and changes its slope at corners only: the longest one goes through a corner.
  const shortMm = Math.max(...hull.map(([x, y]) => chordAcross(hull, along, x * along[0] + y * along[1])));
  return { longMm, shortMm, ends };
}

/** Length of the hull's chord that is perpendicular to `along` at `position`. */
function chordAcross(hull: readonly Point[], along: Point, position: number): number {
  let low = Infinity;
  let high = -Infinity;
  for (const [n, a] of hull.entries()) {
    const b = hull[(n + 1) % hull.length] ?? a;
    const pa = a[0] * along[0] + a[1] * along[1] - position;
    const pb = b[0] * along[0] + b[1] * along[1] - position;
    if ((pa > 1e-9 && pb > 1e-9) || (pa < -1e-9 && pb < -1e-9)) continue;
    const part = Math.abs(pa - pb) < 1e-12 ? 0 : pa / (pa - pb);
    for (const t of Math.abs(pa - pb) < 1e-12 ? [0, 1] : [part]) {
      const across = (a[1] + t * (b[1] - a[1])) * along[0] - (a[0] + t * (b[0] - a[0])) * along[1];
      low = Math.min(low, across);
      high = Math.max(high, across);
    }
  }
  return high < low ? 0 : high - low;
}
