import { describe, expect, it } from 'vitest';
import { composeReport, type ReportContent } from './compose.js';
import { filled } from './document.js';

const content: ReportContent = {
  resultId: '0198c0de-0000-7000-8000-000000000001', analysis: 'brain-tumour-segmentation', status: 'preliminary', createdAt: new Date('2026-11-21T10:00:00Z'), summary: { text: 'x', critical: false },
  findings: [{
    id: '0198c0de-0000-7000-8000-00000000000a', kind: 'tumour', code: { system: 'SNOMED-CT', value: '108369006', meaning: 'Neoplasm' }, score: 0.97,
    measurements: [{ name: 'volume', value: 124.04, unit: 'ml' }, { name: 'diameter', value: 96.8, unit: 'mm' }, { name: 'perpendicularDiameter', value: 52, unit: 'mm' }, { name: 'midlineShift', value: 3.2, unit: 'mm' }],
    attributes: [{ name: 'midlineShift', value: 'absent' }],
  }],
  labels: [], segments: [{ number: 1, name: 'Whole tumour', volumeMl: 124.04 }],
  provenance: { model: { name: 'm', version: '1.0.0', digest: 'sha256:0' }, software: '1.2.3', inputDigest: 'sha256:1', executionProvider: 'cpu', startedAt: '', finishedAt: '' },
  attributes: {}, institution: 'General', pictures: [],
};

describe('composeReport', () => {
  it('says what was measured, with what stands across a diameter beside it', () => {
    const { tables } = composeReport(content, 'en');
    expect(tables.map(({ title }) => title)).toEqual(['Findings', 'Segments']);
    expect(tables[0]?.rows[0]?.cells).toEqual(['1', 'Tumour', '–', 'Volume 124.0 mL; Diameter 96.8 × 52.0 mm; Midline shift 3.2 mm', 'Midline shift: Absent', '97 %']);
    expect(composeReport(content, 'zh-CN').tables[0]?.rows[0]?.cells.slice(3)).toEqual(['体积 124.0 mL；直径 96.8 × 52.0 mm；中线移位 3.2 mm', '中线移位：无', '97 %']);
  });

  it('tells of a nodule once, and of labels in their own table', () => {
    const nodules = composeReport({ ...content, analysis: 'lung-nodule-detection', segments: [{ number: 1, name: 'Nodule 1', volumeMl: 1 }] }, 'en');
    expect(nodules.tables.map(({ title }) => title)).toEqual(['Findings']);
    const label = { name: 'Pneumonia', probability: 0.93, threshold: 0.5, positive: true };
    const [positive] = content.findings;
    if (!positive) throw new Error('there is a finding');
    const xray = composeReport({ ...content, analysis: 'chest-xray-classification', labels: [label], segments: [], findings: [{ ...positive, kind: 'label' }] }, 'en');
    expect(xray.tables).toMatchObject([{ title: 'Labels', rows: [{ cells: ['Pneumonia', '93 %', '50 %', 'above threshold'], isStrong: true }] }]);
    expect(composeReport({ ...content, findings: [], segments: [] }, 'en').tables[0]?.empty).toBe('Nothing was found.');
  });

  it('says who signed, what the model is for, and that it is preliminary until then', () => {
    expect(composeReport(content, 'en').status).toEqual({ text: 'PRELIMINARY', explanation: 'Made by software; not signed by a person', isFinal: false });
    const model = { ...content.provenance.model, intendedUse: 'A second look.', domain: { modalities: ['MR'], bodyParts: ['HEAD'], ageYears: { min: 18, max: 90 } } };
    const signed = composeReport({ ...content, status: 'final', signature: { name: 'Dr. Grace Hopper', at: new Date('2026-11-22T08:30:00Z') }, provenance: { ...content.provenance, model } }, 'en');
    expect(signed.status).toMatchObject({ text: 'FINAL', isFinal: true });
    expect(signed.notes[0]?.lines).toEqual(expect.arrayContaining(['Intended use: A second look.', 'Made for: MR, HEAD, ages 18–90']));
    expect(signed.notes[1]).toEqual({ title: 'Signature', lines: ['Signed by Dr. Grace Hopper, 2026-11-22 08:30 UTC'] });
  });

  it('says what a reader made of it, and leaves out what was rejected', () => {
    const [tumour] = content.findings;
    if (!tumour) throw new Error('there is a finding');
    const by = { by: 'x', at: '', version: 2 };
    const findings = [{ ...tumour, review: { state: 'edited' as const, ...by } }, { ...tumour, id: '0198c0de-0000-7000-8000-00000000000b', score: 1, review: { state: 'added' as const, ...by } }, tumour];
    const segments = content.segments.map((segment) => ({ ...segment, review: { state: 'disagreed' as const, ...by } }));
    const labels = [
      { name: 'Pneumonia', probability: 0.93, threshold: 0.5, positive: false, review: { state: 'disagreed' as const, ...by } }, { name: 'Effusion', probability: 0.2, threshold: 0.5, positive: false, review: { state: 'agreed' as const, ...by } },
    ];
    const review = { findings: [...findings, { ...tumour, review: { state: 'rejected' as const, ...by } }], signedVersion: null };
    const { status, tables, notes } = composeReport({ ...content, findings, segments, labels, review }, 'en');
    expect(status).toEqual({ text: 'PRELIMINARY', explanation: 'Reviewed by a person; not signed yet', isFinal: false });
    expect(tables[0]?.rows.map(({ cells }) => cells.slice(5))).toEqual([['97 %', 'edited'], ['–', 'added'], ['97 %', '–']]);
    for (const { columns } of tables) expect(columns.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1);
    expect(tables[1]?.rows.map(({ cells }) => cells[3])).toEqual(['absent, says the reader', 'below threshold, agreed']);
    expect(tables[2]?.rows[0]?.cells[1]).toBe('124.0 mL, the reader disagrees');
    expect(notes[1]).toEqual({ title: 'Reader', lines: ['A reader rejected 1 finding, which is not listed.'] });
    expect(composeReport({ ...content, review: { ...review, signedVersion: 2 } }, 'en').status.explanation).toBe('Opened again after it was signed; not signed yet');
  });

  it('puts a dash for whatever the object does not say', () => {
    expect(composeReport(content, 'en').band.map(({ value }) => value)).toEqual(Array.from({ length: 8 }, () => '–'));
  });

  it('has both languages say the same things', () => {
    const shape = (language: 'en' | 'zh-CN'): unknown => {
      const { tables, notes, band, footer } = composeReport(content, language);
      return [tables.map(({ columns, rows }) => [columns.length, rows.map(({ cells }) => cells.length)]), notes.map(({ lines }) => lines.length), band.length, footer.length];
    };
    expect(shape('zh-CN')).toEqual(shape('en'));
    expect(filled(composeReport(content, 'zh-CN').words.page, { page: 1, pages: 2 })).toBe('第 1 页，共 2 页');
  });
});
