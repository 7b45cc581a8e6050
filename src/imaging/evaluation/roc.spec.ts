import { describe, expect, it } from 'vitest';
import { brierScore, expectedCalibrationError, reliability } from './calibration.js';
import { areaUnderCurve, confusionAt, rocCurve, wilson } from './roc.js';

// Golden figures: NumPy, by pairwise comparison of every positive with every negative (DeLong's kernel), not by ranks.
const sample = {
  scores: [0.1, 0.4, 0.35, 0.8, 0.4, 0.7, 0.4, 0.2, 0.9, 0.65, 0.05, 0.6],
  truth: [0, 0, 1, 1, 0, 1, 1, 0, 1, 0, 0, 1].map(Boolean),
};

describe('the area under the ROC curve', () => {
  it('counts ties half and has DeLong\'s interval', () => {
    const auc = areaUnderCurve(sample);
    expect(auc?.value).toBeCloseTo(0.8333333333, 9);
    expect(auc?.low).toBeCloseTo(0.598531187, 8);
    expect(auc?.high).toBe(1);
  });

  it('equals the area under the drawn curve', () => {
    const points = rocCurve(sample);
    const area = points.slice(1).reduce((sum, point, index) => {
      const before = points[index];
      return sum + (before ? ((point.falsePositiveRate - before.falsePositiveRate) * (point.truePositiveRate + before.truePositiveRate)) / 2 : 0);
    }, 0);
    expect(area).toBeCloseTo(0.8333333333, 9);
    expect(points[0]).toMatchObject({ falsePositiveRate: 0, truePositiveRate: 0 });
    expect(points.at(-1)).toMatchObject({ falsePositiveRate: 1, truePositiveRate: 1 });
  });

  it('is 1 for perfect order, 0.5 for one score for all, null with one class', () => {
    expect(areaUnderCurve({ scores: [0.1, 0.2, 0.8, 0.9], truth: [false, false, true, true] })?.value).toBe(1);
    expect(areaUnderCurve({ scores: [0.5, 0.5, 0.5], truth: [false, true, true] })?.value).toBe(0.5);
    expect(areaUnderCurve({ scores: [0.5, 0.6], truth: [true, true] })).toBeNull();
  });
});

describe('a threshold', () => {
  it('counts a score equal to it as positive', () => {
    expect(confusionAt(sample, 0.4)).toEqual({ truePositives: 5, falsePositives: 3, trueNegatives: 3, falseNegatives: 1 });
  });

  it('has shares with Wilson\'s interval', () => {
    const share = wilson(81, 263);
    expect(share?.low).toBeCloseTo(0.25528852, 8);
    expect(share?.high).toBeCloseTo(0.36620958, 8);
    expect(wilson(0, 10)).toMatchObject({ value: 0, low: 0 });
    expect(wilson(0, 10)?.high).toBeCloseTo(0.2775328, 7);
    expect(wilson(0, 0)).toBeNull();
  });
});

describe('calibration', () => {
  it('gives the expected calibration error over 15 and over 2 bins', () => {
    expect(expectedCalibrationError(sample)).toBeCloseTo(0.1708333333, 9);
    expect(expectedCalibrationError(sample, 2)).toBeCloseTo(0.0375, 9);
  });

  it('gives the Brier score', () => {
    expect(brierScore(sample)).toBeCloseTo(0.1564583333, 9);
  });

  it('puts a probability of 1 into the last bin', () => {
    expect(reliability({ scores: [1], truth: [true] }).at(-1)).toMatchObject({ count: 1, predicted: 1, observed: 1 });
  });
});
