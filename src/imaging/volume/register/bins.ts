/** Intensities are counted between these. */
export interface IntensityRange {
  low: number;
  high: number;
}

/** Bins of each image, the two beside each end among them that the cubic window needs. */
export const BINS = 36;
export const PADDING = 2;

/** The fractional bin of a value; values beyond the range are held at its ends. */
export function binOf(value: number, { low, high }: IntensityRange): number {
  const scaled = ((value - low) / (high - low)) * (BINS - 1 - 2 * PADDING);
  return PADDING + Math.min(BINS - 1 - 2 * PADDING, Math.max(0, scaled));
}
