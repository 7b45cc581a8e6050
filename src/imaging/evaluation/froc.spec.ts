import { describe, expect, it } from 'vitest';
import { froc, type ScannedCase } from './froc.js';

const lesion = (x: number, counts = true): ScannedCase['lesions'][number] => ({ centre: [x, 0, 0], diameterMm: 10, counts });
const candidate = (x: number, score: number): ScannedCase['candidates'][number] => ({ centre: [x, 0, 0], score });

describe('FROC', () => {
  it('counts each lesion once, and a candidate on none as a false positive', () => {
    const figures = froc([
      { lesions: [lesion(0), lesion(100)], candidates: [candidate(1, 0.9), candidate(-4, 0.8), candidate(50, 0.7), candidate(104.9, 0.3)] },
      { lesions: [lesion(0)], candidates: [candidate(5.1, 0.95)] },
    ]);
    expect(figures).toMatchObject({ scans: 2, lesions: 3 });
    expect(figures?.curve).toEqual([
      { falsePositivesPerScan: 0, sensitivity: 0, threshold: Infinity },
      { falsePositivesPerScan: 0.5, sensitivity: 0, threshold: 0.95 },
      { falsePositivesPerScan: 0.5, sensitivity: 1 / 3, threshold: 0.9 },
      { falsePositivesPerScan: 1, sensitivity: 1 / 3, threshold: 0.7 },
      { falsePositivesPerScan: 1, sensitivity: 2 / 3, threshold: 0.3 },
    ]);
    expect(figures?.at.map(({ sensitivity }) => sensitivity)).toEqual([0, 0, 1 / 3, 2 / 3, 2 / 3, 2 / 3, 2 / 3]);
    expect(figures?.mean.value).toBeCloseTo((1 / 3 + 4 * (2 / 3)) / 7, 10);
  });

  it('takes what does not count for neither right nor wrong', () => {
    const figures = froc([{ lesions: [lesion(0), lesion(40, false)], candidates: [candidate(40, 0.9), candidate(0, 0.5)] }]);
    expect(figures?.at[0]).toEqual({ falsePositivesPerScan: 1 / 8, sensitivity: 1, low: 1, high: 1 });
  });

  it('is unknown without lesions, and nought without candidates', () => {
    expect(froc([{ lesions: [], candidates: [candidate(0, 1)] }])).toBeNull();
    expect(froc([{ lesions: [lesion(0)], candidates: [] }])?.mean).toEqual({ value: 0, low: 0, high: 0 });
  });

  it('has an interval around its figure that is the same every time', () => {
    const cases = Array.from({ length: 40 }, (_, i): ScannedCase => ({ lesions: [lesion(0)], candidates: i % 4 === 0 ? [] : [candidate(0, 0.5 + i / 100)] }));
    const { mean } = froc(cases) ?? { mean: { value: 0, low: 0, high: 0 } };
    expect(mean.value).toBe(0.75);
    expect(mean.low).toBeGreaterThan(0.55);
    expect(mean.low).toBeLessThan(0.7);
    expect(mean.high).toBeGreaterThan(0.8);
    expect(mean.high).toBeLessThan(0.95);
    expect(froc(cases)?.mean).toEqual(mean);
  });
});
