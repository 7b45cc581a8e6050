import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Finding } from '../../../src/imaging/report/finding.js';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { StudyReader } from '../../../src/modules/images/images.contract.js';
import type { NewResult } from '../../../src/modules/results/results.contract.js';
import { BlobStore } from '../../../src/platform/storage/blob-store.js';
import { chestCt } from '../../support/chest-ct.js';
import { dicomFile, imagePixel, type Element } from '../../support/dicom-builder.js';
import { seriesOf } from '../../support/dicom-volumes.js';
import { FONT_FILES } from '../../../src/platform/threads/report-fonts.js';
import { writeNothing } from './derived-house.js';
import { commitResult, conclusion, openHouse, type House } from './house.js';
import { labelsOf, noduleOf, uploadVolume, volumeConclusion, type Lesion, type StoredVolume } from './volumes.js';

let house: House;
let volume: StoredVolume;
const lesion: Lesion = { centre: [80, -20, 30], radiusMm: 11 };

beforeAll(async () => {
  house = await openHouse();
  writeNothing(house);
  volume = await uploadVolume(house, seriesOf(chestCt({ size: [100, 80, 40], spacing: [3, 3, 5], balls: [{ ...lesion, hu: 20 }] }), { modality: 'CT', study: 'report' }));
});
afterAll(async () => { await house.close(); });

const hasPoppler = ((): boolean => {
  try { execFileSync('pdftotext', ['-v'], { stdio: 'ignore' }); return true; } catch { console.warn('SKIPPED: pdftotext (poppler-utils) is not here'); return false; }
})();

/** For eyes: kept where HEALTHVISION_PICTURES names a folder. */
function kept(name: string, bytes: Uint8Array): string {
  const folder = process.env.HEALTHVISION_PICTURES ?? mkdtempSync(join(tmpdir(), 'healthvision-report-'));
  mkdirSync(folder, { recursive: true });
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

const textOf = (path: string): string => execFileSync('pdftotext', ['-layout', path, '-'], { encoding: 'utf8' });
const pagesOf = (path: string): number => Number(/^Pages:\s+(\d+)$/m.exec(execFileSync('pdfinfo', [path], { encoding: 'utf8' }))?.[1]);

/** `=` between the scripts of a name; GB18030 for what is not ASCII. */
const GB = { wang: [0xcd, 0xf5], xiao: [0xd0, 0xa1], dong: [0xb6, 0xab] };
const chineseName = Buffer.concat([Buffer.from('Wang^XiaoDong='), Buffer.from(GB.wang), Buffer.from('^'), Buffer.from([...GB.xiao, ...GB.dong])]);

async function xray(study: string, elements: readonly Element[]): Promise<Parameters<typeof conclusion>[1]> {
  const pixels = Uint8Array.from({ length: 256 * 256 }, (_, i) => 40 + ((i % 256) + Math.floor(i / 256)) / 3);
  const file = dicomFile([
    [0x00080016, 'UI', '1.2.840.10008.5.1.4.1.1.1.1'], [0x00080018, 'UI', `${study}.3`], [0x0020000d, 'UI', study], [0x0020000e, 'UI', `${study}.2`], [0x00080060, 'CS', 'DX'],
    ...imagePixel(256, 256), [0x7fe00010, 'OW', pixels], ...elements,
  ]);
  const form = new FormData();
  form.append('files', new Blob([Buffer.from(file)]), 'x.dcm');
  const response = await house.fetch('/api/v1/images', { method: 'POST', body: form });
  if (response.status !== 201) throw new Error(await response.text());
  const stored = await house.app.get(StudyReader).find(house.institutionId, study);
  const instance = stored?.series[0]?.instances[0];
  if (!stored || !instance) throw new Error('the study is not there');
  return { study: stored, instance };
}

const report = (id: string, form: 'pdf' | 'html', query = '', headers: Record<string, string> = {}): Promise<Response> => house.fetch(`/api/v1/results/${id}/report.${form}${query}`, { headers });

async function bytesOf(response: Response): Promise<Uint8Array> {
  if (response.status !== 200) throw new Error(await response.text());
  return new Uint8Array(await response.arrayBuffer());
}

function nodules(count: number): Finding[] {
  return Array.from({ length: count }, (_, n) => noduleOf(volume, n === 0 ? lesion : { centre: [-75 + (n % 7) * 3, (n % 11) * 4 - 20, (n % 13) * 5 - 30], radiusMm: 3 + (n % 5) }, { score: 0.98 - n / 400 }));
}

const commitNodules = (findings: Finding[], changes: Partial<NewResult> = {}): Promise<string> => commitResult(house, volumeConclusion(house, volume, {
  findings, labels: labelsOf(volume.grid, [lesion]), segments: findings.map((_, n) => ({ number: n + 1, name: `Nodule ${String(n + 1)}`, volumeMl: 1 })),
}, { summary: { text: '', critical: true }, ...changes }));

const model = {
  name: 'lung-nodules', version: '1.0.0', digest: `sha256:${'0'.repeat(64)}`, intendedUse: 'Second look at chest CT of adults: marks what may be a nodule, for a qualified reader to judge. Not for primary diagnosis.',
  domain: { modalities: ['CT'], bodyParts: ['CHEST'], ageYears: { min: 18, max: 120 } },
};

describe('the report as PDF', () => {
  it.skipIf(!hasPoppler)('has the name in both scripts of a GB18030 object, as text, on one page', async () => {
    const subject = await xray('2.25.4711', [
      [0x00080005, 'CS', 'GB18030'], [0x00100010, 'PN', new Uint8Array(chineseName.length % 2 === 0 ? chineseName : Buffer.concat([chineseName, Buffer.from(' ')]))], [0x00100020, 'LO', 'P-4711'],
      [0x00100030, 'DA', '20220314'], [0x00100040, 'CS', 'F'], [0x00080020, 'DA', '20260102'], [0x00080030, 'TM', '101500'], [0x00080050, 'SH', 'ACC-9'], [0x00081030, 'LO', 'Chest PA'],
    ]);
    const id = await commitResult(house, conclusion(house, subject));
    for (const language of ['en', 'zh-CN'] as const) {
      const response = await report(id, 'pdf', `?language=${language}`);
      expect([response.headers.get('content-type'), response.headers.get('content-language'), response.headers.get('content-disposition')]).toEqual(['application/pdf', language, `inline; filename="report-${id}.pdf"`]);
      const path = kept(`xray-${language}.pdf`, await bytesOf(response));
      const text = textOf(path);
      for (const part of ['王小东', 'Wang, XiaoDong', 'P-4711', '2022-03-14', '2026-01-02 10:15', 'ACC-9', 'Chest PA', '93 %', id]) expect(text).toContain(part);
      expect(text).toContain(language === 'en' ? 'PRELIMINARY' : '尚未经人员签发');
      expect(text).toContain(language === 'en' ? 'Not for primary diagnosis.' : '不用于初步诊断。');
      expect(text).toContain(language === 'en' ? 'Pneumonia' : '肺炎');
      expect(pagesOf(path)).toBe(1);
      // What the file says of itself is shown by file managers and search engines.
      expect(execFileSync('pdfinfo', [path], { encoding: 'utf8' })).not.toMatch(/Wang|P-4711|王/);
      expect(execFileSync('pdffonts', [path], { encoding: 'utf8' })).toMatch(/NotoSansSC.*\byes yes yes\b/);
    }
  });

  it.skipIf(!hasPoppler)('shows a nodule from three sides, on one page, and takes little of the processor', async () => {
    const id = await commitNodules(nodules(1), { provenance: { ...(await provenance()), model } });
    for (const language of ['en', 'zh-CN'] as const) {
      const before = process.cpuUsage();
      const path = kept(`lung-${language}.pdf`, await bytesOf(await report(id, 'pdf', '', { 'accept-language': language })));
      const { user, system } = process.cpuUsage(before);
      console.info(JSON.stringify({ language, cpuMs: Math.round((user + system) / 1000) }));
      expect((user + system) / 1000).toBeLessThan(4_000);
      expect(pagesOf(path)).toBe(1);
      const images = execFileSync('pdfimages', ['-list', path], { encoding: 'utf8' }).split('\n').filter((line) => /\bjpeg\b/.test(line));
      expect(images).toHaveLength(3);
      expect(textOf(path)).toContain(language === 'en' ? 'Diameter 22.0 mm (22.0 × 22.0)' : '直径 22.0 mm');
    }
  });

  it.skipIf(!hasPoppler)('keeps 200 nodules readable, each of them, on pages that follow', async () => {
    const id = await commitNodules(nodules(200), { provenance: { ...(await provenance()), model: { ...model, intendedUse: 'Long. '.repeat(400) } } });
    const path = kept('many.pdf', await bytesOf(await report(id, 'pdf')));
    const text = textOf(path);
    const numbers = [...text.matchAll(/^\s*(\d{1,3})\s+Nodule\b/gm)].map(([, number]) => Number(number));
    expect(numbers).toEqual(Array.from({ length: 200 }, (_, n) => n + 1));
    expect(text).toMatch(/\d+ more on the following pages/);
    expect(pagesOf(path)).toBeLessThan(12);
    expect(text.split('\f')[0]).toContain('Model and its limits');
  });

  it.skipIf(!hasPoppler)('marks what its fonts lack, and takes any text for text', async () => {
    const subject = await xray('2.25.4712', [
      [0x00080005, 'CS', 'ISO_IR 192'], [0x00100010, 'PN', new Uint8Array(Buffer.from('<script>alert(1)</script>^قباني لنزار (م) '))], [0x00100020, 'LO', '"><img src=x onerror=alert(1)>x '],
    ]);
    const id = await commitResult(house, conclusion(house, subject, { labels: [], findings: [], heatMaps: [] }));
    const text = textOf(kept('hostile.pdf', await bytesOf(await report(id, 'pdf'))));
    expect(text).toContain('[?]');
    expect(text).toContain('characters that the fonts of this document lack');
    const page = Buffer.from(await bytesOf(await report(id, 'html'))).toString();
    expect(page).toContain('قباني');
    expect(page).not.toMatch(/<script|<img src=x/);
    expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
  });

  it.skipIf(!hasPoppler || !FONT_FILES.some(([name]) => name.startsWith('latin')))('has names in several scripts that no single font has', async () => {
    const subject = await xray('2.25.4713', [[0x00080005, 'CS', 'ISO_IR 192'], [0x00100010, 'PN', new Uint8Array(Buffer.from('Nguyễn^Łukasz=阮^文  '))]]);
    const id = await commitResult(house, conclusion(house, subject));
    const text = textOf(kept('scripts.pdf', await bytesOf(await report(id, 'pdf'))));
    expect(text).toContain('Nguyễn, Łukasz');
    expect(text).toContain('阮文');
    expect(text).not.toContain('[?]');
  });

  it('is the same for the same version, and new in another language or for another patient', async () => {
    const id = await commitNodules(nodules(1));
    const first = await report(id, 'pdf');
    const etag = first.headers.get('etag') ?? '';
    const bytes = await bytesOf(first);
    expect(Buffer.from(await bytesOf(await report(id, 'pdf'))).equals(bytes)).toBe(true);
    expect((await report(id, 'pdf', '', { 'if-none-match': etag })).status).toBe(304);
    expect((await report(id, 'pdf', '?language=zh-CN', { 'if-none-match': etag })).status).toBe(200);
  });

  it('says so where a picture is gone, and refuses what is not there or withheld', async () => {
    const own = await uploadVolume(house, seriesOf(chestCt({ size: [40, 32, 16], spacing: [8, 8, 12] }), { modality: 'CT', study: 'gone' }));
    const finding = noduleOf(own, lesion);
    const id = await commitResult(house, volumeConclusion(house, own, { findings: [finding], labels: labelsOf(own.grid, [lesion]), segments: [{ number: 1, name: 'Nodule 1', volumeMl: 1 }] }));
    const instance = own.study.series[0]?.instances.find(({ sopInstanceUid }) => sopInstanceUid === finding.location?.sopInstanceUid);
    await house.app.get(BlobStore).delete(instance?.blobKey ?? '');
    const page = Buffer.from(await bytesOf(await report(id, 'html'))).toString();
    expect(page).toContain('The image is not stored any more');
    expect((await report(id, 'pdf')).status).toBe(200);
    const codeOf = async (response: Response): Promise<unknown[]> => [response.status, ((await response.json()) as { code: string }).code];
    expect(await codeOf(await report(uuidv7(), 'pdf'))).toEqual([404, 'result-not-found']);
    expect(await codeOf(await report(id, 'pdf', '?language=fr'))).toEqual([400, 'invalid-query']);
    await house.owner.result.update({ where: { id }, data: { status: 'withheld' } });
    expect(await codeOf(await report(id, 'pdf'))).toEqual([409, 'result-withheld']);
    expect(await codeOf(await report(id, 'html'))).toEqual([409, 'result-withheld']);
  });
});

describe('the report as a page', () => {
  it('holds all that it shows and lets nothing run', async () => {
    const id = await commitNodules(nodules(4));
    const response = await report(id, 'html', '', { 'accept-language': 'zh-CN' });
    const policy = response.headers.get('content-security-policy') ?? '';
    expect(policy).toMatch(/default-src 'none'; script-src 'none'; style-src 'sha256-/);
    expect(policy).not.toContain('unsafe');
    const page = Buffer.from(await bytesOf(response)).toString();
    kept('lung.html', Buffer.from(page));
    expect(page).toContain('<html lang="zh-CN">');
    expect(page.match(/<img src="data:image\/jpeg/g)).toHaveLength(3);
    expect(page.match(/\bhttps?:\/\//g)).toBeNull();
  });
});

async function provenance(): Promise<NewResult['provenance']> {
  const instance = volume.study.series[0]?.instances[0];
  if (!instance) throw new Error('the volume has images');
  return Promise.resolve(conclusion(house, { study: volume.study, instance }).provenance);
}
