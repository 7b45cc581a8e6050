import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { chromium, type Browser, type Locator, type Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { relatedBody, STOW_TYPE } from '../support/dicom-files.js';
import { ADMIN, eventually, ROOT, startProduct, type Product } from '../support/product.js';
import { DATA, sharedFile } from '../support/shared-data.js';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path));
if (CHROMIUM === undefined) console.warn('SKIPPED: Chromium is not installed; OHIF is not tried');
const OHIF = [process.env.OHIF_DIST, join(ROOT, 'node_modules', '@ohif', 'app', 'dist')].find((path): path is string => path !== undefined && existsSync(join(path, 'index.html')));
if (OHIF === undefined) console.warn('SKIPPED: OHIF is not here; set OHIF_DIST to the folder dist of npm @ohif/app');
const CT = sharedFile(DATA, 'ct', 'LIDC-IDRI-0001');
const STUDY = '1.3.6.1.4.1.14519.5.2.1.6279.6001.298806137288633453246975630178';
const SLICES = 133;
const SHOTS = join(ROOT, 'test-results', 'ohif');

describe.skipIf(CHROMIUM === undefined || OHIF === undefined || CT === undefined)('OHIF in Chromium', () => {
  let product: Product;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];
  const failures: string[] = [];

  beforeAll(async () => {
    mkdirSync(SHOTS, { recursive: true });
    product = await startProduct({ env: { APP_ROLE: 'api', SETTLE_SECONDS: '3600', OHIF_DIST: OHIF ?? '' } });
    await storeFolder(product, CT ?? '');
    browser = await chromium.launch({
      executablePath: CHROMIUM ?? '',
      args: ['--no-sandbox', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
    });
    page = await browser.newPage({ baseURL: product.url, viewport: { width: 1400, height: 900 } });
    await page.request.post('/session', { data: { email: ADMIN.email, password: ADMIN.password }, headers: { origin: product.url } });
    page.on('response', (response) => { if (response.status() >= 400) failures.push(`${String(response.status())} ${new URL(response.url()).pathname}`); });
    page.on('console', (line) => { if (line.text().includes('Content Security Policy')) complaints.push(line.text()); });
    page.on('pageerror', (error) => { complaints.push(error.message); });
  });

  afterAll(async () => {
    await browser.close();
    expect(await product.stop()).toBe(0);
  });

  it('lists the study', async () => {
    await page.goto('/viewer');
    const row = page.locator('tr, [role=row]').filter({ hasText: 'LIDC-IDRI-0001' }).first();
    await row.waitFor({ timeout: 60_000 });
    expect(await row.textContent()).toContain(String(SLICES));
    await shot('1-worklist');
  });

  it('shows LIDC-IDRI-0001', async () => {
    await page.goto(`/viewer/viewer?StudyInstanceUIDs=${STUDY}`);
    const canvas = viewport();
    await canvas.waitFor({ timeout: 90_000 });
    // A thorax has air, soft tissue and bone: many greys, neither a black nor a single-coloured viewport.
    await eventually('an image in the viewport', async () => (await spread(await canvas.screenshot())) > 30, 120_000);
    await shot('2-slice');
    await page.getByText(/I:\s*\d+ \(\d+\/133\)|\b\d+\/133\b/).first().waitFor({ timeout: 30_000 });
  });

  it('scrolls to other slices', async () => {
    const canvas = viewport();
    const before = await canvas.screenshot();
    await canvas.hover();
    for (let i = 0; i < 40; i++) await page.mouse.wheel(0, 100);
    await eventually('another slice', async () => (await difference(before, await canvas.screenshot())) > 5, 120_000);
    await shot('3-scrolled');
  });

  it('got an answer to everything that it asked, and did not break', () => {
    expect(failures).toEqual([]);
    expect(complaints).toEqual([]);
  });

  function viewport(): Locator {
    return page.locator('canvas.cornerstone-canvas').first();
  }

  async function shot(name: string): Promise<void> {
    await page.screenshot({ path: join(SHOTS, `${name}.png`) });
  }
});

/** Standard deviation of the greys of a picture, 0–255. */
async function spread(png: Buffer): Promise<number> {
  return (await sharp(png).greyscale().stats()).channels[0]?.stdev ?? 0;
}

/** Mean difference of two pictures of the same size, 0–255. */
async function difference(a: Buffer, b: Buffer): Promise<number> {
  const [x, y] = await Promise.all([a, b].map((png) => sharp(png).greyscale().raw().toBuffer()));
  if (!x || !y) return 0;
  return x.reduce((sum, value, i) => sum + Math.abs(value - (y[i] ?? 0)), 0) / x.length;
}

async function storeFolder(product: Product, folder: string): Promise<void> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)).filter((path) => path.endsWith('.dcm') && statSync(path).isFile());
  for (let i = 0; i < files.length; i += 20) {
    const body = relatedBody(files.slice(i, i + 20).map((path) => new Uint8Array(readFileSync(path))));
    const response = await product.fetch('/dicom-web/studies', { method: 'POST', headers: { 'content-type': STOW_TYPE }, body: new Uint8Array(body) });
    if (response.status !== 200) throw new Error(`not stored: ${String(response.status)} ${await response.text()}`);
  }
}
