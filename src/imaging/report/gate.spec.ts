import { describe, expect, it } from 'vitest';
import { dicomFile } from '../../../test/support/dicom-builder.js';
import { AppError } from '../../kernel/errors.js';
import type { DerivedObject, DerivedSource } from './derived.js';
import type { DerivedWriter } from './derived-writers.js';
import { throughGate } from './gate.js';

const source: DerivedSource = {
  resultId: '0198c0de-0000-7000-8000-000000000001', analysisId: '0198c0de-0000-7000-8000-000000000002', analysis: 'chest-xray-classification', studyInstanceUid: '1.2.3', version: 1, createdAt: new Date(0),
  summary: { text: '', critical: false }, findings: [], labels: [], segments: [], keyImage: null, segmentation: null, verifier: null,
  provenance: { model: { name: 'm', version: '1.0.0', digest: 'sha256:0' }, software: '1', inputDigest: 'sha256:0', executionProvider: 'cpu', startedAt: '', finishedAt: '' },
  instances: [{ sopInstanceUid: '1.2.3.4', sopClassUid: '1.2.840.10008.5.1.4.1.1.1.1', seriesInstanceUid: '1.2.3.1', attributes: { '00100020': { vr: 'LO', Value: ['P 1'] } } }],
};

interface Changes { sopClassUid?: string; studyInstanceUid?: string; seriesInstanceUid?: string; sopInstanceUid?: string; patientId?: string; announced?: string }

function writer(kind: 'seg' | 'sr', { sopClassUid = '1.2.840.10008.5.1.4.1.1.88.34', studyInstanceUid = '1.2.3', seriesInstanceUid = `1.9.${String(kind.length)}`, sopInstanceUid = `1.8.${String(kind.length)}`, patientId = 'P 1', announced = sopInstanceUid }: Changes = {}): DerivedWriter {
  const bytes = new Uint8Array(dicomFile([[0x00080016, 'UI', sopClassUid], [0x00080018, 'UI', sopInstanceUid], [0x00100020, 'LO', patientId], [0x0020000d, 'UI', studyInstanceUid], [0x0020000e, 'UI', seriesInstanceUid]]));
  return { kind, write: (): DerivedObject => ({ kind, sopClassUid, seriesInstanceUid, sopInstanceUid: announced, bytes }), check: () => [] };
}

describe('throughGate', () => {
  it('hands out what was made, and the segmentation to whoever comes after', () => {
    let given: unknown;
    const sr = writer('sr');
    const outcome = throughGate(source, [writer('seg'), { ...sr, write: (about, seg) => { given = seg?.kind; return sr.write(about, seg); } }]);
    expect(outcome).toMatchObject({ kind: 'passed', objects: [{ kind: 'seg' }, { kind: 'sr' }] });
    expect(given).toBe('seg');
    expect(throughGate(source, [{ ...sr, write: () => null }])).toEqual({ kind: 'passed', objects: [] });
    expect(throughGate(source, [])).toEqual({ kind: 'passed', objects: [] });
  });

  it.each<[string, Changes, string]>([
    ['a class that would be taken for an image', { sopClassUid: '1.2.840.10008.5.1.4.1.1.2' }, 'iod'],
    ['another name than it was announced with', { announced: '1.8.9' }, 'iod'],
    ['another study', { studyInstanceUid: '1.2.4' }, 'reference'],
    ['another patient', { patientId: 'P 2' }, 'reference'],
    ['the series of a source', { seriesInstanceUid: '1.2.3.1' }, 'reference'],
    ['the UID of a source', { sopInstanceUid: '1.2.3.4' }, 'reference'],
  ])('withholds an object of %s', (_what, changes, check) => {
    expect(throughGate(source, [writer('sr', changes)])).toMatchObject({ kind: 'withheld', faults: [{ check }] });
  });

  it('knows the patient from the first image that names one', () => {
    const [image] = source.instances;
    if (!image) throw new Error('no image');
    const mixed = { ...source, instances: [{ ...image, sopInstanceUid: '1.2.3.3', attributes: {} }, image] };
    expect(throughGate(mixed, [writer('sr')]).kind).toBe('passed');
    expect(throughGate(mixed, [writer('sr', { patientId: '' })])).toMatchObject({ kind: 'withheld', faults: [{ check: 'reference' }] });
  });

  it('withholds everything for one fault, and tells where code failed but not what it was working on', () => {
    const faults = throughGate(source, [{ ...writer('seg'), check: () => [{ check: 'geometry', detail: 'x'.repeat(1_000) }] }, writer('sr')]);
    expect(faults).toEqual({ kind: 'withheld', faults: [{ check: 'geometry', detail: 'x'.repeat(500) }] });
    const failing = throughGate(source, [{ ...writer('sr'), check: () => { throw new TypeError('Doe^Jane'); } }]);
    expect(failing).toMatchObject({ kind: 'withheld', faults: [{ check: 'iod' }] });
    expect(JSON.stringify(failing)).toContain('TypeError');
    expect(JSON.stringify(failing)).not.toContain('Doe');
    expect(JSON.stringify(throughGate(source, [{ ...writer('sr'), write: () => { throw new AppError('image-too-large', { detail: 'Doe^Jane' }); } }]))).toContain('image-too-large');
  });

  it('withholds bytes that are no DICOM, and lists no more faults than people read', () => {
    const nonsense = writer('sr');
    expect(throughGate(source, [{ ...nonsense, write: (about, seg) => { const object = nonsense.write(about, seg); return object && { ...object, bytes: new Uint8Array(10) }; } }])).toMatchObject({ kind: 'withheld', faults: [{ check: 'iod' }] });
    const many = throughGate(source, [{ ...writer('sr'), check: () => Array.from({ length: 1_000 }, () => ({ check: 'reference', detail: '' }) as const) }]);
    expect(many.kind === 'withheld' && many.faults.length).toBe(50);
  });
});
