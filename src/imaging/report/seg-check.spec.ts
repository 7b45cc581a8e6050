import { describe, expect, it } from 'vitest';
import { segSource } from '../../../test/support/seg-source.js';
import type { DicomJson, DicomJsonElement, DicomJsonValue } from '../dicom/dicom-json.js';
import { tagOf } from '../dicom/dictionary.js';
import { part10File } from './data-set.js';
import type { DerivedFault, DerivedSource } from './derived.js';
import { writeSeg } from './seg.js';
import { checkSeg } from './seg-check.js';
import { readSeg } from './seg-reader.js';

const SOURCE = segSource({ label: ([i, j, k]) => (k < 3 || k > 8 ? 0 : i > 4 && i < 10 && j > 2 ? 1 : i > 20 && j < 9 ? 2 : 0) });
const BYTES = writeSeg(SOURCE)?.bytes ?? new Uint8Array();

/** The object again, after a change of its data set or its pixels. */
function broken(change: (attributes: DicomJson, pixels: Uint8Array<ArrayBuffer>) => void, source: DerivedSource = SOURCE, bytes: Uint8Array = BYTES): DerivedFault[] {
  const read = readSeg(bytes);
  const attributes = structuredClone(read.attributes);
  const pixels = read.pixels.slice();
  change(attributes, pixels);
  return checkSeg(part10File(attributes, { sopClassUid: '1.2.840.10008.5.1.4.1.1.66.4', sopInstanceUid: '1.2.3' }, pixels), source);
}

function checksOf(faults: readonly DerivedFault[]): string[] {
  return [...new Set(faults.map(({ check }) => check))].sort();
}

/** An element at a path of keywords and item numbers. */
function at(attributes: DicomJson, ...path: readonly (string | number)[]): DicomJsonElement {
  let [item, element]: [DicomJson, DicomJsonElement] = [attributes, { vr: 'UN' }];
  for (const step of path) {
    // The values of a sequence are items.
    if (typeof step === 'number') item = element.Value?.[step] as DicomJson;
    else element = item[tagOf(step)] ?? { vr: 'UN' };
  }
  return element;
}

const frameOf = (attributes: DicomJson, index: number): DicomJson => at(attributes, 'PerFrameFunctionalGroupsSequence').Value?.[index] as DicomJson;
const positionOf = (attributes: DicomJson, index: number): DicomJsonElement => at(frameOf(attributes, index), 'PlanePositionSequence', 0, 'ImagePositionPatient');
const frames = readSeg(BYTES).frames.length;

describe('checkSeg finds', () => {
  it('nothing in what was written', () => {
    expect(broken(() => undefined)).toEqual([]);
  });

  it('an axis that was flipped', () => {
    const orientation = ['SharedFunctionalGroupsSequence', 0, 'PlaneOrientationSequence', 0, 'ImageOrientationPatient'] as const;
    expect(checksOf(broken((attributes) => { at(attributes, ...orientation).Value = [-1, 0, 0, 0, 1, 0]; }))).toContain('geometry');
    expect(checksOf(broken((attributes) => { at(attributes, ...orientation).Value = [1, 0, 0, 0, -1, 0]; }))).toContain('geometry');
    expect(checksOf(broken((attributes) => { at(attributes, ...orientation).Value = [0, 1, 0, 1, 0, 0]; }))).toContain('geometry');
    // The slices in the opposite order, each with a right place of its own.
    expect(checksOf(broken((attributes) => {
      const positions = Array.from({ length: 6 }, (_, index) => positionOf(attributes, index).Value ?? []);
      for (const [index, value] of positions.toReversed().entries()) positionOf(attributes, index).Value = value;
    }))).toEqual(['reference']);
    const mirrored = (width: number): DerivedFault[] => broken((_, pixels) => {
      const read = readSeg(BYTES);
      pixels.fill(0);
      for (let frame = 0; frame < frames; frame++) for (let j = 0; j < 24; j++) for (let i = 0; i < 32; i++) {
        const bit = (frame * 24 + j) * 32 + i;
        const from = (frame * 24 + j) * 32 + (width - i);
        if (((read.pixels[from >> 3] ?? 0) >> (from & 7)) & 1) pixels[bit >> 3] = (pixels[bit >> 3] ?? 0) | (1 << (bit & 7));
      }
    });
    expect(checksOf(mirrored(31))).toContain('geometry');
  });

  it('bits in the wrong order', () => {
    expect(checksOf(broken((_, pixels) => {
      for (const [index, byte] of pixels.entries()) pixels[index] = Number.parseInt(Array.from(byte.toString(2).padStart(8, '0')).reverse().join(''), 2);
    }))).toContain('geometry');
  });

  it('a position that was moved, by however little', () => {
    for (const mm of [0.05, 0.5, 3, 300]) {
      expect(checksOf(broken((attributes) => { const { Value = [] } = positionOf(attributes, 2); positionOf(attributes, 2).Value = [Number(Value[0]) + mm, ...Value.slice(1)]; }))).toContain('geometry');
    }
    expect(checksOf(broken((attributes) => { for (let index = 0; index < frames; index++) { const { Value = [] } = positionOf(attributes, index); positionOf(attributes, index).Value = [...Value.slice(0, 2), Number(Value[2]) + 3]; } }))).toEqual(['geometry', 'reference']);
  });

  it('a spacing that is not that of the image', () => {
    const measures = (attributes: DicomJson, keyword: string): DicomJsonElement => at(attributes, 'SharedFunctionalGroupsSequence', 0, 'PixelMeasuresSequence', 0, keyword);
    expect(checksOf(broken((attributes) => { measures(attributes, 'PixelSpacing').Value = [2, 2.1]; }))).toContain('geometry');
    expect(checksOf(broken((attributes) => { measures(attributes, 'SpacingBetweenSlices').Value = [1.5]; }))).toEqual(['measurement']);
    expect(checksOf(broken((attributes) => { measures(attributes, 'SpacingBetweenSlices').Value = []; }))).toEqual(['iod']);
  });

  it('a reference to another image, to none, or under another class', () => {
    const image = (attributes: DicomJson, keyword: string): DicomJsonElement => at(frameOf(attributes, 1), 'DerivationImageSequence', 0, 'SourceImageSequence', 0, keyword);
    expect(checksOf(broken((attributes) => { image(attributes, 'ReferencedSOPInstanceUID').Value = [SOURCE.segmentation?.frames[0]?.sopInstanceUid ?? '']; }))).toEqual(['reference']);
    expect(checksOf(broken((attributes) => { image(attributes, 'ReferencedSOPInstanceUID').Value = ['1.2.3.4']; }))).toEqual(['reference']);
    expect(checksOf(broken((attributes) => { image(attributes, 'ReferencedSOPClassUID').Value = ['1.2.840.10008.5.1.4.1.1.4']; }))).toEqual(['reference']);
    expect(checksOf(broken((attributes) => { frameOf(attributes, 1)[tagOf('DerivationImageSequence')] = { vr: 'SQ' }; }))).toEqual(['reference']);
    expect(checksOf(broken((attributes) => { at(attributes, 'ReferencedSeriesSequence', 0, 'SeriesInstanceUID').Value = ['1.2.3.4']; }))).toEqual(['reference']);
    expect(checksOf(broken((attributes) => { at(attributes, 'ReferencedSeriesSequence', 0, 'ReferencedInstanceSequence').Value?.pop(); at(attributes, 'ReferencedSeriesSequence', 0, 'ReferencedInstanceSequence').Value?.splice(3, 1); }))).toEqual(['reference']);
  });

  it('a code that is missing, empty or without its scheme, wherever it stands', () => {
    const type = ['SegmentSequence', 1, 'SegmentedPropertyTypeCodeSequence'] as const;
    expect(checksOf(broken((attributes) => { at(attributes, ...type).Value = []; }))).toEqual(['code', 'iod']);
    expect(checksOf(broken((attributes) => { at(attributes, ...type, 0, 'CodeValue').Value = []; }))).toEqual(['code']);
    expect(checksOf(broken((attributes) => { at(attributes, ...type, 0, 'CodingSchemeDesignator').Value = ['']; }))).toEqual(['code']);
    expect(checksOf(broken((attributes) => { at(attributes, ...type).Value = [{}]; }))).toEqual(['code']);
    expect(checksOf(broken((attributes) => { at(attributes, 'SegmentSequence', 0, 'SegmentationAlgorithmIdentificationSequence', 0, 'AlgorithmFamilyCodeSequence', 0, 'CodeMeaning').Value = []; }))).toEqual(['code']);
    expect(checksOf(broken((attributes) => { at(frameOf(attributes, 0), 'DerivationImageSequence', 0, 'DerivationCodeSequence').Value = []; }))).toEqual(['code']);
  });

  it('a frame that is missing, there twice, or of another segment', () => {
    const drop = (attributes: DicomJson, pixels: Uint8Array): void => {
      at(attributes, 'PerFrameFunctionalGroupsSequence').Value?.splice(2, 1);
      at(attributes, 'NumberOfFrames').Value = [frames - 1];
      pixels.copyWithin(2 * 96, 3 * 96);
    };
    expect(checksOf(broken(drop))).toEqual(['geometry', 'measurement']);
    expect(checksOf(broken((attributes) => { at(attributes, 'NumberOfFrames').Value = [frames - 1]; }))).toEqual(['iod']);
    expect(checksOf(broken((attributes) => { at(attributes, 'NumberOfFrames').Value = [4_000_000_000]; }))).toEqual(['iod']);
    expect(checksOf(broken((attributes) => { const list = at(attributes, 'PerFrameFunctionalGroupsSequence').Value ?? []; list[3] = list[2] as DicomJsonValue; }))).toEqual(['geometry', 'iod']);
    expect(checksOf(broken((attributes) => { at(frameOf(attributes, 0), 'SegmentIdentificationSequence', 0, 'ReferencedSegmentNumber').Value = [2]; }))).toContain('geometry');
  });

  it('pixels that are not the mask, be it one', () => {
    expect(checksOf(broken((_, pixels) => { pixels[40] = (pixels[40] ?? 0) ^ 1; }))).toContain('geometry');
    expect(checksOf(broken((_, pixels) => { pixels.fill(0); }))).toEqual(['geometry', 'measurement']);
  });

  it.each([
    'PatientID', 'StudyInstanceUID', 'Modality', 'SOPInstanceUID', 'SegmentationType', 'SegmentSequence', 'Manufacturer', 'DeviceSerialNumber', 'ContentLabel', 'LossyImageCompression',
    'ReferencedSeriesSequence', 'SharedFunctionalGroupsSequence', 'PerFrameFunctionalGroupsSequence', 'DimensionIndexSequence', 'BitsAllocated', 'Rows',
  ])('that %s is empty', (keyword) => {
    expect(checksOf(broken((attributes) => { at(attributes, keyword).Value = []; }))).toContain('iod');
  });

  it('that it is of another patient, or lacks what every object must name', () => {
    expect(checksOf(broken((attributes) => { attributes[tagOf('PatientName')] = { vr: 'PN', Value: [{ Alphabetic: 'Doe^Jane' }] }; }))).toEqual(['iod']);
    expect(checksOf(broken((attributes) => { at(attributes, 'PatientID').Value = ['another']; }))).toEqual(['iod']);
    expect(checksOf(broken((attributes) => { at(attributes, 'StudyInstanceUID').Value = ['1.2.3']; }))).toEqual(['iod']);
    for (const tag of ['PatientBirthDate', 'ContentDescription', 'StudyID'].map(tagOf)) {
      expect(checksOf(broken((attributes) => { Reflect.deleteProperty(attributes, tag); }))).toEqual(['iod']);
    }
  });

  it('dimension pointers that point elsewhere, and segments without number, name or UID', () => {
    expect(checksOf(broken((attributes) => { at(attributes, 'DimensionIndexSequence', 0, 'DimensionIndexPointer').Value = ['00200013']; }))).toEqual(['iod']);
    expect(checksOf(broken((attributes) => { at(frameOf(attributes, 0), 'FrameContentSequence', 0, 'DimensionIndexValues').Value = [1]; }))).toEqual(['iod']);
    expect(checksOf(broken((attributes) => { at(attributes, 'SegmentSequence', 1, 'SegmentNumber').Value = [3]; }))).toContain('iod');
    expect(checksOf(broken((attributes) => { at(attributes, 'SegmentSequence', 1, 'SegmentLabel').Value = ['Nodule 1']; }))).toEqual(['iod']);
    expect(checksOf(broken((attributes) => { at(attributes, 'SegmentSequence', 1, 'TrackingUID').Value = ['x']; }))).toEqual(['iod']);
  });

  it('that a source image is gone, or was replaced by one that lies elsewhere', () => {
    const gone = { ...SOURCE, instances: SOURCE.instances.filter(({ sopInstanceUid }) => sopInstanceUid !== SOURCE.segmentation?.frames[5]?.sopInstanceUid) };
    expect(checksOf(checkSeg(BYTES, gone))).toEqual(['reference']);
    expect(checksOf(checkSeg(writeSeg(gone)?.bytes ?? new Uint8Array(), gone))).toEqual(['reference']);
    const all = { ...SOURCE, instances: [] };
    expect(checksOf(checkSeg(writeSeg(all)?.bytes ?? new Uint8Array(), all))).toEqual(['iod', 'reference']);
    const replaced = { ...SOURCE, instances: SOURCE.instances.map((instance) => ({ ...instance, attributes: { ...instance.attributes, [tagOf('ImagePositionPatient')]: { vr: 'DS', Value: [0, 0, Number(instance.attributes[tagOf('ImagePositionPatient')]?.Value?.[2])] } } })) };
    expect(checksOf(checkSeg(BYTES, replaced))).toEqual(['geometry']);
    expect(checksOf(checkSeg(writeSeg(replaced)?.bytes ?? new Uint8Array(), replaced))).toEqual(['geometry', 'measurement']);
  });

  it('volumes that are not those of the mask', () => {
    const off = (by: number): DerivedSource => ({ ...SOURCE, segments: SOURCE.segments.map((segment) => ({ ...segment, volumeMl: segment.volumeMl * by })) });
    expect(checksOf(checkSeg(BYTES, off(1.02)))).toEqual(['measurement']);
    expect(checksOf(checkSeg(BYTES, off(0.5)))).toEqual(['measurement']);
    const finding = { ...SOURCE, findings: SOURCE.findings.map((one) => ({ ...one, measurements: [{ name: 'volume', value: 999, unit: 'mm3' }] })) };
    expect(checksOf(checkSeg(BYTES, finding))).toEqual(['measurement']);
    // What lies between slices is measured as well.
    const between = { ...SOURCE, findings: SOURCE.findings.map((one) => ({ ...one, measurements: one.measurements.map((measurement) => ({ ...measurement, value: measurement.name === 'volume' ? measurement.value * 1.01 : measurement.value })) })) };
    expect(checkSeg(BYTES, between)).toEqual([]);
    // A person measured it anew.
    expect(checkSeg(writeSeg({ ...finding, version: 2 })?.bytes ?? new Uint8Array(), { ...finding, version: 2 })).toEqual([]);
    const maskless = { ...SOURCE, segments: [...SOURCE.segments, { number: 3, name: 'Nodule 3', volumeMl: 1 }] };
    expect(checksOf(checkSeg(BYTES, maskless))).toEqual(['measurement']);
  });

  it('what is no segmentation at all', () => {
    for (const bytes of [new Uint8Array(), new Uint8Array(5000), BYTES.subarray(0, 3000), BYTES.subarray(0, BYTES.length - 50)]) expect(checksOf(checkSeg(bytes, SOURCE))).toEqual(['iod']);
    expect(checksOf(checkSeg(BYTES, { ...SOURCE, segmentation: null }))).toEqual(['iod']);
  });

  it('the first of many faults of a kind, and how many there are', () => {
    const faults = broken((attributes) => { for (let index = 0; index < frames; index++) frameOf(attributes, index)[tagOf('DerivationImageSequence')] = { vr: 'SQ', Value: [] }; });
    expect(faults.filter(({ check }) => check === 'reference')).toHaveLength(6);
    expect(faults.at(-1)?.detail ?? '').not.toContain('Test');
  });
});
