import { describe, expect, it } from 'vitest';
import type { StudyRow } from './studies.store.js';
import { studyDetailJson, studyDetailSchema, studyETag, studyJson } from './studies-json.js';

const at = new Date('2026-11-21T10:00:00Z');
const row: StudyRow = {
  id: '0198c0de-0000-7000-8000-000000000001', institutionId: '0198c0de-0000-7000-8000-000000000000', studyInstanceUid: '1.2.3', keyId: '0198c0de-0000-7000-8000-000000000002', sealed: new Uint8Array(0),
  patientId: null, patientIdToken: 1n, accessionToken: null, studyDate: '20261121', studyTime: '101500', modalities: ['CT'], sopClasses: [], seriesCount: 1, instanceCount: 3, sizeBytes: 5_000_000_000n, state: 'complete', revision: 2,
  completion: { reason: 'timer', at: at.toISOString(), revision: 2, instances: 3, lateInstances: 1, series: [] }, earlierCompletions: [{ reason: 'explicit', at: at.toISOString(), revision: 1, instances: 2, series: [] }],
  lateInstances: 0, legalHold: true, lastInstanceAt: at, completedAt: at, traceparent: null, createdAt: at, updatedAt: at,
};

describe('studyJson', () => {
  it('shows the patient out of the opened attributes', () => {
    const attributes = {
      '00100010': { vr: 'PN', Value: [{ Ideographic: '山田^太郎' }] }, '00100020': { vr: 'LO', Value: ['P-1'] }, '00100030': { vr: 'DA', Value: ['19700304'] }, '00100040': { vr: 'CS', Value: [''] },
      '00080050': { vr: 'SH' }, '00081030': { vr: 'LO', Value: ['Thorax'] },
    };
    expect(studyJson(row, attributes)).toMatchObject({
      patientName: '山田^太郎', patientId: 'P-1', patientBirthDate: '1970-03-04', patientSex: null, accessionNumber: null, studyDescription: 'Thorax', studyDate: '2026-11-21', sizeBytes: 5_000_000_000, legalHold: true,
    });
  });

  it('shows the study without its patient when the attributes cannot be opened', () => {
    expect(studyJson(row)).toMatchObject({ studyInstanceUid: '1.2.3', patientName: null, patientId: null, patientBirthDate: null, accessionNumber: null, studyDate: '2026-11-21', instanceCount: 3 });
  });

  it('lets a date that is none be', () => {
    expect(studyJson({ ...row, studyDate: '2026' }).studyDate).toBe('2026');
  });
});

describe('studyDetailJson', () => {
  const series = { id: 's', institutionId: row.institutionId, studyId: row.id, seriesInstanceUid: '1.2.3.1', sealed: new Uint8Array(0), modality: 'CT', bodyPart: null, viewPosition: null, seriesNumber: 1, performedDate: null, performedTime: null, instanceCount: 3, createdAt: at };

  it('has every receipt and the series, and is what the document says', () => {
    const detail = studyDetailJson(row, [series], { study: {}, series: new Map([['s', { '0008103E': { vr: 'LO', Value: ['Lung 1 mm'] } }]]) });
    expect(detail.earlierCompletions.map(({ revision }) => revision)).toEqual([1]);
    expect(detail.completion).toMatchObject({ lateInstances: 1 });
    expect(detail.series).toMatchObject([{ seriesInstanceUid: '1.2.3.1', seriesDescription: 'Lung 1 mm', instanceCount: 3 }]);
    expect(studyDetailSchema.safeParse(detail).success).toBe(true);
    expect(studyDetailSchema.safeParse(studyDetailJson(row, [series], null)).success).toBe(true);
  });
});

describe('studyETag', () => {
  it('moves with every change', () => {
    expect(studyETag(row)).not.toBe(studyETag({ ...row, updatedAt: new Date(at.getTime() + 1) }));
    expect(studyETag(row)).not.toBe(studyETag({ ...row, revision: 3 }));
  });
});
