import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import type { ResultJson } from '../../../src/modules/results/findings-json.js';
import { heatMapValues } from '../../../src/modules/results/result-writer.js';
import { ResultWriter } from '../../../src/modules/results/results.contract.js';
import { Database } from '../../../src/platform/database/database.js';
import { BlobStore } from '../../../src/platform/storage/blob-store.js';
import { eventually } from '../../support/product.js';
import { commitResult, conclusion, openHouse, uploadStudy, type House } from './house.js';

let house: House;
beforeAll(async () => { house = await openHouse(); });
afterAll(async () => { await house.close(); });

interface Answer<T> {
  status: number;
  headers: Headers;
  body: T;
}

/** The caller names the shape that the contract promises. */
async function getJson<T>(path: string, headers: Record<string, string> = {}): Promise<Answer<T>> {
  const response = await house.fetch(path, { headers });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: (text === '' ? undefined : JSON.parse(text)) as T };
}

describe('storing a result', () => {
  it('gives a repeated run the same result, and heat maps of its own', async () => {
    const result = conclusion(house, await uploadStudy(house, 1));
    const writer = house.app.get(ResultWriter);
    const first = await writer.prepare(result);
    const second = await writer.prepare({ ...result, heatMaps: [...result.heatMaps, ...result.heatMaps.map((map) => ({ ...map, data: map.data.map((value) => value * 2) }))] });
    expect(second.id).toBe(first.id);
    expect(second.heatMapsBlobKey).not.toEqual(first.heatMapsBlobKey);
    expect(first.heatMapsBlobKey).toContain(`${house.institutionId}/results/${first.id}/`);
    const bytes = await house.app.get(BlobStore).read(second.heatMapsBlobKey ?? '');
    expect([...heatMapValues(bytes, 0, 6), ...heatMapValues(bytes, 24, 6)]).toEqual([0, -1, 0.25, 0.5, 2, 0, 0, -2, 0.5, 1, 4, 0]);
  });

  it('leaves the heat maps of a run that never commits to the sweep, and those of a committed one alone', async () => {
    const study = await uploadStudy(house, 2);
    const client = house.owner;
    const prepared = await house.app.get(ResultWriter).prepare(conclusion(house, study));
    const tombstone = await client.blobTombstone.findUniqueOrThrow({ where: { blobKey: prepared.heatMapsBlobKey ?? '' } });
    expect(tombstone.dueAt.getTime()).toBeGreaterThan(Date.now() + 60_000);
    const id = await commitResult(house, prepared.result);
    // Those of the first try are left to the sweep; those of the committed one are not.
    expect((await client.blobTombstone.findMany({ where: { blobKey: { contains: id } } })).map(({ blobKey }) => blobKey)).toEqual([prepared.heatMapsBlobKey]);
  });

  it('refuses a commit whose heat maps the sweep has taken', async () => {
    const writer = house.app.get(ResultWriter);
    const prepared = await writer.prepare(conclusion(house, await uploadStudy(house, 3)));
    await house.owner.blobTombstone.deleteMany({ where: { blobKey: { in: [prepared.heatMapsBlobKey ?? ''] } } });
    await expect(house.app.get(Database).transaction({ institutionId: house.institutionId }, (tx) => writer.commit(tx, prepared))).rejects.toMatchObject({ code: 'blob-missing' });
  });

  it('keeps one result for one run', async () => {
    const result = conclusion(house, await uploadStudy(house, 4), { heatMaps: [] });
    await commitResult(house, result);
    await expect(commitResult(house, result)).rejects.toThrow();
  });
});

describe('GET /api/v1/results/{id}', () => {
  it('answers exactly what API.md promises', async () => {
    const result = conclusion(house, await uploadStudy(house, 10));
    const id = await commitResult(house, result);
    const { status, headers, body } = await getJson<ResultJson>(`/api/v1/results/${id}`);
    expect(status).toBe(200);
    expect(headers.get('content-language')).toBe('en');
    expect(Object.keys(body)).toEqual(['id', 'analysisId', 'analysis', 'studyInstanceUid', 'status', 'createdAt', 'summary', 'findings', 'labels', 'segments', 'provenance', 'disclaimer']);
    expect(body).toMatchObject({
      id, analysisId: result.analysisId, analysis: 'chest-xray-classification', studyInstanceUid: result.studyInstanceUid, status: 'preliminary',
      summary: { text: 'Pneumonia 93 %', critical: false }, findings: [], segments: [], provenance: result.provenance, disclaimer: 'Not for primary diagnosis.',
    });
    expect(Object.keys(body.labels[0] ?? {})).toEqual(['name', 'displayName', 'probability', 'threshold', 'positive', 'code']);
    expect(body.labels[0]).toEqual({ name: 'Pneumonia', displayName: 'Pneumonia', probability: 0.93, threshold: 0.5, positive: true, code: result.labels[0]?.code });
  });

  it('speaks Chinese', async () => {
    const id = await commitResult(house, conclusion(house, await uploadStudy(house, 11)));
    const { headers, body } = await getJson<ResultJson>(`/api/v1/results/${id}`, { 'accept-language': 'zh-CN,zh;q=0.9' });
    expect(headers.get('content-language')).toBe('zh-CN');
    expect(headers.get('vary')).toContain('Accept-Language');
    expect(body.summary.text).toBe('肺炎 93 %');
    expect(body.labels.map(({ displayName }) => displayName)).toEqual(['肺炎', '胸腔积液']);
    expect(body.disclaimer).toBe('不用于初步诊断。');
  });

  it('answers 304 to whoever has the version, in that language only', async () => {
    const id = await commitResult(house, conclusion(house, await uploadStudy(house, 12)));
    const etag = (await getJson(`/api/v1/results/${id}`)).headers.get('etag') ?? '';
    expect((await getJson(`/api/v1/results/${id}`, { 'if-none-match': etag })).status).toBe(304);
    expect((await getJson(`/api/v1/results/${id}`, { 'if-none-match': etag, 'accept-language': 'zh' })).status).toBe(200);
  });

  it('knows neither ids that do not exist, nor malformed ones, nor those of another institution', async () => {
    const { status, body } = await getJson<{ code: string }>(`/api/v1/results/${uuidv7()}`);
    expect([status, body.code]).toEqual([404, 'result-not-found']);
    expect((await getJson('/api/v1/results/no-uuid')).status).toBe(404);
    const id = await commitResult(house, conclusion(house, await uploadStudy(house, 13)));
    await house.owner.result.update({ where: { id }, data: { institutionId: uuidv7() } });
    expect((await getJson(`/api/v1/results/${id}`)).status).toBe(404);
    expect((await fetch(`${house.url}/api/v1/results/${id}`)).status).toBe(401);
  });
});

describe('GET /api/v1/results', () => {
  it('filters and pages, newest first', async () => {
    const study = await uploadStudy(house, 20);
    const plain = await commitResult(house, conclusion(house, study));
    const critical = await commitResult(house, conclusion(house, study, { summary: { text: '', critical: true } }));
    const other = await commitResult(house, conclusion(house, study, { analysis: 'lung-nodule-detection' }));
    const ids = async (query: string): Promise<string[]> => (await getJson<{ items: ResultJson[] }>(`/api/v1/results?studyInstanceUid=${study.study.studyInstanceUid}${query}`)).body.items.map(({ id }) => id);
    expect(await ids('')).toEqual([other, critical, plain]);
    expect(await ids('&critical=true')).toEqual([critical]);
    expect(await ids('&critical=false')).toEqual([other, plain]);
    expect(await ids('&analysis=lung-nodule-detection')).toEqual([other]);
    expect(await ids('&status=final')).toEqual([]);
    expect(await ids(`&from=${new Date(Date.now() + 60_000).toISOString()}`)).toEqual([]);
    expect(await ids(`&to=${new Date(Date.now() + 60_000).toISOString()}`)).toHaveLength(3);
    const first = await getJson<{ items: ResultJson[]; nextCursor: string | null }>(`/api/v1/results?studyInstanceUid=${study.study.studyInstanceUid}&limit=2`);
    expect(first.body.nextCursor).toBe(critical);
    const second = await getJson<{ items: ResultJson[]; nextCursor: string | null }>(`/api/v1/results?studyInstanceUid=${study.study.studyInstanceUid}&limit=2&cursor=${first.body.nextCursor ?? ''}`);
    expect([second.body.items.map(({ id }) => id), second.body.nextCursor]).toEqual([[plain], null]);
  });

  it('says which parameter is wrong', async () => {
    const { status, body } = await getJson<{ code: string; errors: { pointer: string }[] }>('/api/v1/results?critical=perhaps&colour=red');
    expect([status, body.code]).toEqual([400, 'invalid-query']);
    expect(body.errors.map(({ pointer }) => pointer).sort()).toEqual(['/colour', '/critical']);
  });
});

describe('GET /api/v1/results/{id}/preview.png', () => {
  const preview = (id: string, query = '', headers: Record<string, string> = {}): Promise<Response> => house.fetch(`/api/v1/results/${id}/preview.png${query}`, { headers });

  /** Red less blue in the middle of the lower half of a square image of 640 pixels. */
  async function redness(png: Uint8Array): Promise<number> {
    const pixels = await sharp(png).extract({ left: 310, top: 470, width: 20, height: 20 }).removeAlpha().raw().toBuffer();
    let sum = 0;
    for (let i = 0; i < pixels.length; i += 3) sum += (pixels[i] ?? 0) - (pixels[i + 2] ?? 0);
    return sum / (pixels.length / 3);
  }

  it('draws the image with the heat map of the label', async () => {
    const id = await commitResult(house, conclusion(house, await uploadStudy(house, 30)));
    const response = await preview(id);
    expect(response.headers.get('content-type')).toBe('image/png');
    expect(response.headers.get('cache-control')).toContain('private');
    const bytes = Buffer.from(await response.arrayBuffer());
    expect(await sharp(bytes).metadata()).toMatchObject({ format: 'png', width: 640, height: 744 });
    // The strongest value of the map lies there.
    expect(await redness(bytes)).toBeGreaterThan(80);
    expect(await redness(Buffer.from(await (await preview(id, '?label=Effusion')).arrayBuffer()))).toBe(0);
  });

  it('draws the map of that label and no other, of results of older versions too', async () => {
    const [none, strong] = [Float32Array.from([0, 0, 0, 0, 0, 0]), Float32Array.from([0, -1, 0.25, 0.5, 2, 0])];
    const id = await commitResult(house, conclusion(house, await uploadStudy(house, 32), {
      heatMaps: [{ label: 'Pneumonia', width: 3, height: 2, data: none }, { label: 'Effusion', width: 3, height: 2, data: strong }],
    }));
    const rednessOf = async (of: string, label: string): Promise<number> => redness(Buffer.from(await (await preview(of, `?label=${label}`)).arrayBuffer()));
    expect(await rednessOf(id, 'Pneumonia')).toBe(0);
    expect(await rednessOf(id, 'Effusion')).toBeGreaterThan(80);

    const old = await commitResult(house, conclusion(house, await uploadStudy(house, 33)));
    const { rendering } = await house.owner.result.findUniqueOrThrow({ where: { id: old } });
    const { heatMapBlob, ...rest } = rendering as unknown as { heatMapBlob: { blobKey: string; maps: { label: string; width: number; height: number }[] }; keyImage: object };
    await house.owner.result.update({ where: { id: old }, data: { rendering: { ...rest, heatMaps: heatMapBlob.maps.map((map) => ({ ...map, blobKey: heatMapBlob.blobKey })) } } });
    expect(await rednessOf(old, 'Pneumonia')).toBeGreaterThan(80);
  });

  it('is answered from memory the second time, and with 304 to whoever has it', async () => {
    const id = await commitResult(house, conclusion(house, await uploadStudy(house, 31)));
    const first = await preview(id);
    const etag = first.headers.get('etag') ?? '';
    await first.arrayBuffer();
    const started = performance.now();
    expect((await preview(id)).status).toBe(200);
    expect(performance.now() - started).toBeLessThan(150);
    expect((await preview(id, '', { 'if-none-match': etag })).status).toBe(304);
    expect((await preview(id, '?label=Effusion', { 'if-none-match': etag })).status).toBe(200);
  });

  it('refuses a finding, a label or a result that does not exist', async () => {
    const id = await commitResult(house, conclusion(house, await uploadStudy(house, 32)));
    const code = async (response: Response): Promise<unknown[]> => [response.status, ((await response.json()) as { code: string }).code, response.headers.get('etag')];
    expect(await code(await preview(id, `?finding=${uuidv7()}`))).toEqual([404, 'finding-not-found', null]);
    expect(await code(await preview(id, '?label=Hernia'))).toEqual([404, 'finding-not-found', null]);
    expect(await code(await preview(uuidv7()))).toEqual([404, 'result-not-found', null]);
    expect(await code(await preview(id, '?finding=no-uuid'))).toEqual([400, 'invalid-query', null]);
  });

  it('says so when the image is gone', async () => {
    const uploaded = await uploadStudy(house, 33);
    const id = await commitResult(house, conclusion(house, uploaded));
    await house.app.get(BlobStore).delete(uploaded.instance.blobKey);
    const response = await preview(id);
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([404, 'instance-not-found']);
  });
});

describe('a deleted study', () => {
  it('takes its results with it, and leaves those of others', async () => {
    const [gone, kept] = [await uploadStudy(house, 40), await uploadStudy(house, 41)];
    const [goneId, keptId] = [await commitResult(house, conclusion(house, gone)), await commitResult(house, conclusion(house, kept))];
    const deleted = await house.fetch(`/api/v1/studies/${gone.study.studyInstanceUid}`, { method: 'DELETE' });
    expect(deleted.status).toBe(204);
    await eventually('the result is gone', async () => (await house.fetch(`/api/v1/results/${goneId}`)).status === 404);
    expect((await house.fetch(`/api/v1/results/${keptId}`)).status).toBe(200);
    expect(await house.owner.blobTombstone.count({ where: { blobKey: { contains: goneId }, dueAt: { lte: new Date() } } })).toBe(1);
  });
});
