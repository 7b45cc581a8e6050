import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { open, readFile, readlink, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../kernel/errors.js';
import { plainEnvironment } from './embedded-account.js';
import type { Account } from './embedded-account.js';
import type { PostgresBinaries } from './embedded-binaries.js';
import { postgresFailure } from './embedded-cluster.js';
import { errorCode, listNames, runningProcess } from './embedded-presence.js';
import type { RunningProcess } from './embedded-presence.js';

const POLL_MS = 20;
/** Recovery after a crash replays at most max_wal_size; a slow disk needs minutes for it. */
const START_LIMIT_MS = 600_000;
const STOP_LIMIT_MS = 60_000;

export interface PostgresServer extends RunningProcess {
  pid: number;
  port: number;
  /** What postmaster.pid says: `ready` when it takes connections, `starting`, `stopping`. */
  status: string;
}

/** The server that runs on a cluster, or null. What a crash left in postmaster.pid does not count. */
export async function runningServer(location: string): Promise<PostgresServer | null> {
  let lines: string[];
  try {
    lines = (await readFile(join(location, 'postmaster.pid'), 'utf8')).split('\n');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
  // The lines of postmaster.pid: src/include/utils/pidfile.h. A standalone backend writes its pid negative.
  const pid = Math.abs(Number(lines[0]));
  const found = await runningProcess(pid);
  if (found === null || !(await worksIn(pid, found, location))) return null;
  return { ...found, pid, port: Number(lines[3]), status: lines[7]?.trim() ?? 'starting' };
}

/** The server of a cluster once it takes connections; null when there is none. One that somebody else stops is stopped at once. */
export async function settledServer(location: string): Promise<PostgresServer | null> {
  for (;;) {
    const server = await runningServer(location);
    if (server === null || server.status === 'ready') return server;
    // "Smart" shutdown, which SIGTERM asks for, waits for the sessions of our pools, for ever.
    if (server.status === 'stopping') await stopServer(server);
    await sleep(POLL_MS);
  }
}

/** True while exactly this server process lives. */
export async function isStillRunning(server: PostgresServer): Promise<boolean> {
  return (await runningProcess(server.pid))?.startedAt === server.startedAt;
}

/**
 * Starts the server in a session of its own, so that it outlives us, and waits until it takes connections.
 *
 * @param logFile  takes what the server says before its own log is open
 * @throws AppError `storage-full`, `database-unavailable` with the server's last lines
 */
export async function startServer(location: string, logFile: string, binaries: PostgresBinaries, account: Account | undefined): Promise<PostgresServer> {
  await clearRemains(location);
  const begun = Date.now();
  const before = await logSizes(location);
  // Removed first: it may belong to another account that worked here before.
  await rm(logFile, { force: true });
  const log = await open(logFile, 'wx', 0o600);
  let ended: string | undefined;
  let pid: number | undefined;
  try {
    // Not pg_ctl: a direct child is reaped by us, where an orphan of a container whose first process is Node stays a zombie.
    const child = spawn(binaries.postgres, ['-D', location], {
      cwd: '/',
      env: plainEnvironment(),
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      ...(account && { uid: account.uid, gid: account.gid }),
    });
    child.on('error', (error) => {
      ended = error.message;
    });
    child.on('exit', (status, signal) => {
      ended = `ended with ${signal ?? `status ${String(status)}`}`;
    });
    child.unref();
    pid = child.pid;
  } finally {
    await log.close();
  }
  while (Date.now() - begun < START_LIMIT_MS) {
    if (ended !== undefined) break;
    const server = await runningServer(location);
    if (server?.status === 'ready' && server.pid === pid) return server;
    await sleep(POLL_MS);
  }
  throw postgresFailure(`PostgreSQL did not start (${ended ?? 'no answer'})`, await lastWords(location, logFile, before));
}

/** Stops a server: sessions are ended and a checkpoint is written ("fast"); if that hangs, without the checkpoint. */
export async function stopServer(server: PostgresServer): Promise<void> {
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    if (!signalProcess(server.pid, signal)) return;
    const deadline = Date.now() + STOP_LIMIT_MS;
    while (Date.now() < deadline) {
      if (!(await isStillRunning(server))) return;
      await sleep(POLL_MS);
    }
  }
}

/**
 * A port of 127.0.0.1 that is free now; `wanted` when that one is.
 *
 * @throws AppError `database-unavailable` when none is
 */
export async function freePort(wanted?: number): Promise<number> {
  if (wanted !== undefined && (await isPortFree(wanted))) return wanted;
  for (let round = 0; round < 100; round++) {
    // Below the ports that systems give to outgoing connections: a client that redials a stopped server from such a port can
    // connect to itself, and the server could not come back.
    const port = randomInt(20_000, 32_000);
    if (await isPortFree(port)) return port;
  }
  throw new AppError('database-unavailable', { detail: 'No port between 20000 and 32000 is free for the embedded PostgreSQL.' });
}

/**
 * A killed postmaster leaves its pid file, and its backends may outlive it for a moment. PostgreSQL copes with both, unless the
 * pid is in use again (containers count from 1 at every start) or belongs to a zombie: then it would refuse to start.
 */
async function clearRemains(location: string): Promise<void> {
  if (process.platform !== 'linux') return;
  for (let round = 0; round < 200; round++) {
    const survivors = await processesIn(location);
    if (survivors.length === 0) {
      await rm(join(location, 'postmaster.pid'), { force: true });
      return;
    }
    for (const pid of survivors) signalProcess(pid, round < 100 ? 'SIGQUIT' : 'SIGKILL');
    await sleep(50);
  }
}

/** Every process of PostgreSQL works in its cluster's folder. */
async function processesIn(location: string): Promise<number[]> {
  const pids = (await listNames('/proc')).map(Number).filter((pid) => Number.isInteger(pid) && pid !== process.pid);
  const found: number[] = [];
  for (const pid of pids) {
    const directory = await readlink(`/proc/${String(pid)}/cwd`).catch(() => '');
    if (directory === location && (await runningProcess(pid))?.command === 'postgres') found.push(pid);
  }
  return found;
}

async function worksIn(pid: number, found: RunningProcess, location: string): Promise<boolean> {
  if (process.platform !== 'linux') return true;
  if (found.command !== 'postgres') return false;
  try {
    return (await readlink(`/proc/${String(pid)}/cwd`)) === location;
  } catch (error) {
    return errorCode(error) !== 'ENOENT';
  }
}

/** What the server said since `before`: first to us, then, once it is open, to its own log. */
async function lastWords(location: string, logFile: string, before: ReadonlyMap<string, number>): Promise<string> {
  let words = await readFile(logFile, 'utf8').catch(() => '');
  for (const [file, size] of await logSizes(location)) {
    if (size !== before.get(file)) words += (await readFile(file)).subarray(before.get(file) ?? 0).toString('utf8');
  }
  return words;
}

async function logSizes(location: string): Promise<Map<string, number>> {
  const files = (await listNames(join(location, 'log'))).map((name) => join(location, 'log', name));
  return new Map(await Promise.all(files.map(async (file) => [file, (await stat(file)).size] as const)));
}

function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return false;
    throw error;
  }
}

async function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.on('error', () => {
      resolve(false);
    });
    probe.listen(port, '127.0.0.1', () => {
      probe.close(() => {
        resolve(true);
      });
    });
  });
}
