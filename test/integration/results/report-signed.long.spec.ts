import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { text } from '../../../src/imaging/dicom/attributes.js';
import { voxelVolumeMl } from '../../../src/imaging/volume/geometry.js';
import { chestCt } from '../../support/chest-ct.js';
import { seriesOf } from '../../support/dicom-volumes.js';
import { ADMIN, eventually } from '../../support/product.js';
import { commitResult, conclusion, openHouse, uploadStudy, type House } from './house.js';
import { labelsOf, noduleOf, uploadVolume, volumeConclusion, type Lesion } from './volumes.js';

let house: House;
beforeAll(async () => { house = await openHouse(); });
afterAll(async () => { await house.close(); });

const hasPoppler = ((): boolean => {
  try { execFileSync('pdftotext', ['-v'], { stdio: 'ignore' }); return true; } catch { console.warn('SKIPPED: pdftotext (poppler-utils) is not here'); return false; }
})();

interface Report { html: string; pdf: string; pages: number; etag: string }

/** Both forms in one language; files are kept where HEALTHVISION_PICTURES names a folder. */
async function reportOf(id: string, name: string, language: 'en' | 'zh-CN' = 'en'): Promise<Report> {
  const folder = process.env.HEALTHVISION_PICTURES ?? mkdtempSync(join(tmpdir(), 'healthvision-report-'));
  mkdirSync(folder, { recursive: true });
  const [html, pdf] = await Promise.all(['html', 'pdf'].map((form) => house.fetch(`/api/v1/results/${id}/report.${form}?language=${language}`)));
  if (html?.status !== 200 || pdf?.status !== 200) throw new Error(`${String(html?.status)} ${String(pdf?.status)}`);
  const path = join(folder, `${name}-${language}.pdf`);
  writeFileSync(path, Buffer.from(await pdf.arrayBuffer()));
  const page = await html.text();
  writeFileSync(join(folder, `${name}-${language}.html`), page);
  const text = hasPoppler ? execFileSync('pdftotext', ['-layout', path, '-'], { encoding: 'utf8' }) : page;
  return { html: page, pdf: text, pages: text.split('\f').length - 1, etag: html.headers.get('etag') ?? '' };
}

async function change(id: string, what: string, body: object): Promise<number> {
  const path = `/api/v1/results/${id}`;
  const etag = (await house.fetch(path)).headers.get('etag') ?? '';
  return (await house.fetch(`${path}/${what}`, { method: 'POST', headers: { 'content-type': 'application/json', 'if-match': etag }, body: JSON.stringify(body) })).status;
}

const signOff = (id: string): Promise<number> => change(id, 'sign-off', { meaning: 'approved', password: ADMIN.password });

async function scan(word: string, date: string, lesions: readonly Lesion[], side = 3): Promise<string> {
  const ct = chestCt({ size: [Math.round(300 / side), Math.round(240 / side), 40], spacing: [side, side, 5], balls: lesions.map((lesion) => ({ ...lesion, hu: 20 })) });
  const uploaded = await uploadVolume(house, seriesOf(ct, { modality: 'CT', study: `signed ${word}`, series: 'ct', patientId: 'SIGNED-1', fields: { StudyDate: date, PatientName: 'Wang^XiaoDong' } }));
  const frameOfReferenceUid = text(uploaded.study.series[0]?.instances[0]?.attributes ?? {}, 'FrameOfReferenceUID') ?? '';
  const volume = { ...uploaded, grid: { ...uploaded.grid, frameOfReferenceUid } };
  const labels = labelsOf(volume.grid, lesions);
  const volumeMl = (n: number): number => labels.filter((label) => label === n + 1).length * voxelVolumeMl(volume.grid.affine);
  const findings = lesions.map((lesion, n) => {
    const { location, measurements, ...finding } = noduleOf(volume, lesion);
    return { ...finding, ...(location && { location: { ...location, frameOfReferenceUid } }), measurements: measurements.map((one) => (one.name === 'volume' ? { ...one, value: Math.round(volumeMl(n) * 1000) } : one)) };
  });
  const instances = volume.study.series.flatMap(({ seriesInstanceUid, instances: all }) => all.map((instance) => ({ ...instance, seriesInstanceUid })));
  const id = await commitResult(house, volumeConclusion(house, volume, { findings, labels, segments: findings.map((_, n) => ({ number: n + 1, name: `Nodule ${String(n + 1)}`, volumeMl: volumeMl(n) })) }, { instances }));
  const { faults } = await house.owner.result.findUniqueOrThrow({ where: { id } });
  expect(faults).toEqual([]);
  return id;
}

describe('the report of a result that persons looked at', () => {
  it('says what they made of it, who signed, and that it was opened again', async () => {
    const subject = await uploadStudy(house, 21);
    const nodule = (diameter: number): ReturnType<typeof conclusion>['findings'][number] => ({
      id: crypto.randomUUID(), kind: 'nodule', code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' }, score: 0.9,
      location: { sopInstanceUid: subject.instance.sopInstanceUid, frame: 1 }, measurements: [{ name: 'diameter', value: diameter, unit: 'mm' }],
    });
    const [kept, rejected] = [nodule(8.4), nodule(4.1)];
    const id = await commitResult(house, conclusion(house, subject, { analysis: 'lung-nodule-detection', findings: [kept, rejected], labels: [], heatMaps: [] }));
    expect((await reportOf(id, 'fresh')).html).not.toContain('Reader');
    expect(await change(id, 'reviews', { decisions: [
      { decision: 'edit', finding: kept.id, measurements: [{ name: 'diameter', value: 9, unit: 'mm' }] }, { decision: 'reject', finding: rejected.id, reason: 'artefact' },
      { decision: 'add', kind: 'nodule', code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' }, measurements: [{ name: 'diameter', value: 12, unit: 'mm' }] },
    ] })).toBe(201);
    const reviewed = await reportOf(id, 'reviewed');
    for (const form of [reviewed.html, reviewed.pdf]) {
      for (const part of ['PRELIMINARY', 'Reviewed by a person; not signed yet', 'Diameter 9.0 mm', 'Diameter 12.0 mm', 'edited', 'added', 'A reader rejected 1 finding']) expect(form).toContain(part);
      for (const part of ['4.1 mm', 'Signed by', '100 %', '&gt;99 %']) expect(form).not.toContain(part);
    }

    expect(await signOff(id)).toBe(200);
    const signed = await reportOf(id, 'signed');
    for (const form of [signed.html, signed.pdf]) for (const part of ['FINAL', 'Signed by Administrator', 'Reviewed and signed']) expect(form).toContain(part);
    expect((await reportOf(id, 'signed', 'zh-CN')).pdf).toContain('签发人：Administrator');
    expect(signed.etag).not.toBe(reviewed.etag);
    expect(signed.pages).toBe(1);

    expect(await change(id, 'amendments', { reason: 'A vessel after all', decisions: [{ decision: 'reject', finding: kept.id, reason: 'normal-anatomy' }] })).toBe(201);
    const reopened = await reportOf(id, 'reopened');
    for (const part of ['PRELIMINARY', 'Opened again after it was signed', 'rejected 2 findings']) expect(reopened.pdf).toContain(part);
    expect(reopened.pdf).not.toContain('Signed by');
    expect(await signOff(id)).toBe(200);
    expect((await reportOf(id, 'amended')).pdf).toContain('AMENDED');
  });

  it('says of labels what a reader says, not what their threshold says', async () => {
    const id = await commitResult(house, conclusion(house, await uploadStudy(house, 22)));
    expect(await change(id, 'reviews', { decisions: [{ decision: 'label', label: 'Pneumonia', agrees: false }, { decision: 'label', label: 'Effusion', agrees: true }] })).toBe(201);
    const { html, pdf } = await reportOf(id, 'labels');
    for (const form of [html, pdf]) for (const part of ['absent, says the reader', 'below threshold, agreed', 'No finding above its threshold']) expect(form).toContain(part);
  });
});

describe('the report of a patient who was there before', () => {
  it('says what changed once the images are aligned, and until then that it does not know', { timeout: 120_000 }, async () => {
    const earlier = await scan('before', '20260601', [{ centre: [80, -20, 30], radiusMm: 7 }, { centre: [-70, 10, 0], radiusMm: 6 }]);
    const later = await scan('after', '20260830', [{ centre: [80, -20, 30], radiusMm: 9.1 }, { centre: [-60, 20, -40], radiusMm: 5 }]);
    const title = 'Comparison with the study of 2026-06-01, 90 days before';
    const first = await reportOf(later, 'first');
    expect(first.html).toContain(title);
    const report = await eventually('the comparison', async () => {
      const one = await reportOf(later, 'compared');
      return one.html.includes('1 new, 1 grown, 1 gone') && one;
    });
    for (const form of [report.html, report.pdf]) for (const part of [title, 'Then → now', 'Diameter 14.0 mm', '(+30 %)']) expect(form).toContain(part);
    expect(report.html).toContain('data:image/png;base64,');
    expect(report.html).toContain('Over the studies of the patient');
    expect(report.pages).toBe(1);
    // As long as nothing changes it is the same; what was before belongs to it.
    expect((await reportOf(later, 'compared')).etag).toBe(report.etag);
    const prior = await house.owner.result.findUniqueOrThrow({ where: { id: earlier } });
    const [finding] = prior.findings as { id: string }[];
    expect(await change(prior.id, 'reviews', { decisions: [{ decision: 'reject', finding: finding?.id, reason: 'artefact' }] })).toBe(201);
    const again = await reportOf(later, 'reviewed-prior', 'zh-CN');
    expect(again.pdf).toContain('2 新发，1 消失');
    expect((await reportOf(later, 'compared-again')).etag).not.toBe(report.etag);

    // Whoever reads it has read of the earlier study.
    const { items } = (await (await house.fetch('/api/v1/audit-events?limit=5')).json()) as { items: { action: string; studyInstanceUids: string[] }[] };
    expect(new Set(items.find(({ action }) => action === 'getResultReportHtml')?.studyInstanceUids).size).toBe(2);

    await house.owner.result.update({ where: { id: later }, data: { status: 'withheld' } });
    for (const path of ['comparison', 'trend.png', 'report.pdf', 'fhir']) {
      const response = await house.fetch(`/api/v1/results/${later}/${path}`);
      expect([response.status, ((await response.json()) as { code: string }).code], path).toEqual([409, 'result-withheld']);
    }
  });

  it('keeps a long comparison on pages that follow', { timeout: 120_000 }, async () => {
    const first = await uploadStudy(house, 31);
    const second = await uploadStudy(house, 32);
    await house.owner.study.update({ where: { id: second.study.id }, data: { patientId: (await house.owner.study.findUniqueOrThrow({ where: { id: first.study.id } })).patientId } });
    const labels = (high: boolean): ReturnType<typeof conclusion>['labels'] => Array.from({ length: 80 }, (_, n) => ({ name: `Sign ${String(n + 1)}`, probability: high === (n % 2 === 0) ? 0.8 : 0.2, threshold: 0.5, positive: high === (n % 2 === 0) }));
    await commitResult(house, conclusion(house, first, { labels: labels(true), heatMaps: [] }));
    const id = await commitResult(house, conclusion(house, second, { labels: labels(false), heatMaps: [] }));
    const { pdf, html, pages } = await reportOf(id, 'long');
    expect(html).toContain('absent (20 %) → present (80 %)');
    const rows = [...pdf.matchAll(/^.*(Sign \d+) .*→/gm)].map(([, name]) => name);
    expect(new Set(rows).size).toBe(80);
    expect(pages).toBeLessThan(6);
    // The first page has everything that it must have.
    for (const part of ['Model and its limits', 'Not for primary diagnosis.', 'Then → now']) expect(pdf.split('\f')[0]).toContain(part);
  });
});
