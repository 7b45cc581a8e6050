import type { OutOfDistribution } from '../report/finding.js';
import type { Vector3 } from '../volume/volume.js';

/** What a detector found. Coordinates are indices (column, row, slice) of the volume that it was given, fractional or not. */
export interface Detection {
  centre: Vector3;
  /** Two opposite corners. */
  box?: [Vector3, Vector3];
  /** Voxels 0 or 1, `[z, y, x]` in the box whose first and last index are given. */
  mask?: { box: [Vector3, Vector3]; voxels: Uint8Array };
  /** 0–1. */
  score: number;
}

export interface Detections {
  detections: Detection[];
  outOfDistribution?: OutOfDistribution | undefined;
  /** For the provenance: counts of what was looked at. */
  details: Record<string, unknown>;
}

/** What a segmentation gives. */
export interface LabelMap {
  /** Mean probability of the voxels that are marked, where the recipe has one. */
  score?: number;
  /** On the grid of the input, `[z, y, x]`; 0 is background. */
  labels: Uint8Array;
  outOfDistribution?: OutOfDistribution | undefined;
  details: Record<string, unknown>;
}

export interface RecipeTools {
  /** How much of the recipe is done, 0–1. */
  progress: (done: number) => void;
  /** 0 ≤ x < 1, the same sequence for the same input. */
  random: () => number;
  /** Memory ran out before: take smaller steps, as far as the result stays the same. */
  reduced: boolean;
}
