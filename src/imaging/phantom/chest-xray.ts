import { expose, harmonise } from './detector.js';
import { integrate, project, type Beam, type Point } from './projector.js';
import { normalStream, uniformStream } from './random.js';
import { addCloud, addStrand, type Bead } from './strands.js';
import { APICES, LUNGS, MU, airways, clavicle, rib, shoulder, softParts, vertebralBodies } from './thorax.js';
import { vesselTree } from './vessels.js';

export type Side = 'right' | 'left';
export type Zone = 'upper' | 'middle' | 'lower';

export interface Consolidation {
  side: Side;
  zone: Zone;
  radiusMm: number;
  /** Share of the lung's air that fluid has replaced in the centre, 0 to 1. */
  density: number;
}

export interface ChestXrayOptions {
  /** Equal seeds give equal pictures. */
  seed: number;
  /** Pixels on each side, at least 64. */
  size: number;
  consolidation?: Consolidation;
}

export interface PhantomOpacity {
  side: Side;
  zone: Zone;
  /** LPS millimetres; the origin is the middle of the chest. */
  centreMm: Point;
  radiusMm: number;
  /** On the picture, in pixels from its upper left corner. */
  box: { left: number; top: number; width: number; height: number };
}

export interface ChestXray {
  /** MONOCHROME2, 12 bits in 16, row-major `[size, size]`; the patient's right is on the left of the picture. */
  pixels: Uint16Array;
  size: number;
  bitsStored: 12;
  /** Millimetres between pixel centres on the detector. */
  pitchMm: number;
  truth: { ageYears: number; sex: 'M' | 'F'; view: 'AP'; opacities: PhantomOpacity[] };
}

// Collimated to the chest: the lungs fill the picture, the central ray goes through the fifth thoracic vertebra.
const FIELD_MM = 240;
const CENTRAL_RAY_MM = 14;

/**
 * A digital phantom: an antero-posterior chest X-ray of a child of four, computed by X-ray projection through a model of the
 * thorax, with scatter, quantum noise and the detector's logarithm. What is in it is known exactly.
 */
export function chestXray(options: ChestXrayOptions): ChestXray {
  const { seed, size } = options;
  const beam: Beam = { size, pitchMm: FIELD_MM / size, distanceMm: 1100, detectorMm: 84, centreMm: CENTRAL_RAY_MM };
  const uniform = uniformStream(seed);
  const lungs = [LUNGS.right, LUNGS.left, ...APICES];
  const { integral, tracked } = integrate(beam, softParts(), lungs);

  for (const branch of vessels(uniform)) addStrand(integral, beam, branch, MU.soft - MU.lung);
  const opacities = options.consolidation ? [addConsolidation(integral, tracked, beam, options.consolidation, uniform)] : [];
  addBones(integral, beam);
  for (const tube of airways()) addStrand(integral, beam, tube, MU.air - MU.soft);
  addMarker(integral, beam);

  const normal = normalStream(uniform);
  const signal = expose(integral, { size, pitchMm: beam.pitchMm, photons: 2.4e4 * (beam.pitchMm / 0.24) ** 2, scatterToPrimary: 0.55 }, normal);
  return {
    pixels: quantise(harmonise(signal, size, beam.pitchMm), signal), size, bitsStored: 12, pitchMm: beam.pitchMm,
    truth: { ageYears: 4, sex: seed % 2 === 0 ? 'F' : 'M', view: 'AP', opacities },
  };
}

function vessels(uniform: () => number): Bead[][] {
  return [...vesselTree([-20, 8, 6], LUNGS.right, -1, uniform), ...vesselTree([21, 8, 12], LUNGS.left, 1, uniform)];
}

function addBones(integral: Float32Array, beam: Beam): void {
  for (const { strand, attenuation } of vertebralBodies()) addStrand(integral, beam, strand, attenuation);
  for (const side of [-1, 1] as const) {
    for (let number = 1; number <= 12; number++) addBone(integral, beam, rib(number, side), 0.62);
    addBone(integral, beam, clavicle(side), 0.9);
    for (const part of shoulder(side)) addBone(integral, beam, part, 0.7);
  }
}

/** A shell of compact bone around marrow. */
function addBone(integral: Float32Array, beam: Beam, beads: readonly Bead[], flatness: number): void {
  const cortexMm = 0.75;
  addStrand(integral, beam, beads, MU.bone - MU.soft, flatness);
  const inner = beads.map(({ at, radiusMm }) => ({ at, radiusMm: Math.max(0.4, radiusMm - cortexMm) }));
  addStrand(integral, beam, inner, MU.marrow - MU.bone, flatness);
}

const ZONES: Record<Side, Record<Zone, Point>> = {
  right: { upper: [-40, 0, 40], middle: [-48, -8, 4], lower: [-50, 12, -26] },
  left: { upper: [40, 0, 40], middle: [52, -8, 8], lower: [60, 12, -30] },
};

/** Fluid in the air spaces: many soft clouds, never more than the lung holds air along a ray. */
function addConsolidation(integral: Float32Array, lungPath: Float32Array, beam: Beam, wanted: Consolidation, uniform: () => number): PhantomOpacity {
  const centre = ZONES[wanted.side][wanted.zone];
  const map = new Float32Array(integral.length);
  const clouds = 42;
  for (let index = 0; index < clouds; index++) {
    const [x, y, z] = inBall(uniform);
    const at: Point = [centre[0] + x * wanted.radiusMm * 0.78, centre[1] + y * wanted.radiusMm * 0.78, centre[2] + z * wanted.radiusMm * 0.78];
    const sigma = wanted.radiusMm * (0.13 + 0.17 * uniform());
    // All clouds together fill the ball to the wanted density.
    const filled = (wanted.radiusMm / sigma) ** 3 * (4 / 3) * Math.PI / (2 * Math.PI) ** 1.5;
    addCloud(map, beam, at, sigma, ((MU.soft - MU.lung) * wanted.density * 1.5 * filled) / clouds);
  }
  for (let index = 0; index < map.length; index++) {
    const most = (lungPath[index] ?? 0) * (MU.soft - MU.lung) * wanted.density;
    // Saturates smoothly, so that the edge of lung shows no step.
    if (most > 0) integral[index] = (integral[index] ?? 0) + most * (1 - Math.exp(-(map[index] ?? 0) / most));
  }
  const { column, row, magnification } = project(beam, centre);
  const radius = (wanted.radiusMm * magnification) / beam.pitchMm;
  return {
    side: wanted.side, zone: wanted.zone, centreMm: centre, radiusMm: wanted.radiusMm,
    box: { left: Math.round(column - radius), top: Math.round(row - radius), width: Math.round(2 * radius), height: Math.round(2 * radius) },
  };
}

function inBall(uniform: () => number): Point {
  for (;;) {
    const point: Point = [2 * uniform() - 1, 2 * uniform() - 1, 2 * uniform() - 1];
    if (Math.hypot(...point) <= 1) return point;
  }
}

/** The radiographer's lead letter: L, at the patient's left shoulder. */
function addMarker(integral: Float32Array, beam: Beam): void {
  const y = beam.detectorMm - 1;
  addStrand(integral, beam, [{ at: [88, y, 104], radiusMm: 0.9 }, { at: [88, y, 94], radiusMm: 0.9 }, { at: [94, y, 94], radiusMm: 0.9 }], MU.lead);
}

/** To 12 bits with a console's tone curve: the open beam is black, lungs are middle grey, bone is not yet white. */
function quantise(picture: Float32Array, signal: Float32Array): Uint16Array {
  const lift = 0.15;
  const white = 2.5;
  const gamma = 0.62;
  const pixels = new Uint16Array(picture.length);
  for (let index = 0; index < pixels.length; index++) {
    // Where the beam met nothing there is nothing to lift.
    const value = Math.min((picture[index] ?? 0) + lift, 2.5 * (signal[index] ?? 0));
    pixels[index] = Math.round(4095 * Math.min(1, Math.max(0, value / (white + lift))) ** gamma);
  }
  return pixels;
}
