import { wilson, type Interval } from '../../imaging/evaluation/roc.js';
import type { OutOfDistribution } from '../../imaging/report/finding.js';

/** How many inputs of a set the model found unlike those that it was made with; of ordinary ones these are false alarms. */
export interface StrangeShare {
  strange: number;
  of: number;
  share: Interval | null;
  threshold: number;
  /** In the order of the set. */
  scores: number[];
}

/** null where the model says of none of them. */
export function strangeShare(verdicts: readonly (OutOfDistribution | undefined)[]): StrangeShare | null {
  const told = verdicts.filter((verdict) => verdict !== undefined);
  const [first] = told;
  if (!first) return null;
  const strange = told.filter((verdict) => verdict.strange).length;
  return { strange, of: told.length, share: wilson(strange, told.length), threshold: first.threshold, scores: told.map(({ score }) => score) };
}

export function strangeText({ strange, of, share }: StrangeShare): string {
  return `${String(strange)} of ${String(of)} inputs are strange to the model${share ? ` (${(share.value * 100).toFixed(1)} % [${(share.low * 100).toFixed(1)}, ${(share.high * 100).toFixed(1)}])` : ''}`;
}
