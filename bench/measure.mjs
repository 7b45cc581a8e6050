// What the benches share: a product of their own, figures, a table and a JSON file.
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, cpus, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { buildIfStale } from '../src/cli/build.mjs';
import { NPM_START } from '../test/support/npm-start.mjs';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const ADMIN = { username: 'bench@hospital.test', password: 'bench-password-1234' };

/** Starts the built product on a free port; `dataDir` may be shared by several roles. */
export async function startProduct(env = {}, dataDir = temporaryDirectory()) {
  buildIfStale();
  const child = spawn(process.execPath, NPM_START.argv, {
    cwd: ROOT,
    env: { ...NPM_START.env, PATH: process.env.PATH, HOME: process.env.HOME, PORT: '0', HOST: '127.0.0.1', DATA_DIR: dataDir, LOG_LEVEL: 'error', BOOTSTRAP_ADMIN_EMAIL: ADMIN.username, BOOTSTRAP_ADMIN_PASSWORD: ADMIN.password, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  // A bench that fails leaves nothing running.
  const kill = () => child.kill('SIGKILL');
  process.on('exit', kill);
  const url = await new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the product ended with ${code}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const match = / listens at (http\S+)$/.exec(line);
      if (match) resolve(match[1]);
    });
  });
  let token;
  return {
    url, dataDir, pid: child.pid,
    async authorization() {
      if (!token || token.until < Date.now()) {
        const { access_token, expires_in } = await (await fetch(`${url}/oauth2/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'password', ...ADMIN }) })).json();
        token = { value: access_token, until: Date.now() + expires_in * 500 };
      }
      return `Bearer ${token.value}`;
    },
    async fetch(path, init = {}) {
      return fetch(`${url}${path}`, { ...init, headers: { ...init.headers, authorization: await this.authorization() } });
    },
    /** Resident memory now, in bytes. */
    residentBytes: () => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? 0) * 1024,
    async stop() {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await gone;
      process.off('exit', kill);
    },
  };
}

export function temporaryDirectory() {
  const path = mkdtempSync(join(tmpdir(), 'healthvision-bench-'));
  chmodSync(path, 0o711);
  process.on('exit', () => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** The value below which a share `p` (0–1) of the sorted-or-not `values` lies. */
export function percentile(values, p) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * p) - 1)] ?? NaN;
}

/** Prints the rows as a table and writes them with the machine's size to bench/results/<name>.json. */
export function report(name, rows, pass) {
  console.table(rows);
  const folder = join(ROOT, 'bench', 'results');
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${name}.json`);
  writeFileSync(path, `${JSON.stringify({ name, at: new Date().toISOString(), machine: { cpus: cpus().length, model: cpus()[0]?.model, memoryBytes: totalmem(), node: process.version }, pass, rows }, null, 2)}\n`);
  console.log(`${pass ? 'within its limits' : 'OUTSIDE its limits'}; written to ${path}`);
  if (!pass) process.exitCode = 1;
}
