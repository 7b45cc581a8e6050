import { describe, expect, it } from 'vitest';
import { detectionFigures, type DetectedScan } from './detection.js';
import { frocSvg } from './froc-picture.js';

const candidate = (x: number, score: number): DetectedScan['candidates'][number] => ({ centre: [x, 0, 0], score, diameterMm: null });

describe('nodules against what is known of them', () => {
  const scans: DetectedScan[] = [
    { studyInstanceUid: '1', seriesInstanceUid: '1.1', candidates: [candidate(1, 0.9), candidate(2, 0.95), candidate(60, 0.8)], lesions: [{ centre: [0, 0, 0], diameterMm: 10, counts: true }, { centre: [40, 0, 0], diameterMm: 6, counts: true }] },
    { studyInstanceUid: '2', seriesInstanceUid: '2.1', candidates: [candidate(20, 0.7)], lesions: [{ centre: [20, 0, 0], diameterMm: 3, counts: false }] },
  ];

  it('say of each how far beside it the best candidate lies, and how many more there are', () => {
    const { lesions, falsePositivesPerScan, froc } = detectionFigures(scans);
    expect(lesions.map(({ score, distanceMm }) => [score, distanceMm])).toEqual([[0.95, 2], [null, null], [0.7, 0]]);
    expect(falsePositivesPerScan).toBe(0.5);
    expect(froc?.at[0]).toMatchObject({ falsePositivesPerScan: 1 / 8, sensitivity: 0.5 });
  });

  it('are drawn', () => {
    const { froc } = detectionFigures(scans);
    if (!froc) throw new Error('no figures');
    const svg = frocSvg('Title', 'Subtitle', froc);
    expect(svg.match(/<circle/g)).toHaveLength(7);
    expect(svg).not.toContain('NaN');
  });
});
