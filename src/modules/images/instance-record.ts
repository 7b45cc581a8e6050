import { number, personName, text } from '../../imaging/dicom/attributes.js';
import type { ParsedInstance } from '../../imaging/dicom/header.js';
import type { BlobDigest } from '../../platform/storage/blob-store.js';
import type { StoredInstance } from './images.contract.js';
import { storableJson, storableText } from './storable-json.js';

/** The rows that one instance becomes. Holds PHI. */
export interface InstanceRecord extends Pick<StoredInstance, 'sopInstanceUid' | 'sopClassUid' | 'transferSyntaxUid' | 'instanceNumber' | 'rows' | 'columns' | 'frames'> {
  institutionId: string;
  blobKey: string;
  sizeBytes: number;
  sha256: string;
  derived: boolean;
  study: {
    studyInstanceUid: string;
    patientId: string | null;
    patientName: string | null;
    patientBirthDate: string | null;
    patientSex: string | null;
    studyDate: string | null;
    studyTime: string | null;
    accessionNumber: string | null;
    studyDescription: string | null;
  };
  series: {
    seriesInstanceUid: string;
    modality: string | null;
    bodyPart: string | null;
    viewPosition: string | null;
    seriesNumber: number | null;
    seriesDescription: string | null;
  };
  /** JSON text of the data set without pixel data. */
  attributes: string;
}

export interface StoredBytes extends BlobDigest {
  institutionId: string;
  blobKey: string;
  derived: boolean;
}

const LARGEST_INT4 = 2 ** 31 - 1;

/**
 * Picks the columns out of a parsed instance. Values that do not fit a column are left to `attributes`.
 *
 * @throws AppError `invalid-dicom` when the values are more than a row may hold
 */
export function instanceRecord(parsed: ParsedInstance, bytes: StoredBytes): InstanceRecord {
  const { attributes } = parsed;
  const word = (keyword: string): string | null => {
    const value = text(attributes, keyword);
    return value === undefined || value === '' ? null : storableText(value);
  };
  const integer = (keyword: string): number | null => {
    const value = number(attributes, keyword);
    return value === undefined || !Number.isInteger(value) || Math.abs(value) > LARGEST_INT4 ? null : value;
  };
  const name = personName(attributes, 'PatientName');
  return {
    ...bytes,
    study: {
      studyInstanceUid: parsed.studyInstanceUid,
      patientId: word('PatientID'),
      patientName: name ? storableText(name.Alphabetic ?? name.Ideographic ?? name.Phonetic ?? '') || null : null,
      patientBirthDate: word('PatientBirthDate'),
      patientSex: word('PatientSex'),
      studyDate: word('StudyDate'),
      studyTime: word('StudyTime'),
      accessionNumber: word('AccessionNumber'),
      studyDescription: word('StudyDescription'),
    },
    series: {
      seriesInstanceUid: parsed.seriesInstanceUid,
      modality: word('Modality'),
      bodyPart: word('BodyPartExamined'),
      viewPosition: word('ViewPosition'),
      seriesNumber: integer('SeriesNumber'),
      seriesDescription: word('SeriesDescription'),
    },
    sopInstanceUid: parsed.sopInstanceUid,
    sopClassUid: parsed.sopClassUid,
    transferSyntaxUid: storableText(parsed.meta.transferSyntaxUid),
    instanceNumber: integer('InstanceNumber'),
    rows: integer('Rows'),
    columns: integer('Columns'),
    frames: integer('NumberOfFrames'),
    attributes: storableJson(attributes),
  };
}
