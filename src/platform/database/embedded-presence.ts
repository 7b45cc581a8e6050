import { createHash, randomBytes } from 'node:crypto';
import { readFile, readdir, readlink, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

/** How often a presence file is touched. */
export const HEARTBEAT_MS = 5_000;
/** A presence file of another machine or container counts for this long after its last touch. */
export const FOREIGN_GRACE_MS = 20_000;

export interface RunningProcess {
  /** Name of the executable; empty where the system has no /proc. */
  command: string;
  /** Start time in clock ticks since boot; '0' where the system has no /proc. */
  startedAt: string;
}

/** A process that exists and is not a zombie, or null. */
export async function runningProcess(pid: number): Promise<RunningProcess | null> {
  if (!Number.isSafeInteger(pid) || pid <= 0) return null;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (errorCode(error) !== 'EPERM') return null;
  }
  if (process.platform !== 'linux') return { command: '', startedAt: '0' };
  try {
    const text = await readFile(`/proc/${String(pid)}/stat`, 'utf8');
    // proc(5): the command stands in parentheses and may hold blanks and parentheses itself; field 3 is the state, 22 the start.
    const end = text.lastIndexOf(')');
    const fields = text.slice(end + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return null;
    return { command: text.slice(text.indexOf('(') + 1, end), startedAt: fields[19] ?? '0' };
  } catch {
    return null;
  }
}

/**
 * A file name that says who made it: `<pid>.<start time>.<place>.<random>`. The start time defeats a reused pid; the place
 * (boot and pid namespace) tells processes of other machines and containers apart, whose pids mean nothing here.
 */
export async function presenceName(): Promise<string> {
  const self = await runningProcess(process.pid);
  return `${String(process.pid)}.${self?.startedAt ?? '0'}.${await ownPlace()}.${randomBytes(4).toString('hex')}`;
}

/** True when the name was made by a process of another machine or pid namespace. */
export async function isForeign(name: string): Promise<boolean> {
  return name.split('.')[2] !== (await ownPlace());
}

/** True while the process that made the presence file lives. For a foreign one only its heartbeat tells. */
export async function isPresent(directory: string, file: string, name = file): Promise<boolean> {
  const [pid, startedAt] = name.split('.');
  if (await isForeign(name)) {
    try {
      return Date.now() - (await stat(join(directory, file))).mtimeMs < FOREIGN_GRACE_MS;
    } catch {
      return false;
    }
  }
  const found = await runningProcess(Number(pid));
  return found !== null && found.startedAt === startedAt;
}

/** The presence files in a folder whose makers live; those of the dead are removed (their names never come back). */
export async function sweepPresence(directory: string): Promise<string[]> {
  const present: string[] = [];
  for (const name of await listNames(directory)) {
    if (await isPresent(directory, name)) present.push(name);
    else await rm(join(directory, name), { force: true });
  }
  return present;
}

/** Names in a folder; none when it does not exist. */
export async function listNames(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

let place: Promise<string> | undefined;

function ownPlace(): Promise<string> {
  place ??= (async () => {
    try {
      const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
      return shortHash(`${boot}\0${await readlink('/proc/self/ns/pid')}`);
    } catch {
      return shortHash(hostname());
    }
  })();
  return place;
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 10);
}
