import type { DicomJson } from '../dicom/dicom-json.js';
import type { Codec } from '../dicom/pixels.js';
import type { AnalysisName, Manifest } from '../model/manifest.js';
import type { Session } from '../model/session.js';
import type { EvidenceMap } from '../recipes/heat-map.js';
import type { Finding, Label, Segment, Summary } from '../report/finding.js';

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
export const NOT_ANALYSABLE_CODES = ['outside-model-domain', 'wrong-body-part', 'no-suitable-image', 'low-image-quality', 'study-not-readable'] as const;
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

export interface Selected {
  kind: 'selected';
  frames: FrameRef[];
}

/** A Part 10 object with the frames that are read of it. */
export interface InstanceBytes {
  sopInstanceUid: string;
  frame: number;
  bytes: Uint8Array;
}

export const STAGES = ['load', 'decode', 'prepare', 'infer', 'conclude'] as const;
export type Stage = (typeof STAGES)[number];

/** What an analysis works with. Ports only. */
export interface AnalysisTools {
  session: Session;
  codec: Codec;
  manifest: Manifest;
  /** Runs one stage and measures it. */
  stage: <T>(name: Stage, work: () => T | Promise<T>) => Promise<T>;
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
}

/** One clinical question. Pure: it runs in a compute thread and, for `fits` and `select`, anywhere. */
export interface Analysis {
  name: AnalysisName;
  /** Whether modality and body part are the model's: worth planning. `select` decides. */
  fits(study: StudyInput, manifest: Manifest): boolean;
  /** Picks the images, or says why there are none. */
  select(study: StudyInput, manifest: Manifest): Selected | NotAnalysable;
  /** Tries the model on made-up data. @throws AppError `model-load-failed`, `model-output-invalid` */
  check(manifest: Manifest, session: Session): Promise<void>;
  /** @throws AppError of decoding and of the model */
  analyse(instances: readonly InstanceBytes[], tools: AnalysisTools): Promise<Conclusion | NotAnalysable>;
}

export function notAnalysable(code: NotAnalysableCode, detail: string): NotAnalysable {
  return { kind: 'not-analysable', code, detail };
}
