import type { DicomJson } from '../dicom/dicom-json.js';
import type { Codec } from '../dicom/pixels.js';
import type { AnalysisName, Manifest } from '../model/manifest.js';
import type { Session } from '../model/session.js';
import type { Grid } from '../volume/volume.js';
import type { EvidenceMap } from '../recipes/heat-map.js';
import type { Finding, Label, OutOfDistribution, Segment, Summary } from '../report/finding.js';

/** A stored instance as eligibility sees it: no pixels. */
export interface StudyInstance {
  sopInstanceUid: string;
  sopClassUid: string;
  instanceNumber: number | null;
  rows: number | null;
  columns: number | null;
  attributes: DicomJson;
}

export interface StudyInput {
  series: readonly { seriesInstanceUid: string; modality: string | null; instances: readonly StudyInstance[] }[];
}

/** Why a study cannot be analysed. Stable: callers program against them. */
export const NOT_ANALYSABLE_CODES = [
  'outside-model-domain', 'wrong-body-part', 'no-suitable-image', 'low-image-quality', 'study-not-readable',
  'missing-sequence', 'series-not-a-volume', 'slice-too-thick', 'not-axial', 'too-few-slices',
] as const;
export type NotAnalysableCode = (typeof NOT_ANALYSABLE_CODES)[number];

/** An answer, not a failure. `detail` is a sentence for the caller and free of PHI. */
export interface NotAnalysable {
  kind: 'not-analysable';
  code: NotAnalysableCode;
  detail: string;
}

/** A frame that an analysis reads; frames count from 1 as in DICOM. */
export interface FrameRef {
  sopInstanceUid: string;
  frame: number;
}

/** A series that an analysis reads. */
export interface SelectedSeries {
  /** What it is to the analysis: `radiograph`, `ct`, `t1`, `t1c`, `t2`, `flair`. */
  role: string;
  seriesInstanceUid: string;
  frames: FrameRef[];
  /** Why this one; a sentence. */
  reason: string;
}

export interface Selected {
  kind: 'selected';
  series: SelectedSeries[];
  /** Series that were looked at and left. */
  passedOver: { seriesInstanceUid: string; reason: string }[];
}

/** A Part 10 object. */
export interface InstanceBytes {
  sopInstanceUid: string;
  bytes: Uint8Array;
}

export interface AnalysisInput {
  series: SelectedSeries[];
  /** Every instance that a series names, once. */
  instances: readonly InstanceBytes[];
}

export const STAGES = ['load', 'decode', 'register', 'prepare', 'infer', 'conclude'] as const;
export type Stage = (typeof STAGES)[number];

/** Loads the network of a path of the manifest, or hands out the warm one. @throws AppError `model-load-failed`, `out-of-memory` */
export type Networks = (path: string) => Promise<Session>;

/** What an analysis works with. Ports only. */
export interface AnalysisTools {
  networks: Networks;
  codec: Codec;
  manifest: Manifest;
  /** 0 ≤ x < 1; the same sequence for the same input and model. */
  random: () => number;
  /** Memory ran out before: take smaller steps, as far as the result stays the same. */
  reduced: boolean;
  /** Runs one stage and measures it. */
  stage: <T>(name: Stage, work: () => T | Promise<T>) => Promise<T>;
  /** Measures a part of a stage under a name of its own. */
  timed: <T>(name: string, work: () => T | Promise<T>) => Promise<T>;
  /** How much of the present stage is done, 0–1. */
  progress: (done: number) => void;
}

/** What an analysis found. Finding ids are given when the result is stored. */
export interface Conclusion {
  kind: 'concluded';
  summary: Summary;
  findings: Omit<Finding, 'id'>[];
  labels: Label[];
  segments: Segment[];
  /** The frame that a preview shows. */
  keyImage: FrameRef | null;
  heatMaps: (EvidenceMap & { label: string })[];
  segmentation: Segmentation | null;
  /** Whether the input is like what the model was made with; absent where it does not say. */
  outOfDistribution?: OutOfDistribution | undefined;
  /** For the provenance: what was selected, how it was prepared, what was counted. JSON, free of PHI. */
  details: Record<string, unknown>;
}

/** A label map on the grid of the series that it is shown on. */
export interface Segmentation {
  grid: Grid;
  seriesInstanceUid: string;
  /** Of each slice, in the order of the grid. */
  frames: FrameRef[];
  /** `[z, y, x]`; 0 is background. */
  labels: Uint8Array;
  /** Values that make up a segment; segments may overlap, as whole tumour and core do. */
  members: { segment: number; values: number[] }[];
}

/** One clinical question. Pure: it runs in a compute thread and, for `fits` and `select`, anywhere. */
export interface Analysis {
  name: AnalysisName;
  /** Whether modality and body part are the model's: worth planning. `select` decides. */
  fits(study: StudyInput, manifest: Manifest): boolean;
  /** Picks the images, or says why there are none. */
  select(study: StudyInput, manifest: Manifest): Selected | NotAnalysable;
  /** Tries the model on made-up data. @throws AppError `model-load-failed`, `model-output-invalid` */
  check(manifest: Manifest, networks: Networks): Promise<void>;
  /** @throws AppError of decoding and of the model */
  analyse(input: AnalysisInput, tools: AnalysisTools): Promise<Conclusion | NotAnalysable>;
}

export function notAnalysable(code: NotAnalysableCode, detail: string): NotAnalysable {
  return { kind: 'not-analysable', code, detail };
}
