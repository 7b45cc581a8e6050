import { flipInPlace, flippedAffine, flipsToLps } from '../../volume/flip.js';
import { notAnalysable, type Conclusion, type NotAnalysable } from '../analysis.js';
import type { FramedVolume } from './postprocess.js';

/** Below this many different values a volume shows nothing. */
const MIN_LEVELS = 16;
/** A volume whose lowest value is above it holds no air, or no Hounsfield units. */
const AIR_HU = -500;

/** Undefined when the volume may be a chest in Hounsfield units. */
export function qualityFault({ voxels }: Pick<FramedVolume, 'voxels'>): NotAnalysable | undefined {
  const seen = new Set<number>();
  let lowest = Infinity;
  for (const value of voxels) {
    if (value < lowest) lowest = value;
    if (seen.size < MIN_LEVELS) seen.add(value);
    if (lowest <= AIR_HU && seen.size >= MIN_LEVELS) return undefined;
  }
  if (seen.size <= 1) return notAnalysable('low-image-quality', 'The images are blank: all their values are equal.');
  if (seen.size < MIN_LEVELS) return notAnalysable('low-image-quality', `The images have no more than ${MIN_LEVELS - 1} different values.`);
  return notAnalysable('low-image-quality', 'The images hold no air: they show no chest, or are not in Hounsfield units.');
}

/**
 * The volume as networks see chests: columns to the patient's left, rows to the back, slices upwards. A scan of a patient who lay face down is turned,
 * in place; frames go with their slices.
 *
 * @returns the volume, and what turns a conclusion on it back to the stored images
 */
export function faceUp(ct: FramedVolume): { turned: FramedVolume; back: (conclusion: Conclusion) => Conclusion } {
  const flips = flipsToLps(ct);
  if (!flips.includes(true)) return { turned: ct, back: (conclusion) => conclusion };
  flipInPlace(ct.voxels, ct.size, flips);
  return {
    turned: { ...ct, affine: flippedAffine(ct.affine, ct.size, flips), frames: flips[2] ? [...ct.frames].reverse() : ct.frames },
    back(conclusion) {
      const { segmentation } = conclusion;
      if (segmentation) flipInPlace(segmentation.labels, ct.size, flips);
      return { ...conclusion, segmentation: segmentation && { ...segmentation, grid: { ...segmentation.grid, affine: ct.affine }, frames: [...ct.frames] } };
    },
  };
}
