import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, freemem, totalmem } from 'node:os';

/** A small file as text; undefined where there is none. Tests put another one in its place. */
export type ReadText = (path: string) => string | undefined;

/** Memory that this process has together with whatever else is under the same limit. */
export interface MemoryLimit {
  limitBytes: number;
  /** What counts towards it, without file pages that the kernel would give up at once. */
  usedBytes: number;
}

/** A control group and all above it, up to where the file system of groups is mounted, which in a container is its own group. */
interface Groups {
  version: 1 | 2;
  folders: readonly string[];
}

const MOUNT = '/sys/fs/cgroup';

/** How many cores this process may use: the quota of its control group, else what the machine (and its affinity) has. */
export function cpuLimitCores(read: ReadText = readText): number {
  const { version, folders } = groupsOf('cpu', read);
  const quotas = folders.map((folder) => quotaOf(folder, version, read)).filter((cores) => cores !== undefined);
  return quotas.length === 0 ? availableParallelism() : Math.min(cpus().length, ...quotas);
}

/**
 * The tightest limit of its control groups, else the memory of the machine; each with what is used of it.
 *
 * @see Linux, Documentation/admin-guide/cgroup-v2.rst, Documentation/admin-guide/cgroup-v1/memory.rst
 */
export function memoryLimit(read: ReadText = readText): MemoryLimit {
  const machine = totalmem();
  const { version, folders } = groupsOf('memory', read);
  let tightest: { folder: string; limitBytes: number } | undefined;
  for (const folder of folders) {
    const limitBytes = Math.min(...(version === 2 ? ['memory.max', 'memory.high'] : ['memory.limit_in_bytes']).map((file) => numberIn(`${folder}/${file}`, read) ?? Infinity));
    // Without a limit version 1 says a number that no machine has.
    if (limitBytes < (tightest?.limitBytes ?? machine)) tightest = { folder, limitBytes };
  }
  if (!tightest) return { limitBytes: machine, usedBytes: machine - freemem() };
  return { limitBytes: tightest.limitBytes, usedBytes: workingSetOf(tightest.folder, version, read) ?? process.memoryUsage.rss() };
}

function quotaOf(folder: string, version: 1 | 2, read: ReadText): number | undefined {
  const [quota, period] = version === 2 ? (read(`${folder}/cpu.max`) ?? '').split(/\s+/).map(Number) : [numberIn(`${folder}/cpu.cfs_quota_us`, read), numberIn(`${folder}/cpu.cfs_period_us`, read)];
  return quota !== undefined && period !== undefined && quota > 0 && period > 0 ? quota / period : undefined;
}

/** As kubelet counts it. */
function workingSetOf(folder: string, version: 1 | 2, read: ReadText): number | undefined {
  const used = numberIn(`${folder}/${version === 2 ? 'memory.current' : 'memory.usage_in_bytes'}`, read);
  const [, inactive] = (version === 2 ? /^inactive_file (\d+)$/m : /^total_inactive_file (\d+)$/m).exec(read(`${folder}/memory.stat`) ?? '') ?? [];
  return used === undefined ? undefined : Math.max(0, used - Number(inactive ?? 0));
}

/** A controller is in the one hierarchy of version 2, unless version 1 has it. */
function groupsOf(controller: 'cpu' | 'memory', read: ReadText): Groups {
  const lines = (read('/proc/self/cgroup') ?? '').split('\n').map((line) => /^\d+:([^:]*):(.*)$/.exec(line)).filter((match) => match !== null);
  const own = lines.find(([, controllers = '']) => controllers.split(',').includes(controller));
  const [, controllers = '', path = '/'] = own ?? lines.find(([, names]) => names === '') ?? [];
  const root = own ? `${MOUNT}/${controllers}` : MOUNT;
  const parts = path.split('/').filter((part) => part !== '' && part !== '..');
  return { version: own ? 1 : 2, folders: [...parts.keys()].map((index) => `${root}/${parts.slice(0, parts.length - index).join('/')}`).concat(root) };
}

/** undefined for `max` and for what is no number. */
function numberIn(path: string, read: ReadText): number | undefined {
  const text = read(path)?.trim();
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
