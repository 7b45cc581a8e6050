import { threadId, workerData } from 'node:worker_threads';
import { CATALOG } from '../../imaging/analyses/catalog.js';
import type { Analysis, AnalysisInput, Networks, Stage } from '../../imaging/analyses/analysis.js';
import { runAnalysis, type RunReport, type RunTools } from '../../imaging/analyses/run.js';
import type { AnalysisName } from '../../imaging/model/manifest.js';
import { packLabels } from '../../imaging/volume/packed-labels.js';
import { AppError } from '../../kernel/errors.js';
import { nativeCodec } from '../threads/codecs.js';
import { describe, serveTasks, type Answer } from '../threads/thread-protocol.js';
import type { ComputeBatchResult, ComputeModel, ComputeProgress, ComputeRunResult, ComputeTask, ProbeResult, ProbeTask, ThreadSettings } from './compute-protocol.js';
import { JoinedNetworks } from './joined-networks.js';
import { whyUnavailable } from './onnx-session.js';
import { SessionCache } from './session-cache.js';

// ComputePool starts this module and sends these messages; nobody else does.
const settings = workerData as ThreadSettings;
let announce: (progress: ComputeProgress) => void = () => undefined;
const sessions = new SessionCache(settings.session, settings.cache, (news) => { announce({ kind: 'sessions', threadId, news }); });

serveTasks(async (message, report) => {
  announce = report;
  const task = message as ComputeTask | ProbeTask;
  if (task.kind === 'probe') return { result: await probe(task) };
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
      await sessions.rest(task.model);
      return { result: { executionProvider: [...providers].sort().join('+') } };
    }
    if (task.kind === 'batch') return await computeBatch(analysis, task);
    const timed = timedNetworks((path) => sessions.get(task.model, path));
    const result = await compute(analysis, task.model, task.input, { networks: timed.networks, reduced: task.reduced });
    await sessions.rest(task.model);
    result.timings.network = timed.milliseconds();
    return { result, transfer: buffersOf(result) };
  } catch (error) {
    // ONNX Runtime says little of the state that a failed run leaves behind; a fresh session costs milliseconds.
    await sessions.drop(digest);
    throw error;
  }
});

/** One after the other: they share a device. */
async function probe({ providers }: ProbeTask): Promise<ProbeResult> {
  const missing: Record<string, string> = {};
  for (const provider of providers) {
    const why = await whyUnavailable(provider, settings.session);
    if (why !== undefined) missing[provider] = why;
  }
  return missing;
}

async function compute(analysis: Analysis, { manifest }: ComputeModel, input: AnalysisInput, { networks, reduced, member }: { networks: Networks; reduced: boolean; member?: number }): Promise<ComputeRunResult> {
  return packed(await runAnalysis(analysis, input, {
    networks, manifest, reduced, codec: nativeCodec,
    progress: inSteps((stage, done) => { announce({ kind: 'progress', stage, done, ...(member !== undefined && { member }) }); }),
  }));
}

/** Every stage, and a hundredth of the whole at a time: a message takes its share of the cores that compute. */
function inSteps(tell: RunTools['progress']): RunTools['progress'] {
  let told: { stage: Stage; done: number } | undefined;
  return (stage, done) => {
    if (told?.stage === stage && done < told.done + 0.01) return;
    told = { stage, done };
    tell(stage, done);
  };
}

/** Adds up what the networks alone take: the rest of a stage is the product's own. */
function timedNetworks(open: Networks): { networks: Networks; milliseconds: () => number } {
  let spent = 0;
  const networks: Networks = async (path) => {
    const session = await open(path);
    const run: typeof session.run = async (feeds) => {
      const started = performance.now();
      try {
        return await session.run(feeds);
      } finally {
        spent += performance.now() - started;
      }
    };
    return { ...session, run };
  };
  return { networks, milliseconds: () => Math.round(spent * 100) / 100 };
}

/** Runs side by side, which share inferences. Each has a result or an error of its own. */
async function computeBatch(analysis: Analysis, { model, inputs, limit }: Extract<ComputeTask, { kind: 'batch' }>): Promise<Answer> {
  const joined = new JoinedNetworks((path) => sessions.get(model, path), inputs.length, limit, (runs) => { announce({ kind: 'joined', runs }); });
  const outcomes = await Promise.allSettled(inputs.map((input, member) => compute(analysis, model, input, { networks: joined.member, reduced: false, member }).finally(() => { joined.leave(); })));
  const results = outcomes.map((outcome) => outcome.status === 'fulfilled' ? { report: outcome.value } : { error: describe(outcome.reason) });
  const failed = outcomes.filter((outcome) => outcome.status === 'rejected');
  if (failed.length > 0) await sessions.drop(model.digest);
  const transfer = outcomes.flatMap((outcome) => outcome.status === 'fulfilled' ? buffersOf(outcome.value) : []);
  return { result: results satisfies ComputeBatchResult, transfer, worn: failed.some(({ reason }) => reason instanceof AppError && reason.code === 'out-of-memory') };
}

function analysisOf(name: AnalysisName): Analysis {
  const analysis = CATALOG[name];
  if (!analysis) throw new AppError('model-load-failed', { detail: `This version has no code for the analysis ${name}` });
  return analysis;
}

function packed({ outcome, ...report }: RunReport): ComputeRunResult {
  if (outcome.kind !== 'concluded') return { ...report, outcome };
  return { ...report, outcome: { ...outcome, segmentation: outcome.segmentation && packLabels(outcome.segmentation) } };
}

function buffersOf({ outcome }: ComputeRunResult): ArrayBuffer[] {
  if (outcome.kind !== 'concluded') return [];
  const buffers = [...outcome.heatMaps.map(({ data }) => data.buffer), ...(outcome.segmentation ? [outcome.segmentation.packed.buffer] : [])];
  return [...new Set(buffers)].filter((buffer) => buffer instanceof ArrayBuffer);
}
