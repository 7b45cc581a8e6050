import { describe, expect, it } from 'vitest';
import { completionReceipt, missingNumbers } from './settlement.js';

describe('missingNumbers', () => {
  it('lists the gaps of a series that numbers its slices', () => {
    expect(missingNumbers([5, 1, 2, 4, 8])).toEqual([3, 6, 7]);
  });

  it('says nothing of a whole series, of one instance, or of one that numbers sparsely', () => {
    expect(missingNumbers([3, 1, 2])).toEqual([]);
    expect(missingNumbers([7])).toEqual([]);
    expect(missingNumbers([])).toEqual([]);
    expect(missingNumbers([1, 2_000_000_000])).toEqual([]);
  });
});

describe('completionReceipt', () => {
  it('counts every series and says what is missing of what was announced', () => {
    const receipt = completionReceipt('timer', new Date('2026-11-21T10:00:00Z'), 2, [
      { seriesInstanceUid: '1.2.3', instances: 3, instanceNumbers: [1, 2, 4], expected: 4 },
      { seriesInstanceUid: '1.2.4', instances: 1, instanceNumbers: [], expected: null },
    ]);
    expect(receipt).toEqual({
      reason: 'timer', at: '2026-11-21T10:00:00.000Z', revision: 2, instances: 4,
      series: [{ seriesInstanceUid: '1.2.3', instances: 3, expected: 4, missingInstanceNumbers: [3] }, { seriesInstanceUid: '1.2.4', instances: 1 }],
    });
  });
});
