import { describe, expect, it } from 'vitest';
import { agreementOf, kappaOf, type Concluded } from './agreement.js';
import type { Finding, Label } from './finding.js';

const code = { system: '99HV-TEST', value: 'x', meaning: 'X' };

function label(probability: number): Label {
  return { name: 'Pneumonia', probability, threshold: 0.5, positive: probability >= 0.5, code };
}

function nodule(center: [number, number, number], frameOfReferenceUid = '1.2'): Finding {
  return { id: '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a4a', kind: 'nodule', code, score: 0.9, location: { center, frameOfReferenceUid, sopInstanceUid: '1.2.3', frame: 1 }, measurements: [] };
}

function concluded(part: Partial<Concluded>): Concluded {
  return { findings: [], labels: [], segments: [], ...part };
}

describe('agreement of two models', () => {
  it('gives the kappa of the textbook', () => {
    // Cohen's example as on Wikipedia: 20, 5, 10, 15 of 50.
    expect(kappaOf(20, 5, 10, 15)).toBeCloseTo(0.4, 10);
    expect(kappaOf(5, 0, 0, 0)).toBeNull();
    expect(kappaOf(0, 0, 0, 0)).toBeNull();
  });

  it('counts labels on both sides of their thresholds and how far probabilities lie apart', () => {
    const pairs = [[0.9, 0.8], [0.6, 0.4], [0.1, 0.2], [0.2, 0.7]].map(([a = 0, b = 0]) => ({ first: concluded({ labels: [label(a)] }), second: concluded({ labels: [label(b)] }) }));
    const { labels: [found], pairs: count } = agreementOf([...pairs, { first: concluded({ labels: [label(1)] }), second: concluded({}) }]);
    expect(count).toBe(5);
    expect(found).toMatchObject({ label: 'Pneumonia', pairs: 4, bothPositive: 1, onlyFirst: 1, onlySecond: 1, bothNegative: 1, positiveAgreement: 0.5, negativeAgreement: 0.5, kappa: 0 });
    expect(found?.meanProbabilityDifference).toBeCloseTo(0.075, 10);
    expect(found?.meanAbsoluteProbabilityDifference).toBeCloseTo(0.225, 10);
    expect(found?.differenceHistogram.reduce((sum, n) => sum + n, 0)).toBe(4);
    expect([found?.differenceHistogram[9], found?.differenceHistogram[8], found?.differenceHistogram[11], found?.differenceHistogram[15]]).toEqual([1, 1, 1, 1]);
  });

  it('matches nodules one to one within 5 mm in the same frame of reference', () => {
    const first = concluded({ findings: [nodule([0, 0, 0]), nodule([50, 0, 0]), nodule([100, 0, 0], '9.9')] });
    const second = concluded({ findings: [nodule([0, 0, 4]), nodule([0, 3, 0]), nodule([50, 5, 0]), nodule([100, 0, 0])] });
    expect(agreementOf([{ first, second }]).detections).toEqual([
      { kind: 'nodule', studies: 1, first: 3, second: 4, matched: 2, onlyFirst: 1, onlySecond: 2, agreement: 4 / 7, withinMm: 5, meanDistanceMm: 4 },
    ]);
  });

  it('compares volumes; a model without the segment says 0 ml', () => {
    const segment = (volumeMl: number): Concluded => concluded({ segments: [{ number: 1, name: 'Whole tumour', volumeMl }] });
    const { volumes } = agreementOf([{ first: segment(10), second: segment(12) }, { first: segment(20), second: concluded({}) }]);
    expect(volumes).toMatchObject([{ segment: 'Whole tumour', pairs: 2, meanFirstMl: 15, meanSecondMl: 6, meanDifferenceMl: -9, meanAbsoluteDifferenceMl: 11 }]);
    expect(volumes[0]?.limitsOfAgreementMl?.[0]).toBeCloseTo(-9 - 1.96 * Math.SQRT2 * 11, 8);
  });
});
