import { number, numbers, sequence, strings, text } from '../dicom/attributes.js';
import type { DicomJson } from '../dicom/dicom-json.js';
import { tagOf } from '../dicom/dictionary.js';
import type { Vector3 } from './volume.js';

/** An object as stored, without its pixels. */
export interface SliceSource {
  sopInstanceUid: string;
  instanceNumber?: number | null;
  attributes: DicomJson;
}

/** One frame with its place in the patient, as its attributes have it. Millimetres, LPS. */
export interface Slice {
  sopInstanceUid: string;
  /** From 1. */
  frame: number;
  columns: number;
  rows: number;
  /** Centre of the first pixel; undefined where position, orientation or spacing are missing or make no sense. */
  place: SlicePlace | undefined;
  thicknessMm: number | undefined;
  /** Marked as a scout image. */
  isLocalizer: boolean;
  /** What tells volumes apart that lie at the same place: time, acquisition, echo, phase, b-value. */
  moment: string;
  instanceNumber: number;
}

export interface SlicePlace {
  position: Vector3;
  /** Unit vectors in the direction of growing columns, growing rows. */
  across: Vector3;
  down: Vector3;
  /** Between columns, between rows. */
  spacing: readonly [number, number];
}

/** What a slice is read from, wherever it stands. */
const KEYWORDS = [
  'ImagePositionPatient', 'ImageOrientationPatient', 'PixelSpacing', 'SliceThickness', 'ImageType', 'FrameType', 'Rows', 'Columns', 'InstanceNumber',
  'TemporalPositionIdentifier', 'TemporalPositionIndex', 'AcquisitionNumber', 'FrameAcquisitionNumber', 'EchoTime', 'EffectiveEchoTime', 'InversionTime',
  'NominalPercentageOfCardiacPhase', 'TriggerTime', 'DiffusionBValue', 'StackID', 'AcquisitionTime',
] as const;
const MOMENT_KEYWORDS = [
  'TemporalPositionIdentifier', 'TemporalPositionIndex', 'AcquisitionNumber', 'FrameAcquisitionNumber', 'EchoTime', 'EffectiveEchoTime', 'InversionTime',
  'NominalPercentageOfCardiacPhase', 'TriggerTime', 'DiffusionBValue', 'StackID', 'AcquisitionTime',
] as const;
const KEYWORD_BY_TAG = new Map(KEYWORDS.map((keyword) => [tagOf(keyword), keyword]));
const LOCALIZER_TYPES: ReadonlySet<string> = new Set(['LOCALIZER', 'SCOUT', 'TOPOGRAM', 'SCANOGRAM', 'SURVIEW']);

/** Frames of an object. No pixel is read and nothing is allocated for them. */
export function frameCountOf({ attributes }: SliceSource): number {
  const count = number(attributes, 'NumberOfFrames') ?? 1;
  return Number.isInteger(count) && count > 0 ? count : 1;
}

/**
 * The frames of objects with their places: single-frame ones from the top of the data set, enhanced multi-frame ones from the shared and
 * then the per-frame functional groups.
 *
 * @see PS3.3 C.7.6.2 and C.7.6.16
 */
export function slicesOf(sources: readonly SliceSource[]): Slice[] {
  return sources.flatMap((source) => {
    const frames = frameCountOf(source);
    const base = picked(source.attributes);
    for (const groups of sequence(source.attributes, 'SharedFunctionalGroupsSequence').slice(0, 1)) addGroups(base, groups);
    const perFrame = frames === 1 && source.attributes[tagOf('PerFrameFunctionalGroupsSequence')] === undefined ? [] : sequence(source.attributes, 'PerFrameFunctionalGroupsSequence');
    return Array.from({ length: frames }, (_, index) => {
      const groups = perFrame[index];
      const values = groups === undefined ? base : { ...base };
      if (groups !== undefined) addGroups(values, groups);
      return sliceOf(source, index + 1, values);
    });
  });
}

function picked(attributes: DicomJson): DicomJson {
  const values: DicomJson = {};
  for (const tag of KEYWORD_BY_TAG.keys()) {
    const element = attributes[tag];
    if (element !== undefined) values[tag] = element;
  }
  return values;
}

function addGroups(values: DicomJson, groups: DicomJson): void {
  for (const tag of Object.keys(groups)) {
    for (const item of sequence(groups, tag).slice(0, 1)) {
      for (const [inner, element] of Object.entries(item)) if (KEYWORD_BY_TAG.has(inner)) values[inner] = element;
    }
  }
}

function sliceOf({ sopInstanceUid, instanceNumber }: SliceSource, frame: number, values: DicomJson): Slice {
  const thickness = number(values, 'SliceThickness');
  return {
    sopInstanceUid,
    frame,
    columns: number(values, 'Columns') ?? 0,
    rows: number(values, 'Rows') ?? 0,
    place: placeOf(values),
    thicknessMm: thickness !== undefined && thickness > 0 ? thickness : undefined,
    isLocalizer: [...strings(values, 'ImageType'), ...strings(values, 'FrameType')].some((type) => LOCALIZER_TYPES.has(type.toUpperCase())),
    moment: MOMENT_KEYWORDS.map((keyword) => text(values, keyword) ?? '').join('|'),
    instanceNumber: instanceNumber ?? number(values, 'InstanceNumber') ?? 0,
  };
}

function placeOf(values: DicomJson): SlicePlace | undefined {
  const [x, y, z] = numbers(values, 'ImagePositionPatient');
  const [ax, ay, az, dx, dy, dz] = numbers(values, 'ImageOrientationPatient');
  const [betweenRows, betweenColumns] = numbers(values, 'PixelSpacing');
  if (x === undefined || y === undefined || z === undefined || az === undefined || dz === undefined) return undefined;
  if (ax === undefined || ay === undefined || dx === undefined || dy === undefined) return undefined;
  if (betweenRows === undefined || betweenColumns === undefined || !(betweenRows > 0) || !(betweenColumns > 0)) return undefined;
  const across = unit([ax, ay, az]);
  const down = unit([dx, dy, dz]);
  // Rows and columns of an image are perpendicular; writers round, but not by a degree. PS3.3 C.7.6.2.1.1
  if (across === undefined || down === undefined || Math.abs(dot(across, down)) > 0.02) return undefined;
  return { position: [x, y, z], across, down, spacing: [betweenColumns, betweenRows] };
}

function unit([x, y, z]: Vector3): Vector3 | undefined {
  const length = Math.hypot(x, y, z);
  return length > 0.5 && length < 2 ? [x / length, y / length, z / length] : undefined;
}

export function dot(a: Vector3, b: Vector3): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

export function cross(a: Vector3, b: Vector3): Vector3 {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}
