import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ResultJson } from '../../src/modules/results/findings-json.js';
import { WebModule } from '../../src/web/web.module.js';
import { writeNothing } from '../integration/results/derived-house.js';
import { commitResult, conclusion, openHouse, uploadStudy, type House } from '../integration/results/house.js';
import { labelsOf, noduleOf, uploadVolume, volumeConclusion, type Lesion } from '../integration/results/volumes.js';
import { seriousFaults } from '../support/accessibility.js';
import { chestCt } from '../support/chest-ct.js';
import { seriesOf } from '../support/dicom-volumes.js';
import { CHROMIUM, launchChromium } from '../support/ohif.js';
import { ADMIN, eventually, ROOT } from '../support/product.js';

if (CHROMIUM === undefined) console.warn('SKIPPED: Chromium is not installed; no result is reviewed in a browser');
const SHOTS = join(ROOT, 'test-results', 'review-page');
const LESIONS: readonly Lesion[] = [{ centre: [-70, 0, 40], radiusMm: 8 }, { centre: [70, 10, 60], radiusMm: 5 }];

describe.skipIf(CHROMIUM === undefined)('The page on which a result is reviewed', () => {
  let house: House;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];

  beforeAll(async () => {
    mkdirSync(SHOTS, { recursive: true });
    house = await openHouse({ imports: [WebModule] });
    writeNothing(house);
    browser = await launchChromium();
    page = await browser.newPage({ baseURL: house.url, viewport: { width: 1100, height: 1000 }, locale: 'en-GB' });
    page.on('console', (line) => { if (/Content Security Policy|Uncaught/.test(line.text())) complaints.push(line.text()); });
    page.on('pageerror', (error) => { complaints.push(error.message); });
    await page.request.post('/session', { data: { email: ADMIN.email, password: ADMIN.password }, headers: { origin: house.url } });
  });

  afterAll(async () => {
    await browser.close();
    await house.close();
  });

  const shot = (name: string): Promise<unknown> => page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
  const card = (text: string): ReturnType<Page['locator']> => page.locator('article:visible', { hasText: text });
  const stored = async (id: string): Promise<ResultJson> => (await (await house.fetch(`/api/v1/results/${id}`)).json()) as ResultJson;

  async function nodules(patientId: string): Promise<string> {
    const objects = seriesOf(chestCt({ size: [96, 80, 24], spacing: [3.5, 3.5, 5] }), { modality: 'CT', study: `review ${patientId}`, patientId, seriesDescription: 'Chest', fields: { PatientSex: 'F', StudyDescription: 'CT <b>chest</b>' } });
    const volume = await uploadVolume(house, objects);
    const findings = LESIONS.map((lesion) => noduleOf(volume, lesion));
    return commitResult(house, volumeConclusion(house, volume, { findings, labels: labelsOf(volume.grid, LESIONS), segments: findings.map((_, index) => ({ number: index + 1, name: 'Nodule', volumeMl: 1 })) }), []);
  }

  it('takes a correction, a rejection and what the model missed, and keeps what was decided when somebody else was faster', async () => {
    const id = await nodules('REVIEW-1');
    await page.goto(`/review/${id}`);
    await page.getByRole('heading', { name: 'Lung nodules' }).waitFor();
    await page.getByText('REVIEW-1').waitFor();
    expect(await card('Undecided').count()).toBe(2);
    await eventually('the pictures', () => page.locator('#findings img').evaluateAll((images: { naturalWidth: number }[]) => images.length === 2 && images.every(({ naturalWidth }) => naturalWidth > 100)));
    expect(await seriousFaults(page)).toEqual([]);
    await shot('undecided');

    const [first, second] = [card('16 mm'), card('Side: Left')];
    await first.getByLabel('Correct').check();
    await first.getByLabel('Diameter, mm').fill('15.2');
    await second.getByLabel('Reject').check();
    await second.getByLabel('Why').selectOption('Another reason (say which)');
    await page.getByText('2 decisions are not saved yet').waitFor();
    // Another reason wants words: until then it is neither saved nor signed.
    await second.getByText('not complete yet').waitFor();
    await page.getByRole('button', { name: 'Save the review' }).click();
    await page.locator('#message', { hasText: 'A decision is not complete' }).waitFor();
    await page.getByRole('button', { name: 'Sign the result' }).click();
    await page.locator('#message', { hasText: 'Save your decisions first' }).waitFor();
    await second.getByLabel('Comment').fill('a vessel <i>');
    await page.getByText('Add what the model missed').click();
    await page.getByLabel('Diameter, mm').last().fill('6');
    await page.getByLabel('Where and what, in words').fill('right apex');
    await page.getByRole('button', { name: 'Add it' }).click();
    await page.getByText('3 decisions are not saved yet').waitFor();
    await shot('decided');
    expect(await seriousFaults(page)).toEqual([]);

    // Somebody else saves a review meanwhile.
    const { findings } = await stored(id);
    const etag = (await house.fetch(`/api/v1/results/${id}`)).headers.get('etag') ?? '';
    const other = await house.fetch(`/api/v1/results/${id}/reviews`, { method: 'POST', headers: { 'content-type': 'application/json', 'if-match': etag }, body: JSON.stringify({ decisions: [{ decision: 'accept', finding: findings[0]?.id }] }) });
    expect(other.status).toBe(201);
    await page.getByRole('button', { name: 'Save the review' }).click();
    await page.getByText('Somebody has changed the result meanwhile.').waitFor();
    await page.getByText('3 decisions are not saved yet').waitFor();
    expect(await first.getByLabel('Diameter, mm').inputValue()).toBe('15.2');
    await page.getByRole('button', { name: 'Save the review' }).click();
    await page.getByText('The review is saved.').waitFor();
    const reviewed = await stored(id);
    expect(reviewed.findings.map(({ review, measurements }) => [review?.state, review?.reason, measurements[0]?.value])).toEqual([['edited', undefined, 15.2], ['rejected', 'other', 10], ['added', undefined, 6]]);
    await page.getByText('a vessel <i>').waitFor();
    await page.getByText('right apex').waitFor();
  });

  it('signs with the password, and opens what is signed again for a reason, by keyboard alone', async () => {
    const id = await nodules('REVIEW-2');
    await page.goto(`/review/${id}`);
    await page.getByRole('heading', { name: 'Lung nodules' }).waitFor();
    await page.getByLabel('Accept').first().focus();
    await page.keyboard.press('Space');
    await page.getByRole('button', { name: 'Sign the result' }).focus();
    await page.keyboard.press('Enter');
    await page.getByText('Save your decisions first').waitFor();
    await page.getByRole('button', { name: 'Save the review' }).focus();
    await page.keyboard.press('Enter');
    await page.getByText('The review is saved.').waitFor();
    await page.getByLabel('Password').focus();
    await page.keyboard.type('not it');
    await page.keyboard.press('Enter');
    await page.locator('#message .error').waitFor();
    expect((await stored(id)).status).toBe('preliminary');
    await page.getByLabel('Password').focus();
    await page.keyboard.type(ADMIN.password);
    await page.keyboard.press('Enter');
    await page.locator('#message', { hasText: 'The result is signed.' }).waitFor();
    expect(await page.getByLabel('Accept').count()).toBe(0);
    expect((await stored(id)).status).toBe('final');
    expect(await seriousFaults(page)).toEqual([]);
    await shot('signed');
    await page.getByLabel('Why').focus();
    await page.keyboard.type('looked again');
    await page.keyboard.press('Enter');
    await page.getByText('The result is open again.').waitFor();
    await page.getByText('looked again').waitFor();
    expect((await stored(id)).status).toBe('preliminary');
    expect(await page.getByLabel('Accept').count()).toBe(2);
  });

  it('judges the classes of an X-ray, in Chinese and in the dark', async () => {
    const id = await commitResult(house, conclusion(house, await uploadStudy(house, 31)), []);
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.goto(`/review/${id}?lang=zh-CN`);
    await page.getByRole('heading', { name: '胸部 X 线' }).waitFor();
    await card('肺炎').getByLabel('判为无').check();
    await shot('classes-zh');
    expect(await seriousFaults(page)).toEqual([]);
    await page.getByRole('button', { name: '保存审核' }).click();
    await page.getByText('审核已保存。').waitFor();
    expect((await stored(id)).labels[0]).toMatchObject({ positive: false, review: { state: 'disagreed' } });
    await page.goto(`/review/${id}?lang=en`);
    await page.emulateMedia({ colorScheme: 'light' });
  });

  it('shows what was corrected as it stands, and goes back to what the model made only when that is said', async () => {
    const id = await nodules('REVIEW-3');
    const etag = (await house.fetch(`/api/v1/results/${id}`)).headers.get('etag') ?? '';
    const { findings } = await stored(id);
    const edit = { decision: 'edit', finding: findings[0]?.id, measurements: [{ name: 'diameter', value: 9, unit: 'mm' }] };
    expect((await house.fetch(`/api/v1/results/${id}/reviews`, { method: 'POST', headers: { 'content-type': 'application/json', 'if-match': etag }, body: JSON.stringify({ decisions: [edit, { decision: 'reject', finding: findings[1]?.id, reason: 'artefact' }] }) })).status).toBe(201);
    await page.goto(`/review/${id}`);
    await card('Corrected').getByLabel('As the model made it').check();
    // What was rejected can be looked at and accepted after all.
    await eventually('the pictures', () => page.locator('#findings img').evaluateAll((images: { naturalWidth: number }[]) => images.length === 2 && images.every(({ naturalWidth }) => naturalWidth > 100)));
    await card('Rejected').getByLabel('Accept').check();
    await page.getByRole('button', { name: 'Save the review' }).click();
    await page.getByText('The review is saved.').waitFor();
    expect((await stored(id)).findings.map(({ review, measurements }) => [review?.state, measurements[0]?.value])).toEqual([['accepted', 16], ['accepted', 10]]);
  });

  it('says that there is no such result', async () => {
    for (const id of ['0198c0de-4a10-7c3e-9d52-6f0f1c2b3a49', 'not-an-id', '%22%3E%3Cscript%3E']) {
      await page.goto(`/review/${id}`);
      await page.getByText('There is no such result').waitFor();
    }
    expect(complaints).toEqual([]);
  });
});
