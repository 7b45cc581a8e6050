import { AppError, type ErrorCode } from '../../kernel/errors.js';
import type { Codec } from '../dicom/pixels.js';
import type { Manifest } from '../model/manifest.js';
import type { Session } from '../model/session.js';
import { notAnalysable, STAGES, type Analysis, type Conclusion, type InstanceBytes, type NotAnalysable, type Stage } from './analysis.js';

/** Where each stage begins on the way from 0 to 1; inference takes most of the time. */
const STAGE_START: Record<Stage, number> = { load: 0, decode: 0.1, prepare: 0.2, infer: 0.3, conclude: 0.95 };

/** Faults of the images, not of the product: they make a study not analysable. */
const UNREADABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'empty-file', 'not-dicom', 'truncated-file', 'invalid-dicom', 'missing-uid', 'missing-sop-class', 'unsupported-transfer-syntax', 'unsupported-photometric',
  'no-pixel-data', 'invalid-pixel-data', 'pixel-data-undecodable', 'image-too-large', 'frame-not-found', 'invalid-image', 'archive-bomb',
]);

export interface RunTools {
  /** Loads the network, or hands out the warm one. */
  session(): Promise<Session>;
  codec: Codec;
  manifest: Manifest;
  /** The stage that runs and how far the whole run is, 0–1. */
  progress(stage: Stage, done: number): void;
}

export interface RunReport {
  outcome: Conclusion | NotAnalysable;
  /** Milliseconds per stage. */
  timings: Partial<Record<Stage, number>>;
  executionProvider: string;
}

/**
 * Runs one analysis over the images that its `select` picked: load → decode → prepare → infer → conclude.
 * Images that cannot be decoded make the study `not-analysable`, with `study-not-readable`.
 *
 * @throws AppError `model-load-failed`, `model-output-invalid`, `out-of-memory`
 */
export async function runAnalysis(analysis: Analysis, instances: readonly InstanceBytes[], tools: RunTools): Promise<RunReport> {
  const timings: RunReport['timings'] = {};
  let current: Stage = 'load';
  const stage = async <T>(name: Stage, work: () => T | Promise<T>): Promise<T> => {
    current = name;
    tools.progress(name, STAGE_START[name]);
    const started = performance.now();
    try {
      return await work();
    } finally {
      timings[name] = Math.round((performance.now() - started) * 100) / 100;
    }
  };
  const progress = (done: number): void => {
    const next = STAGES[STAGES.indexOf(current) + 1];
    tools.progress(current, STAGE_START[current] + done * ((next === undefined ? 1 : STAGE_START[next]) - STAGE_START[current]));
  };
  const session = await stage('load', () => tools.session());
  const outcome = await analysis.analyse(instances, { session, codec: tools.codec, manifest: tools.manifest, stage, progress }).catch(unreadable);
  return { outcome, timings, executionProvider: session.provider };
}

function unreadable(error: unknown): NotAnalysable {
  if (!(error instanceof AppError) || !UNREADABLE.has(error.code)) throw error;
  return notAnalysable('study-not-readable', `An image cannot be read (${error.code}): ${error.message}`);
}
