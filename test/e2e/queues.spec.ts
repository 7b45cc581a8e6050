import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../src/kernel/uid.js';
import { parseConfig } from '../../src/platform/config.js';
import { openDatabase, type OpenedDatabase } from '../../src/platform/database/open-database.js';
import { createLogger } from '../../src/platform/ops/logger.js';
import { ADMIN, eventually, ROOT, startProduct, type Product } from '../support/product.js';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path));
if (CHROMIUM === undefined) console.warn('SKIPPED: Chromium is not installed; the board of queues is not tested by mouse');
const QUEUE = '/api/v1/queues/deliver-results';

interface JobView { id: string; state: string; attempts: number; institutionId: string; failure: { class: string; code: string } | null }

describe('Queues', () => {
  let product: Product;
  let database: OpenedDatabase;
  let client: pg.Client;
  let institutionId = '';
  let key = '';

  beforeAll(async () => {
    product = await startProduct({ env: { SETTLE_SECONDS: '3600' } });
    database = await openDatabase(parseConfig({ DATA_DIR: product.dataDir }), createLogger('silent'));
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
    institutionId = (await client.query<{ id: string }>('SELECT institution_id AS id FROM users LIMIT 1')).rows[0]?.id ?? '';
    key = (await product.json<{ key: string }>('/api/v1/api-keys', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name: 'jobs', scopes: ['jobs:read', 'jobs:write'] }) })).key;
  });

  afterAll(async () => {
    await client.end();
    await database.close();
    await product.stop();
  });

  /** An event that no handler of ours would write: whoever takes it fails. */
  async function poison(owner: string): Promise<string> {
    const id = uuidv7();
    await client.query(`INSERT INTO outbox (id, institution_id, topic, payload) VALUES ($1, $2, 'delivery.due', $3)`, [id, owner, { institutionId: owner, deliveryId: 'no id', studyInstanceUid: '1.2.3' }]);
    await eventually('the job to be parked', async () => (await jobs()).some((job) => job.id === id), 20_000);
    return id;
  }

  const jobs = async (headers: Record<string, string> = {}): Promise<JobView[]> => (await product.json<{ items: JobView[] }>(`${QUEUE}/jobs?state=failed`, { headers })).items;
  const code = async (path: string, init: RequestInit = {}): Promise<[number, string]> => {
    const response = await product.fetch(path, init);
    return [response.status, response.headers.get('content-type')?.includes('problem') === true ? ((await response.json()) as { code: string }).code : ''];
  };

  it('are shown with what was given up, to whose it is', async () => {
    const [ours, theirs] = [await poison(institutionId), await poison(uuidv7())];
    const { items } = await product.json<{ items: { name: string; consumers: number; counts: { failed: number } }[] }>('/api/v1/queues');
    expect(items.find(({ name }) => name === 'deliver-results')).toMatchObject({ consumers: 1, counts: { failed: 2 } });
    expect((await jobs()).map(({ id }) => id).sort()).toEqual([ours, theirs].sort());
    const own = await jobs({ 'x-api-key': key });
    expect(own).toMatchObject([{ id: ours, state: 'failed', attempts: 3, institutionId, failure: { class: 'bug' } }]);
    expect(JSON.stringify(own)).not.toContain('1.2.3');
    const page = await product.json<{ items: JobView[]; nextCursor: string }>(`${QUEUE}/jobs?limit=1`);
    expect(page.items).toHaveLength(1);
    expect((await product.json<{ items: JobView[] }>(`${QUEUE}/jobs?limit=1&cursor=${page.nextCursor}`)).items).toHaveLength(1);
    expect(await (await fetch(`${product.url}/metrics`)).text()).toMatch(/healthvision_poison_jobs\{queue="deliver-results"\} 2/);
    const asKey = { headers: { 'x-api-key': key } };
    expect(await code(`${QUEUE}/jobs/${theirs}/retry`, { method: 'POST', ...asKey })).toEqual([404, 'job-not-found']);
    expect(await code(`${QUEUE}/jobs/${theirs}`, { method: 'DELETE', ...asKey })).toEqual([404, 'job-not-found']);
    expect(await code(`${QUEUE}/pause`, { method: 'POST', ...asKey })).toEqual([403, 'forbidden']);
    expect(await code(`${QUEUE}/jobs/${ours}/retry`, { method: 'POST', ...asKey })).toEqual([202, '']);
    await eventually('it to be given up again', async () => (await jobs()).length === 2);
    for (const id of [ours, theirs]) expect(await code(`${QUEUE}/jobs/${id}`, { method: 'DELETE' })).toEqual([204, '']);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await jobs()).toEqual([]);
    expect((await client.query(`SELECT 1 FROM outbox WHERE id = ANY ($1) AND pending <> '{}'`, [[ours, theirs]])).rowCount).toBe(0);
  });

  it('refuse what makes no sense', async () => {
    expect(await code('/api/v1/queues/nowhere')).toEqual([404, 'queue-not-found']);
    expect(await code('/api/v1/queues/%2e%2e')).toEqual([404, 'not-found']);
    expect(await code(`${QUEUE}/jobs?state=lost`)).toEqual([400, 'invalid-query']);
    expect(await code(`${QUEUE}/jobs?cursor=-1`)).toEqual([400, 'invalid-query']);
    expect(await code(`${QUEUE}/jobs/${uuidv7()}/retry`, { method: 'POST' })).toEqual([404, 'job-not-found']);
    const { items: [timed] } = await product.json<{ items: JobView[] }>('/api/v1/queues/sweep/jobs?state=delayed');
    expect(await code(`/api/v1/queues/sweep/jobs/${timed?.id ?? ''}`, { method: 'DELETE' })).toEqual([409, 'job-not-removable']);
    expect(await code(`/api/v1/queues/sweep/jobs/${timed?.id ?? ''}/retry`, { method: 'POST' })).toEqual([409, 'job-not-parked']);
  });

  it('are paused and go on', async () => {
    const before = await product.fetch(QUEUE);
    const paused = await product.fetch(`${QUEUE}/pause`, { method: 'POST', headers: { 'if-match': before.headers.get('etag') ?? '' } });
    expect([paused.status, await paused.json()]).toMatchObject([200, { paused: true }]);
    expect(await code(`${QUEUE}/resume`, { method: 'POST', headers: { 'if-match': before.headers.get('etag') ?? '' } })).toEqual([412, 'precondition-failed']);
    expect(await product.json(`${QUEUE}/resume`, { method: 'POST' })).toMatchObject({ paused: false });
  });

  it.skipIf(CHROMIUM === undefined)('are on a board, behind the sign-in, where a job is tried again', async () => {
    const id = await poison(institutionId);
    const shots = join(ROOT, 'test-results', 'queues');
    mkdirSync(shots, { recursive: true });
    const browser = await chromium.launch({ executablePath: CHROMIUM ?? '', args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
    try {
      const context = await browser.newContext({ baseURL: product.url, viewport: { width: 1300, height: 850 }, locale: 'en-GB' });
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on('console', (line) => { if (/Content Security Policy|Uncaught/.test(line.text())) complaints.push(line.text()); });
      page.on('pageerror', (error) => { complaints.push(error.message); });
      page.on('requestfailed', (request) => { if (!request.url().startsWith(product.url)) complaints.push(request.url()); });
      expect((await context.request.get('/admin/queues/api/queues')).status()).toBe(401);
      await page.goto('/admin/queues/queue/deliver-results?status=failed');
      expect(new URL(page.url()).pathname).toBe('/login');
      await page.getByLabel('E-mail address').fill(ADMIN.email);
      await page.getByLabel('Password', { exact: true }).fill(ADMIN.password);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByText(id).first().waitFor();
      await eventually('what it met to be shown', async () => (await page.locator('main').innerText()).includes('bug: 22P02'));
      await page.screenshot({ path: join(shots, 'board.png') });
      expect(await page.content()).not.toContain('1.2.3');
      const tried = page.waitForResponse((response) => response.url().endsWith('/retry/failed'), { timeout: 15_000 });
      await page.getByRole('button', { name: 'Retry all' }).click();
      await page.getByRole('button', { name: 'Confirm' }).click();
      expect((await tried).status()).toBe(200);
      await eventually('it to be given up again', async () => (await jobs()).some((job) => job.id === id));
      const csrf = (await context.cookies()).find(({ name }) => name === 'hv_csrf')?.value ?? '';
      const put = async (path: string, headers = {}): Promise<number> => (await context.request.put(`/admin/queues/api/queues/deliver-results/${path}`, { headers })).status();
      expect(await put('pause')).toBe(403);
      expect(await put(`${id}/clean`, { 'x-csrf-token': csrf })).toBe(204);
      expect(await jobs()).toEqual([]);
      for (const path of ['obliterate', 'empty', 'clean/failed', 'concurrency']) expect(await put(path, { 'x-csrf-token': csrf })).toBe(403);
      expect(complaints).toEqual([]);
    } finally {
      await browser.close();
    }
  });
});
