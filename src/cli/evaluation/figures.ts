import { brierScore, expectedCalibrationError, reliability, type ReliabilityBin } from '../../imaging/evaluation/calibration.js';
import { areaUnderCurve, confusionAt, rocCurve, wilson, type Confusion, type Interval, type RocPoint } from '../../imaging/evaluation/roc.js';
import type { Manifest } from '../../imaging/model/manifest.js';
import type { Prediction } from './pipeline.js';
import { strangeShare, type StrangeShare } from './strange-share.js';

export interface LabelFigures {
  name: string;
  positives: number;
  negatives: number;
  threshold: number;
  /** null without positives or without negatives, as are the shares. */
  auc: Interval | null;
  sensitivity: Interval | null;
  specificity: Interval | null;
  accuracy: Interval | null;
  confusion: Confusion;
  expectedCalibrationError: number;
  brier: number;
  reliability: ReliabilityBin[];
}

export interface Figures {
  analysed: number;
  notAnalysable: { name: string; code: string; detail: string }[];
  labels: LabelFigures[];
  /** Mean over the labels that have an AUC; null when there is none. */
  macroAuc: number | null;
  /** null of a model that does not tell. */
  outOfDistribution: StrangeShare | null;
}

export const METHODS = {
  auc: 'Mann-Whitney, ties count half; 95 % interval by DeLong 1988',
  shares: 'at the model\'s threshold (a probability equal to it is positive); 95 % interval by Wilson 1927',
  expectedCalibrationError: '15 bins of equal width (Guo et al. 2017)',
  macroAuc: 'mean over the labels with positives and negatives',
} as const;

export function figuresOf(predictions: readonly Prediction[], manifest: Manifest): Figures & { curves: { name: string; auc: Interval; points: RocPoint[] }[] } {
  const analysed = predictions.flatMap((prediction) => (prediction.kind === 'labels' ? [prediction] : []));
  const notAnalysable = predictions.flatMap(({ sample, ...rest }) => (rest.kind === 'not-analysable' ? [{ name: sample.name, code: rest.code, detail: rest.detail }] : []));
  const curves: { name: string; auc: Interval; points: RocPoint[] }[] = [];
  const labels = manifest.labels.filter(({ name }) => analysed[0]?.probabilities.has(name)).map((label): LabelFigures => {
    const scored = { scores: analysed.map(({ probabilities }) => probabilities.get(label.name) ?? NaN), truth: analysed.map(({ sample }) => sample.shows(label)) };
    const confusion = confusionAt(scored, label.threshold);
    const { truePositives, trueNegatives, falsePositives, falseNegatives } = confusion;
    const auc = areaUnderCurve(scored);
    if (auc) curves.push({ name: label.name, auc, points: rocCurve(scored) });
    return {
      name: label.name, positives: truePositives + falseNegatives, negatives: trueNegatives + falsePositives, threshold: label.threshold, auc,
      sensitivity: wilson(truePositives, truePositives + falseNegatives), specificity: wilson(trueNegatives, trueNegatives + falsePositives),
      accuracy: wilson(truePositives + trueNegatives, analysed.length), confusion,
      expectedCalibrationError: expectedCalibrationError(scored), brier: brierScore(scored), reliability: reliability(scored),
    };
  });
  return { analysed: analysed.length, notAnalysable, labels, macroAuc: curves.length === 0 ? null : curves.reduce((sum, { auc }) => sum + auc.value, 0) / curves.length, curves, outOfDistribution: strangeShare(analysed.map(({ outOfDistribution }) => outOfDistribution)) };
}
