import { describe, expect, it } from 'vitest';
import { fitReport } from './report-fit.js';

const comparison = ({ rows, hasTrend }: { rows: number; hasTrend: boolean }): number => 30 + Math.max(rows * 20, hasTrend ? 110 : 0);

describe('the first page of a report', () => {
  it('has everything where there is room', () => {
    expect(fitReport(600, 165, { tables: 100, captions: 22, comparison })).toEqual({ side: 165, rows: 5, hasTrend: true });
    expect(fitReport(600, 0, { tables: 100, captions: 0, comparison: () => 0 })).toEqual({ side: 0, rows: 5, hasTrend: true });
  });

  it('has smaller pictures first, then fewer rows, and never less than a row and a picture that can be seen', () => {
    expect(fitReport(400, 165, { tables: 100, captions: 22, comparison })).toEqual({ side: 138, rows: 5, hasTrend: true });
    expect(fitReport(340, 165, { tables: 100, captions: 22, comparison })).toEqual({ side: 108, rows: 4, hasTrend: false });
    expect(fitReport(0, 165, { tables: 100, captions: 22, comparison })).toEqual({ side: 100, rows: 1, hasTrend: false });
  });
});
