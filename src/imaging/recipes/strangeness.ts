import type { Tensor } from '../model/session.js';
import type { OutOfDistribution } from '../report/finding.js';
import { finiteOutput } from './finite-output.js';

/** What a manifest says of the output that tells how unlike the images of its training an input is. */
export interface StrangenessRule {
  /** Float32 `[batch, 1]` for each image or window; the larger, the stranger. */
  output: string;
  threshold: number;
}

/** Gathers what a network says of its windows. */
export interface StrangenessMeter {
  /**
   * @param batch  of the tensors
   * @param count  the first so many are windows of the input; the rest fills up the batch
   * @throws AppError `model-load-failed` without the output, `model-output-invalid` for another shape and for numbers that are not finite
   */
  take(outputs: Readonly<Record<string, Tensor>>, batch: number, count?: number): void;
  /** Of the median over all windows; undefined of a model that says nothing of it, and where no window was looked at. */
  verdict(): OutOfDistribution | undefined;
}

export function strangenessMeter(rule: StrangenessRule | undefined): StrangenessMeter {
  const scores: number[] = [];
  return {
    take(outputs, batch, count = batch) {
      if (rule) scores.push(...finiteOutput(outputs, rule.output, [batch, 1]).subarray(0, count));
    },
    verdict() {
      const score = medianOf(scores);
      // As many digits as a 32-bit number has.
      return rule && score !== undefined ? { score: Number(score.toPrecision(7)), threshold: rule.threshold, strange: score > rule.threshold } : undefined;
    },
  };
}

/** Of two middle ones their mean, as whoever chose the threshold has counted. */
function medianOf(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return low === undefined || high === undefined ? undefined : (low + high) / 2;
}
