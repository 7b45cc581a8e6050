import { describe, expect, it } from 'vitest';
import type { Finding } from '../../imaging/report/finding.js';
import { previewSubject } from './preview-subject.js';
import type { ResultRecord } from './results.store.js';

const nodule: Finding = {
  id: '0198c0de-0000-7000-8000-00000000000a',
  kind: 'nodule',
  code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' },
  score: 0.812,
  location: { sopInstanceUid: '1.2.3', frame: 4 },
  measurements: [{ name: 'diameter', value: 8.42, unit: 'mm' }],
};

const record = (changes: Partial<ResultRecord> = {}): ResultRecord => ({
  id: '0198c0de-0000-7000-8000-000000000001', institutionId: '0198c0de-0000-7000-8000-000000000002', analysisId: '0198c0de-0000-7000-8000-000000000003',
  studyInstanceUid: '1.2', analysis: 'chest-xray-classification', status: 'preliminary', summary: { text: '', critical: false }, findings: [], segments: [],
  labels: [
    { name: 'Mass', probability: 0.45, threshold: 0.5, positive: false },
    { name: 'Edema', probability: 0.3, threshold: 0.2, positive: true },
  ],
  provenance: { model: { name: 'chest', version: '1.0.0', digest: 'sha256:0' }, software: '1', inputDigest: 'sha256:0', executionProvider: 'cpu', startedAt: '', finishedAt: '' },
  rendering: { keyImage: null, heatMaps: [{ label: 'Edema', width: 7, height: 7, blobKey: 'a/results/b/heatmap-0', offset: 0 }] },
  version: 1, objects: [], faults: [], createdAt: new Date(0), updatedAt: new Date(0), ...changes,
});

describe('previewSubject', () => {
  it('prefers a label over its threshold to a more probable one below it', () => {
    expect(previewSubject(record(), {}, 'en')).toMatchObject({ caption: 'Edema', value: '30 %', detail: 'Above its threshold of 20 % · chest 1.0.0', heatMap: { blobKey: 'a/results/b/heatmap-0' } });
  });

  it('shows the label that is asked for, in the language that is asked for, without a heat map that there is not', () => {
    expect(previewSubject(record(), { label: 'Mass' }, 'zh-CN')).toMatchObject({ caption: '肿块', value: '45 %', detail: '低于阈值 50 % · chest 1.0.0', heatMap: null });
  });

  it('says beside the picture that it is like no other', () => {
    const strange = record({ provenance: { ...record().provenance, outOfDistribution: { score: 3, threshold: 2, strange: true } } });
    expect(previewSubject(strange, {}, 'en').detail).toBe('Unlike the model’s images · Above its threshold of 20 % · chest 1.0.0');
    expect(previewSubject(strange, {}, 'zh-CN').detail).toMatch(/^与模型的图像不相似 · /);
  });

  it('shows the most probable label when none is positive', () => {
    const labels = record().labels.map((label) => ({ ...label, positive: false }));
    expect(previewSubject(record({ labels }), {}, 'en').caption).toBe('Mass');
  });

  it('shows a finding where it lies', () => {
    expect(previewSubject(record({ findings: [nodule] }), { finding: nodule.id }, 'en'))
      .toMatchObject({ caption: 'Nodule', value: '81 %', detail: 'Diameter 8.4 mm · chest 1.0.0', place: { sopInstanceUid: '1.2.3', frame: 4 } });
    expect(previewSubject(record({ findings: [nodule], labels: [] }), {}, 'zh-CN').caption).toBe('结节');
  });

  it('shows the label behind a finding of a classification', () => {
    const code = { system: 'SNOMED-CT', value: '19242006', meaning: 'Pulmonary edema' };
    const [mass, edema] = record().labels;
    if (!mass || !edema) throw new Error('the record has two labels');
    const finding: Finding = { ...nodule, kind: 'label', code, score: edema.probability, measurements: [] };
    expect(previewSubject(record({ labels: [mass, { ...edema, code }], findings: [finding] }), { finding: nodule.id }, 'en')).toMatchObject({ key: 'label:Edema', caption: 'Edema', heatMap: { label: 'Edema' } });
  });

  it('lets a person speak where a person decided', () => {
    const by = { by: 'x', at: '', version: 2 };
    const labels = record().labels.map((label) => ({ ...label, positive: !label.positive, review: { state: 'disagreed' as const, ...by } }));
    expect(previewSubject(record({ labels }), {}, 'en')).toMatchObject({ caption: 'Mass', value: '', detail: 'Present, says the reader · chest 1.0.0' });
    expect(previewSubject(record({ labels }), { label: 'Edema' }, 'zh-CN')).toMatchObject({ value: '', detail: '阅片者判为无 · chest 1.0.0' });
    const added: Finding = { ...nodule, score: 1, review: { state: 'added', ...by } };
    expect(previewSubject(record({ findings: [added] }), { finding: nodule.id }, 'en')).toMatchObject({ value: '', detail: 'Diameter 8.4 mm · Added by the reader' });
  });

  it('shows the summary of a result without labels and findings', () => {
    expect(previewSubject(record({ labels: [] }), {}, 'en')).toMatchObject({ caption: 'No finding above its threshold', value: '', place: null, heatMap: null });
  });

  it('refuses what the result does not have', () => {
    expect(() => previewSubject(record(), { label: 'Hernia' }, 'en')).toThrow(expect.objectContaining({ code: 'finding-not-found' }));
    expect(() => previewSubject(record(), { finding: nodule.id }, 'en')).toThrow(expect.objectContaining({ code: 'finding-not-found' }));
  });
});
