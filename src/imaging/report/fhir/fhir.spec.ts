import { describe, expect, it } from 'vitest';
import { faultsOf } from '../../../../test/support/fhir-validators.js';
import type { Finding } from '../finding.js';
import { deviceIdOf, digestOfDevice, fhirDevice } from './device.js';
import { fhirDate, fhirDateTime } from './dates.js';
import { fhirDiagnosticReport } from './diagnostic-report.js';
import { fhirDocumentReferences, resultOfDocument } from './documents.js';
import { fhirImagingStudy, type FhirStudySource } from './imaging-study.js';
import { fhirObservations, labelObservationId, resultOfLabelObservation } from './observation.js';
import { humanNames } from './person.js';
import { fhirProvenance } from './provenance.js';
import type { FhirReader, FhirResultSource } from './result-source.js';
import { fhirPatient } from './subject.js';

const READER: FhirReader = { base: 'https://healthvision.example', language: 'en' };
const ID = '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a49';
const AT = new Date('2026-11-21T10:00:00.123Z');

const NODULE: Finding = {
  id: '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a50', kind: 'nodule', code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' }, score: 0.9312,
  location: { frameOfReferenceUid: '1.2.3.9', center: [12.1, -83, -141.5], box: [[8, -87, -145], [16, -79, -138]], sopInstanceUid: '1.2.3.4', frame: 1 },
  measurements: [{ name: 'diameter', value: 8.4, unit: 'mm' }, { name: 'longAxis', value: 9.1, unit: 'mm' }, { name: 'volume', value: 310, unit: 'mm3' }, { name: 'meanAttenuation', value: -40, unit: 'HU' }],
  attributes: [
    { name: 'attenuation', value: 'part-solid', code: { system: 'RADLEX', value: 'RID50152', meaning: 'part-solid pulmonary nodule' } },
    { name: 'side', value: 'right', concept: { system: 'SNOMED-CT', value: '272741003', meaning: 'Laterality' }, code: { system: 'SNOMED-CT', value: '24028007', meaning: 'Right' } },
    { name: 'zone', value: 'upper' }, { name: 'lungRads', value: '4A' },
  ],
};
const TUMOUR: Finding = {
  id: '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a51', kind: 'tumour', code: { system: 'SNOMED-CT', value: '108369006', meaning: 'Neoplasm' }, score: 0.99,
  location: { center: [1, 2, 3], sopInstanceUid: '1.2.3.5', frame: 2 },
  measurements: [{ name: 'volume', value: 41.2, unit: 'ml' }, { name: 'coreVolume', value: 12.5, unit: 'ml' }, { name: 'enhancingPerpendicularDiameter', value: 22.1, unit: 'mm' }, { name: 'midlineShift', value: 6.1, unit: 'mm' }],
  attributes: [{ name: 'midlineShift', value: 'present' }],
};

function result(changes: Partial<FhirResultSource> = {}): FhirResultSource {
  return {
    id: ID, analysis: 'chest-xray-classification', status: 'preliminary', createdAt: AT, updatedAt: AT,
    findings: [{ id: '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a52', kind: 'label', code: { system: 'SNOMED-CT', value: '233604007', meaning: 'Pneumonia' }, score: 0.93, location: { sopInstanceUid: '1.2.3.4', frame: 1 }, measurements: [] }],
    labels: [
      { name: 'Pneumonia', probability: 0.93, threshold: 0.8935, positive: true, code: { system: 'SNOMED-CT', value: '233604007', meaning: 'Pneumonia' } },
      { name: 'Pleural_Thickening', probability: 0.004, threshold: 0.5, positive: false },
    ],
    segments: [],
    provenance: {
      model: { name: 'chest-xray-pneumonia', version: '1.0.0', digest: `sha256:${'9f'.repeat(32)}` }, software: '1.0.0', inputDigest: `sha256:${'60'.repeat(32)}`, executionProvider: 'cpu',
      startedAt: '2026-11-21T09:59:58.412Z', finishedAt: '2026-11-21T10:00:00.000Z',
    },
    study: { id: '0198c0de-0000-7000-8000-000000000001', studyInstanceUid: '1.2.840.113619.2.55.1', patientId: '0198c0de-0000-7000-8000-00000000000a', studyDate: '20261121' },
    documents: ['pdf', 'sr'], verifier: null, signatures: [],
    ...changes,
  };
}

const KINDS: [string, FhirResultSource][] = [
  ['an X-ray', result()],
  ['an X-ray without anything', result({ findings: [], labels: [] })],
  ['a CT', result({ analysis: 'lung-nodule-detection', findings: [NODULE], labels: [], segments: [{ number: 1, name: 'Nodule 1', volumeMl: 0.31 }], documents: ['pdf', 'sr', 'seg'] })],
  ['an MR', result({ analysis: 'brain-tumour-segmentation', findings: [TUMOUR], labels: [], segments: [{ number: 1, name: 'Whole tumour', volumeMl: 41.2 }], documents: ['pdf', 'sr', 'seg'] })],
  ['an analysis that nobody knows', result({ analysis: 'hip-fracture', findings: [{ ...NODULE, code: { system: 'OURS', value: 'with space', meaning: '' }, measurements: [{ name: 'x', value: Number.NaN, unit: '' }], attributes: [{ name: '', value: '' }] }], labels: [] })],
  ['a finding whose names are those of every object', result({ analysis: 'lung-nodule-detection', labels: [], findings: [{ ...NODULE, kind: 'constructor', code: { system: 'constructor', value: 'toString', meaning: 'valueOf' }, measurements: [{ name: 'constructor', value: 1, unit: 'valueOf' }], attributes: [{ name: 'toString', value: 'constructor' }, { name: 'side', value: 'toString' }] }] })],
  ['a signed result', result({ status: 'final', verifier: { name: '王小东', organisation: '第一医院', at: AT }, signatures: [{ of: 'source', at: AT, keyId: 'k', data: 'c2lnbmF0dXJl' }, { of: 'verification', at: AT, keyId: 'k', data: 'c2lnbmF0dXJl' }] })],
  ['an amended result of nobody', result({ status: 'amended', study: { ...result().study, patientId: null, studyDate: null } })],
  ['two hundred nodules', result({ analysis: 'lung-nodule-detection', labels: [], findings: Array.from({ length: 200 }, (_, n) => ({ ...NODULE, id: `${NODULE.id.slice(0, -3)}${String(n).padStart(3, '0')}` })) })],
];

describe('the FHIR resources of a result', () => {
  it.each(KINDS.flatMap(([name, source]) => [[name, 'en', source], [name, 'zh-CN', source]] as const))('of %s (%s) are valid R4', (_, language, source) => {
    const reader = { ...READER, language };
    const resources = [fhirDiagnosticReport(source, reader), ...fhirObservations(source, reader).slice(0, 3), ...fhirDocumentReferences(source, reader), fhirProvenance(source), fhirDevice(source.provenance.model)];
    for (const resource of resources) expect(faultsOf(resource), JSON.stringify(resource, null, 1)).toEqual([]);
  });

  it('say each label once: the positive one is its finding', () => {
    const [found, absent, ...more] = fhirObservations(result(), READER);
    expect(more).toEqual([]);
    expect(found).toMatchObject({ id: result().findings[0]?.id, valueCodeableConcept: { coding: [{ code: '52101004' }] }, interpretation: [{ coding: [{ code: 'POS' }] }] });
    expect(found?.component?.[0]).toMatchObject({ valueQuantity: { value: 93, unit: '%' } });
    expect(absent).toMatchObject({ id: `${ID}.label.1`, code: { text: 'Pleural thickening' }, valueCodeableConcept: { coding: [{ code: '2667000' }] }, interpretation: [{ coding: [{ code: 'NEG' }] }] });
    expect(fhirDiagnosticReport(result(), READER).result).toEqual([{ reference: `Observation/${found?.id ?? ''}` }, { reference: `Observation/${ID}.label.1` }]);
  });

  it('give measurements units of UCUM and sites a side', () => {
    const [nodule] = fhirObservations(result({ analysis: 'lung-nodule-detection', findings: [NODULE], labels: [] }), READER);
    expect(nodule?.bodySite).toEqual({ coding: [{ system: 'http://snomed.info/sct', code: '3341006', display: 'Right lung structure' }], text: 'Right, Upper' });
    expect(nodule?.component?.map(({ valueQuantity }) => valueQuantity?.code).filter((code) => code !== undefined)).toEqual(['%', 'mm', 'mm', 'mm3', "[hnsf'U]"]);
    expect(nodule?.component?.some(({ code, valueCodeableConcept }) => code.text === 'Lung-RADS (suggested)' && valueCodeableConcept?.text === '4A')).toBe(true);
    const [tumour] = fhirObservations(result({ analysis: 'brain-tumour-segmentation', findings: [TUMOUR], labels: [] }), READER);
    expect(tumour?.component?.map(({ code }) => code.coding?.[0]?.code)).toEqual(['111012', '118565006', '118565006', undefined, undefined, undefined, '121324', undefined]);
  });

  it('speak the language of the reader', () => {
    const report = fhirDiagnosticReport(result(), { ...READER, language: 'zh-CN' });
    expect(report).toMatchObject({ language: 'zh-CN', conclusion: '肺炎 93 %' });
    expect(report.text?.div).toContain('不用于初步诊断。');
    expect(fhirObservations(result(), { ...READER, language: 'zh-CN' })[0]?.code.text).toBe('肺炎');
    const solid = { ...NODULE, measurements: [{ name: 'solidDiameter', value: 5, unit: 'mm' }] };
    const [nodule] = fhirObservations(result({ analysis: 'lung-nodule-detection', findings: [solid], labels: [] }), { ...READER, language: 'zh-CN' });
    expect(nodule?.component?.map(({ code }) => code.text)).toEqual(expect.arrayContaining(['实性成分直径', 'Lung-RADS 建议分类', '密度']));
  });

  it('name the person who stands for it, and what was signed', () => {
    const signed = result({ status: 'final', verifier: { name: 'Dr. A', organisation: 'B', at: AT }, signatures: [{ of: 'source', at: AT, keyId: 'k1', data: 'eA==' }, { of: 'verification', at: AT, keyId: 'k2', data: 'eQ==' }] });
    expect(fhirDiagnosticReport(signed, READER)).toMatchObject({ status: 'final', resultsInterpreter: [{ display: 'Dr. A' }] });
    expect(fhirProvenance(signed)).toMatchObject({ agent: [{}, {}, { who: { display: 'Dr. A' }, onBehalfOf: { display: 'B' } }], signature: [{ data: 'eA==', who: { identifier: { value: 'k1' } } }, { data: 'eQ==', type: [{ code: '1.2.840.10065.1.12.1.5' }], onBehalfOf: { display: 'Dr. A' } }] });
    expect(fhirProvenance(signed).signature?.[0]).not.toHaveProperty('onBehalfOf');
    expect(fhirDocumentReferences(signed, READER)).toMatchObject([{ docStatus: 'final', authenticator: { display: 'Dr. A' } }, { docStatus: 'final' }]);
  });

  it('do not let the model speak for a person: neither of what was added, nor of a label that a reader turned round', () => {
    const by = { by: ID, at: AT.toISOString(), version: 2 };
    const { labels } = result();
    const reviewed = result({ findings: [{ ...NODULE, review: { state: 'added', ...by } }], labels: labels.map((label) => ({ ...label, positive: !label.positive, review: { state: 'disagreed' as const, ...by } })) });
    const [added, turned] = fhirObservations(reviewed, READER);
    expect(added).not.toHaveProperty('device');
    expect(added).toMatchObject({ method: { text: 'Read by a person' } });
    expect(turned).toMatchObject({ valueCodeableConcept: { text: 'Absent' }, device: {}, method: { text: 'Read by a person' } });
    for (const one of [added, turned]) expect(JSON.stringify(one)).not.toContain('%');
    for (const one of fhirObservations(reviewed, READER)) expect(faultsOf(one)).toEqual([]);
  });

  it('cannot be made into markup by what a label is called', () => {
    const { text } = fhirDiagnosticReport(result({ findings: [], labels: [{ name: '<script>"&', probability: 0.9, threshold: 0.1, positive: true }] }), READER);
    expect(text?.div).not.toContain('<script');
    expect(text?.div).toContain('&lt;script&gt;&quot;&amp;');
  });

  it('have ids that lead back', () => {
    expect(resultOfDocument(`${ID}.seg`)).toBe(ID);
    expect(resultOfLabelObservation(labelObservationId(ID, 12))).toBe(ID);
    expect(digestOfDevice(deviceIdOf({ digest: `sha256:${'ab'.repeat(32)}` }) ?? '')).toBe(`sha256:${'ab'.repeat(32)}`);
    for (const id of [`${ID}.exe`, ID, '', `${ID}.pdf.`]) expect(resultOfDocument(id)).toBeUndefined();
    for (const id of [`${ID}.label.01`, `${ID}.label.`, `${ID}.label.-1`, `${ID}.label.99999`]) expect(resultOfLabelObservation(id)).toBeUndefined();
    for (const id of ['', 'AB'.repeat(32), 'ab'.repeat(33)]) expect(digestOfDevice(id)).toBeUndefined();
  });
});

const STUDY: FhirStudySource = {
  id: '0198c0de-0000-7000-8000-000000000001', updatedAt: AT, studyInstanceUid: '1.2.840.113619.2.55.1', patientId: '0198c0de-0000-7000-8000-00000000000a',
  attributes: { '00080050': { vr: 'SH', Value: ['A-77'] }, '00081030': { vr: 'LO', Value: ['Chest PA'] }, '00080201': { vr: 'SH', Value: ['+0800'] } },
  studyDate: '20261121', studyTime: '101500.000', modalities: ['DX', 'DX'], seriesCount: 1, instanceCount: 2,
  series: [{
    seriesInstanceUid: '1.2.840.113619.2.55.1.1', modality: 'DX', seriesNumber: 1, instanceCount: 2, attributes: { '0008103E': { vr: 'LO', Value: ['PA'] } }, performedDate: null, performedTime: null,
    instances: [{ sopInstanceUid: '1.2.3.4', sopClassUid: '1.2.840.10008.5.1.4.1.1.1.1', instanceNumber: -1 }, { sopInstanceUid: '1.2.3.5', sopClassUid: '1.2.840.10008.5.1.4.1.1.1.1', instanceNumber: 2 }],
  }],
};

describe('ImagingStudy', () => {
  it('is valid R4 and says where the images are', () => {
    const study = fhirImagingStudy(STUDY, READER.base, true);
    expect(faultsOf(study)).toEqual([]);
    expect(study).toMatchObject({
      started: '2026-11-21T10:15:00+08:00', modality: [{ code: 'DX' }], contained: [{ address: 'https://healthvision.example/dicom-web' }],
      identifier: [{ system: 'urn:dicom:uid', value: 'urn:oid:1.2.840.113619.2.55.1' }, { value: 'A-77' }], series: [{ instance: [{ uid: '1.2.3.4' }, { uid: '1.2.3.5', number: 2 }] }],
    });
  });

  it('is valid when nearly everything is missing or wrong', () => {
    const bare: FhirStudySource = {
      ...STUDY, patientId: null, attributes: { '00081030': { vr: 'LO', Value: [' \u0007 '] } }, studyDate: '2026130x', studyTime: null, modalities: ['C T', ''],
      series: [{ seriesInstanceUid: '1.2', modality: null, seriesNumber: -5, instanceCount: 0, attributes: {}, performedDate: 'x', performedTime: 'y', instances: [] }],
    };
    const study = fhirImagingStudy(bare, READER.base, false);
    expect(faultsOf(study)).toEqual([]);
    expect(study.meta?.tag).toMatchObject([{ code: 'SUBSETTED' }]);
    expect(study).not.toHaveProperty('started');
  });
});

describe('Patient', () => {
  const patient = (name: object, more: object = {}) => fhirPatient({ id: STUDY.patientId ?? '', versionId: '1-2', updatedAt: AT, attributes: { '00100010': { vr: 'PN', Value: [name] }, ...more } });

  it('has a name for each component group', () => {
    const resource = patient({ Alphabetic: 'Wang^XiaoDong^^Dr.^PhD', Ideographic: '王^小东', Phonetic: 'ワン^シャオドン' }, { '00100020': { vr: 'LO', Value: ['P-1'] }, '00100021': { vr: 'LO', Value: ['HOSP'] }, '00100030': { vr: 'DA', Value: ['19720304'] }, '00100040': { vr: 'CS', Value: ['F'] } });
    expect(faultsOf(resource)).toEqual([]);
    expect(resource).toMatchObject({
      gender: 'female', birthDate: '1972-03-04', identifier: [{ system: 'urn:healthvision:patient-id', value: 'P-1', assigner: { display: 'HOSP' } }],
      name: [{ text: 'Dr. XiaoDong Wang PhD', family: 'Wang', given: ['XiaoDong'], prefix: ['Dr.'], suffix: ['PhD'] }, { text: '王小东', family: '王', given: ['小东'] }, { family: 'ワン' }],
    });
    expect(resource.name?.map(({ extension }) => extension?.[0]?.valueCode)).toEqual(['ABC', 'IDE', 'SYL']);
  });

  it.each([{}, { Alphabetic: '' }, { Alphabetic: '^^^^' }, { Alphabetic: '  ' }, { Alphabetic: '王小东' }, { Alphabetic: 'Müller^Jörg' }, { Alphabetic: 'A\u001bB\u0000^C' }, { Alphabetic: 'x'.repeat(5_000) }])('is valid with the name %j', (name) => {
    expect(faultsOf(patient(name, { '00100030': { vr: 'DA', Value: ['19720231'] }, '00100040': { vr: 'CS', Value: ['X'] } }))).toEqual([]);
  });

  it('takes a first group in Chinese for ideographic', () => {
    expect(humanNames({ Alphabetic: '王^小东' })).toMatchObject([{ text: '王小东', extension: [{ valueCode: 'IDE' }] }]);
  });
});

describe('dates', () => {
  it.each([['20261121', '2026-11-21'], ['2026.11.21', '2026-11-21'], ['20260230', undefined], ['', undefined], [null, undefined], ['202611', undefined], ['00000101', undefined]])('%j is %j', (da, date) => {
    expect(fhirDate(da)).toBe(date);
  });

  it('have a time where the offset is known', () => {
    expect(fhirDateTime('20261121', '1015', '-0530')).toBe('2026-11-21T10:15:00-05:30');
    for (const [tm, offset] of [['1015', null], ['2560', '+0000'], ['1015', '+1500'], [null, '+0100'], ['101560', '+0100']] as const) expect(fhirDateTime('20261121', tm, offset)).toBe('2026-11-21');
  });
});
