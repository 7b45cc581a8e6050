import type { DicomJson } from '../../imaging/dicom/dicom-json.js';
import type { Transaction } from '../../kernel/transaction.js';

/** Outbox topics of this module. */
export const STUDY_COMPLETED = 'study.completed';
export const STUDY_DELETED = 'study.deleted';

/** Payload of `study.completed`. Several may follow for one study; the revision tells them apart. */
export type StudyCompleted = { institutionId: string; studyId: string; studyInstanceUid: string; revision: number };
/** Payload of `study.deleted`; written in the transaction that removes the rows. `erased`: the patient was, and nothing that names the study is to stay. */
export type StudyDeleted = { institutionId: string; studyId: string; studyInstanceUid: string; erased: boolean };

/** A stored instance as an analysis sees it. */
export interface StoredInstance {
  id: string;
  sopInstanceUid: string;
  sopClassUid: string;
  transferSyntaxUid: string;
  instanceNumber: number | null;
  rows: number | null;
  columns: number | null;
  frames: number | null;
  blobKey: string;
  sizeBytes: number;
  sha256: string;
  /** Data set without pixel data. Holds PHI: never log it. */
  attributes: DicomJson;
}

export interface StoredSeries {
  seriesInstanceUid: string;
  modality: string | null;
  instances: StoredInstance[];
}

/** A study with all its instances that are not derived by us. */
export interface StoredStudy {
  id: string;
  institutionId: string;
  studyInstanceUid: string;
  state: 'receiving' | 'complete';
  revision: number;
  series: StoredSeries[];
}

/** What other modules may ask of `images`. */
export abstract class StudyReader {
  /** null when the institution has no such study. @throws AppError `key-destroyed`, `blob-corrupt` */
  abstract find(institutionId: string, studyInstanceUid: string): Promise<StoredStudy | null>;
  abstract findById(institutionId: string, studyId: string): Promise<StoredStudy | null>;
  /** Locks the study's row for the transaction, so that it cannot be deleted before the commit; false when it is gone. */
  abstract lock(tx: Transaction, institutionId: string, studyId: string): Promise<boolean>;
  /** The whole Part 10 object. @throws AppError `blob-missing`, `blob-corrupt`, `key-destroyed` */
  abstract readInstance(blobKey: string): Promise<Uint8Array>;
}

/** A patient as `GET /patients/{id}` tells of them. Holds PHI. */
export interface PatientRecord {
  id: string;
  description: object;
  studyInstanceUids: string[];
}

/** A study as `GET /studies/{uid}` tells of it; without its attributes when they cannot be read any more. Holds PHI. */
export interface PatientStudyRecord {
  id: string;
  studyInstanceUid: string;
  description: object;
}

/** Where the Part 10 object of an instance lies. */
export interface InstanceObject {
  seriesInstanceUid: string;
  sopInstanceUid: string;
  blobKey: string;
  /** Of the bytes as they were sent, hex. */
  sha256: string;
}

/** What went with a patient. */
export interface ErasedPatient {
  studies: readonly { id: string; studyInstanceUid: string; keyId: string }[];
  series: number;
  instances: number;
  /** Bytes of instances that others had replaced. */
  earlierInstanceVersions: number;
}

/** All that `images` keeps of one patient, for those who show or erase it. */
export abstract class PatientRecords {
  /** null when the institution has no such patient. */
  abstract find(institutionId: string, patientId: string): Promise<PatientRecord | null>;
  /** Read page by page, newest first. */
  abstract studiesOf(institutionId: string, patientId: string): AsyncGenerator<PatientStudyRecord>;
  /** Of one study, those made by us too; read page by page. */
  abstract instancesOf(institutionId: string, studyId: string): AsyncGenerator<InstanceObject>;
  /**
   * Removes every study with its rows, and destroys the keys; `study.deleted` tells of each. Nobody adds to the patient meanwhile.
   * Call `forget` after the commit.
   *
   * @param ifMatch  the ETag that the caller has read
   * @throws AppError `patient-not-found`, `precondition-failed`, `study-on-hold`
   */
  abstract erase(tx: Transaction, institutionId: string, patientId: string, ifMatch: string | undefined): Promise<ErasedPatient>;
  abstract forget(erased: ErasedPatient): void;
}

/** What a line of a list says of whom and what a study is about. Holds PHI. */
export interface StudyHeading {
  patientId: string | null;
  /** First component group that the name has. */
  patientName: string | null;
  /** Second and third component group, where they stand beside the first. */
  patientNameIdeographic: string | null;
  patientNamePhonetic: string | null;
  patientBirthDate: string | null;
  patientSex: string | null;
  accessionNumber: string | null;
  studyDescription: string | null;
}

/** For lists that show studies beside what other modules know of them. */
export abstract class StudyHeadings {
  /** By the id of the study's row; a study whose key was destroyed, or whose row is damaged, is missing. */
  abstract open(studies: readonly { id: string; keyId: string; sealed: Uint8Array }[]): Promise<ReadonlyMap<string, StudyHeading>>;
  /**
   * What people type in one field: beginnings of the words of a patient's name, the beginning of a Patient ID or of an Accession Number.
   *
   * @returns blind indexes: a study fits that has all of one of the lists in `search_tokens`
   */
  abstract tokensOf(institutionId: string, text: string): Promise<readonly (readonly bigint[])[]>;
}
