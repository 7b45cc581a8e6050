import { numbers, sequence, text } from '../../src/imaging/dicom/attributes.js';
import type { DicomJson } from '../../src/imaging/dicom/dicom-json.js';
import { parseInstanceBytes } from '../../src/imaging/dicom/header.js';
import type { DerivedFault, DerivedObject, DerivedSource } from '../../src/imaging/report/derived.js';
import { DERIVED_WRITERS, type DerivedWriter } from '../../src/imaging/report/derived-writers.js';
import { indexToLps } from '../../src/imaging/volume/geometry.js';
import { derivedDicomUid } from '../../src/kernel/uid.js';
import { dicomFile, type Element, type Item } from './dicom-builder.js';

const SEG = '1.2.840.10008.5.1.4.1.1.66.4';
const SR = '1.2.840.10008.5.1.4.1.1.88.34';

function objectOf(kind: 'seg' | 'sr', source: DerivedSource, elements: readonly Element[]): DerivedObject {
  const sopClassUid = kind === 'seg' ? SEG : SR;
  const [seriesInstanceUid, sopInstanceUid] = ['series', 'instance'].map((what) => derivedDicomUid(`${source.resultId} ${kind} ${what} ${String(source.version)}`)) as [string, string];
  const bytes = dicomFile([
    [0x00080016, 'UI', sopClassUid], [0x00080018, 'UI', sopInstanceUid], [0x00080060, 'CS', kind.toUpperCase()], [0x00100020, 'LO', patientIdOf(source)],
    [0x0020000d, 'UI', source.studyInstanceUid], [0x0020000e, 'UI', seriesInstanceUid], [0x00200011, 'IS', '900'], [0x00200013, 'IS', '1'], ...elements,
  ]);
  return { kind, sopClassUid, seriesInstanceUid, sopInstanceUid, bytes: new Uint8Array(bytes) };
}

function patientIdOf({ instances: [first] }: DerivedSource): string {
  return (first && text(first.attributes, 'PatientID')) ?? '';
}

const referenceTo = (uid: string): Item => [[0x00081155, 'UI', uid]];
const codeOf = ({ value, meaning }: { value: string; meaning: string }): Item => [[0x00080100, 'SH', value], [0x00080102, 'SH', 'SCT'], [0x00080104, 'LO', meaning]];

/** Enough of a SEG to go wrong in every way that the gate looks for: a byte for each voxel, a place and a source for each frame, a code. */
const standInSeg: DerivedWriter = {
  kind: 'seg',
  write(source) {
    const { segmentation } = source;
    if (!segmentation) return null;
    const { grid: { size: [columns, rows, slices], affine }, frames, labels } = segmentation;
    const items = Array.from({ length: slices }, (_, k): Item => [
      [0x00082112, 'SQ', [referenceTo(frames[k]?.sopInstanceUid ?? '')]],
      [0x00209113, 'SQ', [[[0x00200032, 'DS', indexToLps(affine, [0, 0, k]).map((mm) => mm.toFixed(4)).join('\\')]]]],
    ]);
    const code = source.findings[0]?.code ?? { value: '', meaning: '' };
    return objectOf('seg', source, [
      [0x00280002, 'US', [1]], [0x00280004, 'CS', 'MONOCHROME2'], [0x00280008, 'IS', String(slices)], [0x00280010, 'US', [rows]], [0x00280011, 'US', [columns]],
      [0x00280100, 'US', [8]], [0x00280101, 'US', [8]], [0x00280102, 'US', [7]], [0x00280103, 'US', [0]],
      [0x00620002, 'SQ', [[[0x0062000f, 'SQ', [codeOf(code)]]]]], [0x52009230, 'SQ', items], [0x7fe00010, 'OB', labels],
    ]);
  },
  check(bytes, { segmentation, instances }) {
    const parsed = parseInstanceBytes(bytes);
    const { attributes } = parsed;
    const faults: DerivedFault[] = [];
    const pixels = bytes.subarray(parsed.headerLength + 12);
    if (!segmentation || Buffer.compare(pixels.subarray(0, segmentation.labels.length), segmentation.labels) !== 0) faults.push({ check: 'geometry', detail: 'the mask is another one' });
    for (const [k, frame] of sequence(attributes, '52009230').entries()) {
      const place = numbers(sequence(frame, '00209113')[0] ?? {}, 'ImagePositionPatient');
      const wanted = segmentation ? indexToLps(segmentation.grid.affine, [0, 0, k]) : [];
      if (wanted.some((mm, axis) => Math.abs(mm - (place[axis] ?? NaN)) > 0.01)) faults.push({ check: 'geometry', detail: `frame ${String(k)} lies elsewhere` });
      const uid = text(sequence(frame, '00082112')[0] ?? {}, 'ReferencedSOPInstanceUID');
      if (!instances.some(({ sopInstanceUid }) => sopInstanceUid === uid)) faults.push({ check: 'reference', detail: `frame ${String(k)} names no source` });
    }
    if ((text(sequence(sequence(attributes, '00620002')[0] ?? {}, '0062000F')[0] ?? {}, '00080100') ?? '') === '') faults.push({ check: 'code', detail: 'a segment has no code' });
    return faults;
  },
};

/** A list of what was looked at, and a code for each finding. */
const standInSr: DerivedWriter = {
  kind: 'sr',
  write(source, seg) {
    const looked = [source.keyImage?.sopInstanceUid, ...(source.segmentation?.frames.map(({ sopInstanceUid }) => sopInstanceUid) ?? []), seg?.sopInstanceUid].filter((uid) => uid !== undefined);
    return objectOf('sr', source, [
      [0x0040a375, 'SQ', looked.map(referenceTo)],
      [0x0040a730, 'SQ', source.findings.map(({ code }): Item => [[0x0040a168, 'SQ', [codeOf(code)]]])],
    ]);
  },
  check(bytes, { instances }, seg) {
    const { attributes } = parseInstanceBytes(bytes);
    const known = new Set([...instances.map(({ sopInstanceUid }) => sopInstanceUid), ...(seg ? [seg.sopInstanceUid] : [])]);
    const uidOf = (item: DicomJson): string => text(item, 'ReferencedSOPInstanceUID') ?? '';
    return [
      ...sequence(attributes, '0040A375').filter((item) => !known.has(uidOf(item))).map((): DerivedFault => ({ check: 'reference', detail: 'an image is not there' })),
      ...sequence(attributes, '0040A730').filter((item) => (text(sequence(item, '0040A168')[0] ?? {}, '00080100') ?? '') === '').map((): DerivedFault => ({ check: 'code', detail: 'a finding has no code' })),
    ];
  },
};

/** Those of the product; as long as it has none, stand-ins. */
export const WRITERS: readonly DerivedWriter[] = DERIVED_WRITERS.length > 0 ? DERIVED_WRITERS : [standInSeg, standInSr];

/** Writers that make something else than they were asked for; what they made is checked against what they were asked for. */
export function broken(change: (source: DerivedSource) => DerivedSource): DerivedWriter[] {
  return WRITERS.map((writer) => ({ ...writer, write: (source, seg) => writer.write(change(source), seg) }));
}

export const flippedAxis = (source: DerivedSource): DerivedSource => {
  if (!source.segmentation) return source;
  const { grid: { size: [columns] }, labels } = source.segmentation;
  return { ...source, segmentation: { ...source.segmentation, labels: labels.map((_, offset) => labels[offset - (offset % columns) + columns - 1 - (offset % columns)] ?? 0) } };
};

export const wrongReference = (source: DerivedSource): DerivedSource => ({
  ...source,
  instances: source.instances.map((instance) => ({ ...instance, sopInstanceUid: '1.2.3.999' })),
  findings: source.findings.map((finding) => (finding.location ? { ...finding, location: { ...finding.location, sopInstanceUid: '1.2.3.999' } } : finding)),
  keyImage: source.keyImage && { ...source.keyImage, sopInstanceUid: '1.2.3.999' },
  segmentation: source.segmentation && { ...source.segmentation, frames: source.segmentation.frames.map((frame) => ({ ...frame, sopInstanceUid: '1.2.3.999' })) },
});

export const missingCode = (source: DerivedSource): DerivedSource => ({ ...source, findings: source.findings.map((finding) => ({ ...finding, code: { ...finding.code, value: '' } })) });
