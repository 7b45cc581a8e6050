import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Finding } from '../../../src/imaging/report/finding.js';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { StudyReader, type StoredStudy } from '../../../src/modules/images/images.contract.js';
import type { NewResult } from '../../../src/modules/results/results.contract.js';
import { ImagingThreads } from '../../../src/platform/threads/imaging-threads.service.js';
import { seriesOf, type SourceVolume } from '../../support/dicom-volumes.js';
import { eventually } from '../../support/product.js';
import { writeNothing } from './derived-house.js';
import { commitResult, conclusion, openHouse, uploadStudy, type House } from './house.js';

type Point = readonly [number, number, number];

interface ComparisonView {
  days: number;
  sameModel: boolean;
  registration: { method: string; overlap?: number; reason?: string };
  summary: { text: string };
  findings: { trend: string; current: string | null; prior: string | null; distanceMm?: number; volumeDoublingDays?: number; measurements: { name: string; change: number; changePercent: number }[] }[];
  labels: object[];
  history: { resultId: string }[];
}

const SIZE = [48, 48, 32] as const;
const SPACING = 4;

/** A body with two lungs, bones and vessels, so that there is one way to lay it upon itself; moved by some millimetres. */
function chest(shift: Point): SourceVolume {
  const voxels = Int16Array.from({ length: SIZE[0] * SIZE[1] * SIZE[2] }, (_, at) => {
    const [x, y, z] = [(at % SIZE[0]) * SPACING - shift[0] - 94, (Math.floor(at / SIZE[0]) % SIZE[1]) * SPACING - shift[1] - 94, Math.floor(at / (SIZE[0] * SIZE[1])) * SPACING - shift[2] - 62];
    if ((x / 80) ** 2 + (y / 55) ** 2 > 1) return -1000;
    if (Math.hypot(x, y - 40) < 10) return 700;
    if (Math.hypot(x - 12, y + 8, (z - 10) * 0.8) < 22) return 60;
    for (const side of [-1, 1]) if (((x - side * 38) / (26 + side * 3)) ** 2 + ((y + z / 8) / 36) ** 2 + ((z - side * 4) / 52) ** 2 < 1) return Math.hypot(x - side * 34, y - 10 + z / 3) < 5 ? 20 : -850;
    return 40;
  });
  return { size: SIZE, affine: [[SPACING, 0, 0, -94], [0, SPACING, 0, -94], [0, 0, SPACING, -62]], voxels };
}

function nodule(center: Point, diameter: number): Finding {
  return {
    id: uuidv7(), kind: 'nodule', code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' }, score: 0.9,
    location: { center: [...center] as [number, number, number], sopInstanceUid: '1.2.3', frame: 1 },
    measurements: [{ name: 'diameter', value: diameter, unit: 'mm' }, { name: 'volume', value: Math.round((Math.PI / 6) * diameter ** 3), unit: 'mm3' }],
  };
}

describe('a result and those before', () => {
  let house: House;
  beforeAll(async () => {
    house = await openHouse();
    writeNothing(house);
  });
  afterAll(() => house.close());

  const get = async (path: string, headers: Record<string, string> = {}): Promise<{ status: number; body: ComparisonView & { code?: string } }> => {
    const response = await house.fetch(path, { headers });
    return { status: response.status, body: (await response.json()) as ComparisonView & { code?: string } };
  };

  async function uploadScan(name: string, patientId: string, date: string, shift: Point): Promise<StoredStudy> {
    const form = new FormData();
    const objects = seriesOf(chest(shift), { modality: 'CT', study: name, series: 'chest', patientId, fields: { StudyDate: date, BodyPartExamined: 'CHEST' } });
    for (const { bytes, sopInstanceUid } of objects) form.append('files', new Blob([Uint8Array.from(bytes)]), `${sopInstanceUid}.dcm`);
    const { items } = (await (await house.fetch('/api/v1/images', { method: 'POST', body: form })).json()) as { items: { studyInstanceUid: string; status: string }[] };
    expect(items.every(({ status }) => status === 'stored')).toBe(true);
    const study = await house.app.get(StudyReader).find(house.institutionId, items[0]?.studyInstanceUid ?? '');
    if (!study) throw new Error('the study is not there');
    return study;
  }

  async function scan(name: string, patientId: string, date: string, shift: Point, findings: Finding[]): Promise<string> {
    const study = await uploadScan(name, patientId, date, shift);
    const [series] = study.series;
    const [instance] = series?.instances ?? [];
    if (!series || !instance) throw new Error('the study is empty');
    const instances = series.instances.map(({ id, sopInstanceUid, sopClassUid, attributes }) => ({ id, sopInstanceUid, sopClassUid, attributes, seriesInstanceUid: series.seriesInstanceUid }));
    const changes: Partial<NewResult> = { analysis: 'lung-nodule-detection', findings, labels: [], heatMaps: [], instances };
    const base = conclusion(house, { study, instance }, changes);
    return commitResult(house, { ...base, provenance: { ...base.provenance, details: { selection: { series: [{ role: 'ct', seriesInstanceUid: series.seriesInstanceUid, frames: SIZE[2], reason: '' }], passedOver: [] } } } });
  }

  it('are compared after the images are aligned: grown, stable, new and gone', { timeout: 60_000 }, async () => {
    const before = [nodule([30, 0, 10], 8), nodule([-40, 5, 0], 6), nodule([-35, 20, -20], 5)];
    const [grown, stable] = before;
    const earlier = await scan('first', 'CT1', '20260601', [0, 0, 0], before);
    const now = [nodule([30 + 14, -6, 10 + 10], 10.4), nodule([-40 + 14, 5 - 6, 10], 6.2), nodule([44 + 14, -20 - 6, 10 + 5], 7)];
    const later = await scan('second', 'CT1', '20260830', [14, -6, 10], now);
    const { status, body } = await get(`/api/v1/results/${later}/comparison`);
    expect(status).toBe(200);
    expect(body).toMatchObject({ days: 90, sameModel: true, registration: { method: 'affine' }, summary: { text: '1 new, 1 grown, 1 stable, 1 gone' } });
    const of = (trend: string) => body.findings.find((finding) => finding.trend === trend);
    expect(of('grown')).toMatchObject({ prior: grown?.id, current: now[0]?.id });
    expect(of('grown')?.distanceMm).toBeLessThan(2);
    expect(of('grown')?.measurements[0]).toMatchObject({ name: 'diameter', change: 2.4, changePercent: 30 });
    expect(of('grown')?.volumeDoublingDays).toBeCloseTo((90 * Math.LN2) / Math.log(1.3 ** 3), -1);
    expect(of('stable')).toMatchObject({ prior: stable?.id, current: now[1]?.id });
    expect([of('new')?.current, of('gone')?.prior]).toEqual([now[2]?.id, before[2]?.id]);
    expect(body.history.map(({ resultId }) => resultId)).toEqual([earlier, later]);
    // What was worked out once is kept.
    expect(await house.owner.resultAlignment.count({ where: { resultId: later } })).toBe(1);
    expect((await get(`/api/v1/results/${later}/comparison?with=${earlier}`, { 'accept-language': 'zh-CN' })).body.summary.text).toBe('1 新发，1 增大，1 稳定，1 消失');

    const picture = await house.fetch(`/api/v1/results/${later}/trend.png`);
    expect([picture.status, picture.headers.get('content-type')]).toEqual([200, 'image/png']);
    const etag = picture.headers.get('etag') ?? '';
    expect((await house.fetch(`/api/v1/results/${later}/trend.png`, { headers: { 'if-none-match': etag } })).status).toBe(304);

    // The first has nothing before it, and is gone with its study.
    expect(await get(`/api/v1/results/${earlier}/comparison?with=${later}`)).toMatchObject({ status: 422, body: { code: 'results-not-comparable', detail: 'The other result is of a later study.' } });
    expect(await get(`/api/v1/results/${earlier}/comparison`)).toMatchObject({ status: 404, body: { code: 'no-prior-result' } });
    const study = (await house.owner.result.findUniqueOrThrow({ where: { id: earlier } })).studyInstanceUid;
    expect((await house.fetch(`/api/v1/studies/${study}`, { method: 'DELETE' })).status).toBe(204);
    expect((await get(`/api/v1/results/${later}/comparison`)).status).toBe(404);
  });

  it('are aligned as soon as the later one is stored, before anybody asks', { timeout: 60_000 }, async () => {
    const earlier = await scan('ahead-first', 'CT4', '20260601', [0, 0, 0], [nodule([30, 0, 10], 8)]);
    const later = await scan('ahead-second', 'CT4', '20260830', [14, -6, 10], [nodule([44, -6, 20], 8)]);
    const alignment = await eventually('the alignment', () => house.owner.resultAlignment.findFirst({ where: { resultId: later } }), 45_000);
    expect(alignment).toMatchObject({ priorResultId: earlier });
  });

  it('have their images aligned one after the other, however many reports ask for it', { timeout: 60_000 }, async () => {
    const ids = await Promise.all(['20260101', '20260201', '20260301', '20260401'].map((date, n) => scan(`turn ${String(n)}`, 'CT-TURNS', date, [4 * n, 0, 0], [])));
    const latest = await house.owner.result.findFirstOrThrow({ where: { id: { in: ids }, studyInstanceUid: (await house.owner.study.findFirstOrThrow({ where: { studyDate: '20260401' } })).studyInstanceUid } });
    const threads = house.app.get(ImagingThreads);
    const align = threads.align.bind(threads);
    let [running, most] = [0, 0];
    const spied = vi.spyOn(threads, 'align').mockImplementation(async (...series) => {
      most = Math.max(most, ++running);
      return align(...series).finally(() => { running -= 1; });
    });
    const answers = await Promise.all(ids.filter((id) => id !== latest.id).map((id) => get(`/api/v1/results/${latest.id}/comparison?with=${id}`)));
    // That with the study before may have been aligned when the result was stored.
    expect([answers.map(({ body }) => body.registration.method), most]).toEqual([['affine', 'affine', 'affine'], 1]);
    expect(spied.mock.calls.length).toBeGreaterThanOrEqual(2);
    spied.mockRestore();
  });

  it('are not compared across patients and analyses', async () => {
    const mine = await scan('mine', 'CT2', '20260101', [0, 0, 0], []);
    const others = await scan('others', 'CT3', '20260102', [0, 0, 0], []);
    expect(await get(`/api/v1/results/${mine}/comparison?with=${others}`)).toMatchObject({ status: 422, body: { code: 'results-not-comparable' } });
    expect(await get(`/api/v1/results/${mine}/comparison?with=${uuidv7()}`)).toMatchObject({ status: 422, body: { code: 'results-not-comparable' } });
    expect(await get(`/api/v1/results/${mine}/comparison?with=nonsense`)).toMatchObject({ status: 400, body: { code: 'invalid-query' } });
    expect((await house.fetch(`/api/v1/results/${mine}/trend.png`)).status).toBe(404);
  });

  it('tell of X-rays what their labels were', async () => {
    const first = await uploadStudy(house, 3);
    const second = await uploadStudy(house, 4);
    await house.owner.study.update({ where: { id: second.study.id }, data: { patientId: (await house.owner.study.findUniqueOrThrow({ where: { id: first.study.id } })).patientId } });
    const earlier = await commitResult(house, conclusion(house, first));
    const later = await commitResult(house, conclusion(house, second, { labels: [{ name: 'Pneumonia', probability: 0.31, threshold: 0.5, positive: false }] }));
    const { body } = await get(`/api/v1/results/${later}/comparison?with=${earlier}`);
    expect(body).toMatchObject({ registration: { method: 'none' }, summary: { text: 'Pneumonia: present → absent' }, findings: [], labels: [{ name: 'Pneumonia', prior: 0.93, current: 0.31, change: -0.62, changePercent: -66.7 }] });
  });
});
