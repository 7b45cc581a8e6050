import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSeg } from '../../src/imaging/report/seg-reader.js';
import { pixelToLps } from '../../src/imaging/report/seg/planes.js';
import { relatedBody, STOW_TYPE } from '../support/dicom-files.js';
import { ended, requestAnalysis } from '../support/flow.js';
import { apart, CHROMIUM, isColoured, launchChromium, OHIF_IS_INSTALLED, ViewerWindow } from '../support/ohif.js';
import { eventually, ROOT, startProduct, temporaryDirectory, type Product } from '../support/product.js';
import { DATA, MODELS, sharedFile } from '../support/shared-data.js';

if (CHROMIUM === undefined) console.warn('SKIPPED: Chromium is not installed; OHIF is not tried');
if (!OHIF_IS_INSTALLED) console.warn('SKIPPED: npm @ohif/app is not installed; OHIF is not tried');
const CT = sharedFile(DATA, 'ct', 'LIDC-IDRI-0001');
const WEIGHTS = sharedFile(MODELS, 'lung-dlwpt');
/** The nodule as LUNA16 has it. LPS millimetres. */
const NODULE = [56.20840547, 86.34341278, -115.8675792] as const;
const STUDY = '1.3.6.1.4.1.14519.5.2.1.6279.6001.298806137288633453246975630178';
const SLICES = 133;
/** On the screen. */
const MOST_PIXELS = 3;

interface ResultView { status: string; faults?: object[]; findings: { location: { center: [number, number, number]; sopInstanceUid: string } }[] }

const SHOTS = join(ROOT, 'test-results', 'ohif');

describe.skipIf(CHROMIUM === undefined || !OHIF_IS_INSTALLED || CT === undefined)('OHIF in Chromium', () => {
  let product: Product;
  let browser: Browser;
  let viewer: ViewerWindow;

  beforeAll(async () => {
    mkdirSync(SHOTS, { recursive: true });
    const models = temporaryDirectory();
    if (WEIGHTS !== undefined) {
      cpSync(join(ROOT, 'test', 'model-packs', 'lung-dlwpt'), join(models, 'lung-dlwpt'), { recursive: true });
      for (const file of readdirSync(WEIGHTS)) if (file.endsWith('.onnx')) symlinkSync(join(WEIGHTS, file), join(models, 'lung-dlwpt', file));
    }
    product = await startProduct({ env: { MODELS_DIR: models, SETTLE_SECONDS: '3600' } });
    await storeFolder(product, CT ?? '');
    browser = await launchChromium();
    viewer = await ViewerWindow.open(browser, product.url);
  });

  afterAll(async () => {
    await browser.close();
    expect(await product.stop()).toBe(0);
  });

  it('lists the study', async () => {
    await viewer.page.goto('/viewer');
    const row = viewer.page.locator('tr, [role=row]').filter({ hasText: 'LIDC-IDRI-0001' }).first();
    await row.waitFor({ timeout: 60_000 });
    expect(await row.textContent()).toContain(String(SLICES));
    await viewer.shot(SHOTS, '1-worklist');
  });

  it('shows LIDC-IDRI-0001', async () => {
    await viewer.openStudy(STUDY);
    // A thorax has air, soft tissue and bone: many greys, neither a black nor a single-coloured viewport.
    await eventually('an image in the viewport', async () => (await spread(await viewer.canvas.screenshot())) > 30, 120_000);
    await viewer.shot(SHOTS, '2-slice');
    await viewer.page.getByText(/I:\s*\d+ \(\d+\/133\)|\b\d+\/133\b/).first().waitFor({ timeout: 30_000 });
  });

  it('scrolls to other slices', async () => {
    const before = await viewer.canvas.screenshot();
    await viewer.canvas.hover();
    for (let i = 0; i < 40; i++) await viewer.page.mouse.wheel(0, 100);
    await eventually('another slice', async () => (await difference(before, await viewer.canvas.screenshot())) > 5, 120_000);
    await viewer.shot(SHOTS, '3-scrolled');
  });

  // The analysis takes most of a minute; viewer-overlays.spec proves the same on made-up scans: before a release.
  it.skipIf(WEIGHTS === undefined || process.env.HEALTHVISION_CHECKS !== 'full')('has the mark and the segment of the nodule that was found on the nodule that readers marked', async () => {
    await product.json(`/api/v1/studies/${STUDY}/complete`, { method: 'POST' });
    await eventually('the model', async () => (await product.json<{ items: { state: string }[] }>('/api/v1/models')).items.every(({ state }) => state === 'active'), 120_000);
    const run = await ended(product, (await requestAnalysis(product, STUDY, { analysis: 'lung-nodule-detection' })).id, 280_000);
    expect(run.status).toBe('succeeded');
    const result = await product.json<ResultView>(`/api/v1/results/${run.resultId ?? ''}`);
    expect(result.status, JSON.stringify(result.faults)).toBe('preliminary');
    const found = result.findings.map(({ location }) => location).find(({ center: [x, y, z] }) => Math.hypot(x - NODULE[0], y - NODULE[1], z - NODULE[2]) < 1.5);
    if (!found) throw new Error('the nodule was not found');
    await viewer.openStudy(STUDY);
    await viewer.openObject('SR');
    const truth = await viewer.showPlace(found.center, found.sopInstanceUid);
    const circles = await viewer.circles();
    await viewer.shot(SHOTS, '4-report');
    expect(Math.min(...circles.map(({ at }) => apart(at, truth)))).toBeLessThan(MOST_PIXELS);
    const marked = markedOn(new Uint8Array(await (await product.fetch(`/api/v1/results/${run.resultId ?? ''}/seg.dcm`)).arrayBuffer()), found.sopInstanceUid);
    await viewer.openStudy(STUDY);
    await viewer.openObject('SEG');
    await viewer.showPlace(found.center, found.sopInstanceUid);
    const seen = await viewer.middle(isColoured);
    await viewer.shot(SHOTS, '5-segment');
    expect(apart(seen?.at, await viewer.spotOf(marked))).toBeLessThan(MOST_PIXELS);
  }, 600_000);

  it('got an answer to everything that it asked, and did not break', () => { expect(viewer.complaints).toEqual([]); });
});

/** Middle of everything that a segmentation marks on an image, in LPS millimetres. */
function markedOn(bytes: Uint8Array, sopInstanceUid: string): [number, number, number] {
  const { frames, pixels, columns, rows } = readSeg(bytes);
  const marked = new Map<number, readonly [number, number, number]>();
  for (const [frame, { place, source }] of frames.entries()) {
    if (!place || source?.sopInstanceUid !== sopInstanceUid) continue;
    for (let at = 0; at < columns * rows; at++) {
      const bit = frame * columns * rows + at;
      if (((pixels[bit >> 3] ?? 0) >> (bit & 7)) & 1) marked.set(at, pixelToLps(place, at % columns, Math.floor(at / columns)));
    }
  }
  const mean = (axis: 0 | 1 | 2): number => [...marked.values()].reduce((sum, place) => sum + place[axis], 0) / marked.size;
  return [mean(0), mean(1), mean(2)];
}

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
