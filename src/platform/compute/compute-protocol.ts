import type { AnalysisInput, Conclusion, NotAnalysable, Stage } from '../../imaging/analyses/analysis.js';
import type { RunReport } from '../../imaging/analyses/run.js';
import type { Manifest } from '../../imaging/model/manifest.js';
import type { PackedSegmentation } from '../../imaging/volume/packed-labels.js';
import type { WireError } from '../threads/thread-protocol.js';
import type { ExecutionProvider, Fallback, SessionOptions } from './onnx-session.js';

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

/** Asks a thread which execution providers it can have. */
export interface ProbeTask {
  kind: 'probe';
  providers: readonly ExecutionProvider[];
}

/** Those that it cannot have, and why. */
export type ProbeResult = Readonly<Partial<Record<ExecutionProvider, string>>>;

/** A network that was loaded, and what its thread holds then. */
export interface Loaded {
  model: string;
  provider: ExecutionProvider;
  /** From the files, which are read and compared, to a session that computes. */
  seconds: number;
}

/** Networks that a thread holds ready, by execution provider. */
export type Resident = Readonly<Partial<Record<ExecutionProvider, number>>>;

/** What becomes of the sessions of a thread. */
export type SessionNews = { kind: 'fallback'; fallback: Fallback } | { kind: 'loaded'; loaded: Loaded } | { kind: 'resident'; resident: Resident };

export type ComputeProgress = { kind: 'progress'; stage: Stage; done: number; /** Of a batch. */ member?: number } | { kind: 'joined'; runs: number } | { kind: 'sessions'; threadId: number; news: SessionNews };

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
