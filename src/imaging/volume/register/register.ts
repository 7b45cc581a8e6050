import { spacingOf } from '../geometry.js';
import type { Affine, Vector3, Volume } from '../volume.js';
import { levelOf, type Level } from './level.js';
import { mutualInformation } from './mutual-information.js';
import { climb } from './optimise.js';
import { extentOf, sampleFixed, type Extent, type FixedSamples } from './samples.js';
import { affine, identityMap, rigid, toAffine, type LinearMap, type Parametrisation } from './transform.js';

export type RegistrationKind = 'rigid' | 'affine';

export interface RegistrationOptions {
  kind: RegistrationKind;
  /** Uniform numbers in [0, 1), seeded: equal streams give equal results. */
  random: () => number;
  progress?: (done: number) => void;
}

export interface Registration {
  /** A point of the fixed image, LPS millimetres → the same point of the moving image. */
  toMoving: Affine;
  /** Nats, at the finest level: before and after. */
  mutualInformation: { before: number; after: number };
  /** Share of the fixed image's samples that lie inside the moving image. */
  overlap: number;
  evaluations: number;
}

/** Resolutions in millimetres, how many points are looked at, and which freedom is climbed. */
const LEVELS = [
  { mm: 8, samples: 8_000, maxStep: 8, minStep: 0.1 },
  { mm: 4, samples: 20_000, maxStep: 2, minStep: 0.03 },
  { mm: 2, samples: 40_000, maxStep: 1, minStep: 0.01 },
] as const;
const MAX_ITERATIONS = 60;
/** A map under which less than this share of the samples lies inside tells nothing, however well the rest fits. */
const MIN_OVERLAP = 0.25;
/** Affine maps that stretch by more are not taken: mutual information grows when a map leaves the background out. */
const MAX_STRETCH = 0.1;

/**
 * Finds the rigid, then if asked the affine map that best aligns two volumes of one head, by mutual information on a pyramid of
 * resolutions. Begins from where the scanner says they lie, and from laying the centres of the bright voxels upon each other; the better
 * one after the coarsest level goes on.
 *
 * @see Viola and Wells 1997; Mattes et al. 2003
 */
export function register(fixed: Volume, moving: Volume, { kind, random, progress }: RegistrationOptions): Registration {
  const extent = extentOf(fixed);
  const movingExtent = extentOf(moving);
  const between: Vector3 = [movingExtent.centre[0] - extent.centre[0], movingExtent.centre[1] - extent.centre[1], movingExtent.centre[2] - extent.centre[2]];
  let maps = [identityMap(extent.centre), ...(Math.hypot(...between) > 1 ? [identityMap(extent.centre, between)] : [])];
  let evaluations = 0;
  let found: { map: LinearMap; value: number } | undefined;
  let scene: Scene | undefined;
  const freedoms = kind === 'affine' ? [rigid, affine] : [rigid];
  for (const [step, level] of LEVELS.entries()) {
    const present = (scene = sceneOf(fixed, moving, extent, level, random));
    const isLast = step === LEVELS.length - 1;
    const climbed = maps.map((start) => {
      let map = start;
      let value = 0;
      // Affine freedom waits for the middle level: on the coarsest one it fits shapes of noise.
      for (const freedom of step === 0 ? [rigid] : freedoms) {
        const parametrisation = freedom(map, extent.radiusMm);
        const top = climb(objectiveOf(parametrisation, present), new Float64Array(parametrisation.count), { ...level, maxIterations: MAX_ITERATIONS });
        evaluations += top.evaluations;
        const next = parametrisation.map(top.parameters);
        if (!isPlausible(next)) continue;
        map = next;
        value = top.value;
      }
      return { map, value };
    });
    found = climbed.reduce((a, b) => (b.value > a.value ? b : a));
    maps = [found.map];
    progress?.(isLast ? 1 : (step + 1) / (LEVELS.length + 1));
  }
  const map = found?.map ?? identityMap(extent.centre);
  const measure = (at: LinearMap): { mutualInformation: number; overlap: number } => (scene === undefined ? { mutualInformation: 0, overlap: 0 } : mutualInformation(scene.samples, scene.moving, at));
  const after = measure(map);
  return { toMoving: toAffine(map), mutualInformation: { before: measure(identityMap(extent.centre)).mutualInformation, after: after.mutualInformation }, overlap: after.overlap, evaluations };
}

/** Two pictures of one head differ in size by little. */
function isPlausible({ linear: [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0, i = 0] }: LinearMap): boolean {
  const scales = [Math.hypot(a, d, g), Math.hypot(b, e, h), Math.hypot(c, f, i), Math.cbrt(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g))];
  return scales.every((scale) => Math.abs(scale - 1) < MAX_STRETCH);
}

interface Scene {
  samples: FixedSamples;
  moving: Level;
}

function sceneOf(fixed: Volume, moving: Volume, extent: Extent, { mm, samples }: { mm: number; samples: number }, random: () => number): Scene {
  return { samples: sampleFixed(levelOf(fixed, finest(fixed, mm)), fixed, extent, samples, random), moving: levelOf(moving, finest(moving, mm)) };
}

/** No smoothing below what the voxels hold. */
function finest(volume: Volume, mm: number): number {
  return Math.min(...spacingOf(volume.affine)) >= mm ? 0 : mm;
}

function objectiveOf(parametrisation: Parametrisation, { samples, moving }: Scene): (parameters: Float64Array) => { value: number; gradient: Float64Array } {
  return (parameters) => {
    const similarity = mutualInformation(samples, moving, parametrisation.map(parameters));
    if (similarity.overlap < MIN_OVERLAP) return { value: 0, gradient: new Float64Array(parametrisation.count) };
    return { value: similarity.mutualInformation, gradient: parametrisation.gradient(parameters, similarity.gradient) };
  };
}
