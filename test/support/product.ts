import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { preparedDirectory } from './data-directory.js';
import { NPM_START } from './npm-start.mjs';
import { temporaryDirectory } from './temporary-directory.js';

export { temporaryDirectory };

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

export const ADMIN = { email: 'admin@hospital.test', password: 'lantern quarry mellow 58 orchid' };

let small: string | undefined;

/** MODELS_DIR where a test says nothing else: the smallest of the shipped models alone, because every start tries all that are there. */
function smallModels(): string {
  if (small !== undefined) return small;
  small = join(temporaryDirectory(), 'models');
  mkdirSync(small);
  symlinkSync(join(ROOT, 'models', 'chest-xray-pneumonia'), join(small, 'chest-xray-pneumonia'));
  return small;
}

export interface Product {
  url: string;
  dataDir: string;
  process: ChildProcess;
  /** What it wrote so far. */
  output(): string;
  token(): Promise<string>;
  /** `fetch` with the administrator's token; paths are relative to the product. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  json<T>(path: string, init?: RequestInit): Promise<T>;
  /** SIGTERM, and the exit status. */
  stop(): Promise<number | null>;
}

export interface StartOptions {
  dataDir?: string;
  env?: Record<string, string>;
  /** Remove the data directory after `stop`. Default: when it was made here. */
  keepData?: boolean;
  /** What is started, and as whom. Default: the build of this checkout, as whoever runs the test. */
  program?: { argv: readonly string[]; cwd: string; uid?: number; gid?: number };
}

/** Starts the built product in a process of its own on a free port, with everything embedded unless `env` says otherwise. */
export async function startProduct({ dataDir, env = {}, keepData, program: other }: StartOptions = {}): Promise<Product> {
  const { argv, ...program } = other ?? { argv: NPM_START.argv, cwd: ROOT };
  // Of another version, or under another account, it makes its database itself.
  const directory = dataDir ?? (other === undefined && env.DATABASE_URL === undefined ? await preparedDirectory() : temporaryDirectory());
  const child = spawn(process.execPath, argv, {
    ...program,
    env: {
      ...NPM_START.env, PATH: process.env.PATH, HOME: process.env.HOME, PORT: '0', HOST: '127.0.0.1', DATA_DIR: directory, SETTLE_SECONDS: '1', LOG_LEVEL: 'warn', MODELS_DIR: smallModels(),
      BOOTSTRAP_ADMIN_EMAIL: ADMIN.email, BOOTSTRAP_ADMIN_PASSWORD: ADMIN.password, ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  const url = await new Promise<string>((resolve, reject) => {
    child.once('exit', (code) => { reject(new Error(`the product ended with ${String(code)}:\n${lines.join('\n')}`)); });
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        lines.push(line);
        const match = / listens at (http\S+)$/.exec(line);
        if (match?.[1]) resolve(match[1]);
      });
    }
  });
  let cached: { token: string; until: number } | undefined;
  const token = async (): Promise<string> => {
    if (cached && cached.until > Date.now()) return cached.token;
    const response = await fetch(`${url}/oauth2/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'password', username: ADMIN.email, password: ADMIN.password }) });
    if (!response.ok) throw new Error(`no token: ${String(response.status)} ${await response.text()}`);
    const body = (await response.json()) as { access_token: string; expires_in: number };
    cached = { token: body.access_token, until: Date.now() + body.expires_in * 500 };
    return body.access_token;
  };
  const authorized = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers(init.headers);
    if (!headers.has('authorization') && !headers.has('x-api-key')) headers.set('authorization', `Bearer ${await token()}`);
    return fetch(`${url}${path}`, { ...init, headers });
  };
  return {
    url, dataDir: directory, process: child, token, fetch: authorized,
    output: () => lines.join('\n'),
    json: async <T>(path: string, init?: RequestInit) => {
      const response = await authorized(path, init);
      const text = await response.text();
      if (!response.ok) throw new Error(`${init?.method ?? 'GET'} ${path}: ${String(response.status)} ${text}`);
      // The caller names the shape that the contract promises.
      return JSON.parse(text) as T;
    },
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
      if (!(keepData ?? dataDir !== undefined)) rmSync(directory, { recursive: true, force: true });
      return child.exitCode;
    },
  };
}

/** Asks `probe` until it gives something, or fails after `timeoutMs` with `what`. */
export async function eventually<T>(what: string, probe: () => Promise<T | undefined | null | false>, timeoutMs = 30_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== null && value !== false) return value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`${what}: not within ${String(timeoutMs)} ms`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Writes bytes under a temporary folder and returns the path. */
export function temporaryFile(name: string, bytes: Uint8Array): string {
  const path = join(temporaryDirectory(), name);
  writeFileSync(path, bytes);
  return path;
}
