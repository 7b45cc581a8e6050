import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium, type Browser, type Locator, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN, ROOT, startProduct, type Product } from '../support/product.js';
import { ended, type AnalysisView, type UploadItem } from '../support/flow.js';
import { openOperation } from '../support/swagger-ui.js';
import { grayPng } from '../support/xray.js';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path));
if (CHROMIUM === undefined) console.warn('SKIPPED: Chromium is not installed; Swagger UI is not tested by mouse');
const SHOTS = join(ROOT, 'test-results', 'swagger');

describe.skipIf(CHROMIUM === undefined)('Swagger UI, by mouse', () => {
  let product: Product;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    product = await startProduct({ env: { SETTLE_SECONDS: '3600' } });
    browser = await chromium.launch({ executablePath: CHROMIUM ?? '', args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
    page = await browser.newPage({ viewport: { width: 1280, height: 1000 } });
    mkdirSync(SHOTS, { recursive: true });
  });

  afterAll(async () => {
    await browser.close();
    await product.stop();
  });

  it('signs in with the administrator’s password', async () => {
    await page.goto(`${product.url}/docs`);
    await page.locator('.btn.authorize').first().click();
    // The first of the ways to sign in; its fields vanish with success.
    const dialog = page.locator('.auth-container').first();
    await dialog.locator('#oauth_username').fill(ADMIN.email);
    await dialog.locator('#oauth_password').fill(ADMIN.password);
    await dialog.locator('button.authorize', { hasText: 'Authorize' }).click();
    await dialog.locator('button', { hasText: 'Logout' }).waitFor();
    await shot('1-authorized');
    await page.locator('.modal-ux .btn-done').first().click();
  });

  it('uploads an image, starts an analysis and reads its result', async () => {
    const picture = join(SHOTS, 'xray.png');
    writeFileSync(picture, await grayPng(5, 512));

    const upload = await open('uploadImages');
    await upload.locator('input[type=file]').first().setInputFiles(picture);
    await fill(upload, 'patientAge', '3');
    await choose(upload, 'modality', 'DX');
    const uploaded = await execute<{ items: UploadItem[] }>(upload, '2-uploaded');
    const uid = uploaded.items[0]?.studyInstanceUid;
    expect(uploaded.items[0]?.status).toBe('stored');

    const create = await open('createAnalysis');
    await create.locator('textarea.body-param__text').fill(JSON.stringify({ analysis: 'chest-xray-classification', studyInstanceUid: uid }));
    const run = await execute<AnalysisView>(create, '3-analysis');
    const end = await ended(product, run.id);
    expect(end.status).toBe('succeeded');

    const read = await open('getResult');
    await read.locator('tr[data-param-name=id] input').fill(end.resultId ?? '');
    const result = await execute<{ labels: { name: string }[] }>(read, '4-result');
    expect(result.labels[0]?.name).toBe('Pneumonia');
  });

  function open(operationId: string): Promise<Locator> {
    return openOperation(page, operationId);
  }

  async function execute<T>(block: Locator, name: string): Promise<T> {
    await block.locator('button.execute').click();
    const body = block.locator('.live-responses-table .response .highlight-code code, .live-responses-table .response pre.microlight').first();
    await body.waitFor();
    await block.locator('.live-responses-table').scrollIntoViewIfNeeded();
    await shot(name);
    return JSON.parse((await body.textContent()) ?? '') as T;
  }

  async function fill(block: Locator, field: string, text: string): Promise<void> {
    const row = block.locator(`tr[data-property-name="${field}"], .parameters:has(.parameter__name:text-is("${field}"))`).first();
    await row.locator('input[type=text], input[type=number], textarea').first().fill(text);
  }

  async function choose(block: Locator, field: string, value: string): Promise<void> {
    const row = block.locator(`tr[data-property-name="${field}"], .parameters:has(.parameter__name:text-is("${field}"))`).first();
    const list = row.locator('select');
    if ((await list.count()) > 0) await list.first().selectOption(value);
    else await row.locator('input, textarea').first().fill(value);
  }

  async function shot(name: string): Promise<void> {
    await page.screenshot({ path: join(SHOTS, `${name}.png`) });
  }
});
