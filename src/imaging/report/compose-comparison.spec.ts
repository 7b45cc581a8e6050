import { describe, expect, it } from 'vitest';
import { compareResults, type Comparable } from './comparison.js';
import { comparisonSummary, composeComparison, type ComparedStudies } from './compose-comparison.js';
import type { Finding, Label } from './finding.js';

const nodule = (id: string, x: number, diameter: number): Finding => ({
  id, kind: 'nodule', code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' }, score: 0.9, location: { center: [x, 0, 0], sopInstanceUid: '1.2', frame: 1 },
  measurements: [{ name: 'diameter', value: diameter, unit: 'mm' }, { name: 'volume', value: Math.round((Math.PI / 6) * diameter ** 3), unit: 'mm3' }],
});
const label = (name: string, probability: number, changes: Partial<Label> = {}): Label => ({ name, probability, threshold: 0.5, positive: probability > 0.5, ...changes });
const content = (changes: Partial<Comparable>): Comparable => ({ findings: [], segments: [], labels: [], ...changes });
const SAME = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]] as const;

function studies(prior: Comparable, current: Comparable, changes: Partial<ComparedStudies> = {}): ComparedStudies {
  return {
    analysis: 'lung-nodule-detection', priorAt: new Date('2026-06-01T00:00:00Z'), days: 90, sameModel: true, isAligned: true, current, prior,
    comparison: compareResults(prior, current, { toPrior: SAME, days: 90 }), ...changes,
  };
}

const before = content({ findings: [nodule('a', 0, 8), nodule('b', 50, 6), nodule('c', 100, 5)], segments: [{ number: 1, name: 'Nodule 1', volumeMl: 1 }] });
const now = content({ findings: [nodule('d', 50, 6.2), nodule('e', 0, 10.4), nodule('f', 150, 7)], segments: [{ number: 1, name: 'Nodule 1', volumeMl: 2 }] });

describe('the comparison of a report', () => {
  it('has a line for each finding, by the number that it has in the report, those that changed first', () => {
    const { title, lines, table } = composeComparison(studies(before, now), undefined, 'en');
    expect(title).toBe('Comparison with the study of 2026-06-01, 90 days before');
    expect(lines).toEqual(['1 new, 1 grown, 1 stable, 1 gone']);
    expect(table?.rows.map(({ cells }) => cells)).toEqual([
      ['3', 'Nodule', 'new', '– → Diameter 7.0 mm'],
      ['2', 'Nodule', 'grown', 'Diameter 8.0 mm → 10.4 mm (+30 %); Volume 268 mm³ → 589 mm³ (+120 %); doubles in 79 days'],
      ['–', 'Nodule', 'gone', 'Diameter 5.0 mm → –'],
      ['1', 'Nodule', 'stable', 'Diameter 6.0 mm → 6.2 mm (+3 %); Volume 113 mm³ → 125 mm³ (+11 %)'],
    ]);
    expect(table?.columns.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1);
    const chinese = composeComparison(studies(before, now), undefined, 'zh-CN');
    expect(chinese.table?.rows[1]?.cells).toEqual(['2', '结节', '增大', '直径 8.0 mm → 10.4 mm（+30 %）；体积 268 mm³ → 589 mm³（+120 %）；倍增时间 79 天']);
  });

  it('says why there is none', () => {
    expect(composeComparison(studies(before, now, { comparison: null }), undefined, 'en')).toEqual({ title: 'Comparison with the study of 2026-06-01, 90 days before', lines: [expect.stringContaining('Not ready yet')] });
    const apart = composeComparison(studies(before, now, { isAligned: false, comparison: { findings: [], segments: [], labels: [] }, sameModel: false }), undefined, 'en');
    expect(apart.lines).toEqual([expect.stringContaining('could not be aligned'), expect.stringContaining('different models')]);
    expect(apart).not.toHaveProperty('table');
    expect(composeComparison(studies(content({}), content({}), { days: 1 }), undefined, 'en')).toEqual({ title: 'Comparison with the study of 2026-06-01, 1 day before', lines: ['Nothing was found in either study.'] });
  });

  it('tells of labels as they stand, and of what a reader says no number', () => {
    const review = { state: 'disagreed', by: 'x', at: '', version: 2 } as const;
    const compared = studies(
      content({ labels: [label('Pneumonia', 0.93), label('Effusion', 0.2), label('Nodule', 0.1), label('No Finding', 0.8)] }),
      content({ labels: [label('Pneumonia', 0.91, { positive: false, review }), label('Effusion', 0.7), label('Nodule', 0.2), label('No Finding', 0.1)] }),
      { analysis: 'chest-xray-classification', isAligned: false },
    );
    expect(composeComparison(compared, undefined, 'en').table?.rows.map(({ cells }) => cells)).toEqual([['', 'Pneumonia', 'gone', 'present (93 %) → absent'], ['', 'Effusion', 'new', 'absent (20 %) → present (70 %)']]);
    expect(composeComparison(compared, undefined, 'en').lines).toEqual([]);
  });

  it('is said in one sentence, which claims nothing that is not known', () => {
    const [aligned, none] = [studies(before, now), { findings: [], segments: [], labels: [] }];
    expect(comparisonSummary({ ...aligned, comparison: compareResults(before, now, { toPrior: SAME, days: 90 }) }, 'en')).toBe('1 new, 1 grown, 1 stable, 1 gone');
    expect(comparisonSummary({ ...aligned, isAligned: false, comparison: none }, 'en')).toContain('could not be aligned');
    const xray = { prior: content({ labels: [label('Pneumonia', 0.93), label('Effusion', 0.7), label('No Finding', 0.1)] }), current: content({ labels: [label('Pneumonia', 0.3), label('Effusion', 0.8), label('No Finding', 0.9)] }), isAligned: false };
    const compared = { ...xray, comparison: compareResults(xray.prior, xray.current, { toPrior: SAME, days: 1 }) };
    expect(['en', 'zh-CN'].map((language) => comparisonSummary(compared, language === 'en' ? 'en' : 'zh-CN'))).toEqual(['Pneumonia: present → absent, Effusion: present → present', '肺炎：有 → 无，胸腔积液：有 → 有']);
    expect(comparisonSummary({ prior: content({}), current: content({}), isAligned: true, comparison: none }, 'en')).toBe('No findings in either study');
  });

  it('tells of the volumes of a tumour', () => {
    const tumour = (volumeMl: number): Comparable => content({ segments: [{ number: 1, name: 'Whole tumour', volumeMl }] });
    const { table } = composeComparison(studies(tumour(40), tumour(30), { analysis: 'brain-tumour-segmentation' }), { bytes: null, caption: 'x' }, 'en');
    expect(table?.rows.map(({ cells }) => cells)).toEqual([['', 'Whole tumour', '', '40.0 mL → 30.0 mL (−25 %)']]);
  });
});
