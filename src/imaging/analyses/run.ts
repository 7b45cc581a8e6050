import { sha256Hex } from '../../kernel/digest.js';
import { AppError, type ErrorCode } from '../../kernel/errors.js';
import type { Codec } from '../dicom/pixels.js';
import type { Manifest } from '../model/manifest.js';
import { uniformStream } from '../phantom/random.js';
import { notAnalysable, STAGES, type Analysis, type AnalysisInput, type Conclusion, type Networks, type NotAnalysable, type Stage } from './analysis.js';

/** Where each stage begins on the way from 0 to 1; inference takes most of the time. */
const STAGE_START: Record<Stage, number> = { load: 0, decode: 0.05, register: 0.15, prepare: 0.25, infer: 0.3, conclude: 0.95 };

/** Faults of the images, not of the product: they make a study not analysable. */
const UNREADABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'empty-file', 'not-dicom', 'truncated-file', 'invalid-dicom', 'missing-uid', 'missing-sop-class', 'unsupported-transfer-syntax', 'unsupported-photometric',
  'no-pixel-data', 'invalid-pixel-data', 'pixel-data-undecodable', 'image-too-large', 'frame-not-found', 'invalid-image', 'archive-bomb',
]);

export interface RunTools {
  networks: Networks;
  codec: Codec;
  manifest: Manifest;
  /** Memory ran out at the last try. */
  reduced: boolean;
  /** The stage that runs and how far the whole run is, 0–1. */
  progress(stage: Stage, done: number): void;
}

export interface RunReport {
  outcome: Conclusion | NotAnalysable;
  /** Milliseconds per stage, and of parts that an analysis measures. */
  timings: Record<string, number>;
  executionProvider: string;
}

/**
 * Runs one analysis over the images that its `select` picked: load → decode → prepare → infer → conclude.
 * Images that cannot be decoded make the study `not-analysable`, with `study-not-readable`.
 *
 * @throws AppError `model-load-failed`, `model-output-invalid`, `out-of-memory`
 */
export async function runAnalysis(analysis: Analysis, input: AnalysisInput, tools: RunTools): Promise<RunReport> {
  const timings: RunReport['timings'] = {};
  const providers = new Set<string>();
  let current: Stage = 'load';
  const stage = async <T>(name: Stage, work: () => T | Promise<T>): Promise<T> => {
    current = name;
    tools.progress(name, STAGE_START[name]);
    return timed(name, work);
  };
  const timed = async <T>(name: string, work: () => T | Promise<T>): Promise<T> => {
    const started = performance.now();
    try {
      return await work();
    } finally {
      add(name, performance.now() - started);
    }
  };
  const add = (name: string, milliseconds: number): void => { timings[name] = Math.round(((timings[name] ?? 0) + milliseconds) * 100) / 100; };
  /** A network that is opened in the middle of another stage is loaded all the same. */
  const networks: Networks = async (path) => {
    const started = performance.now();
    const session = await tools.networks(path);
    const milliseconds = performance.now() - started;
    if (current !== 'load') {
      add('load', milliseconds);
      add(current, -milliseconds);
    }
    providers.add(session.provider);
    return session;
  };
  const progress = (done: number): void => {
    const next = STAGES[STAGES.indexOf(current) + 1];
    tools.progress(current, STAGE_START[current] + done * ((next === undefined ? 1 : STAGE_START[next]) - STAGE_START[current]));
  };
  const { codec, manifest, reduced } = tools;
  const outcome = await analysis.analyse(input, { networks, codec, manifest, reduced, random: uniformStream(seedOf(input)), stage, timed, progress }).catch(unreadable);
  return { outcome, timings, executionProvider: [...providers].sort().join('+') || 'none' };
}

/** From what the images are called, so that a study analysed again gives the same. */
function seedOf({ instances }: AnalysisInput): number {
  const names = instances.map(({ sopInstanceUid }) => sopInstanceUid).sort();
  return Number.parseInt(sha256Hex(names.join('\n')).slice(0, 8), 16);
}

function unreadable(error: unknown): NotAnalysable {
  if (!(error instanceof AppError) || !UNREADABLE.has(error.code)) throw error;
  return notAnalysable('study-not-readable', `An image cannot be read (${error.code}): ${error.message}`);
}
