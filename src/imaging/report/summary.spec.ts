import { describe, expect, it } from 'vitest';
import type { Finding, Label } from './finding.js';
import { percentText, summaryText, topLabel } from './summary.js';
import { displayNameOf } from './terms.js';

const label = (name: string, probability: number, threshold = 0.5): Label => ({ name, probability, threshold, positive: probability >= threshold });

const nodule = (diameterMm: number): Finding => ({
  id: '0198c0de-0000-7000-8000-000000000001',
  kind: 'nodule',
  code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' },
  score: 0.9,
  measurements: [{ name: 'diameter', value: diameterMm, unit: 'mm' }, { name: 'volume', value: 310, unit: 'mm3' }],
});

const nothing = { findings: [], labels: [], segments: [] };

describe('summaryText', () => {
  it('names the positive labels, most probable first, in both languages', () => {
    const content = { ...nothing, analysis: 'chest-xray-classification', labels: [label('Effusion', 0.71), label('Pneumonia', 0.934), label('Hernia', 0.1)] };
    expect(summaryText(content, 'en')).toBe('Pneumonia 93 %, Effusion 71 %');
    expect(summaryText(content, 'zh-CN')).toBe('肺炎 93 %，胸腔积液 71 %');
  });

  it('says that nothing was found in the words of the analysis', () => {
    const content = { ...nothing, analysis: 'chest-xray-classification', labels: [label('Pneumonia', 0.2), label('No Finding', 0.8)] };
    expect(summaryText(content, 'en')).toBe('No finding above its threshold');
    expect(summaryText(content, 'zh-CN')).toBe('未见超过阈值的所见');
    expect(summaryText({ ...nothing, analysis: 'lung-nodule-detection' }, 'zh-CN')).toBe('未发现结节');
    expect(summaryText({ ...nothing, analysis: 'another' }, 'en')).toBe('No finding');
  });

  it('counts findings of a kind and gives the largest diameter', () => {
    expect(summaryText({ ...nothing, analysis: 'lung-nodule-detection', findings: [nodule(4), nodule(8.42)] }, 'en')).toBe('2 nodules, largest 8.4 mm');
    expect(summaryText({ ...nothing, analysis: 'lung-nodule-detection', findings: [nodule(8.42)] }, 'en')).toBe('1 nodule, 8.4 mm');
    expect(summaryText({ ...nothing, analysis: 'lung-nodule-detection', findings: [nodule(4), nodule(8.42)] }, 'zh-CN')).toBe('2 个结节，最大直径 8.4 mm');
  });

  it('says where the largest one is', () => {
    const place = [{ name: 'side', value: 'right' }, { name: 'zone', value: 'upper' }];
    const findings = [{ ...nodule(8.42), attributes: place }, nodule(4)];
    expect(summaryText({ ...nothing, analysis: 'lung-nodule-detection', findings }, 'en')).toBe('2 nodules, largest 8.4 mm (right upper)');
    expect(summaryText({ ...nothing, analysis: 'lung-nodule-detection', findings }, 'zh-CN')).toBe('2 个结节，最大直径 8.4 mm（右肺上野）');
    expect(summaryText({ ...nothing, analysis: 'lung-nodule-detection', findings: findings.slice(0, 1) }, 'zh-CN')).toBe('1 个结节，直径 8.4 mm（右肺上野）');
    expect(summaryText({ ...nothing, analysis: 'lung-nodule-detection', findings: [nodule(9), { ...nodule(8.42), attributes: place }] }, 'en')).toBe('2 nodules, largest 9 mm');
  });

  it('gives the volume of every segment', () => {
    const segments = [{ number: 1, name: 'Whole tumour', volumeMl: 41.24 }, { number: 2, name: 'Enhancing tumor', volumeMl: 3 }];
    expect(summaryText({ ...nothing, analysis: 'brain-tumour-segmentation', segments }, 'en')).toBe('Whole tumour 41.2 mL, Enhancing tumor 3 mL');
    expect(summaryText({ ...nothing, analysis: 'brain-tumour-segmentation', segments }, 'zh-CN')).toBe('全肿瘤 41.2 mL，强化肿瘤 3 mL');
  });
});

describe('topLabel', () => {
  it('prefers a label that speaks over "No Finding", and takes that when it is alone', () => {
    expect(topLabel([label('No Finding', 0.9), label('Mass', 0.06), label('Edema', 0.04)])?.name).toBe('Mass');
    expect(topLabel([label('normal', 0.9)])?.name).toBe('normal');
    expect(topLabel([])).toBeUndefined();
  });
});

describe('percentText', () => {
  it('never claims certainty', () => {
    expect([1, 0.996, 0.99, 0.5, 0.014, 0.003].map(percentText)).toEqual(['>99 %', '>99 %', '99 %', '50 %', '1 %', '<1 %']);
  });
});

describe('displayNameOf', () => {
  it('reads every spelling of a name', () => {
    expect(['Pleural_Thickening', 'pleural-thickening', 'Pleural Thickening'].map((name) => displayNameOf(name, 'zh-CN'))).toEqual(['胸膜增厚', '胸膜增厚', '胸膜增厚']);
    expect(displayNameOf('Pleural_Thickening', 'en')).toBe('Pleural thickening');
  });

  it('falls back to the English name', () => {
    expect(displayNameOf('Scimitar_sign', 'zh-CN')).toBe('Scimitar sign');
  });
});
