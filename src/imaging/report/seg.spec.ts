import { describe, expect, it } from 'vitest';
import { segSource, type SegSourceOptions } from '../../../test/support/seg-source.js';
import { number, numbers, personName, sequence, strings, text } from '../dicom/attributes.js';
import type { DicomJson } from '../dicom/dicom-json.js';
import { tagOf } from '../dicom/dictionary.js';
import { parseInstanceBytes } from '../dicom/header.js';
import { indexToLps } from '../volume/geometry.js';
import type { Affine, Vector3 } from '../volume/volume.js';
import type { DerivedSource } from './derived.js';
import { writeSeg, type SegOptions } from './seg.js';
import { checkSeg } from './seg-check.js';
import { gridOf, masksOf, readSeg, type ReadSeg } from './seg-reader.js';
import { dicomSegmentsOf } from './seg/segments.js';
import { writeSr } from './sr.js';
import { trackingUidOf } from './tracking.js';

/** Turned about two axes, with a voxel of three lengths. */
const OBLIQUE = affineOf([0.8, 0.5196152422706632, -0.3], [-0.4472, 0.8544, 0.2644], [0.7, 1.1, 3.3], [-40, 25, 110]);
/** Columns run to the back, rows to the feet: slices from right to left. */
const SAGITTAL: Affine = [[0, 0, 4.4, -60], [0.9, 0, 0, -80], [0, -1.3, 0, 90]];

function affineOf(across: Vector3, down: Vector3, [a, b, c]: Vector3, origin: Vector3): Affine {
  const unit = (v: Vector3): Vector3 => { const n = Math.hypot(...v); return [v[0] / n, v[1] / n, v[2] / n]; };
  const crossed = (p: Vector3, q: Vector3): Vector3 => [p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]];
  const x = unit(across);
  const z = unit(crossed(x, unit(down)));
  const y = crossed(z, x);
  const row = (axis: 0 | 1 | 2): Affine[0] => [x[axis] * a, y[axis] * b, z[axis] * c, origin[axis]];
  return [row(0), row(1), row(2)];
}

function written(source: DerivedSource, options: SegOptions = {}): { bytes: Uint8Array; seg: ReadSeg } {
  const object = writeSeg(source, options);
  if (object === null) throw new Error('no segmentation was written');
  return { bytes: object.bytes, seg: readSeg(object.bytes) };
}

function maskOf({ segmentation }: DerivedSource, values: readonly number[]): Uint8Array {
  return Uint8Array.from(segmentation?.labels ?? [], (value) => (values.includes(value) ? 1 : 0));
}

/** Sums of places in LPS and counts: the same for the same voxels wherever the grid begins. */
function momentsOf(mask: Uint8Array, grid: { size: Vector3; affine: Affine }): number[] {
  const [columns, rows] = grid.size;
  const sum = [0, 0, 0, 0];
  for (let at = 0; at < mask.length; at++) {
    if (mask[at] === 0) continue;
    const place = indexToLps(grid.affine, [at % columns, Math.floor(at / columns) % rows, Math.floor(at / (columns * rows))]);
    sum[0] = (sum[0] ?? 0) + 1;
    for (const axis of [0, 1, 2] as const) sum[axis + 1] = (sum[axis + 1] ?? 0) + place[axis];
  }
  return sum;
}

const SERIES: Record<string, SegSourceOptions> = {
  axial: {},
  oblique: { affine: OBLIQUE },
  'reversed, in another order of files': { affine: [[2, 0, 0, -30], [0, 2, 0, -20], [0, 0, -3, 50]], series: { shuffle: 3 } },
  'segmented against the normal': { reversed: true },
  'oblique and against the normal': { affine: OBLIQUE, reversed: true },
  'sagittal and anisotropic': { affine: SAGITTAL, series: { modality: 'MR' } },
  'enhanced multi-frame': { series: { enhanced: true, shuffle: 5 } },
  'enhanced and oblique': { affine: OBLIQUE, series: { enhanced: true } },
  'of an odd number of pixels': { size: [31, 23, 9] },
  'without frame of reference': { series: { fields: { FrameOfReferenceUID: undefined } } },
  'with uneven slices': { series: { perSlice: (slice) => ({ ImagePositionPatient: [-30, -20, -50 + 3 * slice + (slice % 3) * 0.05] }) } },
  'with a gantry tilt': { affine: [[2, 0, 0, -30], [0, 2, 0.8, -20], [0, 0, 3, -50]] },
  'of several segments': { label: ([i, j, k]) => (k < 3 ? 0 : i < 8 ? 1 : i < 20 && j > 5 ? 2 : i === 31 && k === 7 ? 3 : 0) },
  'of segments that overlap': { label: ([i, j, k]) => (k < 3 || i > 20 ? 0 : j < 8 ? 1 : j < 12 ? 2 : 4), members: [{ segment: 1, values: [1, 2, 4] }, { segment: 2, values: [1, 4] }, { segment: 3, values: [4] }] },
};

describe('writeSeg', () => {
  it.each(Object.entries(SERIES))('a mask comes back from a series %s', (_, options) => {
    const source = segSource(options);
    const { segmentation } = source;
    for (const keepEmptyFrames of [false, true]) {
      const { bytes, seg } = written(source, { keepEmptyFrames });
      expect(checkSeg(bytes, source)).toEqual([]);
      const ours = masksOf(seg, segmentation?.grid);
      const own = gridOf(seg);
      const alone = masksOf(seg);
      for (const { number: segment, values } of dicomSegmentsOf(source)) {
        expect(Buffer.compare(ours.get(segment) ?? Buffer.of(), maskOf(source, values))).toBe(0);
        // The object alone says where the voxels lie.
        const [given, found] = [momentsOf(maskOf(source, values), segmentation?.grid ?? fail()), momentsOf(alone.get(segment) ?? Buffer.of(), own)];
        expect(found[0]).toBe(given[0]);
        for (const axis of [1, 2, 3]) expect(Math.abs((found[axis] ?? 0) - (given[axis] ?? 0)) / (given[0] ?? 1)).toBeLessThan(0.2);
      }
      if (keepEmptyFrames) expect(seg.frames).toHaveLength(seg.segments.length * (segmentation?.grid.size[2] ?? 0));
    }
  });

  it('leaves empty frames out, and keeps them when asked', () => {
    const source = segSource({ label: ([i, j, k]) => (i === 4 && j === 5 && (k === 2 || k === 9) ? 1 : 0) });
    expect(written(source).seg.frames.map(({ source: ref }) => ref?.sopInstanceUid)).toEqual([2, 9].map((slice) => source.segmentation?.frames[slice]?.sopInstanceUid));
    expect(written(source, { keepEmptyFrames: true }).seg.frames).toHaveLength(12);
  });

  it('keeps one empty frame when nothing is marked, and describes an empty segment beside others without a frame', () => {
    const nothing = segSource({ label: () => 0, members: [{ segment: 1, values: [1] }] });
    const { bytes, seg } = written(nothing);
    expect(seg.frames).toHaveLength(1);
    expect(checkSeg(bytes, nothing)).toEqual([]);
    const beside = segSource({ members: [{ segment: 1, values: [1] }, { segment: 2, values: [2] }] });
    expect(written(beside).seg.segments).toHaveLength(2);
    expect(checkSeg(written(beside).bytes, beside)).toEqual([]);
    expect(writeSeg(segSource({ label: () => 0 }))).toBeNull();
    expect(writeSeg({ ...nothing, segmentation: null })).toBeNull();
  });

  it('numbers segments from 1 without gaps, whatever their numbers in the result', () => {
    const source = segSource({ label: ([i]) => (i < 3 ? 1 : i < 6 ? 2 : 0), members: [{ segment: 7, values: [2] }, { segment: 3, values: [1] }], names: [] });
    const { bytes, seg } = written(source);
    expect(seg.segments.map(({ number: given, label }) => [given, label])).toEqual([[1, 'Segment 3'], [2, 'Segment 7']]);
    expect(checkSeg(bytes, source)).toEqual([]);
  });

  it('tracks a nodule under the UID of its finding, with its code and side', () => {
    const source = segSource({ label: ([i, , k]) => (k < 4 ? 0 : i < 8 ? 1 : i > 20 ? 2 : 0) });
    const items = sequence(written(source).seg.attributes, 'SegmentSequence');
    expect(items.map((item) => text(item, 'TrackingUID'))).toEqual(source.findings.map(({ id }) => trackingUidOf(source.resultId, id)));
    expect(items.map((item) => codeOf(item, 'SegmentedPropertyTypeCodeSequence'))).toEqual(['27925004', '27925004']);
    expect(codeOf(sequence(items[0] ?? {}, 'AnatomicRegionSequence')[0] ?? {}, 'AnatomicRegionModifierSequence')).toBe('24028007');
    const unfound = { ...source, findings: source.findings.slice(1) };
    expect(sequence(written(unfound).seg.attributes, 'SegmentSequence').map((item) => text(item, 'TrackingUID'))).toEqual([
      trackingUidOf(source.resultId, 'segment 1'), trackingUidOf(source.resultId, source.findings[1]?.id ?? ''),
    ]);
  });

  it('tracks a region of several tumours under its own name', () => {
    const source = segSource({ label: ([i, , k]) => (k < 4 ? 0 : i < 8 ? 1 : i > 20 ? 2 : 0), members: [{ segment: 1, values: [1, 2] }, { segment: 2, values: [2] }], names: ['Whole tumour', 'Enhancing tumour'], withFindings: false, part: { analysis: 'brain-tumour-segmentation' } });
    const items = sequence(written(source).seg.attributes, 'SegmentSequence');
    expect(items.map((item) => text(item, 'TrackingUID'))).toEqual(['segment 1', 'segment 2'].map((key) => trackingUidOf(source.resultId, key)));
    expect(items.map((item) => codeOf(item, 'SegmentedPropertyTypeCodeSequence'))).toEqual(['108369006', 'C113842']);
  });

  it('keeps names of every script, and does without what the source lacks', () => {
    const name = { Alphabetic: 'Wang^XiaoDong', Ideographic: '王^小东', Phonetic: 'わん' };
    const source = segSource();
    const named = withAttributes(source, { '00100010': { vr: 'PN', Value: [name] }, '00081030': { vr: 'LO', Value: ['胸部 CT Größe'] }, '00080005': { vr: 'CS', Value: ['GB18030'] } });
    const { bytes, seg } = written(named);
    expect(personName(seg.attributes, 'PatientName')).toEqual(name);
    expect(text(seg.attributes, 'StudyDescription')).toBe('胸部 CT Größe');
    expect(strings(seg.attributes, 'SpecificCharacterSet')).toEqual(['ISO_IR 192']);
    expect(checkSeg(bytes, named)).toEqual([]);
    const bare = { ...source, instances: source.instances.map((instance) => ({ ...instance, attributes: only(instance.attributes, ['00200032', '00200037', '00280030', '00280010', '00280011']) })) };
    expect(checkSeg(written(bare).bytes, bare)).toEqual([]);
  });

  it('says of patient, study and device what the report of the result says', () => {
    const source = withAttributes(segSource(), { '00120040': { vr: 'LO', Value: ['TRIAL-7'] }, '00100030': { vr: 'DA', Value: ['19720304'] }, '00101030': { vr: 'DS', Value: [70.5] }, '00080201': { vr: 'SH', Value: ['+0800'] } });
    const [first, ...others] = source.instances;
    if (!first) throw new Error('no image');
    const mixed = { ...source, instances: [{ ...first, attributes: only(first.attributes, Object.keys(first.attributes).filter((tag) => tag !== '00100030')) }, ...others] };
    const [seg, sr] = [writeSeg(mixed), writeSr(mixed, null)].map((object) => parseInstanceBytes(object?.bytes ?? Uint8Array.of()).attributes);
    const shared = ['PatientName', 'PatientID', 'PatientBirthDate', 'PatientWeight', 'ClinicalTrialSubjectID', 'StudyDate', 'AccessionNumber', 'TimezoneOffsetFromUTC', 'Manufacturer', 'DeviceSerialNumber', 'SoftwareVersions', 'ContentDate', 'ContentTime'];
    const said = (attributes: DicomJson = {}): unknown[] => shared.map((keyword) => attributes[tagOf(keyword)]);
    expect(said(seg)).toEqual(said(sr));
    expect([text(seg ?? {}, 'PatientBirthDate'), text(seg ?? {}, 'ClinicalTrialSubjectID'), text(seg ?? {}, 'DeviceSerialNumber')]).toEqual(['19720304', 'TRIAL-7', mixed.provenance.model.digest.replace('sha256:', '')]);
    expect(checkSeg(writeSeg(mixed)?.bytes ?? Uint8Array.of(), mixed)).toEqual([]);
  });

  it.each<[string, DicomJson]>([
    ['a name of three long groups', { '00100010': { vr: 'PN', Value: [{ Alphabetic: 'A'.repeat(64), Ideographic: '王'.repeat(64), Phonetic: 'わ'.repeat(64) }] } }],
    ['texts longer than they may be', { '00100010': { vr: 'PN', Value: [{ Alphabetic: 'X'.repeat(200) }] }, '00100020': { vr: 'LO', Value: ['L'.repeat(300)] }, '00101010': { vr: 'AS', Value: ['x'.repeat(20)] }, '00080020': { vr: 'DA', Value: ['no date at all'] } }],
    ['values that are none', { '00100010': { vr: 'PN', Value: [null] }, '00100020': { vr: 'UN', InlineBinary: 'AAEC' }, '00081032': { vr: 'SQ', Value: [null] }, '00200011': { vr: 'IS', Value: ['abc'] }, '00180015': { vr: 'CS', Value: ['the whole chest of it'] } }],
    ['a sequence with a character set of its own', { '00081032': { vr: 'SQ', Value: [{ '00080005': { vr: 'CS', Value: ['GB18030'] }, '00080100': { vr: 'SH', Value: ['1'] }, '00080102': { vr: 'SH', Value: ['99X'] }, '00080104': { vr: 'LO', Value: ['胸部'] } }] } }],
    ['numbers that need an exponent', { '00101030': { vr: 'DS', Value: [1e-12 / 3] } }],
  ])('takes %s as it finds it', (_, changes) => {
    const source = withAttributes(segSource(), changes);
    const { bytes, seg } = written(source);
    expect(checkSeg(bytes, source)).toEqual([]);
    if (changes['00101030']) expect(number(seg.attributes, 'PatientWeight')).toBeCloseTo(1e-12 / 3, 22);
    if (changes['00081032']?.Value?.[0]) expect(text(sequence(seg.attributes, 'ProcedureCodeSequence')[0] ?? {}, 'CodeMeaning')).toBe('胸部');
  });

  it('says that a source was compressed with loss, and numbers the series after the source', () => {
    const source = withAttributes(segSource({ part: { version: 3 } }), { '00282110': { vr: 'CS', Value: ['01'] }, '00282112': { vr: 'DS', Value: [12.5] }, '00282114': { vr: 'CS', Value: ['ISO_10918_1'] }, '00200011': { vr: 'IS', Value: [4] } });
    const { attributes } = written(source).seg;
    expect([text(attributes, 'LossyImageCompression'), number(attributes, 'LossyImageCompressionRatio'), number(attributes, 'SeriesNumber')]).toEqual(['01', 12.5, 403]);
  });

  it('gives the same bytes for the same result, and other UIDs for another version', () => {
    const [first, again, amended] = [segSource(), segSource(), segSource({ part: { version: 2 } })].map((source) => writeSeg(source));
    expect(Buffer.compare(first?.bytes ?? Buffer.of(), again?.bytes ?? Buffer.of(1))).toBe(0);
    expect(new Set([first?.sopInstanceUid, amended?.sopInstanceUid, first?.seriesInstanceUid, amended?.seriesInstanceUid]).size).toBe(4);
  });

  it('writes a label map where segments do not overlap, and bits where they do', () => {
    const source = segSource({ ...SERIES['of several segments'] });
    const { bytes, seg } = written(source, { labelMap: true });
    expect([seg.isLabelMap, seg.frames.length]).toEqual([true, 9]);
    expect(checkSeg(bytes, source)).toEqual([]);
    expect(Buffer.compare(masksOf(seg, source.segmentation?.grid).get(2) ?? Buffer.of(), maskOf(source, [2]))).toBe(0);
    expect(written(segSource({ ...SERIES['of segments that overlap'] }), { labelMap: true }).seg.isLabelMap).toBe(false);
  });

  it('refuses what would not be read back', () => {
    const source = segSource({ size: [200, 2, 60], label: ([i]) => i + 1, withFindings: false });
    expect(() => writeSeg(source)).toThrow(expect.objectContaining({ code: 'image-too-large' }));
  });

  it('writes 200 nodules', () => {
    const source = segSource({ size: [200, 8, 5], label: ([i, j]) => (j > 1 ? i + 1 : 0), names: [], withFindings: false });
    const { bytes, seg } = written(source);
    expect(seg.frames).toHaveLength(1000);
    expect(checkSeg(bytes, source)).toEqual([]);
  });
});

function codeOf(item: DicomJson, keyword: string): string | undefined {
  return text(sequence(item, keyword)[0] ?? {}, 'CodeValue');
}

function withAttributes(source: DerivedSource, changes: DicomJson): DerivedSource {
  return { ...source, instances: source.instances.map((instance) => ({ ...instance, attributes: { ...instance.attributes, ...changes } })) };
}

function only(attributes: DicomJson, tags: readonly string[]): DicomJson {
  return Object.fromEntries(Object.entries(attributes).filter(([tag]) => tags.includes(tag)));
}

function fail(): never {
  throw new Error('no segmentation');
}

describe('the dimensions of a segmentation', () => {
  it('count segments and the places that are there', () => {
    const { attributes } = written(segSource({ label: ([i, , k]) => (k === 2 && i < 3 ? 1 : (k === 2 || k === 8) && i > 9 ? 2 : 0) })).seg;
    const values = sequence(attributes, 'PerFrameFunctionalGroupsSequence').map((group) => numbers(sequence(group, 'FrameContentSequence')[0] ?? {}, 'DimensionIndexValues'));
    expect(values).toEqual([[1, 1], [2, 1], [2, 2]]);
  });
});
