import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { AnalysisInput, Stage } from '../../imaging/analyses/analysis.js';
import { AppError } from '../../kernel/errors.js';
import { CONFIG, type Config } from '../config.js';
import { LOGGER, type Logger } from '../ops/logger.js';
import { Metrics } from '../ops/metrics.js';
import { threadEntry } from '../threads/thread-entry.js';
import { ThreadPool } from '../threads/thread-pool.js';
import { batchLimit } from './batching.js';
import { RunBatcher, type BatchMember } from './run-batcher.js';
import { computeDevice } from './device.js';
import { gpuOptions, tensorRtVariables } from './gpu-options.js';
import { ComputeMetrics } from './compute-metrics.js';
import type { ComputeBatchResult, ComputeModel, ComputeProgress, ComputeRunResult, ComputeTask, ProbeResult, ProbeTask, SessionNews, ThreadSettings } from './compute-protocol.js';
import type { ExecutionProvider } from './onnx-session.js';

export interface ComputeOptions {
  /** Kills the thread that computes; the call is rejected with the signal's reason. */
  signal?: AbortSignal;
  /** The stage and how far the whole run is, 0–1. */
  onProgress?: (stage: Stage, done: number) => void;
  /** Milliseconds. */
  timeLimitMs?: number;
  /** Memory ran out at the last try: the recipe takes smaller steps. */
  reduced?: boolean;
}

const CHECK_LIMIT_MS = 2 * 60_000;
/** A GPU's libraries are large. */
const PROBE_LIMIT_MS = 2 * 60_000;
/** JavaScript's own heap in one thread. Pixels and tensors live outside of it. */
const HEAP_MB = 1024;
/** Models that one thread keeps warm, as long as their files are no larger than a share of the memory that there is. */
const WARM_MODELS = 8;
const WARM_SHARE = 0.25;

/**
 * WORKER_CONCURRENCY threads that own ONNX Runtime sessions and run whole analyses, so that nothing heavy is on the event loop.
 * They start with the first run; the session of a model with one network stays warm, of several one is open at a time.
 */
@Injectable()
export class ComputePool implements OnApplicationShutdown {
  private readonly threads: ThreadPool;
  private readonly batcher: RunBatcher;
  private readonly shown: ComputeMetrics;
  private readonly timeLimitMs: number;

  constructor(
    @Inject(CONFIG) config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
    private readonly metrics: Metrics,
  ) {
    // ONNX Runtime would send usage data to its maker. It reads the process's own environment, so not in the threads' copies.
    process.env.ORT_DISABLE_TELEMETRY = '1';
    if (config.EXECUTION_PROVIDERS.includes('tensorrt')) Object.assign(process.env, tensorRtVariables(config));
    this.shown = new ComputeMetrics(metrics, config.EXECUTION_PROVIDERS);
    this.timeLimitMs = config.COMPUTE_TIME_LIMIT_SECONDS * 1_000;
    const settings: ThreadSettings = {
      session: {
        providers: config.EXECUTION_PROVIDERS, strict: config.EXECUTION_PROVIDERS_STRICT, gpu: gpuOptions(config),
        // The cores that one thread may use are shared when several run.
        intraOpThreads: Math.max(1, Math.floor(config.inferenceThreads / config.WORKER_CONCURRENCY)),
      },
      cache: { maxModels: WARM_MODELS, maxBytes: (WARM_SHARE * computeDevice(config).budgetMb * 2 ** 20) / config.WORKER_CONCURRENCY },
    };
    this.threads = new ThreadPool(threadEntry(import.meta.url, './thread'), {
      threads: config.WORKER_CONCURRENCY, timeoutMs: this.timeLimitMs, resourceLimits: { maxOldGenerationSizeMb: HEAP_MB }, workerData: settings, native: true,
      onExit: (threadId) => { this.shown.threadEnded(threadId); },
    });
    this.batcher = new RunBatcher({
      isIdle: () => this.threads.running < config.WORKER_CONCURRENCY,
      submit: (model, members, signal) => this.runTogether(model, members, signal),
    });
  }

  /**
   * Runs one analysis: load → decode → prepare → infer → conclude.
   *
   * @param input  the bytes of its instances are moved to the thread and empty afterwards
   * @throws AppError `time-limit`, `out-of-memory`, `thread-lost`, `model-load-failed`, `model-output-invalid`, `shutting-down`; the
   *   signal's reason
   */
  async run(model: ComputeModel, { series, instances }: AnalysisInput, options: ComputeOptions = {}): Promise<ComputeRunResult> {
    const owned = instances.map((instance) => ({ ...instance, bytes: ownBuffer(instance.bytes) }));
    const input = { series, instances: owned };
    const { reduced = false, onProgress, signal, timeLimitMs } = options;
    if (!reduced && timeLimitMs === undefined && batchLimit(model.manifest) > 1) {
      return this.batcher.run(model, { input, signal, onProgress: (message) => { this.receive(message as ComputeProgress, model, onProgress); } });
    }
    // The thread answers a run with a run's result.
    return (await this.submit({ kind: 'run', model, input, reduced }, buffersOf(input), { ...options, timeLimitMs: timeLimitMs ?? this.limitOf(model) })) as ComputeRunResult;
  }

  /**
   * Loads a model and tries it on a made-up image.
   * @throws as `run` does
   */
  async check(model: ComputeModel, options: ComputeOptions = {}): Promise<{ executionProvider: string }> {
    const task: ComputeTask = { kind: 'check', model };
    // The thread answers a check with the provider.
    return (await this.submit(task, [], { timeLimitMs: CHECK_LIMIT_MS, ...options })) as { executionProvider: string };
  }

  /**
   * Which of some execution providers cannot be had, and why.
   * @throws AppError `thread-lost`, `processing-timeout`, `shutting-down`
   */
  async probe(providers: readonly ExecutionProvider[]): Promise<ProbeResult> {
    return (await this.threads.run({ kind: 'probe', providers } satisfies ProbeTask, { timeoutMs: PROBE_LIMIT_MS })) as ProbeResult; // its answer to this question
  }

  async close(): Promise<void> {
    await this.threads.close();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.close();
  }

  private async runTogether(model: ComputeModel, members: readonly BatchMember[], signal: AbortSignal): Promise<ComputeBatchResult> {
    const inputs = members.map(({ input }) => input);
    const task: ComputeTask = { kind: 'batch', model, inputs, limit: batchLimit(model.manifest) };
    const deliver = (message: ComputeProgress): void => {
      if (message.kind === 'progress') members[message.member ?? 0]?.onProgress?.(message);
      else this.receive(message, model, undefined);
    };
    // The thread answers a batch with a result for each of its runs.
    return (await this.submit(task, inputs.flatMap(buffersOf), { signal, timeLimitMs: this.limitOf(model) }, deliver)) as ComputeBatchResult;
  }

  /** A thread that takes longer over one analysis is stuck. Milliseconds. */
  private limitOf({ manifest }: ComputeModel): number {
    const { timeLimitSeconds } = manifest.resources ?? {};
    return timeLimitSeconds === undefined ? this.timeLimitMs : Math.min(this.timeLimitMs, timeLimitSeconds * 1_000);
  }

  private async submit(task: ComputeTask, transfer: ArrayBuffer[], { signal, onProgress, timeLimitMs }: ComputeOptions, deliver = (message: ComputeProgress): void => { this.receive(message, task.model, onProgress); }): Promise<unknown> {
    let loads = 0;
    try {
      const result = await this.threads.run(task, {
        transfer,
        ...(signal && { signal }),
        ...(timeLimitMs !== undefined && { timeoutMs: timeLimitMs }),
        onProgress: (sent) => {
          const message = sent as ComputeProgress; // The thread sends nothing else.
          if (message.kind === 'sessions' && message.news.kind === 'loaded') loads++;
          deliver(message);
        },
      });
      if (task.kind !== 'check') this.shown.sessions[loads > 0 ? 'misses' : 'hits']++;
      return result;
    } catch (error) {
      if (error instanceof AppError && error.code === 'processing-timeout') throw new AppError('time-limit', { cause: error });
      throw error;
    } finally {
      this.batcher.threadIsFree();
    }
  }

  private receive(message: ComputeProgress, model: ComputeModel, onProgress: ComputeOptions['onProgress']): void {
    if (message.kind === 'progress') {
      onProgress?.(message.stage, message.done);
      return;
    }
    if (message.kind === 'joined') {
      this.metrics.batchSize.observe(message.runs);
      return;
    }
    this.receiveNews(message.threadId, message.news, model);
  }

  private receiveNews(threadId: number, news: SessionNews, { manifest, digest }: ComputeModel): void {
    if (news.kind === 'loaded') {
      this.shown.loaded(news.loaded);
      return;
    }
    if (news.kind === 'resident') {
      this.shown.holds(threadId, news.resident);
      return;
    }
    const { wanted, used, why } = news.fallback;
    this.metrics.providerFallbacks.inc({ wanted, used });
    this.logger.warn({ model: manifest.name, version: manifest.version, digest, wanted, used, why }, 'execution provider not available, using the next one');
  }
}

function buffersOf({ instances }: AnalysisInput): ArrayBuffer[] {
  return instances.map(({ bytes: { buffer } }) => buffer).filter((buffer) => buffer instanceof ArrayBuffer);
}

/** The bytes in a buffer of their own, which can be moved: small Node buffers share a pool. */
function ownBuffer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && bytes.byteOffset === 0 && bytes.byteLength === buffer.byteLength) return new Uint8Array(buffer);
  return new Uint8Array(bytes);
}
