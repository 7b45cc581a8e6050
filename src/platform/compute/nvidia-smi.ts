import { execFile, execFileSync } from 'node:child_process';

/** What NVIDIA's tool says of one GPU; undefined where it says nothing: `[N/A]` for the use of one that is divided by MIG, for instance. */
export interface GpuState {
  /** As nvidia-smi numbers them. */
  gpu: string;
  usedBytes: number | undefined;
  sizeBytes: number | undefined;
  /** 0–1 */
  utilization: number | undefined;
}

const QUERY = ['--query-gpu=index,memory.used,memory.total,utilization.gpu', '--format=csv,noheader,nounits'];
const MIB = 2 ** 20;

/** @returns undefined when the tool is not there, fails, or does not answer in time */
export function readGpus(timeoutMs: number): Promise<GpuState[] | undefined> {
  return new Promise((resolve) => {
    execFile('nvidia-smi', QUERY, { encoding: 'utf8', timeout: timeoutMs, killSignal: 'SIGKILL' }, (error, text) => { resolve(error ? undefined : parseGpus(text)); });
  });
}

/** Memory of one GPU, for a start that cannot go on without knowing. @returns undefined when the tool is not there or knows no such device */
export function gpuSizeBytes(deviceId: number): number | undefined {
  try {
    const [state] = parseGpus(execFileSync('nvidia-smi', [`--id=${String(deviceId)}`, ...QUERY], { encoding: 'utf8', timeout: 5_000, stdio: ['ignore', 'pipe', 'ignore'] }));
    return state?.sizeBytes;
  } catch {
    return undefined;
  }
}

/** @param text  of lines such as `0, 2048, 143771, 37`, memory in MiB */
export function parseGpus(text: string): GpuState[] {
  return text.split('\n').flatMap((line) => {
    const [gpu = '', used, size, utilization] = line.split(',').map((field) => field.trim());
    if (!/^\d+$/.test(gpu)) return [];
    return [{ gpu, usedBytes: scaled(used, MIB), sizeBytes: scaled(size, MIB), utilization: scaled(utilization, 0.01) }];
  });
}

function scaled(field: string | undefined, factor: number): number | undefined {
  return field !== undefined && /^\d+(\.\d+)?$/.test(field) ? Number(field) * factor : undefined;
}
