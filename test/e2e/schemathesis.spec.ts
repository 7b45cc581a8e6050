import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../src/kernel/uid.js';
import { SILENCE_MS } from '../../src/platform/http/connection-patience.js';
import { beginUpload, PART_HEAD } from '../support/begun-upload.js';
import { ROOT, startProduct, type Product } from '../support/product.js';

const installed = spawnSync('schemathesis', ['--version']).status === 0;
if (!installed) process.stderr.write('SKIPPED: Schemathesis is not installed (pip install schemathesis); the API document is not fuzzed.\n');

/** No 5xx, no status, media type, header or body that the document does not tell of. */
const CHECKS = 'not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance';
const UNLIMITED = { RATE_LIMIT_PRINCIPAL: '0', RATE_LIMIT_ADDRESS: '0', RATE_LIMIT_ANONYMOUS: '0', RATE_LIMIT_SIGN_IN: '0', RATE_LIMIT_SIGN_IN_FAILURES: '0' };

let product: Product;
const json = { 'content-type': 'application/json' };

/** How long after its time a silent connection is ended at the latest. */
const NOTICED_MS = 30_000;

/** Begins an upload before all this, and is never heard of again. */
let silent: Socket;
let silentMs: Promise<number>;

beforeAll(async () => {
  product = await startProduct({ env: UNLIMITED });
  const began = performance.now();
  silent = await beginUpload(product, PART_HEAD);
  silentMs = once(silent, 'close').then(() => performance.now() - began);
}, 120_000);

afterAll(async () => {
  silent.destroy();
  await product.stop();
});

/** A key lasts longer than a token, and its owner may be disabled by what is fuzzed only once the run is over. */
async function keyOf(role: 'admin' | 'technician'): Promise<Record<string, string>> {
  const password = 'what the fuzzer never guesses 9';
  const email = `${uuidv7()}@hospital.test`;
  await product.json('/api/v1/users', { method: 'POST', headers: json, body: JSON.stringify({ email, displayName: role, role, password }) });
  const response = await fetch(`${product.url}/oauth2/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'password', username: email, password }) });
  const { access_token: token } = (await response.json()) as { access_token: string };
  if (role === 'technician') return { Authorization: `Bearer ${token}` };
  const { permissions } = (await (await fetch(`${product.url}/api/v1/users/me`, { headers: { authorization: `Bearer ${token}` } })).json()) as { permissions: string[] };
  const { key } = await product.json<{ key: string }>('/api/v1/api-keys', { method: 'POST', headers: { ...json, authorization: `Bearer ${token}` }, body: JSON.stringify({ name: 'fuzz', scopes: permissions }) });
  return { 'X-API-Key': key };
}

describe.skipIf(!installed)('the API document, fuzzed by Schemathesis', () => {
  it.each([['admin', 'examples,coverage', 5], ['admin', 'fuzzing', 3], ['technician', 'examples,fuzzing', 2]] as const)('keeps its word to the %s (%s)', async (role, phases, examples) => {
    const [[header, value] = ['', '']] = Object.entries(await keyOf(role));
    const folder = mkdtempSync(join(tmpdir(), 'schemathesis-'));
    const child = spawn('schemathesis', [
      'run', `${product.url}/openapi.json`, '-H', `${header}: ${value}`, '--phases', phases, '-n', String(examples), '-c', CHECKS, '--continue-on-failure', '--workers', '2',
      '--request-timeout', '30', '--suppress-health-check', 'all', '--warnings', 'off', '--no-color', '--seed', '20261124',
    ], { cwd: folder, env: { ...process.env, SCHEMATHESIS_HOOKS: join(ROOT, 'test', 'e2e', 'schemathesis', 'hooks.py') }, stdio: ['ignore', 'pipe', 'pipe'] });
    const output: string[] = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { output.push(chunk.toString()); });
    const [status] = (await once(child, 'close')) as [number | null];
    rmSync(folder, { recursive: true, force: true });
    expect(status, output.join('').slice(-8_000)).toBe(0);
  }, 900_000);
});

/** Here, because it takes its two minutes wherever it is asked, and the fuzzer takes longer. */
it('ends the connection of a client that falls silent in mid-upload, and not before its time', async () => {
  const late = new Promise<never>((_, reject) => { setTimeout(() => { reject(new Error('a silent client is still connected')); }, SILENCE_MS + NOTICED_MS).unref(); });
  const ms = await Promise.race([silentMs, late]);
  expect(ms).toBeGreaterThan(SILENCE_MS - 1_000);
  expect(ms).toBeLessThan(SILENCE_MS + NOTICED_MS);
}, SILENCE_MS + 60_000);
