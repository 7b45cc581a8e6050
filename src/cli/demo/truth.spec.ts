import { describe, expect, it } from 'vitest';
import type { AnalysisResult, Run } from '../installation.js';
import { comparedRows, type DemoTruth } from './truth.js';

const FACTS = { study: 'phantom', warnings: [], model: 'm@1', seconds: 1 };
const RUN: Run = { id: 'r', analysis: 'lung-nodule-detection', status: 'succeeded', progress: 1, stage: 'store', model: { name: 'm', version: '1', digest: 'd' } };
const NODULES: DemoTruth = { kind: 'nodules', nodules: [{ centre: [10, 0, 0], diameterMm: 8, text: 'nodule 8.0 mm, left' }, { centre: [-40, 0, 0], diameterMm: 16, text: 'nodule 16.0 mm, right' }] };

type Finding = AnalysisResult['findings'][number];
const finding = (x: number, y: number, z: number): Finding => ({
  id: '01980000-0000-7000-8000-000000000000', kind: 'nodule', code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' }, score: 0.9,
  location: { center: [x, y, z], sopInstanceUid: '2.25.1', frame: 1 }, measurements: [{ name: 'longAxis', value: 8.2, unit: 'mm' }],
});
const resultOf = (findings: Finding[]): AnalysisResult => ({
  id: 'i', analysisId: 'a', analysis: 'lung-nodule-detection', studyInstanceUid: '2.25.2', status: 'draft', summary: { text: 'none', critical: false }, findings, labels: [], segments: [],
  provenance: { model: { name: 'm', version: '1', digest: 'd' }, software: '', inputDigest: '', executionProvider: 'cpu', startedAt: '', finishedAt: '' }, disclaimer: '',
});
const noSegmentation = (): Promise<Uint8Array> => Promise.reject(new Error('nobody asks for it'));

describe('findings beside the truth of a phantom', () => {
  it('gives every nodule the finding that is nearest to it, and calls the rest false alarms', async () => {
    const rows = await comparedRows(FACTS, NODULES, RUN, resultOf([finding(90, 0, 0), finding(10, 3, 0), finding(10, 0, 1)]), noSegmentation);
    expect(rows.map(({ truth, label, agreement, distanceMm, verdict }) => [truth, label, agreement, distanceMm, verdict])).toEqual([
      ['nodule 8.0 mm, left', 'Nodule 8.2 mm', '1.0 mm off', 1, 'found'],
      ['nodule 16.0 mm, right', '–', '', undefined, 'missed'],
      ['nothing', 'Nodule 8.2 mm', '', undefined, 'false alarm'],
      ['nothing', 'Nodule 8.2 mm', '', undefined, 'false alarm'],
    ]);
  });

  it('lets a finding count that lies within a large nodule, and none beside a small one', async () => {
    const verdicts = async (...findings: Finding[]): Promise<string[]> => (await comparedRows(FACTS, NODULES, RUN, resultOf(findings), noSegmentation)).map(({ verdict }) => verdict);
    expect(await verdicts(finding(-33, 0, 0))).toEqual(['missed', 'found']);
    expect(await verdicts(finding(16, 0, 0))).toEqual(['missed', 'missed', 'false alarm']);
  });

  it('says why a run gave none', async () => {
    const [row] = await comparedRows(FACTS, NODULES, { ...RUN, status: 'not-analysable', reason: { code: 'too-few-slices', detail: '3 of 32' } }, null, noSegmentation);
    expect(row).toMatchObject({ verdict: 'not-analysable', reason: 'too-few-slices: 3 of 32' });
  });

  it('says which regions have no segment', async () => {
    const truth: DemoTruth = { kind: 'regions', grid: { size: [2, 1, 1], affine: [[10, 0, 0, 0], [0, 10, 0, 0], [0, 0, 10, 0]] }, regions: [{ region: 'whole-tumour', mask: Uint8Array.of(1, 1) }] };
    expect(await comparedRows(FACTS, truth, RUN, resultOf([]), noSegmentation)).toMatchObject([{ truth: 'whole tumour 2.0 ml', label: '–', verdict: 'missed' }]);
  });
});
