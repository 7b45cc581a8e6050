import { workerData } from 'node:worker_threads';
import { CATALOG } from '../../imaging/analyses/catalog.js';
import type { Analysis } from '../../imaging/analyses/analysis.js';
import { runAnalysis, type RunReport } from '../../imaging/analyses/run.js';
import type { AnalysisName } from '../../imaging/model/manifest.js';
import { AppError } from '../../kernel/errors.js';
import { nativeCodec } from '../threads/codecs.js';
import { serveTasks } from '../threads/thread-protocol.js';
import type { ComputeProgress, ComputeTask, ThreadSettings } from './compute-protocol.js';
import { SessionCache } from './session-cache.js';

// ComputePool starts this module and sends these messages; nobody else does.
const settings = workerData as ThreadSettings;
let announce: (progress: ComputeProgress) => void = () => undefined;
const sessions = new SessionCache(settings.session, settings.cache, (fallback) => { announce({ kind: 'fallback', fallback }); });

serveTasks(async (message, report) => {
  announce = report;
  const task = message as ComputeTask;
  const { manifest, digest } = task.model;
  const analysis = analysisOf(manifest.analysis);
  try {
    if (task.kind === 'check') {
      const providers = new Set<string>();
      await analysis.check(manifest, async (path) => {
        const session = await sessions.get(task.model, path);
        providers.add(session.provider);
        return session;
      });
      return { result: { executionProvider: [...providers].sort().join('+') } };
    }
    const result = await runAnalysis(analysis, task.input, {
      networks: (path) => sessions.get(task.model, path),
      codec: nativeCodec,
      manifest,
      reduced: task.reduced,
      progress: (stage, done) => { announce({ kind: 'progress', stage, done }); },
    });
    return { result, transfer: buffersOf(result) };
  } catch (error) {
    // ONNX Runtime says little of the state that a failed run leaves behind; a fresh session costs milliseconds.
    await sessions.drop(digest);
    throw error;
  }
});

function analysisOf(name: AnalysisName): Analysis {
  const analysis = CATALOG[name];
  if (!analysis) throw new AppError('model-load-failed', { detail: `This version has no code for the analysis ${name}` });
  return analysis;
}

function buffersOf({ outcome }: RunReport): ArrayBuffer[] {
  if (outcome.kind !== 'concluded') return [];
  const buffers = [...outcome.heatMaps.map(({ data }) => data.buffer), ...(outcome.segmentation ? [outcome.segmentation.labels.buffer] : [])];
  return [...new Set(buffers)].filter((buffer) => buffer instanceof ArrayBuffer);
}
