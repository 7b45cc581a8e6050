import { describe, expect, it } from 'vitest';
import { completionReceipt, isAsAnnounced, missingNumbers, missingSlices, type SeriesTally } from './settlement.js';

const series = (tally: Partial<SeriesTally> = {}): SeriesTally => ({
  seriesInstanceUid: '1.2.3', instances: 1, instanceNumbers: [], slicePositionsMm: [], expected: null, expectedSeries: null, expectedInStudy: null, ...tally,
});

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

describe('missingSlices', () => {
  it('says behind which slice how many are missing, whatever the order', () => {
    expect(missingSlices([10, 0, 2.5, 5, 17.5, 20])).toEqual([{ afterMm: 5, missing: 1 }, { afterMm: 10, missing: 2 }]);
    expect(missingSlices([-7.5, -5, -2.5, 2.5])).toEqual([{ afterMm: -2.5, missing: 1 }]);
  });

  it('bears the jitter of devices, and steps of up to 1.5 times the median', () => {
    expect(missingSlices([0, 2.499, 5.001, 7.5, 9.9, 12.6])).toEqual([]);
    expect(missingSlices([0, 2, 4, 7])).toEqual([]);
    expect(missingSlices([0, 2, 4, 7.01])).toEqual([{ afterMm: 4, missing: 1 }]);
  });

  it('counts several images of one place once', () => {
    expect(missingSlices([0, 0, 0, 3, 3, 3, 6, 6, 6])).toEqual([]);
    expect(missingSlices([0, 0.004, 3, 3.004, 9, 9.004])).toEqual([{ afterMm: 3, missing: 1 }]);
  });

  it('says nothing of what is no stack', () => {
    expect(missingSlices([])).toEqual([]);
    expect(missingSlices([4])).toEqual([]);
    expect(missingSlices([4, 90])).toEqual([]);
    expect(missingSlices([0, 1, 2, 200, 201, 202])).toEqual([]);
  });

  it('stays quick and short for a long series', () => {
    const everyThird = Array.from({ length: 30_000 }, (_, index) => index).filter((index) => index % 3 !== 1);
    expect(missingSlices(everyThird)).toEqual([]);
    expect(missingSlices(Array.from({ length: 9_000 }, (_, index) => index).filter((index) => index % 10 !== 5))).toHaveLength(100);
  });
});

describe('isAsAnnounced', () => {
  it('holds when the study has the instances that were announced for it', () => {
    expect(isAsAnnounced([series({ instances: 2, expectedInStudy: 3 }), series({ instances: 1 })])).toBe(true);
    expect(isAsAnnounced([series({ instances: 2, expectedInStudy: 3 })])).toBe(false);
  });

  it('holds when all series are there and each is whole', () => {
    expect(isAsAnnounced([series({ instances: 2, expected: 2, expectedSeries: 2 }), series({ instances: 4, expected: 4 })])).toBe(true);
    expect(isAsAnnounced([series({ instances: 2, expected: 2, expectedSeries: 2 })])).toBe(false);
    expect(isAsAnnounced([series({ instances: 2, expected: 2, expectedSeries: 2 }), series({ instances: 4 })])).toBe(false);
  });

  it('does not hold while any number is not met', () => {
    expect(isAsAnnounced([series({ instances: 2, expected: 3, expectedInStudy: 2 })])).toBe(false);
    expect(isAsAnnounced([series({ instances: 2, expectedSeries: 2, expectedInStudy: 2 })])).toBe(false);
  });

  it('does not hold when nothing bounds the study, or more came than was announced', () => {
    expect(isAsAnnounced([])).toBe(false);
    expect(isAsAnnounced([series()])).toBe(false);
    expect(isAsAnnounced([series({ instances: 2, expected: 2 })])).toBe(false);
    expect(isAsAnnounced([series({ instances: 4, expectedInStudy: 3 })])).toBe(false);
  });

  it('goes by the largest number when senders count up', () => {
    expect(isAsAnnounced([series({ instances: 1, expectedInStudy: 1 }), series({ instances: 2, expectedInStudy: 3 })])).toBe(true);
    expect(isAsAnnounced([series({ instances: 1, expectedInStudy: 1 }), series({ instances: 2, expectedInStudy: 4 })])).toBe(false);
  });
});

describe('completionReceipt', () => {
  const at = new Date('2026-11-21T10:00:00Z');

  it('counts every series and says what is missing of what was announced', () => {
    const receipt = completionReceipt({ reason: 'timer', at, revision: 1, lateInstances: 0 }, [
      series({ instances: 3, instanceNumbers: [1, 2, 4], slicePositionsMm: [0, 1, 3], expected: 4, expectedSeries: 3, expectedInStudy: 9 }),
      series({ seriesInstanceUid: '1.2.4' }),
    ]);
    expect(receipt).toEqual({
      reason: 'timer', at: '2026-11-21T10:00:00.000Z', revision: 1, instances: 4, expectedInstances: 9, expectedSeries: 3,
      series: [
        { seriesInstanceUid: '1.2.3', instances: 3, expected: 4, missingInstanceNumbers: [3], missingSlices: [{ afterMm: 1, missing: 1 }] },
        { seriesInstanceUid: '1.2.4', instances: 1 },
      ],
    });
  });

  it('names the late arrivals that caused a revision', () => {
    expect(completionReceipt({ reason: 'explicit', at, revision: 2, lateInstances: 5 }, [series({ instances: 6 })])).toEqual({
      reason: 'explicit', at: '2026-11-21T10:00:00.000Z', revision: 2, instances: 6, lateInstances: 5, series: [{ seriesInstanceUid: '1.2.3', instances: 6 }],
    });
  });
});
