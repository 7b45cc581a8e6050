import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modelsDirectory, PACKS, writeManifest } from '../integration/analysis/model-packs.js';
import { Authority, opensslIsInstalled } from '../support/certificates.js';
import type { AnalysisView } from '../support/flow.js';
import { ADMIN, eventually, ROOT, startProduct, temporaryDirectory, type Product } from '../support/product.js';

const SCOPES = ['images:read', 'images:write', 'images:delete', 'analyses:create', 'analyses:read', 'models:read', 'results:read', 'webhooks:read', 'webhooks:write', 'audit:read'];

interface Answer {
  status: number | null;
  stdout: string;
  stderr: string;
}

interface Report {
  passed: boolean;
  patientId: string;
  steps: { step: string; status: 'passed' | 'failed' | 'skipped'; detail: string; advice: string | null }[];
}

/** @param watch  sees what it writes to standard error, and may send it a signal */
function selftest(args: readonly string[], env: Record<string, string> = {}, watch: (text: string, kill: (signal: 'SIGINT') => void) => void = () => undefined): Promise<Answer> {
  const child = spawn(process.execPath, [join(ROOT, 'dist', 'src', 'cli', 'healthvision.js'), 'selftest', ...args], { env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env } });
  const answer: Answer = { status: null, stdout: '', stderr: '' };
  child.stdout.on('data', (piece: Buffer) => { answer.stdout += piece.toString(); });
  child.stderr.on('data', (piece: Buffer) => {
    answer.stderr += piece.toString();
    watch(answer.stderr, (signal) => child.kill(signal));
  });
  return new Promise((resolve) => { child.once('close', (status) => { resolve({ ...answer, status }); }); });
}

async function reported(args: readonly string[], env?: Record<string, string>): Promise<Report & { status: number | null; of(step: string): Report['steps'][number] | undefined }> {
  const { status, stdout, stderr } = await selftest(['--json', ...args], env);
  if (stdout === '') throw new Error(stderr);
  const report = JSON.parse(stdout) as Report;
  return { ...report, status, of: (step) => report.steps.find((row) => row.step === step) };
}

async function keyWith(product: Product, scopes: readonly string[]): Promise<string> {
  return (await product.json<{ key: string }>('/api/v1/api-keys', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name: 'selftest', scopes }) })).key;
}

/** Nothing of any phantom is found by QIDO-RS, in the lists, or among the webhooks. */
async function expectNothingLeft(product: Product): Promise<void> {
  expect(await product.json('/dicom-web/studies')).toEqual([]);
  expect(await product.json('/dicom-web/series')).toEqual([]);
  for (const list of ['studies', 'patients', 'results', 'webhooks']) expect(await product.json(`/api/v1/${list}`), list).toEqual({ items: [], nextCursor: null });
  // That something was analysed stays on record, as with every study that is deleted.
  for (const { resultId } of (await product.json<{ items: AnalysisView[] }>('/api/v1/analyses')).items) expect(resultId).toBeUndefined();
}

/** What ends TLS in front of a product, as an ingress does. */
async function proxyTo(product: Product, authority: Authority, maxVersion: 'TLSv1.2' | 'TLSv1.3'): Promise<{ url: string; close(): void }> {
  const { cert, key } = authority.sign('proxy');
  const server = createServer({ cert: readFileSync(cert), key: readFileSync(key), maxVersion }, (incoming, outgoing) => {
    incoming.pipe(request(`${product.url}${incoming.url ?? ''}`, { method: incoming.method ?? 'GET', headers: incoming.headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `https://127.0.0.1:${String((server.address() as AddressInfo).port)}`, close: () => { server.closeAllConnections(); server.close(); } };
}

const dataDir = temporaryDirectory();
afterAll(() => { rmSync(dataDir, { recursive: true, force: true }); });

/** The shipped model, and one that segments. One window over all of a small volume. */
function packs(): string {
  const folder = modelsDirectory(['segresnet-tiny']);
  const manifest = JSON.parse(readFileSync(join(PACKS, 'segresnet-tiny', 'manifest.json'), 'utf8')) as { window: object };
  writeManifest(folder, 'segresnet-tiny', { ...manifest, window: { ...manifest.window, size: [64, 72, 32], overlap: 0 } });
  cpSync(join(ROOT, 'models', 'chest-xray-pneumonia'), join(folder, 'chest-xray-pneumonia'), { recursive: true });
  return folder;
}

describe('healthvision selftest against a whole installation', () => {
  let product: Product;
  let key: string;

  beforeAll(async () => {
    product = await startProduct({ dataDir, env: { ALLOWED_PRIVATE_HOSTS: '127.0.0.1', MODELS_DIR: packs(), SETTLE_SECONDS: '3600' } });
    key = await keyWith(product, SCOPES);
    await eventually('the models to serve', async () => {
      const { items } = await product.json<{ items: { state: string }[] }>('/api/v1/models');
      return items.length === 2 && items.every(({ state }) => state === 'active');
    });
  });
  afterAll(async () => { expect(await product.stop()).toBe(0); });

  it('passes every step with a key of the scopes that it names, and leaves nothing behind', async () => {
    const report = await reported(['--url', product.url], { HEALTHVISION_API_KEY: key });
    expect(report.steps.filter(({ status }) => status !== 'passed').map(({ step, detail }) => `${step}: ${detail}`)).toEqual([`tls: ${product.url} is not https: nothing between here and there is encrypted`]);
    expect(report.steps.map(({ step }) => step)).toEqual([
      'health', 'ready', 'tls', 'credentials', 'may clean up', 'models', 'upload', 'study complete', expect.stringContaining('analysis ') as string, expect.stringContaining('analysis ') as string,
      'SR and SEG', 'pictures and PDF', 'webhook loop', 'audit trail', 'clean-up',
    ]);
    expect(report.of('SR and SEG')?.detail).toBe('2 SR, 1 SEG, by WADO-RS');
    expect(report).toMatchObject({ status: 0, passed: true });
    await expectNothingLeft(product);
  });

  it('prints a table without colours where nobody looks, for a person who signs in, and signs out again', async () => {
    const { status, stdout, stderr } = await selftest(['--analyses', 'chest-xray-classification'], { PUBLIC_URL: product.url, HEALTHVISION_USER: ADMIN.email, HEALTHVISION_PASSWORD: ADMIN.password });
    expect(stdout).toMatch(/^Step +Result +Time +What was seen\n─+\nhealth +passed +\d+\.\d s/);
    expect(stdout).toMatch(/analysis chest-xray-pneumonia@\d\S+ +passed/);
    expect(stdout).toMatch(/\d+ passed, 0 failed, 1 skipped in \d+\.\d s\n$/);
    expect(stdout + stderr).not.toContain('\u001b');
    expect(status).toBe(0);
    expect((await product.json<{ items: unknown[] }>('/api/v1/users/me/sessions')).items).toHaveLength(1);
    await expectNothingLeft(product);
  });

  it('speaks TLS under an authority of one\'s own, and says when it is too old', async () => {
    if (!opensslIsInstalled()) return;
    const authority = new Authority();
    const [modern, old] = [await proxyTo(product, authority, 'TLSv1.3'), await proxyTo(product, authority, 'TLSv1.2')];
    const args = (url: string): string[] => ['--url', url, '--api-key', key, '--analyses', 'none'];
    const [trusted, aged, stranger] = await Promise.all([reported([...args(modern.url), '--ca-file', authority.ca]), reported([...args(old.url), '--ca-file', authority.ca]), reported(args(modern.url))]);
    for (const proxy of [modern, old]) proxy.close();
    rmSync(authority.folder, { recursive: true, force: true });
    expect(trusted.steps.filter(({ status }) => status === 'failed')).toEqual([]);
    expect(trusted).toMatchObject({ status: 0 });
    expect(trusted.of('tls')).toMatchObject({ status: 'passed', detail: expect.stringMatching(/^TLSv1\.3, certificate for \d days$/) as string });
    expect(aged).toMatchObject({ status: 1 });
    expect(aged.of('tls')?.detail).toContain('TLSv1.2');
    expect(stranger.of('health')).toMatchObject({ status: 'failed', advice: expect.stringContaining('--ca-file') as string });
    await expectNothingLeft(product);
  });

  it('names the scope that a key lacks, and uploads nothing that it could not delete', async () => {
    const without = async (scope: string): Promise<Awaited<ReturnType<typeof reported>>> => reported(['--url', product.url, '--analyses', 'none', '--api-key', await keyWith(product, SCOPES.filter((one) => one !== scope))]);
    const [undeleted, unaudited] = await Promise.all([without('images:delete'), without('audit:read')]);
    expect(undeleted.of('may clean up')).toMatchObject({ status: 'failed', detail: 'forbidden: These credentials lack the scope images:delete.', advice: expect.stringContaining('images:delete') as string });
    expect(undeleted.of('upload')).toMatchObject({ status: 'skipped' });
    expect(unaudited.of('audit trail')).toMatchObject({ status: 'failed', detail: 'forbidden: These credentials lack the scope audit:read.' });
    expect([undeleted.status, unaudited.status]).toEqual([1, 1]);
    await expectNothingLeft(product);
  });

  it('signs systems in', async () => {
    const client = await product.json<{ id: string; clientSecret: string }>('/api/v1/oauth-clients', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name: 'selftest', scopes: ['images:read', 'models:read'], authentication: 'client_secret' }) });
    const report = await reported(['--url', product.url], { HEALTHVISION_CLIENT_ID: client.id, HEALTHVISION_CLIENT_SECRET: client.clientSecret });
    expect(report.of('credentials')).toMatchObject({ status: 'passed', detail: 'client credentials' });
    expect(report.of('may clean up')).toMatchObject({ status: 'failed' });
  });

  it('refuses a wrong key, a wrong address and wrong options in one clear line each', async () => {
    const [wrongKey, wrongUrl] = await Promise.all([reported(['--url', product.url, '--api-key', 'hv_wrong']), reported(['--url', 'http://127.0.0.1:9', '--api-key', key])]);
    expect(wrongKey.of('credentials')).toMatchObject({ status: 'failed', detail: expect.stringMatching(/^unauthenticated: /) as string, advice: expect.stringContaining('api-keys') as string });
    expect(wrongUrl.of('health')).toMatchObject({ status: 'failed', detail: 'unreachable: http://127.0.0.1:9 does not answer (ECONNREFUSED)' });
    expect(wrongUrl.steps.filter(({ status }) => status === 'skipped').length).toBe(wrongUrl.steps.length - 1);
    expect([wrongKey.status, wrongUrl.status]).toEqual([1, 1]);
    expect(await selftest(['--url', 'nowhere'])).toEqual({ status: 1, stdout: '', stderr: 'error: usage: nowhere is not a URL that begins with http:// or https://\n' });
    expect(await selftest(['--webhook-listen', '9099'])).toMatchObject({ status: 1, stderr: 'error: usage: --webhook-listen 9099 is not of the form host:port\n' });
  });
});

describe('healthvision selftest where no worker runs', () => {
  let api: Product;
  let args: string[];

  beforeAll(async () => {
    api = await startProduct({ dataDir, env: { APP_ROLE: 'api' } });
    args = ['--url', api.url, '--api-key', await keyWith(api, SCOPES), '--timeout', '1', '--analyses', 'chest-xray-classification'];
  });
  afterAll(async () => { expect(await api.stop()).toBe(0); });

  it('says so, ends with 1 and leaves nothing behind', async () => {
    const report = await reported(args);
    const analysis = report.steps.find(({ step }) => step.startsWith('analysis '));
    expect(analysis).toMatchObject({ status: 'failed', detail: 'no-worker: No worker has taken the analysis within 1 s.', advice: expect.stringContaining('APP_ROLE=worker') as string });
    expect(report.of('webhook loop')).toMatchObject({ status: 'skipped', detail: expect.stringContaining('ALLOWED_PRIVATE_HOSTS') as string });
    expect(report.of('clean-up')).toMatchObject({ status: 'passed' });
    expect(report.status).toBe(1);
    await expectNothingLeft(api);
  });

  it('cleans up when it is interrupted', async () => {
    let isInterrupted = false;
    const { status, stderr, stdout } = await selftest([...args, '--timeout', '600'], {}, (text, kill) => {
      if (isInterrupted || !text.includes('study complete')) return;
      isInterrupted = true;
      kill('SIGINT');
    });
    expect(stderr).toContain('Interrupted: cleaning up.');
    expect(stdout).toMatch(/clean-up +passed/);
    expect(status).toBe(1);
    await expectNothingLeft(api);
  });
});
