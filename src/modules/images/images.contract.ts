import type { DicomJson } from '../../imaging/dicom/dicom-json.js';
import type { Range } from '../../kernel/range.js';
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

/** A study with all its images: what is said about them (SEG, SR) is left out, whoever made it. */
export interface StoredStudy {
  id: string;
  institutionId: string;
  studyInstanceUid: string;
  state: 'receiving' | 'complete';
  revision: number;
  series: StoredSeries[];
}

/** `at`: the study's date, else when it came; a date without a time is its beginning, UTC. */
export interface DatedStudy {
  studyInstanceUid: string;
  at: Date;
}

/** What other modules may ask of `images`. */
export abstract class StudyReader {
  /** null when the institution has no such study. @throws AppError `key-destroyed`, `blob-corrupt` */
  abstract find(institutionId: string, studyInstanceUid: string): Promise<StoredStudy | null>;
  abstract findById(institutionId: string, studyId: string): Promise<StoredStudy | null>;
  /** Studies of the same patient in the institution, this one too, oldest first; this one alone when it came without a Patient ID. */
  abstract ofSamePatient(institutionId: string, studyInstanceUid: string): Promise<DatedStudy[]>;
  /** Locks the study's row for the transaction, so that it cannot be deleted before the commit; false when it is gone. */
  abstract lock(tx: Transaction, institutionId: string, studyId: string): Promise<boolean>;
  /** The whole Part 10 object. @throws AppError `blob-missing`, `blob-corrupt`, `key-destroyed` */
  abstract readInstance(blobKey: string): Promise<Uint8Array>;
}

/** Made by `DerivedInstances.prepare`, for `commit`. */
export interface PreparedInstances {
  readonly sopInstanceUids: readonly string[];
}

/** Where derived instances go, and what they were made from. */
export interface StudyPart {
  institutionId: string;
  studyId: string;
  /** `StoredInstance.id` of what was read: an instance that was replaced since has another. */
  unchanged: readonly string[];
}

/** Why instances were not stored. `blob-lost`: the sweep took bytes that were prepared too long ago. */
export type DerivedOutcome = 'stored' | 'study-gone' | 'input-changed' | 'uid-taken' | 'blob-lost';

/**
 * Instances that we make of a study: SEG, SR. They are found as all others are and go with their study, but start no analysis and are nobody's
 * late images. Two steps, because bytes are safe before the rows that name them.
 */
export abstract class DerivedInstances {
  /**
   * Makes the bytes durable; nobody sees them. Without a commit the sweep takes them.
   *
   * @param objects  Part 10, of this study
   */
  abstract prepare(institutionId: string, studyInstanceUid: string, objects: readonly Uint8Array[]): Promise<PreparedInstances>;
  /** Inserts all of them in the caller's transaction, or none. The study must be locked by `StudyReader.lock`. Roll back after `blob-lost`. */
  abstract commit(tx: Transaction, part: StudyPart, prepared: PreparedInstances): Promise<DerivedOutcome>;
  /** Removes those of them that are ours; the bytes go with the next sweep. The studies must not be deleted meanwhile. */
  abstract remove(tx: Transaction, institutionId: string, sopInstanceUids: readonly string[]): Promise<void>;
  /** undefined when there is no such instance, or when it is not ours. */
  abstract find(institutionId: string, sopInstanceUid: string): Promise<InstanceObject | undefined>;
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

/** Each list names alternatives, and all lists have to hold. */
export type Alternatives<T> = readonly (readonly T[])[];

/** Which studies are asked for; nothing asks for all. */
export interface CatalogueFilter {
  /** Of studies' rows. */
  ids?: Alternatives<string>;
  studyInstanceUids?: Alternatives<string>;
  /** Of patients' rows. */
  patientIds?: Alternatives<string>;
  modalities?: Alternatives<string>;
  /** DA. */
  studyDates?: Alternatives<Range<string>>;
  updatedAt?: Alternatives<Range<Date>>;
}

/** At most `limit`, those behind the id `cursor`. */
export interface CataloguePage {
  limit: number;
  cursor?: string | undefined;
}

/** A study as its row tells of it. Holds PHI. */
export interface CataloguedStudy {
  id: string;
  studyInstanceUid: string;
  /** Of the patient's row; null for a study without Patient ID. */
  patientId: string | null;
  /** Of patient and study; empty when they cannot be read any more. */
  attributes: DicomJson;
  /** DA and TM, as they came. */
  studyDate: string | null;
  studyTime: string | null;
  modalities: string[];
  seriesCount: number;
  instanceCount: number;
  updatedAt: Date;
}

/** A series of any origin. Holds PHI. */
export interface CataloguedSeries {
  seriesInstanceUid: string;
  modality: string | null;
  seriesNumber: number | null;
  performedDate: string | null;
  performedTime: string | null;
  instanceCount: number;
  attributes: DicomJson;
  /** Empty unless they were asked for. */
  instances: { sopInstanceUid: string; sopClassUid: string; instanceNumber: number | null }[];
}

/** A patient, who is what their newest study says. Holds PHI. */
export interface CataloguedPatient {
  id: string;
  attributes: DicomJson;
  studyCount: number;
  /** When one of the studies last changed. */
  updatedAt: Date;
}

/** What is stored, for those who tell other systems of it in a form of theirs. All lists are newest first. */
export abstract class Catalogue {
  abstract studies(institutionId: string, filter: CatalogueFilter, page: CataloguePage): Promise<CataloguedStudy[]>;
  /** By the study's id, in the order of their numbers. */
  abstract seriesOf(institutionId: string, studyIds: readonly string[], withInstances: boolean): Promise<ReadonlyMap<string, CataloguedSeries[]>>;
  abstract patients(institutionId: string, filter: { ids?: Alternatives<string> }, page: CataloguePage): Promise<CataloguedPatient[]>;
  /** Ids of the studies that have one of these Accession Numbers. */
  abstract studiesWithAccession(institutionId: string, accessionNumbers: readonly string[]): Promise<string[]>;
  /** Ids of the patients that have one of these Patient IDs. */
  abstract patientsWithIdentifier(institutionId: string, patientIds: readonly string[]): Promise<string[]>;
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
