import { describe, expect, it } from 'vitest';
import { labelReviews, MOST_GROUPS, OTHER_GROUPS, reviewFigures, seriesOf, stabilityIndex, type ResultFacts, type ReviewFacts } from './review-figures.js';

const review = (changes: Partial<ReviewFacts> = {}): ReviewFacts => ({ accepted: 0, bySignOff: 0, edited: 0, rejected: 0, falsePositives: 0, added: 0, labels: [], ...changes });
const facts = (changes: Partial<ResultFacts> = {}): ResultFacts => ({ studyInstanceUid: '1.2', createdAt: new Date('2026-11-18T10:00:00Z'), station: 'CT1', scanner: 'ACME One', input: {}, topScore: 0.5, review: null, ...changes });

describe('the figures of reviews', () => {
  it('are those that one works out by hand', () => {
    const list = [
      facts({ studyInstanceUid: '1', review: review({ accepted: 3, bySignOff: 1, edited: 1, rejected: 2, falsePositives: 1, added: 1, labels: [{ name: 'Mass', modelPositive: true, agreed: false }, { name: 'Edema', modelPositive: false, agreed: true }] }) }),
      facts({ studyInstanceUid: '2', review: review({ accepted: 0, rejected: 2, falsePositives: 2, labels: [{ name: 'Mass', modelPositive: false, agreed: false }, { name: 'Edema', modelPositive: true, agreed: true }] }) }),
      facts({ studyInstanceUid: '2', review: review({ accepted: 2 }) }),
      facts({ studyInstanceUid: '3' }),
    ];
    // 6 of 10 findings stand; 3 false positives and 1 missed in 2 studies; 2 of 4 labels.
    expect(reviewFigures(list)).toEqual({ results: 4, reviewed: 3, accepted: 5, acceptedBySignOff: 1, edited: 1, rejected: 4, added: 1, acceptRate: 0.6, falsePositivesPerStudy: 1.5, missedPerStudy: 0.5, labelDisagreementRate: 0.5 });
    expect(labelReviews(list)).toEqual([{ label: 'Edema', judged: 2, agreed: 2, falsePositives: 0, falseNegatives: 0 }, { label: 'Mass', judged: 2, agreed: 0, falsePositives: 1, falseNegatives: 1 }]);
    expect(reviewFigures([])).toMatchObject({ results: 0, acceptRate: null, falsePositivesPerStudy: null, labelDisagreementRate: null });
  });

  it('come by day or week, by station and by scanner', () => {
    const list = ['2026-11-15T23:59:59Z', '2026-11-16T00:00:00Z', '2026-11-22T23:59:59Z', '2026-11-23T00:00:00Z'].map((at, index) => facts({ createdAt: new Date(at), station: index === 0 ? null : 'CT1', topScore: index / 10, input: { slices: 100 + index } }));
    const [all, ...rest] = seriesOf(list, 'week');
    // Weeks begin on Mondays: 9, 16 and 23 November 2026.
    expect(all?.buckets.map(({ from, results }) => [from.toISOString().slice(0, 10), results])).toEqual([['2026-11-09', 1], ['2026-11-16', 2], ['2026-11-23', 1]]);
    expect(all?.buckets[1]).toMatchObject({ topScore: { results: 2, standardDeviation: expect.closeTo(Math.SQRT1_2 / 10, 9) as number }, scorePsi: null, inputs: [{ name: 'slices', results: 2, mean: 101.5, shift: null }] });
    expect(rest.map(({ by, group, buckets }) => [by, group, buckets.length])).toEqual([['station', 'CT1', 2], ['station', 'unknown', 1], ['scanner', 'ACME One', 3]]);
    expect(seriesOf(list, 'day')[0]?.buckets).toHaveLength(4);
    expect(seriesOf([], 'day')).toEqual([]);
  });

  it('put all but the largest groups together', () => {
    const list = Array.from({ length: MOST_GROUPS + 5 }, (_, index) => facts({ scanner: `S${String(index)}` }));
    const scanners = seriesOf(list, 'week').filter(({ by }) => by === 'scanner');
    expect([scanners.length, scanners.at(-1)?.group, scanners.at(-1)?.buckets[0]?.results]).toEqual([MOST_GROUPS + 1, OTHER_GROUPS, 5]);
  });

  it('tell of drift: of scores by their distribution, of inputs by their mean', () => {
    const steady = Array.from({ length: 40 }, (_, index) => facts({ createdAt: new Date('2026-11-02T10:00:00Z'), topScore: (index % 10) / 10 + 0.05, input: { slices: index % 2 === 0 ? 90 : 110 } }));
    const same = steady.map((one) => ({ ...one, createdAt: new Date('2026-11-09T10:00:00Z') }));
    const other = Array.from({ length: 40 }, () => facts({ createdAt: new Date('2026-11-16T10:00:00Z'), topScore: 0.95, input: { slices: 200 } }));
    const buckets = seriesOf([...other, ...steady, ...same], 'week')[0]?.buckets ?? [];
    expect(buckets.map(({ scorePsi }) => scorePsi === null ? null : scorePsi > 0.25)).toEqual([null, false, true]);
    expect(buckets[1]?.scorePsi).toBe(0);
    // 100 above a mean of 100 with a standard deviation of √(80 · 100 / 79).
    expect(buckets[2]?.inputs[0]?.shift).toBeCloseTo(100 / Math.sqrt((80 * 100) / 79), 9);
    // Of two bins: 20 below and 20 above, against 40 above. Eight bins have half a result before and after.
    const [p, q] = [[20.5, 20.5], [0.5, 40.5]];
    expect(stabilityIndex([...new Array<number>(20).fill(0.05), ...new Array<number>(20).fill(0.95)], new Array<number>(40).fill(0.95)))
      .toBeCloseTo(p.reduce((sum, count, bin) => sum + (((q[bin] ?? 0) - count) / 45) * Math.log((q[bin] ?? 0) / count), 0), 12);
  });
});
