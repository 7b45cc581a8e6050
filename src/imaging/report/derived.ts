import type { FrameRef, Segmentation } from '../analyses/analysis.js';
import type { DicomJson } from '../dicom/dicom-json.js';
import type { Finding, Label, Provenance, Segment, Summary } from './finding.js';

/** A stored instance that a result was read from: its data set without pixel data. Holds PHI. */
export interface SourceInstance {
  sopInstanceUid: string;
  sopClassUid: string;
  seriesInstanceUid: string;
  attributes: DicomJson;
}

/** Everything that DICOM objects of a result are made from. */
export interface DerivedSource {
  resultId: string;
  analysisId: string;
  analysis: string;
  studyInstanceUid: string;
  /** Counts from 1; every amendment makes objects of its own. */
  version: number;
  createdAt: Date;
  summary: Summary;
  findings: readonly Finding[];
  labels: readonly Label[];
  segments: readonly Segment[];
  provenance: Provenance;
  keyImage: FrameRef | null;
  /** Every instance that was read, in any order. */
  instances: readonly SourceInstance[];
  segmentation: Segmentation | null;
  /** Findings as the model made them, once a person has reviewed them: what was segmented is theirs. */
  original?: readonly Finding[];
  /** Whose a segment is, by the number of the segment, where `original` tells; made by `asItStands`. */
  owners?: ReadonlyMap<number, string>;
  /** Reports of earlier versions that this one takes the place of. */
  predecessors?: readonly Omit<DerivedObject, 'kind' | 'bytes'>[];
  /** Who stands for it, once somebody does; null while it is preliminary. */
  verifier: { name: string; organisation: string; at: Date } | null;
}

/** An object of the study that we made. */
export interface DerivedObject {
  kind: 'seg' | 'sr';
  sopClassUid: string;
  seriesInstanceUid: string;
  sopInstanceUid: string;
  /** Part 10. */
  bytes: Uint8Array<ArrayBuffer>;
}

/** What the gate found wrong with an object, free of PHI. */
export interface DerivedFault {
  /** Stable: `iod`, `template`, `geometry`, `reference`, `measurement`, `code`. */
  check: 'iod' | 'template' | 'geometry' | 'reference' | 'measurement' | 'code';
  detail: string;
}
