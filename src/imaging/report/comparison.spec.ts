import { describe, expect, it } from 'vitest';
import type { Affine } from '../volume/volume.js';
import { compareResults } from './comparison.js';
import type { Finding } from './finding.js';

const SAME: Affine = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]];

const nodule = (id: string, center: [number, number, number], diameter: number, kind = 'nodule'): Finding => ({
  id, kind, code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' }, score: 0.9, location: { center, sopInstanceUid: '1.2', frame: 1 },
  measurements: [{ name: 'diameter', value: diameter, unit: 'mm' }, { name: 'volume', value: Math.round((Math.PI / 6) * diameter ** 3), unit: 'mm3' }],
});

const result = (findings: Finding[], more: object = {}) => ({ findings, segments: [], labels: [], ...more });

describe('compareResults', () => {
  it('tells what grew, by how much and how fast, what is gone and what is new', () => {
    const prior = result([nodule('a', [10, 20, 30], 8), nodule('b', [-50, 20, 30], 6)]);
    const current = result([nodule('c', [12, 20, 30], 10.4), nodule('d', [40, -60, 0], 5)]);
    const { findings } = compareResults(prior, current, { toPrior: SAME, days: 90 });
    expect(findings.map(({ trend, current: now, prior: before }) => [trend, before, now])).toEqual([['grown', 'a', 'c'], ['new', null, 'd'], ['gone', 'b', null]]);
    expect(findings[0]).toMatchObject({ distanceMm: 2, measurements: [{ name: 'diameter', unit: 'mm', prior: 8, current: 10.4, change: 2.4, changePercent: 30 }, { name: 'volume' }] });
    // A third more in diameter is 2.2 times the volume.
    expect(findings[0]?.volumeDoublingDays).toBeCloseTo((90 * Math.LN2) / Math.log(1.3 ** 3), -1);
  });

  it('finds the same nodule where registration puts it, each once', () => {
    const moved: Affine = [[1, 0, 0, 100], [0, 1, 0, 0], [0, 0, 1, -5]];
    const prior = result([nodule('a', [0, 0, 0], 6), nodule('b', [7, 0, 0], 6)]);
    const current = result([nodule('c', [-93, 0, 5], 6), nodule('d', [-100, 0, 5], 6.2)]);
    const { findings } = compareResults(prior, current, { toPrior: moved, days: 1 });
    expect(findings.map(({ trend, prior: before, current: now }) => [trend, before, now])).toEqual([['stable', 'b', 'c'], ['stable', 'a', 'd']]);
    expect(compareResults(prior, current, { toPrior: SAME, days: 1 }).findings.map(({ trend }) => trend)).toEqual(['new', 'new', 'gone', 'gone']);
  });

  it('judges each kind by its own limits', () => {
    const trend = (kind: string, from: number, to: number) => compareResults(result([nodule('a', [0, 0, 0], from, kind)]), result([nodule('b', [0, 0, 0], to, kind)]), { toPrior: SAME, days: 10 }).findings[0]?.trend;
    expect([trend('nodule', 8, 8.4), trend('nodule', 8, 8.7), trend('nodule', 20, 21.6), trend('nodule', 8, 7)]).toEqual(['stable', 'grown', 'grown', 'shrunk']);
    expect([trend('tumour', 40, 44), trend('tumour', 40, 45), trend('tumour', 40, 30), trend('tumour', 40, 28)]).toEqual(['stable', 'grown', 'stable', 'shrunk']);
    expect(compareResults(result([nodule('a', [0, 0, 0], 9)]), result([nodule('b', [0, 0, 0], 9, 'tumour')]), { toPrior: SAME, days: 1 }).findings.map((one) => one.trend)).toEqual(['new', 'gone']);
  });

  it('judges a kind that it does not know by the limits of the others', () => {
    const [before, now] = [8, 12].map((diameter) => result([nodule('a', [0, 0, 0], diameter, 'constructor')]));
    expect(compareResults(before ?? result([]), now ?? result([]), { toPrior: SAME, days: 10 }).findings[0]?.trend).toBe('grown');
  });

  it('compares volumes of segments and probabilities of labels by their names, from nothing as well', () => {
    const label = (probability: number) => [{ name: 'Effusion', probability, threshold: 0.5, positive: false }];
    const { segments, labels } = compareResults(result([], { segments: [{ number: 1, name: 'Whole tumour', volumeMl: 0 }], labels: label(0.2) }), result([], { segments: [{ number: 1, name: 'Whole tumour', volumeMl: 12 }, { number: 2, name: 'Core', volumeMl: 1 }], labels: label(0.3) }), { toPrior: SAME, days: 0 });
    expect(segments).toEqual([{ name: 'Whole tumour', prior: 0, current: 12, change: 12, changePercent: null }, { name: 'Core', prior: 0, current: 1, change: 1, changePercent: null }]);
    expect(labels).toEqual([{ name: 'Effusion', prior: 0.2, current: 0.3, change: 0.1, changePercent: 50 }]);
  });
});
