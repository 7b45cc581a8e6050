import type { AnalysisInput, Stage } from '../../imaging/analyses/analysis.js';
import type { RunReport } from '../../imaging/analyses/run.js';
import type { Manifest } from '../../imaging/model/manifest.js';
import type { Fallback, SessionOptions } from './onnx-session.js';

/** A model where a thread can load it. */
export interface ComputeModel {
  digest: string;
  manifest: Manifest;
  files: readonly { path: string; sha256: string; /** Absolute. */ file: string }[];
}

export type ComputeTask =
  | { kind: 'run'; model: ComputeModel; input: AnalysisInput; reduced: boolean }
  | { kind: 'check'; model: ComputeModel };

export type ComputeProgress = { kind: 'progress'; stage: Stage; done: number } | { kind: 'fallback'; fallback: Fallback };

export type ComputeRunResult = RunReport;

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
