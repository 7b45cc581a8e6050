import type { Finding, Label, Provenance, Segment, Summary } from '../../imaging/report/finding.js';
import type { Transaction } from '../../kernel/transaction.js';

/** A heat map of one label; signed evidence, row-major `[height, width]`, laid evenly over the whole key image. */
export interface HeatMap {
  label: string;
  width: number;
  height: number;
  data: Float32Array;
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
}

/** What `analysis` may ask of `results`. Two steps, because bytes are safe before the rows that name them. */
export abstract class ResultWriter {
  /** Stores the heat maps of this try. The id is the same for every try of one analysis. */
  abstract prepare(result: NewResult): Promise<PreparedResult>;
  /** Inserts the row in the caller's transaction; the id is in `prepared`. Without a commit the sweep takes the heat maps back. */
  abstract commit(tx: Transaction, prepared: PreparedResult): Promise<void>;
}

export interface PreparedResult {
  id: string;
  result: NewResult;
  heatMapBlobKeys: string[];
}
