import type { Scored } from './roc.js';

export interface ReliabilityBin {
  from: number;
  to: number;
  count: number;
  /** Mean probability of the bin; null when it is empty, as `observed`. */
  predicted: number | null;
  /** Share of positives in the bin. */
  observed: number | null;
}

/** Predicted and observed frequency in bins of equal width; the upper edge belongs to the next bin, 1 to the last. */
export function reliability({ scores, truth }: Scored, bins = 15): ReliabilityBin[] {
  const sums = Array.from({ length: bins }, () => ({ count: 0, predicted: 0, observed: 0 }));
  for (const [index, score] of scores.entries()) {
    const bin = sums[Math.min(bins - 1, Math.max(0, Math.floor(score * bins)))];
    if (!bin) continue;
    bin.count++;
    bin.predicted += score;
    bin.observed += truth[index] === true ? 1 : 0;
  }
  return sums.map(({ count, predicted, observed }, index) => ({
    from: index / bins, to: (index + 1) / bins, count,
    predicted: count === 0 ? null : predicted / count, observed: count === 0 ? null : observed / count,
  }));
}

/** Expected calibration error over bins of equal width. @see Guo et al. 2017, eq. 3 */
export function expectedCalibrationError(scored: Scored, bins = 15): number {
  const total = scored.scores.length;
  return reliability(scored, bins).reduce((sum, { count, predicted, observed }) => sum + (count / total) * Math.abs((predicted ?? 0) - (observed ?? 0)), 0);
}

/** Mean squared distance between probability and truth. @see Brier 1950 */
export function brierScore({ scores, truth }: Scored): number {
  return scores.reduce((sum, score, index) => sum + (score - (truth[index] === true ? 1 : 0)) ** 2, 0) / scores.length;
}
