import { basename } from 'node:path';
import { env, InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { AppError } from '../../kernel/errors.js';
import type { Session, Tensor } from '../../imaging/model/session.js';
import { fromFloat16, toFloat16 } from './float16.js';
import type { GpuOptions } from './gpu-options.js';
import { PROBE_MODEL } from './probe-model.js';

// What matters is thrown or counted; the rest would go to standard error past the logger.
env.logLevel = 'fatal';

export type ExecutionProvider = 'cpu' | 'cuda' | 'tensorrt' | 'webgpu';

export interface SessionOptions {
  /** In the order of preference. */
  providers: readonly ExecutionProvider[];
  /** Only the first provider will do. */
  strict: boolean;
  gpu: GpuOptions;
  intraOpThreads: number;
}

/** A provider that could not take the model, and the one that did. */
export interface Fallback {
  wanted: ExecutionProvider;
  used: ExecutionProvider;
  /** What ONNX Runtime says; it speaks of libraries and operators, never of data. */
  why: string;
}

export interface OnnxSession extends Session {
  readonly provider: ExecutionProvider;
  readonly fallbacks: readonly Fallback[];
  /** Gives the memory back, that of the GPU too. */
  release(): Promise<void>;
}

/**
 * Loads a network, on the first execution provider that takes it.
 *
 * @param file  path of the `.onnx`; external data lie beside it
 * @throws AppError `model-load-failed`, `out-of-memory`
 */
export async function openOnnxSession(file: string, options: SessionOptions): Promise<OnnxSession> {
  const failed: { wanted: ExecutionProvider; why: string }[] = [];
  let cause: unknown;
  for (const provider of options.strict ? options.providers.slice(0, 1) : options.providers) {
    try {
      const session = await InferenceSession.create(file, runtimeOptions(provider, options));
      return wrap(session, provider, failed.map((failure) => ({ ...failure, used: provider })));
    } catch (error) {
      cause = error;
      failed.push({ wanted: provider, why: reasonOf(error) });
    }
  }
  // In its own words, which name the operator or the tensor; where the file lies is nobody's business.
  const why = failed.map((failure) => `${failure.wanted}: ${failure.why.replaceAll(file, basename(file))}`).join('; ');
  throw runtimeError(cause, `ONNX Runtime cannot load the model (${why})`);
}

/** Whether a network can be computed on an execution provider: undefined, or why not. */
export async function whyUnavailable(provider: ExecutionProvider, options: SessionOptions): Promise<string | undefined> {
  try {
    const session = await InferenceSession.create(PROBE_MODEL, runtimeOptions(provider, options));
    await session.run({ x: new OrtTensor('float32', Float32Array.of(1), [1]) });
    await session.release();
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}

function runtimeOptions(provider: ExecutionProvider, { gpu, intraOpThreads }: SessionOptions): InferenceSession.SessionOptions {
  return { executionProviders: [providerOption(provider, gpu)], intraOpNumThreads: intraOpThreads, interOpNumThreads: 1, graphOptimizationLevel: 'all', logSeverityLevel: 4 };
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 500) : '';
}

/** The runtime's own names go with `deviceId`, the one that its binding for Node.js takes in every version; it passes over what it does not know. */
function providerOption(provider: ExecutionProvider, { deviceId, cuda, tensorrt }: GpuOptions): InferenceSession.ExecutionProviderConfig {
  if (provider === 'cuda') return { name: provider, deviceId, ...cuda };
  return provider === 'tensorrt' ? { name: provider, deviceId, ...tensorrt } : provider;
}

function wrap(session: InferenceSession, provider: ExecutionProvider, fallbacks: readonly Fallback[]): OnnxSession {
  const inputs = new Map(session.inputMetadata.filter((input) => input.isTensor).map((input) => [input.name, input]));
  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    provider,
    fallbacks,
    inputShapes: Object.fromEntries([...inputs].map(([name, { shape }]) => [name, shape])),
    async run(feeds) {
      const given = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, toOrt(tensor, inputs.get(name)?.type === 'float16')]));
      let outputs: InferenceSession.ReturnType;
      try {
        outputs = await session.run(given);
      } catch (error) {
        throw runtimeError(error, 'ONNX Runtime cannot run the model');
      }
      return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, fromOrt(name, tensor)]));
    },
    release: () => session.release(),
  };
}

function toOrt({ data, dims }: Tensor, half: boolean): OrtTensor {
  if (data instanceof Float32Array) return half ? new OrtTensor('float16', toFloat16(data), dims) : new OrtTensor('float32', data, dims);
  if (data instanceof Float64Array) return new OrtTensor('float64', data, dims);
  if (data instanceof Int32Array) return new OrtTensor('int32', data, dims);
  if (data instanceof BigInt64Array) return new OrtTensor('int64', data, dims);
  return new OrtTensor('uint8', data, dims);
}

function fromOrt(name: string, { data, dims, type }: OrtTensor): Tensor {
  if (type === 'float16' && data instanceof Uint16Array) return { data: fromFloat16(data), dims };
  if (data instanceof Float32Array || data instanceof Float64Array || data instanceof Int32Array || data instanceof BigInt64Array || data instanceof Uint8Array) return { data, dims };
  throw new AppError('model-output-invalid', { detail: `The output "${name}" is of the type ${type}, which the product does not read` });
}

function runtimeError(error: unknown, detail: string): AppError {
  const memory = error instanceof Error && /bad_alloc|failed to allocate|out of memory|allocation failed/i.test(error.message);
  return new AppError(memory ? 'out-of-memory' : 'model-load-failed', { detail, cause: error });
}
