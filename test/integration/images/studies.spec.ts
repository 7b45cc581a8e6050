import { readdirSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newDicomUid } from '../../../src/kernel/uid.js';
import { preparedDirectory } from '../../support/data-directory.js';
import { dicomFile } from '../../support/dicom-builder.js';
import { eventually, startProduct, type Product } from '../../support/product.js';
import { testInstance, upload, type StudyView } from './instances.js';

let product: Product;

beforeAll(async () => {
  product = await startProduct();
});

afterAll(async () => {
  await product.stop();
});

const study = (uid: string): Promise<StudyView> => product.json<StudyView>(`/api/v1/studies/${uid}`);
const settled = (uid: string, revision: number): Promise<StudyView> =>
  eventually(`revision ${String(revision)}`, async () => { const view = await study(uid); return view.state === 'complete' && view.revision === revision && view; });

describe('a study', () => {
  it('settles when it goes quiet, and again with a higher revision when more arrives', async () => {
    const [uid, series] = [newDicomUid(), newDicomUid()];
    const slice = (instanceNumber: number): Uint8Array => testInstance({ studyInstanceUid: uid, seriesInstanceUid: series, instanceNumber }).bytes;
    const [one, two, four] = [slice(1), slice(2), slice(4)];
    await upload(product, ['1', one], ['2', two], ['4', four]);
    const first = await settled(uid, 1);
    expect(first.completion).toMatchObject({ reason: 'timer', instances: 3, series: [{ seriesInstanceUid: series, instances: 3, missingInstanceNumbers: [3] }] });
    await upload(product, ['4', four]);
    expect(await study(uid)).toMatchObject({ state: 'complete', revision: 1 });
    await upload(product, ['3', slice(3)]);
    const second = await settled(uid, 2);
    expect(second.completion?.series[0]).toEqual({ seriesInstanceUid: series, instances: 4 });
  });

  it('can be declared complete at once, and twice is once', async () => {
    const one = testInstance();
    await upload(product, ['1', one.bytes]);
    const complete = (): Promise<StudyView> => product.json<StudyView>(`/api/v1/studies/${one.studyInstanceUid}/complete`, { method: 'POST' });
    expect(await complete()).toMatchObject({ state: 'complete', revision: 1, completion: { reason: 'explicit' } });
    expect(await complete()).toMatchObject({ revision: 1 });
  });

  it('is found under a UID with a leading zero, which some devices write', async () => {
    const uid = '1.2.826.012';
    await upload(product, ['1', dicomFile([[0x0020000d, 'UI', uid], [0x0020000e, 'UI', '1.2.826.012.01'], [0x00080018, 'UI', '1.2.826.012.02']])]);
    expect(await study(uid)).toMatchObject({ studyInstanceUid: uid });
    expect(await product.json<StudyView>(`/api/v1/studies/${uid}/complete`, { method: 'POST' })).toMatchObject({ state: 'complete' });
    const run = { analysis: 'chest-xray-classification', studyInstanceUid: uid };
    expect((await product.fetch('/api/v1/analyses', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(run) })).status).not.toBe(400);
    expect((await product.fetch(`/api/v1/analyses?studyInstanceUid=${uid}`)).status).toBe(200);
    expect((await product.fetch(`/api/v1/studies/${uid}`, { method: 'DELETE' })).status).toBe(204);
    expect((await product.fetch('/api/v1/studies/1..2')).status).not.toBe(200);
  });

  it('is found by patient, modality, date and state, page by page', async () => {
    const patientId = `P-${newDicomUid().slice(-12)}`;
    const days = ['20250101', '20250615', '20251231'];
    for (const studyDate of days) await upload(product, ['1', testInstance({ patientId, studyDate, modality: studyDate === '20250615' ? 'CR' : 'OT' }).bytes]);
    const list = (query: string): Promise<{ items: (StudyView & { studyDate: string })[]; nextCursor: string | null }> => product.json(`/api/v1/studies?patientId=${patientId}${query}`);
    expect((await list('')).items.map(({ studyDate }) => studyDate)).toEqual(['2025-12-31', '2025-06-15', '2025-01-01']);
    expect((await list('&modality=CR')).items).toHaveLength(1);
    expect((await list('&studyDateFrom=2025-06-15')).items).toHaveLength(2);
    expect((await list('&studyDateFrom=2025-01-02&studyDateTo=2025-12-30')).items).toHaveLength(1);
    expect((await list('&state=complete')).items.length + (await list('&state=receiving')).items.length).toBeGreaterThanOrEqual(3);
    const page = await list('&limit=2');
    expect(page.items).toHaveLength(2);
    expect((await list(`&limit=2&cursor=${page.nextCursor ?? ''}`)).items.map(({ studyDate }) => studyDate)).toEqual(['2025-01-01']);
    for (const query of ['&limit=0', '&state=gone', '&studyDateFrom=20250101', '&nonsense=1']) expect((await product.fetch(`/api/v1/studies?patientId=x${query}`)).status).toBe(400);
  });

  it('that nobody knows is 404, whatever its UID looks like', async () => {
    for (const uid of [newDicomUid(), 'x', '1..2']) {
      expect((await product.fetch(`/api/v1/studies/${uid}`)).status).toBe(404);
      expect((await product.fetch(`/api/v1/studies/${uid}/complete`, { method: 'POST' })).status).toBe(404);
      expect((await product.fetch(`/api/v1/studies/${uid}`, { method: 'DELETE' })).status).toBe(404);
    }
  });

  it('is deleted with its bytes, only in the state that the caller saw, and can come again', async () => {
    const one = testInstance();
    const before = blobs(product.dataDir);
    await upload(product, ['1', one.bytes]);
    const added = blobs(product.dataDir).filter((name) => !before.includes(name));
    expect(added).toHaveLength(1);
    expect(added[0]).not.toContain(one.studyInstanceUid);
    const path = `/api/v1/studies/${one.studyInstanceUid}`;
    const etag = (await product.fetch(path)).headers.get('etag') ?? '';
    await settled(one.studyInstanceUid, 1);
    expect((await product.fetch(path, { method: 'DELETE', headers: { 'if-match': etag } })).status).toBe(412);
    expect((await product.fetch(path, { method: 'DELETE' })).status).toBe(204);
    expect((await product.fetch(path)).status).toBe(404);
    expect((await upload(product, ['1', one.bytes])).items[0]?.status).toBe('stored');
    await eventually('the bytes are swept', () => Promise.resolve(!blobs(product.dataDir).some((name) => added.includes(name))), 45_000);
  });
});

describe('kill -9 in the middle of an upload', () => {
  it('loses nothing that was acknowledged and leaves nothing half visible', async () => {
    const dataDir = await preparedDirectory();
    const first = await startProduct({ dataDir });
    const [acknowledged, half] = [testInstance(), testInstance({ size: 1024 })];
    await upload(first, ['1', acknowledged.bytes]);
    const outgoing = request(`${first.url}/api/v1/images`, { method: 'POST', headers: { authorization: `Bearer ${await first.token()}`, 'content-type': 'multipart/form-data; boundary=b' } });
    outgoing.on('error', () => undefined);
    outgoing.write(Buffer.concat([Buffer.from('--b\r\nContent-Disposition: form-data; name="files"; filename="h"\r\n\r\n'), half.bytes.subarray(0, 600_000)]));
    await eventually('a draft', () => Promise.resolve(drafts(dataDir).length > 0));
    first.process.kill('SIGKILL');
    await new Promise((resolve) => first.process.once('exit', resolve));

    const second = await startProduct({ dataDir, keepData: false });
    try {
      expect((await second.fetch(`/api/v1/studies/${acknowledged.studyInstanceUid}`)).status).toBe(200);
      expect((await second.fetch(`/api/v1/studies/${half.studyInstanceUid}`)).status).toBe(404);
      expect(drafts(dataDir)).toEqual([]);
      expect((await upload(second, ['1', acknowledged.bytes])).items[0]?.status).toBe('duplicate');
    } finally {
      await second.stop();
    }
  });
});

function blobs(dataDir: string): string[] {
  return readdirSync(join(dataDir, 'blobs', 'objects'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

function drafts(dataDir: string): string[] {
  return readdirSync(join(dataDir, 'blobs', 'drafts'));
}
