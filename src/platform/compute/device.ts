import { hostname } from 'node:os';
import type { Config } from '../config.js';
import { memoryLimit } from '../ops/machine-limits.js';
import { gpuSizeBytes } from './nvidia-smi.js';

/** What the runs of a process compute on, and how much memory they may take there together. */
export interface ComputeDevice {
  /** Processes that share a device share its name, and so its budget. */
  name: string;
  kind: 'cpu' | 'gpu';
  budgetMb: number;
}

/** Share of the machine's memory that runs may take; the rest is for the process itself, the database and the file cache. */
const CPU_SHARE = 0.75;
/** Share of a GPU's memory; contexts and kernels of the runtime take some. */
const GPU_SHARE = 0.9;

/** The device of this process: COMPUTE_DEVICE and COMPUTE_MEMORY_MB, else what the machine has. */
export function computeDevice(config: Pick<Config, 'EXECUTION_PROVIDERS' | 'GPU_DEVICE_ID' | 'COMPUTE_DEVICE' | 'COMPUTE_MEMORY_MB'>): ComputeDevice {
  const kind = config.EXECUTION_PROVIDERS[0] === 'cpu' ? 'cpu' : 'gpu';
  const name = config.COMPUTE_DEVICE ?? `${hostname()}/${kind === 'cpu' ? 'cpu' : `gpu-${String(config.GPU_DEVICE_ID)}`}`;
  return { name, kind, budgetMb: config.COMPUTE_MEMORY_MB ?? (kind === 'gpu' ? gpuBudgetMb(config.GPU_DEVICE_ID) : undefined) ?? machineBudgetMb() };
}

function machineBudgetMb(): number {
  return Math.floor((CPU_SHARE * memoryLimit().limitBytes) / 2 ** 20);
}

/** undefined when NVIDIA's tool is not there or knows no such device. */
function gpuBudgetMb(deviceId: number): number | undefined {
  const bytes = gpuSizeBytes(deviceId) ?? 0;
  return bytes > 0 ? Math.floor((GPU_SHARE * bytes) / 2 ** 20) : undefined;
}
