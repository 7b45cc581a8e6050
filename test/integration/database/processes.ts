import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** A line that member.mjs says. */
interface Said {
  url?: string;
  error?: string;
  detail?: string;
  level?: string;
  text?: string;
}

/** A child process that has opened the embedded PostgreSQL of a data directory. */
export interface MemberProcess {
  url: string;
  logs: string[];
  child: ChildProcessWithoutNullStreams;
  /** Lets it close in good order. */
  close(): Promise<void>;
  kill(): Promise<void>;
}

/** Starts member.mjs, as another account when one is given, and waits until it has the database's URL. */
export async function startMember(folder: string, dataDir: string, account?: { uid: number; gid: number }): Promise<MemberProcess> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'member.mjs'), folder, dataDir], { stdio: 'pipe', cwd: '/', ...account });
  let complaints = '';
  child.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
  const ended = once(child, 'exit');
  const logs: string[] = [];
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      // member.mjs writes nothing else.
      const said = JSON.parse(line) as Said;
      if (said.url !== undefined) resolve(said.url);
      if (said.error !== undefined) reject(new Error(`${said.error}: ${said.detail ?? ''}`));
      if (said.text !== undefined) logs.push(`${said.level ?? ''}: ${said.text}`);
    });
    void ended.then(() => {
      reject(new Error(`the process ended: ${complaints}`));
    });
  });
  return {
    url,
    logs,
    child,
    close: async () => {
      child.stdin.end();
      await ended;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Runs one query on a connection of its own. */
export async function query<T extends pg.QueryResultRow>(url: string, sql: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<T>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Repeats until it no longer throws. */
export async function eventually<T>(attempt: () => Promise<T>, withinMs = 15_000): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

export async function readState(dataDir: string): Promise<{ location: string; port: number; password: string }> {
  // Written by the code under test.
  return JSON.parse(await readFile(join(dataDir, 'postgres.json'), 'utf8')) as { location: string; port: number; password: string };
}

/** The pid in the cluster's postmaster.pid; null when no server runs or stopped in good order. */
export async function postmasterPid(dataDir: string): Promise<number | null> {
  const { location } = await readState(dataDir);
  const text = await readFile(join(location, 'postmaster.pid'), 'utf8').catch(() => null);
  return text === null ? null : Number(text.split('\n')[0]);
}
