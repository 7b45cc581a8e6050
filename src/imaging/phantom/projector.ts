/** A point in the patient system, LPS millimetres: x to the patient's left, y to the back, z to the head. */
export type Point = readonly [x: number, y: number, z: number];

/**
 * The X-ray beam of an AP exposure: a point source before the patient, a flat detector behind the back.
 * Column 0 lies at the patient's right, row 0 at the head, as a radiograph is hung.
 */
export interface Beam {
  /** Pixels on each side of the square detector. */
  size: number;
  /** Millimetres between pixel centres on the detector. */
  pitchMm: number;
  /** Source-to-detector distance. */
  distanceMm: number;
  /** y of the detector's plane. */
  detectorMm: number;
  /** z of the central ray. */
  centreMm: number;
}

/**
 * A convex solid: an ellipsoid, turned by `tilt` radians in the coronal plane and cut by the planes z = zMin and z = zMax.
 * A semi-axis of Infinity makes it a cylinder.
 */
export interface Solid {
  centre: Point;
  semiAxes: Point;
  tilt?: number;
  zMin?: number;
  zMax?: number;
  /** Linear attenuation coefficient in 1/mm. */
  attenuation: number;
}

/** Where a point falls on the detector, in pixels (column, row), and its magnification there. */
export function project(beam: Beam, [x, y, z]: Point): { column: number; row: number; magnification: number } {
  const magnification = beam.distanceMm / (y - beam.detectorMm + beam.distanceMm);
  const centre = (beam.size - 1) / 2;
  return { column: centre + (x * magnification) / beam.pitchMm, row: centre - ((z - beam.centreMm) * magnification) / beam.pitchMm, magnification };
}

/**
 * Beer-Lambert line integrals through overlapping solids; where solids overlap the one earlier in the list counts.
 *
 * @param track  index of the solids whose path length is wanted too, for example the lungs
 * @returns `integral` ∫µ dl without unit and `tracked` path length in mm, both row-major `[size, size]`
 */
export function integrate(beam: Beam, solids: readonly Solid[], track: readonly Solid[]): { integral: Float32Array; tracked: Float32Array } {
  const { size, pitchMm, distanceMm, detectorMm } = beam;
  const integral = new Float32Array(size * size);
  const tracked = new Float32Array(size * size);
  const prepared = solids.map((solid) => ({ ...prepare(solid, beam.centreMm), ...shadow(beam, solid), isTracked: track.includes(solid) }));
  const source = detectorMm - distanceMm;
  const centre = (size - 1) / 2;
  const covered = new Float64Array(4 * solids.length + 4);
  const chord = { from: 0, to: 0 };
  for (let row = 0; row < size; row++) {
    const slopeZ = ((centre - row) * pitchMm) / distanceMm;
    const inRow = prepared.filter((solid) => row >= solid.top && row <= solid.bottom);
    for (let column = 0; column < size; column++) {
      const slopeX = ((column - centre) * pitchMm) / distanceMm;
      const stretch = Math.sqrt(1 + slopeX * slopeX + slopeZ * slopeZ);
      let intervals = 0;
      let sum = 0;
      let length = 0;
      for (const solid of inRow) {
        if (column < solid.left || column > solid.right || !cut(solid, source, slopeX, slopeZ, chord)) continue;
        const free = chord.to - chord.from - overlap(covered, intervals, chord.from, chord.to);
        sum += free * solid.attenuation;
        if (solid.isTracked) length += free;
        intervals = cover(covered, intervals, chord.from, chord.to);
      }
      const at = row * size + column;
      integral[at] = sum * stretch;
      tracked[at] = length * stretch;
    }
  }
  return { integral, tracked };
}

interface Prepared {
  centre: Point;
  inverse: Point;
  cos: number;
  sin: number;
  zMin: number;
  zMax: number;
  attenuation: number;
}

/** Seen from the central ray, so that every ray begins at z = 0. */
function prepare(solid: Solid, level: number): Prepared {
  const [a, b, c] = solid.semiAxes;
  const tilt = solid.tilt ?? 0;
  return {
    centre: [solid.centre[0], solid.centre[1], solid.centre[2] - level], inverse: [1 / (a * a), 1 / (b * b), 1 / (c * c)], cos: Math.cos(tilt), sin: Math.sin(tilt),
    zMin: (solid.zMin ?? -Infinity) - level, zMax: (solid.zMax ?? Infinity) - level, attenuation: solid.attenuation,
  };
}

/** A rectangle of the detector, in pixels, outside of which the solid casts no shadow. */
function shadow(beam: Beam, { centre, semiAxes, tilt = 0, zMin = -Infinity, zMax = Infinity }: Solid): { left: number; right: number; top: number; bottom: number } {
  const [a, b, c] = semiAxes;
  const width = Math.hypot(finiteProduct(a, Math.cos(tilt)), finiteProduct(c, Math.sin(tilt)));
  const height = Math.hypot(finiteProduct(a, Math.sin(tilt)), finiteProduct(c, Math.cos(tilt)));
  const low = Math.max(centre[2] - height, zMin);
  const high = Math.min(centre[2] + height, zMax);
  const spots = [centre[1] - b, centre[1] + b].map((y) => Math.min(y, beam.detectorMm)).flatMap((y) => [
    project(beam, [centre[0] - width, y, low]), project(beam, [centre[0] + width, y, high]),
  ]);
  const columns = spots.map((spot) => spot.column);
  const rows = spots.map((spot) => spot.row);
  return { left: Math.min(...columns), right: Math.max(...columns), top: Math.min(...rows), bottom: Math.max(...rows) };
}

/** 0 where an infinite axis is seen end on. */
function finiteProduct(length: number, factor: number): number {
  return Math.abs(factor) < 1e-9 ? 0 : length * factor;
}

/** The part of a ray inside a solid, as the y at entry and exit; false when the ray misses it. */
function cut(solid: Prepared, source: number, slopeX: number, slopeZ: number, chord: { from: number; to: number }): boolean {
  const { centre, inverse, cos, sin } = solid;
  // The ray in the solid's own axes is linear in y: u = u0 + u1·y.
  const x0 = -slopeX * source - centre[0];
  const z0 = -slopeZ * source - centre[2];
  const u0 = cos * x0 + sin * z0;
  const u1 = cos * slopeX + sin * slopeZ;
  const w0 = cos * z0 - sin * x0;
  const w1 = cos * slopeZ - sin * slopeX;
  const a = u1 * u1 * inverse[0] + inverse[1] + w1 * w1 * inverse[2];
  const b = u0 * u1 * inverse[0] - centre[1] * inverse[1] + w0 * w1 * inverse[2];
  const c = u0 * u0 * inverse[0] + centre[1] * centre[1] * inverse[1] + w0 * w0 * inverse[2] - 1;
  const discriminant = b * b - a * c;
  if (discriminant <= 0) return false;
  const root = Math.sqrt(discriminant);
  let from = (-b - root) / a;
  let to = (-b + root) / a;
  if (solid.zMin !== -Infinity || solid.zMax !== Infinity) {
    // z = slopeZ·(y − source) lies between zMin and zMax.
    if (Math.abs(slopeZ) < 1e-9) {
      if (solid.zMin > 0 || solid.zMax < 0) return false;
    } else {
      const low = source + solid.zMin / slopeZ;
      const high = source + solid.zMax / slopeZ;
      from = Math.max(from, Math.min(low, high));
      to = Math.min(to, Math.max(low, high));
    }
  }
  chord.from = from;
  chord.to = to;
  return to > from;
}

/** Length that [from, to] shares with the first `count` intervals (sorted, disjoint). */
function overlap(covered: Float64Array, count: number, from: number, to: number): number {
  let shared = 0;
  for (let at = 0; at < 2 * count; at += 2) {
    const low = Math.max(covered[at] ?? 0, from);
    const high = Math.min(covered[at + 1] ?? 0, to);
    if (high > low) shared += high - low;
  }
  return shared;
}

/** Adds [from, to] to the intervals, melting together what touches; returns how many there are now. */
function cover(covered: Float64Array, count: number, from: number, to: number): number {
  let kept = 0;
  let low = from;
  let high = to;
  for (let at = 0; at < 2 * count; at += 2) {
    const start = covered[at] ?? 0;
    const end = covered[at + 1] ?? 0;
    if (end < low || start > high) {
      covered[2 * kept] = start;
      covered[2 * kept + 1] = end;
      kept++;
    } else {
      low = Math.min(low, start);
      high = Math.max(high, end);
    }
  }
  covered[2 * kept] = low;
  covered[2 * kept + 1] = high;
  return kept + 1;
}
