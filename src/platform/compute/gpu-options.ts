import { resolve } from 'node:path';
import type { Config } from '../config.js';

/** How GPUs are used. Options of the CUDA and TensorRT execution providers of ONNX Runtime, by its own names. */
export interface GpuOptions {
  deviceId: number;
  cuda: Readonly<Record<string, string>>;
  tensorrt: Readonly<Record<string, string>>;
}

type TensorRtSettings = Pick<Config, 'TENSORRT_FP16' | 'dataDir'>;

/** The same settings as the TensorRT provider reads them from the environment, for bindings that hand over no more than the device. */
export function tensorRtVariables(config: TensorRtSettings): Record<string, string> {
  return { ORT_TENSORRT_FP16_ENABLE: config.TENSORRT_FP16 ? '1' : '0', ORT_TENSORRT_ENGINE_CACHE_ENABLE: '1', ORT_TENSORRT_CACHE_PATH: enginesOf(config) };
}

/** @see ONNX Runtime, CUDA Execution Provider and TensorRT Execution Provider, configuration options */
export function gpuOptions(config: Pick<Config, 'GPU_DEVICE_ID' | 'GPU_MEMORY_LIMIT_MB' | 'GPU_ARENA_STRATEGY' | 'CUDNN_CONV_SEARCH' | 'TENSORRT_FP16' | 'dataDir'>): GpuOptions {
  const deviceId = config.GPU_DEVICE_ID;
  return {
    deviceId,
    cuda: {
      device_id: String(deviceId),
      arena_extend_strategy: config.GPU_ARENA_STRATEGY === 'as-requested' ? 'kSameAsRequested' : 'kNextPowerOfTwo',
      cudnn_conv_algo_search: config.CUDNN_CONV_SEARCH.toUpperCase(),
      ...(config.GPU_MEMORY_LIMIT_MB !== undefined && { gpu_mem_limit: String(config.GPU_MEMORY_LIMIT_MB * 2 ** 20) }),
    },
    tensorrt: {
      device_id: String(deviceId),
      trt_fp16_enable: config.TENSORRT_FP16 ? '1' : '0',
      trt_engine_cache_enable: '1',
      trt_engine_cache_path: enginesOf(config),
    },
  };
}

/** Engines take minutes to build; they are good for this GPU and version alone, which TensorRT checks itself. */
function enginesOf({ dataDir }: Pick<Config, 'dataDir'>): string {
  return resolve(dataDir, 'tensorrt-engines');
}
