import { describe, expect, it } from 'vitest';
import { reportMarks, type ReportMark } from './report-marks.js';

const SERIES = { SeriesInstanceUID: '1.2.3' };
const whole = (name: string, percent: number): ReportMark => ({
  TrackingIdentifier: name, TrackingUniqueIdentifier: `1.2.${name}`, coords: [{ GraphicType: 'POLYLINE', GraphicData: [0, 0, 9, 0, 9, 9, 0, 9, 0, 0] }],
  labels: [{ label: 'Certainty of Finding', value: `${percent.toFixed(2)} %` }, { label: 'Decision threshold of the model', value: '50.00 %' }],
});
const textOf = ({ labels }: ReportMark): string[] => labels.map(({ label, value }) => `${label}: ${value}`);

describe('Lines beside marks of a report', () => {
  it('name the finding, its site and units as people write them', () => {
    const measurement: ReportMark = {
      TrackingIdentifier: 'Nodule 1', TrackingUniqueIdentifier: '1.2.4', coords: [{ GraphicType: 'ELLIPSE', GraphicData: [1, 2, 1, 4, 0, 3, 2, 3] }],
      labels: [{ label: 'Certainty of Finding', value: '90.00 %' }, { label: 'Diameter', value: '6.20 mm' }, { label: 'Volume', value: '3078.00 mm3' }, { label: '363698007', value: 'Lung' }],
    };
    const add = reportMarks();
    // OHIF notes in the mark itself that it was drawn.
    expect(add({ measurement, ...SERIES })).toBe(measurement);
    const lines = ['Nodule 1: 90 %', 'Diameter: 6.20 mm', 'Volume: 3078.00 mm³', 'Finding site: Lung'];
    expect(textOf(measurement)).toEqual(lines);
    expect(textOf(add({ measurement, ...SERIES }))).toEqual(lines);
  });

  it('are written once for a whole image, the most certain first, in no more than OHIF draws', () => {
    const add = reportMarks();
    const marks = [12, 93, 7.25, 40, 1, 2, 3].map((percent, n) => whole(`Label ${String(n)}`, percent));
    for (const measurement of [...marks, ...marks]) add({ measurement, ...SERIES });
    expect(marks.slice(1).map(textOf)).toEqual(marks.slice(1).map(() => []));
    const [first] = marks;
    expect(first && textOf(first)).toEqual(['Label 1: 93 %, Label 3: 40 %', 'Label 0: 12 %, Label 2: 7.25 %', 'Label 6: 3 %, Label 5: 2 %', 'Label 4: 1 %']);
    expect(first?.coords).toEqual([{ GraphicType: 'POLYLINE', GraphicData: [0, 9 * 0.15, 9 * 0.02, 9 * 0.15] }]);
    const other = whole('Alone', 5);
    add({ measurement: other, SeriesInstanceUID: '1.2.9' });
    expect(textOf(other)).toEqual(['Alone: 5 %']);
  });

  it('do not break on a mark without numbers', () => {
    const bare: ReportMark = { TrackingIdentifier: 'x', TrackingUniqueIdentifier: '1', coords: [], labels: [] };
    expect(reportMarks()({ measurement: bare, ...SERIES })).toBe(bare);
  });
});
