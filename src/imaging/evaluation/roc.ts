/** Scores of one label with what is true; the higher the score, the more positive. */
export interface Scored {
  scores: readonly number[];
  truth: readonly boolean[];
}

export interface Interval {
  value: number;
  /** 95 %. */
  low: number;
  high: number;
}

export interface RocPoint {
  falsePositiveRate: number;
  truePositiveRate: number;
  /** Scores at or above it count as positive. */
  threshold: number;
}

export interface Confusion {
  truePositives: number;
  falsePositives: number;
  trueNegatives: number;
  falseNegatives: number;
}

/** 97.5 % quantile of the standard normal distribution. */
const Z = 1.959963984540054;

/** The ROC curve from (0, 0) to (1, 1), one point per distinct score. @see Fawcett 2006, algorithm 1 */
export function rocCurve({ scores, truth }: Scored): RocPoint[] {
  const { positives, negatives } = countClasses(truth);
  const order = scores.map((score, index) => ({ score, positive: truth[index] === true })).sort((a, b) => b.score - a.score);
  const points: RocPoint[] = [{ falsePositiveRate: 0, truePositiveRate: 0, threshold: Infinity }];
  let hits = 0;
  let alarms = 0;
  for (const [index, { score, positive }] of order.entries()) {
    if (positive) hits++;
    else alarms++;
    if (order[index + 1]?.score !== score) points.push({ falsePositiveRate: alarms / negatives, truePositiveRate: hits / positives, threshold: score });
  }
  return points;
}

/**
 * Area under the ROC curve with DeLong's interval; ties count half.
 *
 * @returns null when there are no positives or no negatives
 * @see DeLong, DeLong, Clarke-Pearson 1988; by midranks as in Sun, Xu 2014
 */
export function areaUnderCurve({ scores, truth }: Scored): Interval | null {
  const { positives, negatives } = countClasses(truth);
  if (positives === 0 || negatives === 0) return null;
  const ofPositives = scores.filter((_, index) => truth[index] === true);
  const ofNegatives = scores.filter((_, index) => truth[index] !== true);
  const together = midranks([...ofPositives, ...ofNegatives]);
  const amongPositives = midranks(ofPositives);
  const amongNegatives = midranks(ofNegatives);
  // Per positive: the share of negatives below it; per negative: the share of positives above it.
  const placements = amongPositives.map((rank, index) => ((together[index] ?? 0) - rank) / negatives);
  const reverse = amongNegatives.map((rank, index) => 1 - ((together[positives + index] ?? 0) - rank) / positives);
  const value = mean(placements);
  const spread = Math.sqrt(variance(placements) / positives + variance(reverse) / negatives);
  return { value, low: Math.max(0, value - Z * spread), high: Math.min(1, value + Z * spread) };
}

/** Counts at a threshold; a score equal to it is positive. */
export function confusionAt({ scores, truth }: Scored, threshold: number): Confusion {
  const counts: Confusion = { truePositives: 0, falsePositives: 0, trueNegatives: 0, falseNegatives: 0 };
  for (const [index, score] of scores.entries()) {
    if (score >= threshold) counts[truth[index] === true ? 'truePositives' : 'falsePositives']++;
    else counts[truth[index] === true ? 'falseNegatives' : 'trueNegatives']++;
  }
  return counts;
}

/** A share with Wilson's score interval; null when `total` is 0. @see Wilson 1927 */
export function wilson(hits: number, total: number): Interval | null {
  if (total === 0) return null;
  const share = hits / total;
  const denominator = 1 + (Z * Z) / total;
  const centre = (share + (Z * Z) / (2 * total)) / denominator;
  const half = (Z / denominator) * Math.sqrt((share * (1 - share)) / total + (Z * Z) / (4 * total * total));
  return { value: share, low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}

function countClasses(truth: readonly boolean[]): { positives: number; negatives: number } {
  const positives = truth.filter(Boolean).length;
  return { positives, negatives: truth.length - positives };
}

/** Ranks from 1; equal values share the mean of their ranks. */
function midranks(values: readonly number[]): number[] {
  const order = values.map((value, index) => ({ value, index })).sort((a, b) => a.value - b.value);
  const ranks = new Array<number>(values.length).fill(0);
  for (let start = 0; start < order.length; ) {
    let end = start;
    while (end < order.length && order[end]?.value === order[start]?.value) end++;
    for (const { index } of order.slice(start, end)) ranks[index] = (start + end + 1) / 2;
    start = end;
  }
  return ranks;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Of a sample; 0 for a single value. */
function variance(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const middle = mean(values);
  return values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1);
}
