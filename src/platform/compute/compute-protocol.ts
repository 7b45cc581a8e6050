import type { AnalysisInput, Conclusion, NotAnalysable, Stage } from '../../imaging/analyses/analysis.js';
import type { RunReport } from '../../imaging/analyses/run.js';
import type { Manifest } from '../../imaging/model/manifest.js';
import type { PackedSegmentation } from '../../imaging/volume/packed-labels.js';
import type { WireError } from '../threads/thread-protocol.js';
import type { Fallback, SessionOptions } from './onnx-session.js';

/** A model where a thread can load it. */
export interface ComputeModel {
  digest: string;
  manifest: Manifest;
  files: readonly { path: string; sha256: string; /** Absolute. */ file: string }[];
}

export type ComputeTask =
  | { kind: 'run'; model: ComputeModel; input: AnalysisInput; reduced: boolean }
  | { kind: 'batch'; model: ComputeModel; inputs: readonly AnalysisInput[]; limit: number }
  | { kind: 'check'; model: ComputeModel };

export type ComputeProgress = { kind: 'progress'; stage: Stage; done: number; /** Of a batch. */ member?: number } | { kind: 'joined'; runs: number } | { kind: 'fallback'; fallback: Fallback };

/** As `RunReport`; the label map is packed before it leaves the thread. */
export type ComputeRunResult = Omit<RunReport, 'outcome'> & { outcome: NotAnalysable | (Omit<Conclusion, 'segmentation'> & { segmentation: PackedSegmentation | null }) };

/** Of each run of a batch, in their order. */
export type ComputeBatchResult = readonly ({ report: ComputeRunResult } | { error: WireError })[];

/** Bounds of the warm sessions of one thread. */
export interface CacheLimits {
  maxModels: number;
  /** Size of the model files that are held, a proxy for the memory that their sessions take. */
  maxBytes: number;
}

/** What a thread is given when it starts. */
export interface ThreadSettings {
  session: SessionOptions;
  cache: CacheLimits;
}
