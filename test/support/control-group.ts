import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const MOUNT = '/sys/fs/cgroup';
const PERIOD_MICROSECONDS = 100_000;

export interface GroupLimits {
  cores?: number;
  memoryBytes?: number;
}

/** A control group of Linux that processes are put in while they run, as a container would be. */
export interface ControlGroup {
  limit(limits: GroupLimits): void;
  add(pid: number): void;
  /** Every process back to where it was. */
  close(): void;
}

/** @returns undefined, and says so, where this account may make none */
export function controlGroup(name: string): ControlGroup | undefined {
  try {
    return existsSync(join(MOUNT, 'cgroup.controllers')) ? unified(name) : separate(name);
  } catch (error) {
    console.warn(`SKIPPED: no control group can be made by this account (${(error as Error).message}); no process has less than it needs here`);
    return undefined;
  }
}

/** Version 2: one hierarchy. */
function unified(name: string): ControlGroup {
  writeFileSync(join(MOUNT, 'cgroup.subtree_control'), '+cpu +memory');
  const folder = made(join(MOUNT, name));
  return {
    limit({ cores, memoryBytes }) {
      if (cores !== undefined) writeFileSync(join(folder, 'cpu.max'), `${String(microseconds(cores))} ${String(PERIOD_MICROSECONDS)}`);
      if (memoryBytes !== undefined) writeFileSync(join(folder, 'memory.max'), String(memoryBytes));
    },
    ...members([folder], () => MOUNT),
  };
}

/** Version 1: a hierarchy for each controller. */
function separate(name: string): ControlGroup {
  const [cpu, memory] = [made(join(MOUNT, 'cpu', name)), made(join(MOUNT, 'memory', name))];
  return {
    limit({ cores, memoryBytes }) {
      if (cores !== undefined) {
        writeFileSync(join(cpu, 'cpu.cfs_period_us'), String(PERIOD_MICROSECONDS));
        writeFileSync(join(cpu, 'cpu.cfs_quota_us'), String(microseconds(cores)));
      }
      if (memoryBytes !== undefined) writeFileSync(join(memory, 'memory.limit_in_bytes'), String(memoryBytes));
    },
    ...members([cpu, memory], (pid, folder) => join(MOUNT, folder === cpu ? 'cpu' : 'memory', homeOf(pid, folder === cpu ? 'cpu' : 'memory'))),
  };
}

function members(folders: readonly string[], homeOfProcess: (pid: number, folder: string) => string): Pick<ControlGroup, 'add' | 'close'> {
  const homes: { pid: number; folder: string; home: string }[] = [];
  const move = (pid: number, folder: string): void => { writeFileSync(join(folder, 'cgroup.procs'), String(pid)); };
  return {
    add(pid) {
      for (const folder of folders) {
        homes.push({ pid, folder, home: homeOfProcess(pid, folder) });
        move(pid, folder);
      }
    },
    close() {
      for (const { pid, home } of homes) if (existsSync(`/proc/${String(pid)}`)) move(pid, home);
      for (const folder of folders) {
        // What has ended meanwhile may still be counted for a moment.
        try {
          rmdirSync(folder);
        } catch {
          // An empty group is nobody's harm.
        }
      }
    },
  };
}

function homeOf(pid: number, controller: string): string {
  const line = readFileSync(`/proc/${String(pid)}/cgroup`, 'utf8').split('\n').map((one) => one.split(':')).find(([, controllers = '']) => controllers.split(',').includes(controller));
  return line?.slice(2).join(':') ?? '/';
}

function made(folder: string): string {
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** The kernel takes no less than a millisecond. */
function microseconds(cores: number): number {
  return Math.max(1_000, Math.round(cores * PERIOD_MICROSECONDS));
}
