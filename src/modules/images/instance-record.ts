import { number, text } from '../../imaging/dicom/attributes.js';
import type { DicomJson } from '../../imaging/dicom/dicom-json.js';
import type { ParsedInstance } from '../../imaging/dicom/header.js';
import { uuidv7 } from '../../kernel/uid.js';
import type { DataKey } from '../../platform/crypto/data-key.js';
import type { BlobDigest } from '../../platform/storage/blob-store.js';
import { pick, SERIES_ATTRIBUTES, STUDY_ATTRIBUTES } from './attribute-levels.js';
import type { StoredInstance } from './images.contract.js';
import { layoutOf, withBulkDataUris, type InstanceLayout } from './instance-layout.js';
import { sealContext, sealJson } from './sealed-json.js';
import { slicePositionMm } from './slice-position.js';
import { storableJson, storableText, storableWord } from './storable-json.js';

/** The rows that one instance becomes. `study.attributes` and `series.attributes` hold PHI and are sealed by whoever stores them. */
export interface InstanceRecord extends Pick<StoredInstance, 'sopInstanceUid' | 'sopClassUid' | 'transferSyntaxUid' | 'instanceNumber' | 'rows' | 'columns' | 'frames'> {
  id: string;
  institutionId: string;
  key: DataKey;
  blobKey: string;
  sizeBytes: number;
  sha256: string;
  derived: boolean;
  /** The span that stores it. */
  traceparent?: string | undefined;
  study: {
    studyInstanceUid: string;
    attributes: DicomJson;
    studyDate: string | null;
    studyTime: string | null;
  };
  series: {
    seriesInstanceUid: string;
    attributes: DicomJson;
    modality: string | null;
    bodyPart: string | null;
    viewPosition: string | null;
    seriesNumber: number | null;
    performedDate: string | null;
    performedTime: string | null;
  };
  slicePositionMm: number | null;
  expectedInSeries: number | null;
  expectedSeries: number | null;
  expectedInStudy: number | null;
  /** The data set without pixel data, sealed. */
  sealed: Uint8Array;
  layout: InstanceLayout;
}

export interface StoredBytes extends BlobDigest {
  institutionId: string;
  key: DataKey;
  blobKey: string;
  derived: boolean;
  traceparent?: string | undefined;
}

const LARGEST_INT4 = 2 ** 31 - 1;

/**
 * Picks the columns out of a parsed instance. Values that do not fit a column are left to the sealed attributes.
 *
 * @param parsed  its attributes get a `BulkDataURI` for what was left in the object
 * @throws AppError `invalid-dicom` when the values are more than a row may hold
 */
export function instanceRecord(parsed: ParsedInstance, bytes: StoredBytes): InstanceRecord {
  const { attributes } = parsed;
  const id = uuidv7();
  const word = (keyword: string): string | null => storableWord(text(attributes, keyword));
  const integer = (keyword: string): number | null => {
    const value = number(attributes, keyword);
    return value === undefined || !Number.isInteger(value) || Math.abs(value) > LARGEST_INT4 ? null : value;
  };
  const count = (keyword: string): number | null => {
    const value = integer(keyword);
    return value !== null && value > 0 ? value : null;
  };
  return {
    ...bytes,
    id,
    study: {
      studyInstanceUid: parsed.studyInstanceUid,
      attributes: pick(attributes, STUDY_ATTRIBUTES),
      studyDate: word('StudyDate'),
      studyTime: word('StudyTime'),
    },
    series: {
      seriesInstanceUid: parsed.seriesInstanceUid,
      attributes: pick(attributes, SERIES_ATTRIBUTES),
      modality: word('Modality'),
      bodyPart: word('BodyPartExamined'),
      viewPosition: word('ViewPosition'),
      seriesNumber: integer('SeriesNumber'),
      performedDate: word('PerformedProcedureStepStartDate'),
      performedTime: word('PerformedProcedureStepStartTime'),
    },
    sopInstanceUid: parsed.sopInstanceUid,
    sopClassUid: parsed.sopClassUid,
    transferSyntaxUid: storableText(parsed.meta.transferSyntaxUid),
    instanceNumber: integer('InstanceNumber'),
    rows: integer('Rows'),
    columns: integer('Columns'),
    frames: integer('NumberOfFrames'),
    slicePositionMm: slicePositionMm(attributes),
    expectedInSeries: count('NumberOfSeriesRelatedInstances'),
    expectedSeries: count('NumberOfStudyRelatedSeries'),
    expectedInStudy: count('NumberOfStudyRelatedInstances'),
    layout: layoutOf(parsed),
    sealed: sealJson(bytes.key, inUtf8(storableJson(withBulkDataUris(attributes, parsed))), sealContext.instance(id)),
  };
}

/** Columns of an instance that are no bytes and not of its study. */
export function scalarsOf(record: InstanceRecord): object {
  return {
    id: record.id, institution_id: record.institutionId, sop_instance_uid: record.sopInstanceUid, sop_class_uid: record.sopClassUid, transfer_syntax_uid: record.transferSyntaxUid,
    instance_number: record.instanceNumber, rows: record.rows, columns: record.columns, frames: record.frames, slice_position_mm: record.slicePositionMm,
    expected_in_series: record.expectedInSeries, expected_series: record.expectedSeries, expected_in_study: record.expectedInStudy,
    blob_key: record.blobKey, size_bytes: record.sizeBytes, sha256: record.sha256, derived: record.derived, layout: record.layout,
  };
}

/** DICOM JSON is UTF-8, whatever the object was written in. The pattern cannot stand inside a string, where quotes are escaped. @see PS3.18 F.2 */
function inUtf8(json: string): string {
  return json.replaceAll(/"00080005":\{"vr":"CS"(?:,"Value":\[[^\]]*\])?\}/g, '"00080005":{"vr":"CS","Value":["ISO_IR 192"]}');
}
