import { describe, expect, it } from 'vitest';
import { evidence, probabilities, type Postprocessing } from './calibration.js';

const none = { method: 'none' } as const;

describe('probabilities', () => {
  it('are sigmoids of each logit', () => {
    const [even = 0, likely = 0] = probabilities([0, Math.log(3)], { activation: 'sigmoid', calibration: none });
    expect(even).toBe(0.5);
    expect(likely).toBeCloseTo(0.75, 12);
  });

  it('sum to one under softmax, whatever the size of the logits', () => {
    const [a = 0, b = 0] = probabilities([1000, 1000 + Math.log(3)], { activation: 'softmax', calibration: none });
    expect([a, b].map((p) => Math.round(p * 1e9) / 1e9)).toEqual([0.25, 0.75]);
  });

  it('follow the line of Platt and the temperature of Guo', () => {
    expect(probabilities([2], { activation: 'sigmoid', calibration: { method: 'platt', slope: 1.5, intercept: -3 } })).toEqual([0.5]);
    const [cold = 0] = probabilities([4, 0], { activation: 'softmax', calibration: { method: 'temperature', temperature: 2 } });
    expect(cold).toBeCloseTo(1 / (1 + Math.exp(-2)), 12);
  });

  it('are the outputs themselves when the model has activated them', () => {
    expect(probabilities([0.25, 1.0000001], { activation: 'none', calibration: none })).toEqual([0.25, 1]);
  });
});

describe('evidence', () => {
  it('is the log-odds of the probability', () => {
    const settings: Postprocessing[] = [
      { activation: 'sigmoid', calibration: { method: 'platt', slope: 2, intercept: 0.5 } },
      { activation: 'softmax', calibration: { method: 'temperature', temperature: 1.7 } },
    ];
    for (const post of settings) {
      const outputs = [0.3, -1.2, 2.1];
      for (const [index, p] of probabilities(outputs, post).entries()) expect(evidence(outputs, index, post)).toBeCloseTo(Math.log(p / (1 - p)), 9);
    }
  });
});
