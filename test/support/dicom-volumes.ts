import { createHash } from 'node:crypto';
import { number } from '../../src/imaging/dicom/attributes.js';
import { dictionaryVr, tagOf } from '../../src/imaging/dicom/dictionary.js';
import type { DicomJson, DicomJsonValue } from '../../src/imaging/dicom/dicom-json.js';
import { parseInstanceBytes } from '../../src/imaging/dicom/header.js';
import { EXPLICIT_LITTLE } from '../../src/imaging/dicom/transfer-syntax.js';
import { encodeDataSet, encodeFileHead } from '../../src/imaging/dicom/write-data-set.js';

type Vector3 = readonly [number, number, number];
type Vector4 = readonly [number, number, number, number];

/** A volume to wrap: index (column, row, slice), first index fastest; the affine leads to LPS millimetres. */
export interface SourceVolume {
  size: Vector3;
  affine: readonly [Vector4, Vector4, Vector4];
  voxels: Int16Array | Float32Array | Uint8Array | Uint16Array;
}

/** Values by keyword of PS3.6; a list of objects is a sequence, `undefined` leaves an element out. */
// An interface, since a type alias may not refer to itself through a Record.
// eslint-disable-next-line @typescript-eslint/consistent-indexed-object-style
export interface Fields {
  [keyword: string]: string | number | undefined | readonly (string | number)[] | readonly Fields[];
}

export interface VolumeSeriesOptions {
  /** Without: MR. */
  modality?: 'CT' | 'MR';
  /** UIDs are made of this word, so that two series of one study share it. */
  study?: string;
  /** The series' own word. */
  series?: string;
  studyInstanceUid?: string;
  seriesInstanceUid?: string;
  frameOfReferenceUid?: string;
  patientId?: string;
  seriesDescription?: string;
  /** Without: −1024 and 1 for CT; for MR whatever keeps the values best. */
  rescale?: { slope: number; intercept: number };
  /** Millimetres; without: the distance between slices. */
  sliceThickness?: number;
  /** RepetitionTime, EchoTime, SequenceName, ConvolutionKernel, BodyPartExamined … of every slice. */
  fields?: Fields;
  /** Of one slice, over `fields`; `slice` counts in the source. Of enhanced objects: keywords of the per-frame functional groups. */
  perSlice?: (slice: number) => Fields;
  /** One enhanced multi-frame object instead of a file for each slice. */
  enhanced?: boolean;
  /** Slices to leave out. */
  drop?: readonly number[];
  /** Slices to send twice, under another UID. */
  duplicate?: readonly number[];
  /** In an order made of this seed; without: as in the source. Instance numbers follow the source. */
  shuffle?: number;
}

/** A Part 10 object. */
export interface DicomObject {
  sopInstanceUid: string;
  bytes: Uint8Array;
}

const CLASSES = {
  CT: { single: '1.2.840.10008.5.1.4.1.1.2', enhanced: '1.2.840.10008.5.1.4.1.1.2.1' },
  MR: { single: '1.2.840.10008.5.1.4.1.1.4', enhanced: '1.2.840.10008.5.1.4.1.1.4.1' },
};

/** A UID that is always the same for the same words. */
export function uidOf(...words: readonly (string | number)[]): string {
  const digest = createHash('sha256').update(words.join('/')).digest();
  return `2.25.${String(digest.readBigUInt64BE(0))}${String(digest.readUInt32BE(8))}`;
}

/**
 * The slices of a volume as a DICOM series, along the third index. A source whose third axis runs against the normal of its slices
 * comes out of assembly with that axis turned round: compare places, not indices.
 */
export function seriesOf(volume: SourceVolume, options: VolumeSeriesOptions = {}): DicomObject[] {
  const stored = storedValues(volume, options);
  const slices = order(volume.size[2], options);
  if (options.enhanced === true) return [enhancedObject(volume, slices, stored, options)];
  return slices.map(({ slice, copy }) => singleSlice(volume, slice, copy, stored, options));
}

/** What an analysis' `select` gets of objects: by series, attributes only. */
export function studyInputOf(objects: readonly DicomObject[]): {
  series: { seriesInstanceUid: string; modality: string | null; instances: { sopInstanceUid: string; sopClassUid: string; instanceNumber: number | null; rows: number | null; columns: number | null; attributes: DicomJson }[] }[];
} {
  const series = new Map<string, ReturnType<typeof studyInputOf>['series'][number]>();
  for (const { bytes } of objects) {
    const { attributes, seriesInstanceUid, sopInstanceUid, sopClassUid } = parseInstanceBytes(bytes);
    const modality = attributes[tagOf('Modality')]?.Value?.[0];
    const entry = series.get(seriesInstanceUid) ?? { seriesInstanceUid, modality: typeof modality === 'string' ? modality : null, instances: [] };
    series.set(seriesInstanceUid, entry);
    const whole = (keyword: string): number | null => number(attributes, keyword) ?? null;
    entry.instances.push({ sopInstanceUid, sopClassUid, instanceNumber: whole('InstanceNumber'), rows: whole('Rows'), columns: whole('Columns'), attributes });
  }
  return { series: [...series.values()] };
}

/** Fields as a data set in the DICOM JSON model. */
export function dataSetOf(fields: Fields): DicomJson {
  const json: DicomJson = {};
  for (const [keyword, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const tag = tagOf(keyword);
    const list = Array.isArray(value) ? (value as readonly (string | number | Fields)[]) : [value as string | number];
    const values = list.map((entry): DicomJsonValue => (typeof entry === 'object' ? dataSetOf(entry) : entry));
    json[tag] = { vr: dictionaryVr(Number.parseInt(tag, 16), true), ...(values.length === 0 ? {} : { Value: values }) };
  }
  return json;
}

interface Stored {
  pixels: Int16Array;
  slope: number;
  intercept: number;
}

function storedValues({ voxels }: SourceVolume, { modality = 'MR', rescale }: VolumeSeriesOptions): Stored {
  const { slope, intercept } = rescale ?? (modality === 'CT' ? { slope: 1, intercept: -1024 } : fitting(voxels));
  const pixels = new Int16Array(voxels.length);
  for (let at = 0; at < voxels.length; at++) pixels[at] = Math.max(-32_768, Math.min(32_767, Math.round(((voxels[at] ?? 0) - intercept) / slope)));
  return { pixels, slope, intercept };
}

/** Slope and intercept that keep every value to a 32,767th of the range, and whole numbers and zero exactly. */
function fitting(voxels: SourceVolume['voxels']): { slope: number; intercept: number } {
  let largest = 0;
  let whole = true;
  for (const value of voxels) {
    largest = Math.max(largest, Math.abs(value));
    whole &&= Number.isInteger(value);
  }
  // Sixteen characters are what a DS holds, and the reader must get the same slope.
  return { slope: whole && largest <= 32_767 ? 1 : Number((largest / 32_767).toPrecision(9)), intercept: 0 };
}

function order(count: number, { drop = [], duplicate = [], shuffle }: VolumeSeriesOptions): { slice: number; copy: number }[] {
  const slices = Array.from({ length: count }, (_, slice) => ({ slice, copy: 0 })).filter(({ slice }) => !drop.includes(slice));
  slices.push(...duplicate.map((slice) => ({ slice, copy: 1 })));
  if (shuffle === undefined) return slices;
  return slices.map((entry) => ({ entry, key: createHash('sha256').update(`${String(shuffle)}/${String(entry.slice)}/${String(entry.copy)}`).digest('hex') }))
    .sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ entry }) => entry);
}

interface Geometry {
  orientation: number[];
  /** Between rows, between columns, as DICOM has it. */
  pixelSpacing: [number, number];
  between: number;
  positionOf: (slice: number) => number[];
}

function geometryOf({ affine }: SourceVolume): Geometry {
  const axis = (index: 0 | 1 | 2): number[] => affine.map((row) => row[index]);
  const length = (vector: number[]): number => Math.hypot(...vector);
  const [across, down, through] = [axis(0), axis(1), axis(2)];
  const unit = (vector: number[]): number[] => vector.map((value) => tidy(value / length(vector)));
  return {
    orientation: [...unit(across), ...unit(down)],
    pixelSpacing: [tidy(length(down)), tidy(length(across))],
    between: tidy(length(through)),
    positionOf: (slice) => affine.map((row) => tidy(row[3] + row[2] * slice)),
  };
}

/** Float32 noise of NIfTI headers is no part of a place; and a DS has sixteen characters. */
function tidy(value: number): number {
  const rounded = Number(value.toFixed(9));
  return Object.is(rounded, -0) ? 0 : rounded;
}

function seriesUidOf({ study = 'study', series = 'series', seriesInstanceUid }: VolumeSeriesOptions): string {
  return seriesInstanceUid ?? uidOf(study, series);
}

function common(volume: SourceVolume, options: VolumeSeriesOptions): Fields {
  const { modality = 'MR', study = 'study' } = options;
  const [columns, rows] = volume.size;
  return {
    PatientID: options.patientId ?? 'VOLUME-1',
    PatientName: '',
    PatientBirthDate: '',
    PatientSex: '',
    StudyInstanceUID: options.studyInstanceUid ?? uidOf(study),
    SeriesInstanceUID: seriesUidOf(options),
    FrameOfReferenceUID: options.frameOfReferenceUid ?? uidOf(study, 'frame of reference'),
    StudyDate: '20260102',
    StudyTime: '101500',
    StudyID: '1',
    AccessionNumber: '',
    ReferringPhysicianName: '',
    Manufacturer: 'Test',
    SeriesNumber: '1',
    PositionReferenceIndicator: '',
    Modality: modality,
    ImageType: ['ORIGINAL', 'PRIMARY', modality === 'CT' ? 'AXIAL' : 'M'],
    PatientAge: '060Y',
    BodyPartExamined: modality === 'CT' ? 'CHEST' : 'HEAD',
    ...(options.seriesDescription === undefined ? {} : { SeriesDescription: options.seriesDescription }),
    SamplesPerPixel: 1,
    PhotometricInterpretation: 'MONOCHROME2',
    Rows: rows,
    Columns: columns,
    BitsAllocated: 16,
    BitsStored: 16,
    HighBit: 15,
    PixelRepresentation: 1,
  };
}

function singleSlice(volume: SourceVolume, slice: number, copy: number, { pixels, slope, intercept }: Stored, options: VolumeSeriesOptions): DicomObject {
  const [columns, rows] = volume.size;
  const geometry = geometryOf(volume);
  return objectOf(CLASSES[options.modality ?? 'MR'].single, uidOf(seriesUidOf(options), slice, copy), {
    ...common(volume, options),
    InstanceNumber: slice + 1 + copy * volume.size[2],
    ImagePositionPatient: geometry.positionOf(slice),
    ImageOrientationPatient: geometry.orientation,
    PixelSpacing: geometry.pixelSpacing,
    SliceThickness: options.sliceThickness ?? geometry.between,
    RescaleSlope: slope,
    RescaleIntercept: intercept,
    ...options.fields,
    ...options.perSlice?.(slice),
  }, pixels.subarray(slice * columns * rows, (slice + 1) * columns * rows));
}

/** Where the enhanced objects keep what single slices have at their top. @see PS3.3 C.7.6.16.2, C.8.13.5, C.8.15.3 */
const GROUP_OF: Record<string, string> = {
  ImagePositionPatient: 'PlanePositionSequence',
  ImageOrientationPatient: 'PlaneOrientationSequence',
  PixelSpacing: 'PixelMeasuresSequence',
  SliceThickness: 'PixelMeasuresSequence',
  SpacingBetweenSlices: 'PixelMeasuresSequence',
  RescaleSlope: 'PixelValueTransformationSequence',
  RescaleIntercept: 'PixelValueTransformationSequence',
  RescaleType: 'PixelValueTransformationSequence',
  ConvolutionKernel: 'CTReconstructionSequence',
  FrameType: 'CTImageFrameTypeSequence',
  RepetitionTime: 'MRTimingAndRelatedParametersSequence',
  FlipAngle: 'MRTimingAndRelatedParametersSequence',
  EchoTrainLength: 'MRTimingAndRelatedParametersSequence',
  EffectiveEchoTime: 'MREchoSequence',
  InversionRecovery: 'MRModifierSequence',
  InversionTimes: 'MRModifierSequence',
  TemporalPositionIndex: 'FrameContentSequence',
  FrameAcquisitionNumber: 'FrameContentSequence',
  StackID: 'FrameContentSequence',
  InStackPositionNumber: 'FrameContentSequence',
};

/** Splits fields into those of the top and functional groups. */
function grouped(fields: Fields): { top: Fields; groups: Fields } {
  const top: Fields = {};
  const groups: Record<string, Fields> = {};
  for (const [keyword, value] of Object.entries(fields)) {
    // Enhanced MR has names and numbers of its own for these two.
    const name = keyword === 'EchoTime' ? 'EffectiveEchoTime' : keyword === 'InversionTime' ? 'InversionTimes' : keyword;
    const group = GROUP_OF[name];
    if (group === undefined) top[name] = value;
    else groups[group] = { ...groups[group], [name]: value };
  }
  return { top, groups: Object.fromEntries(Object.entries(groups).map(([name, item]) => [name, [item]])) };
}

function enhancedObject(volume: SourceVolume, slices: readonly { slice: number; copy: number }[], { pixels, slope, intercept }: Stored, options: VolumeSeriesOptions): DicomObject {
  const [columns, rows] = volume.size;
  const { modality = 'MR' } = options;
  const geometry = geometryOf(volume);
  const { top, groups } = grouped({
    ImageOrientationPatient: geometry.orientation,
    PixelSpacing: geometry.pixelSpacing,
    SliceThickness: options.sliceThickness ?? geometry.between,
    RescaleSlope: slope,
    RescaleIntercept: intercept,
    RescaleType: modality === 'CT' ? 'HU' : 'US',
    ...options.fields,
  });
  const frames = slices.map(({ slice }) => grouped({ ImagePositionPatient: geometry.positionOf(slice), StackID: '1', InStackPositionNumber: slice + 1, ...options.perSlice?.(slice) }).groups);
  const all = new Int16Array(slices.length * columns * rows);
  for (const [frame, { slice }] of slices.entries()) all.set(pixels.subarray(slice * columns * rows, (slice + 1) * columns * rows), frame * columns * rows);
  return objectOf(CLASSES[modality].enhanced, uidOf(seriesUidOf(options), 'enhanced'), {
    ...common(volume, options),
    ImageType: ['ORIGINAL', 'PRIMARY', 'VOLUME', 'NONE'],
    InstanceNumber: 1,
    NumberOfFrames: slices.length,
    ...top,
    SharedFunctionalGroupsSequence: [groups],
    PerFrameFunctionalGroupsSequence: frames,
  }, all);
}

function objectOf(sopClassUid: string, sopInstanceUid: string, fields: Fields, pixels: Int16Array): DicomObject {
  const json: DicomJson = { ...dataSetOf({ ...fields, SOPClassUID: sopClassUid, SOPInstanceUID: sopInstanceUid }), [tagOf('PixelData')]: { vr: 'OW' } };
  const raw = new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength);
  const pieces = encodeDataSet<Uint8Array>(json, (path) => (path === tagOf('PixelData') ? raw : undefined));
  return { sopInstanceUid, bytes: new Uint8Array(Buffer.concat([encodeFileHead({ sopClassUid, sopInstanceUid, transferSyntaxUid: EXPLICIT_LITTLE }), ...pieces])) };
}
