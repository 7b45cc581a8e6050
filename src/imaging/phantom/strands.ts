import { project, type Beam, type Point } from './projector.js';

/** A place on the centre line of a strand. */
export interface Bead {
  at: Point;
  radiusMm: number;
}

/**
 * Adds a curved tube (a rib, a clavicle, a vessel) to a map of line integrals.
 *
 * The tube is an integral of balls along its centre line, so it is smooth at bends and grows brighter where it runs along the
 * beam, as real ribs do at the chest wall.
 *
 * @param map          ∫µ dl, row-major `[size, size]`; added to
 * @param beads        the centre line; radii are interpolated between beads
 * @param attenuation  what the tube adds to what it lies in, 1/mm; negative for air
 * @param flatness     thickness along the beam over height in the image
 */
export function addStrand(map: Float32Array, beam: Beam, beads: readonly Bead[], attenuation: number, flatness = 1): void {
  for (let index = 1; index < beads.length; index++) {
    const from = beads[index - 1];
    const to = beads[index];
    if (!from || !to) continue;
    const length = Math.hypot(to.at[0] - from.at[0], to.at[1] - from.at[1], to.at[2] - from.at[2]);
    const thin = Math.min(from.radiusMm, to.radiusMm);
    const steps = Math.max(1, Math.ceil(length / Math.max(thin / 3, beam.pitchMm / 2)));
    for (let step = 0; step < steps; step++) {
      const part = (step + 0.5) / steps;
      const at: Point = [mix(from.at[0], to.at[0], part), mix(from.at[1], to.at[1], part), mix(from.at[2], to.at[2], part)];
      const radius = mix(from.radiusMm, to.radiusMm, part);
      // ∫ 2√(r² − d² − s²) ds = π(r² − d²); the factor makes the tube as thick in its middle as a cylinder, 2r.
      addBall(map, beam, at, radius, (attenuation * flatness * 2 * (length / steps)) / (Math.PI * radius));
    }
  }
}

function addBall(map: Float32Array, beam: Beam, at: Point, radiusMm: number, weight: number): void {
  const { column, row, magnification } = project(beam, at);
  const radius = (radiusMm * magnification) / beam.pitchMm;
  const toMm = beam.pitchMm / magnification;
  // A ball thinner than a pixel keeps its mass.
  const reach = Math.max(radius, 0.7);
  const gain = (2 * toMm * weight * radius ** 3) / reach ** 3;
  for (let y = Math.max(0, Math.ceil(row - reach)); y <= Math.min(beam.size - 1, row + reach); y++) {
    for (let x = Math.max(0, Math.ceil(column - reach)); x <= Math.min(beam.size - 1, column + reach); x++) {
      const left = reach * reach - (x - column) ** 2 - (y - row) ** 2;
      const index = y * beam.size + x;
      if (left > 0) map[index] = (map[index] ?? 0) + gain * Math.sqrt(left);
    }
  }
}

/** A soft opacity: a Gaussian ball of the given standard deviation; `peak` is the added attenuation in its centre, 1/mm. */
export function addCloud(map: Float32Array, beam: Beam, at: Point, sigmaMm: number, peak: number): void {
  const { column, row, magnification } = project(beam, at);
  const sigma = (sigmaMm * magnification) / beam.pitchMm;
  const gain = peak * sigmaMm * Math.sqrt(2 * Math.PI);
  const reach = 3.5 * sigma;
  for (let y = Math.max(0, Math.ceil(row - reach)); y <= Math.min(beam.size - 1, row + reach); y++) {
    for (let x = Math.max(0, Math.ceil(column - reach)); x <= Math.min(beam.size - 1, column + reach); x++) {
      const index = y * beam.size + x;
      map[index] = (map[index] ?? 0) + gain * Math.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * sigma * sigma));
    }
  }
}

export function mix(from: number, to: number, part: number): number {
  return from + (to - from) * part;
}
