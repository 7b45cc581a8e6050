import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newDicomUid } from '../../../src/kernel/uid.js';
import { RetentionJob } from '../../../src/modules/images/retention.job.js';
import { KeyVault } from '../../../src/platform/crypto/key-vault.js';
import { BlobStore } from '../../../src/platform/storage/blob-store.js';
import { dicomFile } from '../../support/dicom-builder.js';
import { eventually } from '../../support/product.js';
import { openArchiveHouse, type ArchiveHouse } from './archive-house.js';
import { testInstance, type TestInstance } from './instances.js';

interface Policy { onConflict: string; retentionDays: number | null; updatedAt: string | null }
interface Preview { retentionDays: number | null; studies: number; sizeBytes: number; onHold: number; oldest: string | null }

let house: ArchiveHouse;

beforeAll(async () => { house = await openArchiveHouse(); });
afterAll(async () => { await house.close(); });

const PATH = '/api/v1/image-policy';
const put = (policy: unknown, headers: Record<string, string> = {}): Promise<Response> => house.fetch(PATH, { method: 'PUT', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(policy) });
const retain = async (): Promise<void> => { await house.app.get(RetentionJob).handle({}, { jobId: '', topic: '', attempt: 1, signal: new AbortController().signal }); };

async function store(authorization?: string): Promise<TestInstance> {
  const instance = testInstance({ patientId: `P-${newDicomUid().slice(-8)}`, patientName: 'Retained^Rita' });
  const form = new FormData();
  form.append('files', new Blob([new Uint8Array(instance.bytes)]), 'a.dcm');
  const response = await house.fetch('/api/v1/images', { method: 'POST', body: form, ...(authorization !== undefined && { headers: { authorization } }) });
  if (response.status !== 201) throw new Error(await response.text());
  return instance;
}

async function age({ studyInstanceUid }: TestInstance, days: number): Promise<void> {
  await house.owner.study.updateMany({ where: { studyInstanceUid }, data: { lastInstanceAt: new Date(Date.now() - days * 86_400_000) } });
}

const isThere = async ({ studyInstanceUid }: TestInstance): Promise<boolean> => (await house.owner.study.count({ where: { studyInstanceUid } })) > 0;

describe('the image policy', () => {
  it('keeps everything and rejects other bytes until somebody decides otherwise', async () => {
    const response = await house.fetch(PATH);
    expect(await response.json()).toEqual({ onConflict: 'reject', retentionDays: null, updatedAt: null } satisfies Policy);
    const etag = response.headers.get('etag') ?? '';
    const changed = await put({ onConflict: 'replace', retentionDays: null }, { 'if-match': etag });
    expect([changed.status, await changed.json()]).toMatchObject([200, { onConflict: 'replace', retentionDays: null }]);
    expect((await put({ onConflict: 'reject', retentionDays: null }, { 'if-match': etag })).status).toBe(412);
    expect((await put({ onConflict: 'reject', retentionDays: null }, { 'if-match': changed.headers.get('etag') ?? '' })).status).toBe(200);
  });

  it('is whole and sane, or refused', async () => {
    for (const body of [{}, { onConflict: 'reject' }, { onConflict: 'ask', retentionDays: null }, { onConflict: 'reject', retentionDays: 0 }, { onConflict: 'reject', retentionDays: 1.5 }, { onConflict: 'reject', retentionDays: 30, more: 1 }]) {
      expect((await put(body)).status).toBe(400);
    }
    expect((await house.fetch(`${PATH}/preview?retentionDays=0`)).status).toBe(400);
  });

  it('is decided by those who run the institution', async () => {
    for (const [role, read, write] of [['radiologist', 403, 403], ['auditor', 200, 403], ['admin', 200, 200]] as const) {
      const { authorization } = await house.person(role, 'here');
      expect((await house.fetch(PATH, { headers: { authorization } })).status).toBe(read);
      expect((await put({ onConflict: 'reject', retentionDays: null }, { authorization })).status).toBe(write);
    }
    const { authorization } = await house.person('radiologist', 'here');
    expect((await house.fetch(`/api/v1/studies/${newDicomUid()}`, { method: 'PATCH', headers: { authorization, 'content-type': 'application/json' }, body: '{"legalHold":true}' })).status).toBe(403);
  });
});

describe('retention', () => {
  it('removes what is older than the institution keeps it, with its key and bytes, and tells the other modules', async () => {
    const elsewhere = await house.person('admin', 'elsewhere');
    const [old, held, young, foreign] = [await store(), await store(), await store(), await store(elsewhere.authorization)];
    await age(old, 31);
    await age(held, 400);
    await age(young, 29);
    await age(foreign, 4_000);
    await house.json(`/api/v1/studies/${held.studyInstanceUid}`, { method: 'PATCH', headers: { 'content-type': 'application/json' }, body: '{"legalHold":true}' });
    await retain();
    expect(await isThere(old)).toBe(true);

    const preview = await house.json<Preview>(`${PATH}/preview?retentionDays=30`);
    expect(preview).toMatchObject({ retentionDays: 30, studies: 1, onHold: 1, sizeBytes: old.bytes.length });
    expect(Date.parse(preview.oldest ?? '')).toBeLessThan(Date.now() - 30 * 86_400_000);
    expect(await house.json<Preview>(`${PATH}/preview`)).toEqual({ retentionDays: null, studies: 0, sizeBytes: 0, onHold: 0, oldest: null });

    const row = await house.owner.study.findFirstOrThrow({ where: { studyInstanceUid: old.studyInstanceUid }, include: { instances: true } });
    expect((await put({ onConflict: 'reject', retentionDays: 30 })).status).toBe(200);
    // A study that somebody else has under their hands waits for the next pass.
    await eventually('the end of the old study', async () => { await retain(); return !(await isThere(old)); });
    expect([await isThere(old), await isThere(held), await isThere(young), await isThere(foreign)]).toEqual([false, true, true, true]);
    expect(await house.owner.studyKey.count({ where: { id: row.keyId } })).toBe(0);
    const blobKey = row.instances[0]?.blobKey ?? '';
    // The bytes may still lie there until the next sweep, and nobody opens them again.
    await expect(house.app.get(BlobStore).read(blobKey)).rejects.toMatchObject({ code: expect.stringMatching(/^(key-destroyed|blob-missing)$/) as string });
    expect(await house.owner.outboxEvent.count({ where: { topic: 'study.deleted', payload: { path: ['studyId'], equals: row.id } } })).toBe(1);
    expect(await house.json<Preview>(`${PATH}/preview`)).toMatchObject({ studies: 0, onHold: 1, oldest: null });
    await put({ onConflict: 'reject', retentionDays: null });
  });

  it('removes many, some at a time, and what was removed can come again', async () => {
    const studies: TestInstance[] = [];
    for (let index = 0; index < 12; index++) studies.push(await store());
    for (const study of studies) await age(study, 50);
    await put({ onConflict: 'reject', retentionDays: 45 });
    // A study that somebody else holds is left for the next time.
    await eventually('all are removed', async () => {
      await retain();
      return (await Promise.all(studies.map(isThere))).every((there) => !there);
    });
    await put({ onConflict: 'reject', retentionDays: null });
    const [first] = studies;
    const form = new FormData();
    form.append('files', new Blob([new Uint8Array(first?.bytes ?? [])]), 'a.dcm');
    expect((await house.fetch('/api/v1/images', { method: 'POST', body: form })).status).toBe(201);
    expect(await house.json(`/api/v1/studies/${first?.studyInstanceUid ?? ''}`)).toMatchObject({ patientName: 'Retained^Rita' });
  });
});

describe('a study that cannot be opened any more', () => {
  interface Listed { studyInstanceUid: string; patientId: string | null; patientName: string | null; instanceCount: number }
  const list = async (): Promise<Listed[]> => (await house.json<{ items: Listed[] }>('/api/v1/studies?limit=200')).items;

  it('is listed without its patient when its key is gone, and hides nobody else', async () => {
    const [lost, kept] = [await store(), await store()];
    const { keyId } = await house.owner.study.findFirstOrThrow({ where: { studyInstanceUid: lost.studyInstanceUid } });
    await house.json(`/api/v1/studies/${lost.studyInstanceUid}`);
    await house.owner.studyKey.delete({ where: { id: keyId } });
    house.app.get(KeyVault).forget(keyId);
    const listed = await list();
    expect(listed.find(({ studyInstanceUid }) => studyInstanceUid === lost.studyInstanceUid)).toMatchObject({ patientId: null, patientName: null, instanceCount: 1 });
    expect(listed.find(({ studyInstanceUid }) => studyInstanceUid === kept.studyInstanceUid)).toMatchObject({ patientName: 'Retained^Rita' });
    expect(await house.json(`/api/v1/studies/${lost.studyInstanceUid}`)).toMatchObject({ patientName: null, series: [{ instanceCount: 1 }] });
    expect((await house.fetch(`/api/v1/studies/${lost.studyInstanceUid}`, { method: 'DELETE' })).status).toBe(204);
  });

  it('is reported as damaged when a bit of it has changed, and listed without its patient', async () => {
    const damaged = await store();
    await house.owner.$executeRaw`UPDATE studies SET sealed = set_byte(sealed, 20, get_byte(sealed, 20) # 1) WHERE study_instance_uid = ${damaged.studyInstanceUid}`;
    const response = await house.fetch(`/api/v1/studies/${damaged.studyInstanceUid}`);
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([500, 'blob-corrupt']);
    expect((await list()).find(({ studyInstanceUid }) => studyInstanceUid === damaged.studyInstanceUid)).toMatchObject({ patientName: null, instanceCount: 1 });
  });
});

describe('a list of studies', () => {
  it('is narrowed by accession number and patient without knowing them in the clear', async () => {
    const uid = newDicomUid();
    const form = new FormData();
    form.append('files', new Blob([new Uint8Array(dicomFile([[0x00080018, 'UI', newDicomUid()], [0x00080050, 'SH', 'ACC-9'], [0x00100020, 'LO', 'Exact-7'], [0x0020000d, 'UI', uid], [0x0020000e, 'UI', newDicomUid()]]))]), 'a.dcm');
    expect((await house.fetch('/api/v1/images', { method: 'POST', body: form })).status).toBe(201);
    const found = async (query: string): Promise<string[]> => (await house.json<{ items: { studyInstanceUid: string }[] }>(`/api/v1/studies?${query}`)).items.map(({ studyInstanceUid }) => studyInstanceUid);
    expect(await found('patientId=Exact-7')).toEqual([uid]);
    expect(await found('accessionNumber=ACC-9')).toEqual([uid]);
    expect(await found('patientId=Exact-7&accessionNumber=ACC-9')).toEqual([uid]);
    for (const query of ['patientId=Exact-8', 'patientId=Exact', 'patientId=ACC-9', 'accessionNumber=ACC-8', 'patientId=Exact-7&accessionNumber=ACC-8']) expect(await found(query)).toEqual([]);
    const [row] = await house.owner.$queryRaw<{ text: string }[]>`SELECT row_to_json(studies)::text AS text FROM studies WHERE study_instance_uid = ${uid}`;
    for (const value of ['Exact-7', 'ACC-9']) expect(row?.text).not.toContain(value);
  });
});
