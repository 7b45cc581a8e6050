import type { DerivedFault, SourceInstance } from '../../imaging/report/derived.js';
import type { Finding, Label, Provenance, Segment, Summary } from '../../imaging/report/finding.js';
import type { ResultWarning } from '../../imaging/report/warnings.js';
import type { ResultFacts } from '../../imaging/report/review-figures.js';
import type { PackedSegmentation } from '../../imaging/volume/packed-labels.js';
import type { Language } from '../../kernel/errors.js';
import type { RowCondition, Transaction } from '../../kernel/transaction.js';
import type { PreparedInstances } from '../images/images.contract.js';

/** Outbox topic: the institution's retention has taken a result. */
export const RESULT_REMOVED = 'result.removed';
/** Payload of `result.removed`; written in the transaction that removes the row. */
export type ResultRemoved = { institutionId: string; resultId: string; analysisId: string };

/** Outbox topic: a person reviewed, amended or signed a result. */
export const RESULT_REVIEWED = 'result.reviewed';
/** Payload of `result.reviewed`; `kind` is `review`, `amendment` or `sign-off`, `status` that of the result from then on. */
export type ResultReviewed = { institutionId: string; resultId: string; analysisId: string; studyInstanceUid: string; analysis: string; version: number; status: string; kind: string };

/** A heat map of one label; signed evidence, row-major `[height, width]`, laid evenly over the whole key image. */
export interface HeatMap {
  label: string;
  width: number;
  height: number;
  data: Float32Array;
}

/** An instance that a run has read. */
export interface ReadInstance extends SourceInstance {
  /** `StoredInstance.id`: another one when it was replaced since. */
  id: string;
}

/** Everything that one run concluded, ready to be stored. */
export interface NewResult {
  institutionId: string;
  analysisId: string;
  studyId: string;
  studyInstanceUid: string;
  analysis: string;
  summary: Summary;
  findings: Finding[];
  labels: Label[];
  segments: Segment[];
  provenance: Provenance;
  /** The image that the preview shows; `frame` counts from 1 as in DICOM. */
  keyImage: { sopInstanceUid: string; blobKey: string; frame: number } | null;
  heatMaps: HeatMap[];
  segmentation: PackedSegmentation | null;
  /** Every instance that was read. */
  instances: readonly ReadInstance[];
}

/** What `analysis` may ask of `results`. Two steps, because bytes are safe before the rows that name them. */
export abstract class ResultWriter {
  /**
   * Stores the bytes of this try: heat maps, label map, and the SEG and SR that came through the gate. The id is the same for every try of one analysis.
   *
   * @throws AppError `processing-timeout`, `thread-lost`, those of the blob store
   */
  abstract prepare(result: NewResult): Promise<PreparedResult>;
  /**
   * Inserts the row and the instances in the caller's transaction, which has locked the study; the id is in `prepared`. Without a commit the sweep takes the bytes back.
   *
   * @returns why the result is withheld; nothing when it is released
   */
  abstract commit(tx: Transaction, prepared: PreparedResult): Promise<readonly DerivedFault[]>;
}

/** A DICOM object of a result, by its names in the study. */
export interface ObjectRef {
  kind: 'seg' | 'sr';
  /** Of the result. */
  version: number;
  sopClassUid: string;
  seriesInstanceUid: string;
  sopInstanceUid: string;
}

export interface PreparedResult {
  id: string;
  result: NewResult;
  /** Of all heat maps, one behind the other; null when there are none. */
  heatMapsBlobKey: string | null;
  /** Of the label map; null when there is none. */
  segmentationBlobKey: string | null;
  /** What came through the gate, and the instances that it becomes; nothing when there are faults. */
  objects: readonly ObjectRef[];
  instances: PreparedInstances;
  faults: readonly DerivedFault[];
}

/** What a model concluded in the shadow of the active one. */
export type NewShadowResult = Pick<NewResult, 'institutionId' | 'analysisId' | 'studyId' | 'studyInstanceUid' | 'analysis' | 'summary' | 'findings' | 'labels' | 'segments'> & { modelDigest: string };

/** What of a result is compared between models. */
export type ComparableResult = Pick<NewResult, 'findings' | 'labels' | 'segments'>;

/** Results of models in the shadow, kept apart from those that people see, and what is needed to compare the two. */
export abstract class ShadowResults {
  abstract add(tx: Transaction, result: NewShadowResult): Promise<void>;
  /** Results of these analyses, of both kinds, by the analysis; those that are gone are missing. */
  abstract compared(scope: { institutionId: string } | 'system', analysisIds: readonly string[]): Promise<ReadonlyMap<string, ComparableResult>>;
}

/** What persons made of results, for figures of models. */
export abstract class ReviewedResults {
  /** By the analysis; those whose result is gone are missing. */
  abstract facts(scope: { institutionId: string } | 'system', analysisIds: readonly string[]): Promise<ReadonlyMap<string, ResultFacts>>;
}

/** A result as the model made it, whatever people made of it since. Of one that is withheld nothing may be shown. */
export type OriginalResult = Pick<NewResult, 'analysisId' | 'studyId' | 'studyInstanceUid' | 'analysis' | 'findings' | 'labels' | 'segments' | 'provenance'> & { id: string; status: ResultLine['status'] };

/** A result as a line of a list tells of it. */
export interface ResultLine {
  id: string;
  studyId: string;
  analysisId: string;
  analysis: string;
  status: 'preliminary' | 'final' | 'amended' | 'withheld';
  critical: boolean;
  /** null of a result that is withheld. */
  summary: string | null;
  /** In the reader's language. */
  warnings: readonly ResultWarning[];
}

/** Results as other modules handle them: for those who tell of them, and who show or erase all that is kept of a patient. */
export abstract class StudyResults {
  /** As API.md, "Findings", tells of them; read page by page, newest first. */
  abstract ofStudy(institutionId: string, studyInstanceUid: string, language: Language): AsyncGenerator<object>;
  /** null when the institution has no such result. */
  abstract original(institutionId: string, resultId: string): Promise<OriginalResult | null>;
  /** The newest of each analysis, of several studies. */
  abstract linesOf(institutionId: string, studyIds: readonly string[], language: Language): Promise<ResultLine[]>;
  /** Keeps a result from being removed before the commit; false when it is gone. */
  abstract lock(tx: Transaction, institutionId: string, resultId: string): Promise<boolean>;
  /** As `lock`, for a statement that is a transaction by itself. */
  abstract whileKept(institutionId: string, resultId: string): RowCondition;
  /** With their heat maps, which the next sweep takes. @returns how many */
  abstract removeOfStudies(tx: Transaction, institutionId: string, studyIds: readonly string[]): Promise<number>;
}
