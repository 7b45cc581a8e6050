import { mkdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../kernel/errors.js';
import { HEARTBEAT_MS, errorCode, isPresent, listNames, presenceName } from './embedded-presence.js';

const POLL_MS = 20;

/**
 * Runs `work` while no other process runs work under the same folder. A holder that is killed loses the lock with its life.
 *
 * Lamport's bakery over files (A new solution of Dijkstra's concurrent programming problem, 1974): every contender has a file
 * name of its own that never comes back, so removing what a dead one left can never take the lock from a living one, as
 * breaking a single stale lock file can.
 *
 * @param refusal  of who does not get the lock in time, told the process that holds it
 * @throws AppError `database-unavailable`, or `refusal`, when the lock is not had within `timeoutMs`
 */
export async function withProcessLock<T>(directory: string, work: () => Promise<T>, timeoutMs = 180_000, refusal: (pid: string) => AppError = databaseIsBusy): Promise<T> {
  const name = await presenceName();
  const choosing = join(directory, `choosing-${name}`);
  let ticket = '';
  await mkdir(directory, { mode: 0o700 }).catch((error: unknown) => {
    if (errorCode(error) !== 'EEXIST') throw error;
  });
  const heartbeat = setInterval(() => {
    const now = new Date();
    void utimes(join(directory, ticket), now, now).catch(() => undefined);
  }, HEARTBEAT_MS);
  heartbeat.unref();
  try {
    await writeFile(choosing, '', { flag: 'wx', mode: 0o600 });
    const highest = Math.max(0, ...(await listNames(directory)).map((file) => parseTicket(file)?.number ?? 0));
    const number = highest + 1;
    ticket = `ticket-${String(number)}-${name}`;
    await writeFile(join(directory, ticket), '', { flag: 'wx', mode: 0o600 });
    await rm(choosing, { force: true });
    await waitForTurn(directory, { number, name }, timeoutMs, refusal);
    return await work();
  } finally {
    clearInterval(heartbeat);
    await rm(choosing, { force: true });
    if (ticket !== '') await rm(join(directory, ticket), { force: true });
  }
}

function databaseIsBusy(pid: string): AppError {
  return new AppError('database-unavailable', { detail: `Process ${pid} has been starting or stopping the embedded PostgreSQL for too long; end it and try again.` });
}

interface Ticket {
  number: number;
  name: string;
}

async function waitForTurn(directory: string, own: Ticket, timeoutMs: number, refusal: (pid: string) => AppError): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  const isAhead = (file: string): boolean => {
    const other = parseTicket(file);
    if (other === null || other.name === own.name) return false;
    return other.number < own.number || (other.number === own.number && other.name < own.name);
  };
  // Two listings, in this order: who is no longer choosing in the first has a ticket in the second.
  for (;;) {
    const blocker =
      (await findLiving(directory, (file) => file.startsWith('choosing-') && !file.endsWith(own.name))) ??
      (await findLiving(directory, isAhead));
    if (blocker === undefined) return;
    if (Date.now() > deadline) {
      throw refusal(blocker.slice(blocker.lastIndexOf('-') + 1).split('.')[0] ?? '');
    }
    await sleep(POLL_MS);
  }
}

async function findLiving(directory: string, matches: (file: string) => boolean): Promise<string | undefined> {
  for (const file of await listNames(directory)) {
    if (!matches(file)) continue;
    if (await isPresent(directory, file, file.slice(file.lastIndexOf('-') + 1))) return file;
    await rm(join(directory, file), { force: true });
  }
  return undefined;
}

function parseTicket(file: string): Ticket | null {
  const match = /^ticket-(\d+)-(.+)$/.exec(file);
  return match?.[2] === undefined ? null : { number: Number(match[1]), name: match[2] };
}
