import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seriousFaults } from '../support/accessibility.js';
import { chestCt } from '../support/chest-ct.js';
import { ctFile, dcmtkIsInstalled, relatedBody, STOW_TYPE } from '../support/dicom-files.js';
import { seriesOf, uidOf } from '../support/dicom-volumes.js';
import { ended, requestAnalysis, uploadXray } from '../support/flow.js';
import { CHROMIUM, launchChromium, OHIF_IS_INSTALLED } from '../support/ohif.js';
import { ADMIN, eventually, ROOT, startProduct, temporaryFile, type Product } from '../support/product.js';

if (CHROMIUM === undefined) console.warn('SKIPPED: Chromium is not installed; the worklist and the viewer are not opened');
if (!OHIF_IS_INSTALLED) console.warn('SKIPPED: npm @ohif/app is not installed; the viewer is not opened');
const dcmtk = dcmtkIsInstalled();
const SHOTS = join(ROOT, 'test-results', 'worklist');
const CT_STUDY = uidOf('study', 'worklist');
const COMPRESSED_STUDY = uidOf('study', 'compressed');
const CT_SLICES = 12;

/** The same image, compressed without loss by dcmtk. */
function jpegLs(bytes: Uint8Array): Uint8Array {
  const [from, to] = [temporaryFile('plain.dcm', bytes), temporaryFile('compressed.dcm', new Uint8Array())];
  execFileSync('dcmcjpls', [from, to]);
  return new Uint8Array(readFileSync(to));
}

describe.skipIf(CHROMIUM === undefined)('The worklist and the viewer', () => {
  let product: Product;
  let browser: Browser;
  const complaints: string[] = [];

  beforeAll(async () => {
    mkdirSync(SHOTS, { recursive: true });
    product = await startProduct({ env: { SETTLE_SECONDS: '1' } });
    browser = await launchChromium();
  });

  afterAll(async () => {
    await browser.close();
    expect(await product.stop()).toBe(0);
  });

  async function open(options: Parameters<Browser['newContext']>[0] = {}): Promise<{ context: BrowserContext; page: Page }> {
    const context = await browser.newContext({ baseURL: product.url, viewport: { width: 1400, height: 900 }, locale: 'en-GB', ...options });
    const page = await context.newPage();
    page.on('console', (line) => { if (/Content Security Policy|Uncaught/.test(line.text())) complaints.push(line.text()); });
    page.on('pageerror', (error) => { complaints.push(error.message); });
    return { context, page };
  }

  async function signIn(page: Page, labels: readonly [string, string, string] = ['E-mail address', 'Password', 'Sign in']): Promise<void> {
    await page.getByLabel(labels[0]).fill(ADMIN.email);
    await page.getByLabel(labels[1], { exact: true }).fill(ADMIN.password);
    await page.getByRole('button', { name: labels[2], exact: true }).click();
  }

  const shot = (page: Page, name: string): Promise<unknown> => page.screenshot({ path: join(SHOTS, `${name}.png`) });
  const lines = (page: Page): ReturnType<Page['locator']> => page.locator('#rows tr[data-study]');

  async function store(files: readonly Uint8Array[]): Promise<void> {
    const response = await product.fetch('/dicom-web/studies', { method: 'POST', headers: { 'content-type': STOW_TYPE }, body: new Uint8Array(relatedBody(files)) });
    expect(response.status, await response.clone().text()).toBe(200);
  }

  it('leads whoever is not signed in to the sign-in, and on to the worklist, which says that it is empty', async () => {
    const { context, page } = await open();
    await page.goto('/');
    expect(page.url()).toBe(`${product.url}/login?next=%2F`);
    await signIn(page);
    await page.getByText('No study yet.').waitFor();
    await shot(page, 'empty');
    expect(await seriousFaults(page)).toEqual([]);
    await context.close();
  });

  it('shows studies as they come and what is found in them, without being asked again', async () => {
    const { context, page } = await open();
    await page.goto('/login?next=/');
    await signIn(page);
    await page.getByText('No study yet.').waitFor();
    const xray = await uploadXray(product, 7);
    await store(seriesOf(chestCt({ size: [96, 80, CT_SLICES], spacing: [3.5, 3.5, 10] }), { modality: 'CT', study: 'worklist', studyInstanceUid: CT_STUDY, patientId: 'CT-1', seriesDescription: 'Chest', fields: { StudyDescription: 'CT chest <b>plain</b>', PatientSex: 'F', StudyDate: '20260304' } }).map(({ bytes }) => bytes));
    if (dcmtk) {
      await store([ctFile({}, { elements: { '0008,0005': ['CS', 'GB18030'], '0010,0010': ['PN', Buffer.from('57616e675e5869616f446f6e673dcdf55ed0a1b6ab', 'hex')], '0010,0020': ['LO', 'GB-1'] } }).bytes]);
      await store([ctFile({}, { elements: { '0008,0005': ['CS', 'ISO_IR 192'], '0010,0010': ['PN', Buffer.from('Yamada^Tarou=山田^太郎=やまだ^たろう')], '0010,0020': ['LO', 'JP-1'] } }).bytes]);
      await store([ctFile({}, { elements: { '0010,0010': null, '0010,0020': ['LO', 'NO-NAME'], '0008,0020': null } }).bytes]);
    }
    // What is analysed before it is whole is analysed once more when it is, and the newer result stands in its line.
    await eventually('the end of the X-ray study', async () => (await product.json<{ state: string }>(`/api/v1/studies/${xray}`)).state === 'complete');
    const run = await requestAnalysis(product, xray, { priority: 'stat' });
    expect((await ended(product, run.id)).status).toBe('succeeded');
    // Told by an event: well before the minute is over.
    await eventually('the line of the X-ray', async () => (await lines(page).filter({ hasText: 'Chest X-ray: Done' }).count()) === 1, 20_000);
    await page.reload();
    await lines(page).first().waitFor();
    expect(await lines(page).count()).toBe(dcmtk ? 5 : 2);
    await page.getByText('CT chest <b>plain</b>').waitFor();
    if (dcmtk) for (const name of ['Wang, XiaoDong', '王 小东', 'Yamada, Tarou', '山田 太郎', 'やまだ たろう', 'NO-NAME']) expect(await page.getByText(name).count(), name).toBeGreaterThan(0);
    await shot(page, 'studies');
    expect(await seriousFaults(page)).toEqual([]);
    await lines(page).filter({ hasText: 'Chest X-ray: Done' }).getByRole('button').click();
    await eventually('the preview', () => page.locator('figure img').evaluate((image: { naturalWidth: number }) => image.naturalWidth > 20));
    expect(await page.getByRole('link', { name: 'Report (PDF)' }).getAttribute('href')).toMatch(/^\/api\/v1\/results\/[0-9a-f-]{36}\/report\.pdf$/);
    for (const [name, mediaType] of [['Report (PDF)', 'application/pdf'], ['Report (page)', 'text/html; charset=utf-8']] as const) {
      const answer = await context.request.get(`${product.url}${(await page.getByRole('link', { name }).getAttribute('href')) ?? ''}`);
      expect([answer.status(), answer.headers()['content-type']], name).toEqual([200, mediaType]);
    }
    expect(await page.getByRole('link', { name: 'Review', exact: true }).getAttribute('href')).toMatch(/^\/review\/[0-9a-f-]{36}$/);
    // Whoever signs it elsewhere: the line says so, without being asked.
    const path = `/api/v1/results/${/results\/([0-9a-f-]{36})/.exec((await page.getByRole('link', { name: 'Report (PDF)' }).getAttribute('href')) ?? '')?.[1] ?? ''}`;
    const etag = (await product.fetch(path)).headers.get('etag') ?? '';
    const signed = await product.fetch(`${path}/sign-off`, { method: 'POST', headers: { 'content-type': 'application/json', 'if-match': etag }, body: JSON.stringify({ meaning: 'approved', password: ADMIN.password }) });
    expect(signed.status).toBe(200);
    await eventually('the line of the signed result', async () => (await lines(page).filter({ hasText: 'Signed off' }).count()) === 1, 20_000);
    await shot(page, 'details');
    expect(await seriousFaults(page)).toEqual([]);
    await context.close();
  });

  it('filters by mouse, and says when nothing fits', async () => {
    const { context, page } = await open();
    await page.goto('/login?next=/');
    await signIn(page);
    await lines(page).first().waitFor();
    await page.getByLabel('Modality').selectOption('DX');
    await eventually('one line', async () => (await lines(page).count()) === 1);
    await page.getByLabel('Critical only').check();
    await page.getByText('No study fits the filters.').waitFor();
    expect(page.url()).toBe(`${product.url}/`);
    await page.getByRole('button', { name: 'Clear' }).click();
    await eventually('all lines', async () => (await lines(page).count()) > 1);
    await page.getByLabel('Patient or accession number').fill('ct-');
    await page.getByRole('button', { name: 'Search' }).click();
    await page.getByText('No study fits the filters.').waitFor();
    await page.getByLabel('Patient or accession number').fill('CT-');
    await page.keyboard.press('Enter');
    await eventually('one line', async () => (await lines(page).count()) === 1);
    await context.close();
  });

  it('can be used by the keyboard alone, to the images and back', async () => {
    const { context, page } = await open();
    await page.goto('/login?next=/');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await page.keyboard.type(ADMIN.email);
    await page.keyboard.press('Tab');
    await page.keyboard.type(ADMIN.password);
    await page.keyboard.press('Enter');
    await lines(page).first().waitFor();
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to the content');
    await shot(page, 'skip-link');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.className')).toBe('primary');
    const first = await page.evaluate('document.activeElement.closest("tr").dataset.study');
    await page.keyboard.press('ArrowDown');
    expect(await page.evaluate('document.activeElement.closest("tr").dataset.study')).not.toBe(first);
    await page.keyboard.press('ArrowRight');
    await page.locator('tr.details').waitFor();
    await shot(page, 'keyboard');
    // Asked again by itself, the list takes nobody from where they are: neither when lines have changed nor when there is no answer.
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    const place = (): Promise<unknown> => page.evaluate('[document.activeElement.closest("tr")?.className, document.activeElement.textContent]');
    expect(await place()).toEqual(['details', 'Images']);
    await page.route('**/api/v1/worklist*', async (route) => {
      const response = await route.fetch();
      const body = (await response.json()) as { items: { instanceCount: number }[] };
      await route.fulfill({ response, json: { ...body, items: body.items.map((item) => ({ ...item, instanceCount: 4711 })) } });
    });
    await page.evaluate('dispatchEvent(new Event("visibilitychange"))');
    await lines(page).filter({ hasText: '4,711 images' }).first().waitFor();
    expect(await place()).toEqual(['details', 'Images']);
    await page.unroute('**/api/v1/worklist*');
    await page.route('**/api/v1/worklist*', (route) => route.abort());
    await page.evaluate('dispatchEvent(new Event("visibilitychange"))');
    await page.getByRole('alert').getByText('The server cannot be reached. Try again.').waitFor();
    expect(await place()).toEqual(['details', 'Images']);
    await page.unroute('**/api/v1/worklist*');
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('ArrowLeft');
    await page.locator('tr.details').waitFor({ state: 'detached' });
    await page.keyboard.press('Home');
    expect(await page.evaluate('document.activeElement.closest("tr").dataset.study')).toBe(first);
    await page.keyboard.press('Enter');
    await page.waitForURL('**/viewer/viewer?StudyInstanceUIDs=*');
    await context.close();
  });

  it('speaks Chinese when the reader wants it, in the dark and on a small screen too', async () => {
    const { context, page } = await open({ colorScheme: 'dark', locale: 'en-GB' });
    await page.goto('/login?next=/');
    await page.getByRole('link', { name: '中文' }).click();
    expect(page.url()).toBe(`${product.url}/login?next=%2F`);
    expect(await seriousFaults(page)).toEqual([]);
    await signIn(page, ['电子邮件地址', '密码', '登录']);
    await lines(page).filter({ hasText: '胸部 X 线: 已完成' }).waitFor();
    await lines(page).filter({ hasText: '胸部 X 线: 已完成' }).getByRole('button').click();
    await shot(page, 'dark-zh');
    expect(await seriousFaults(page)).toEqual([]);
    await page.setViewportSize({ width: 390, height: 780 });
    await shot(page, 'small-zh');
    await page.goto('/account');
    await page.getByRole('heading', { name: '我的账户' }).waitFor();
    expect(await seriousFaults(page)).toEqual([]);
    await context.close();
  });

  it('says what is wrong when the server does not answer', async () => {
    const { context, page } = await open();
    await page.goto('/login?next=/');
    await signIn(page);
    await lines(page).first().waitFor();
    await page.route('**/api/v1/worklist*', (route) => route.abort());
    await page.getByLabel('Modality').selectOption('CT');
    await page.getByRole('alert').getByText('The server cannot be reached. Try again.').waitFor();
    await shot(page, 'failed');
    expect(await seriousFaults(page)).toEqual([]);
    await context.close();
  });

  it.skipIf(OHIF_IS_INSTALLED)('says that the viewer is not installed where it is not', async () => {
    const { context, page } = await open();
    await page.goto('/login?next=/viewer');
    await signIn(page);
    await page.getByRole('heading', { name: 'The viewer is not installed' }).waitFor();
    await context.close();
  });

  it.skipIf(!OHIF_IS_INSTALLED)('opens a study from the worklist, after the sign-in when that is missing', async () => {
    const { context, page } = await open();
    const answers: string[] = [];
    page.on('response', (response) => { if (response.status() >= 400) answers.push(`${String(response.status())} ${response.url()}`); });
    await page.goto(`/viewer/viewer?StudyInstanceUIDs=${CT_STUDY}`);
    expect(new URL(page.url()).pathname).toBe('/login');
    await signIn(page);
    await page.waitForURL(`**/viewer/viewer?StudyInstanceUIDs=${CT_STUDY}`);
    const canvas = page.locator('canvas.cornerstone-canvas').first();
    await canvas.waitFor({ timeout: 90_000 });
    // Air, lung and soft tissue: neither a black nor a single-coloured viewport.
    await eventually('an image in the viewport', async () => ((await sharp(await canvas.screenshot()).greyscale().stats()).channels[0]?.stdev ?? 0) > 30, 120_000);
    await page.getByText(new RegExp(`\\b\\d+/${String(CT_SLICES)}\\b`)).first().waitFor({ timeout: 30_000 });
    await shot(page, 'viewer');
    await canvas.hover();
    await page.mouse.wheel(0, 100);
    expect(await page.evaluate('window.crossOriginIsolated')).toBe(true);
    await page.goto('/viewer');
    await page.locator('tr, [role=row]').filter({ hasText: 'CT-1' }).first().waitFor({ timeout: 60_000 });
    await shot(page, 'viewer-list');
    expect(answers).toEqual([]);
    await context.close();
  });

  it.skipIf(!OHIF_IS_INSTALLED || !dcmtk)('shows compressed images, whose decoders need more than the page allows', async () => {
    const files = seriesOf(chestCt({ size: [96, 80, 3], spacing: [3.5, 3.5, 20] }), { modality: 'CT', studyInstanceUid: COMPRESSED_STUDY, patientId: 'CT-2', seriesDescription: 'JPEG-LS' });
    await store(files.map(({ bytes }) => jpegLs(bytes)));
    const { context, page } = await open();
    await page.request.post('/session', { data: { email: ADMIN.email, password: ADMIN.password }, headers: { origin: product.url } });
    await page.goto(`/viewer/viewer?StudyInstanceUIDs=${COMPRESSED_STUDY}`);
    const canvas = page.locator('canvas.cornerstone-canvas').first();
    await canvas.waitFor({ timeout: 90_000 });
    await eventually('an image in the viewport', async () => ((await sharp(await canvas.screenshot()).greyscale().stats()).channels[0]?.stdev ?? 0) > 30, 120_000);
    await shot(page, 'viewer-compressed');
    await context.close();
  });

  it('ran what we serve and what the viewer was packed with, and nothing else', () => {
    expect(complaints).toEqual([]);
  });
});
