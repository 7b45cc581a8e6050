import { createHash, createPublicKey, verify } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newDicomUid, uuidv7 } from '../../../src/kernel/uid.js';
import { SweepJob } from '../../../src/modules/images/sweep.job.js';
import { FanOutJob } from '../../../src/modules/notifications/fan-out.job.js';
import { BlobStore } from '../../../src/platform/storage/blob-store.js';
import { eventually } from '../../support/product.js';
import { commitResult, conclusion, type House } from '../results/house.js';
import { openPatientHouse, type PatientHouse } from './patient-house.js';

interface Statement { patient: string; institution: string; erasedBy: { user: string; role: string }; reason: string | null; erased: Record<string, number>; studyInstanceUidSha256: string[]; destroyedKeys: string[] }
interface Erasure { receipt: string; statement: Statement }
interface Verification { valid: boolean; statement: Statement | null; publicKey: { kid: string; kty: string; crv: string; x: string } | null }

const NAME = 'Vanishing^Valentina';

let house: PatientHouse;
beforeAll(async () => { house = await openPatientHouse({ SETTLE_SECONDS: '1' }); });
afterAll(async () => { await house.close(); });

const erase = (id: string, { reason, ...headers }: { reason?: string; authorization?: string; 'if-match'?: string } = {}): Promise<Response> =>
  house.fetch(`/api/v1/patients/${id}`, { method: 'DELETE', headers: { ...headers, ...(reason !== undefined && { 'content-type': 'application/json' }) }, ...(reason !== undefined && { body: JSON.stringify({ reason }) }) });
const verified = (receipt: string, authorization?: string): Promise<Verification> =>
  house.json('/api/v1/erasure-receipts/verification', { method: 'POST', headers: { 'content-type': 'application/json', ...(authorization !== undefined && { authorization }) }, body: JSON.stringify({ receipt }) });

/** A run as the analysis keeps it. */
async function addRun(studyId: string, studyInstanceUid: string, id: string, resultId: string | null): Promise<void> {
  await house.system((client) => client.analysisRun.create({
    data: {
      id, institutionId: house.institutionId, studyId, studyInstanceUid, studyRevision: 1, analysis: 'chest-xray-classification', modelId: uuidv7(), modelName: 'm', modelVersion: '1.0.0', modelDigest: `sha256:${id}`,
      selection: '', status: resultId === null ? 'running' : 'succeeded', resultId, ...(resultId === null && { heartbeatAt: new Date() }),
    },
  }));
}

describe('the erasure of a patient', () => {
  it('takes everything with it, leaves nothing that can be read, and signs for it', async () => {
    const patientId = 'ERASE-1';
    const first = await house.send({ patientId, name: NAME, side: 200 });
    const second = await house.send({ patientId, name: NAME, study: first.studyInstanceUid });
    const third = await house.send({ patientId, name: NAME });
    const other = await house.send({ patientId: 'STAYS-1', name: 'Staying^S' });
    expect([first, second, third, other].map(({ status }) => status)).toEqual([201, 201, 201, 201]);
    const id = await house.patientOf(patientId);
    const stored = await house.study(first.studyInstanceUid);
    const result = conclusion(house as unknown as House, stored);
    const resultId = await commitResult(house as unknown as House, result);
    await addRun(stored.study.id, first.studyInstanceUid, result.analysisId, resultId);
    const running = uuidv7();
    await addRun(stored.study.id, first.studyInstanceUid, running, null);
    await eventually('the notification', async () => (await house.json<{ items: { subject: { resultId?: string } }[] }>('/api/v1/notifications')).items.some(({ subject }) => subject.resultId === resultId));
    const blobKeys = (await house.system((client) => client.instance.findMany({ where: { study: { patientId: id } } }))).map(({ blobKey }) => blobKey);
    const keyIds = (await house.system((client) => client.study.findMany({ where: { patientId: id } }))).map(({ keyId }) => keyId);
    // Three that came, and the report of the result.
    expect(blobKeys).toHaveLength(4);

    const response = await erase(id, { reason: 'Request under GDPR, Article 17' });
    expect([response.status, response.headers.get('cache-control')]).toEqual([200, 'no-store']);
    const { receipt, statement } = (await response.json()) as Erasure;
    expect(statement).toMatchObject({
      patient: id, institution: house.institutionId, reason: 'Request under GDPR, Article 17', erasedBy: { role: 'platform-admin' },
      erased: { studies: 2, series: 4, instances: 4, earlierInstanceVersions: 0, analyses: 2, results: 1 },
    });
    expect(statement.destroyedKeys).toEqual([...keyIds].sort());
    expect(statement.studyInstanceUidSha256).toEqual([first, third].map(({ studyInstanceUid }) => createHash('sha256').update(studyInstanceUid).digest('hex')).sort());

    for (const path of [`patients/${id}`, `studies/${first.studyInstanceUid}`, `results/${resultId}`, `analyses/${running}`, `analyses/${result.analysisId}`]) expect((await house.fetch(`/api/v1/${path}`)).status, path).toBe(404);
    expect((await house.fetch(`/dicom-web/studies/${first.studyInstanceUid}`)).status).toBe(404);
    for (const blobKey of blobKeys) await expect(house.app.get(BlobStore).read(blobKey)).rejects.toMatchObject({ code: expect.stringMatching(/^(key-destroyed|blob-missing)$/) as string });
    await eventually('the notifications are gone', async () => (await house.system((client) => client.notification.count({ where: { subject: { path: ['studyInstanceUid'], equals: first.studyInstanceUid } } }))) === 0);
    expect(await house.json(`/api/v1/studies/${other.studyInstanceUid}`)).toMatchObject({ patientName: 'Staying^S' });

    const before = await verified(receipt);
    expect(before).toMatchObject({ valid: true, statement });
    const [header = '', payload = '', signature = ''] = receipt.split('.');
    // As anybody with the public key and nothing of ours does it.
    const key = createPublicKey({ key: { ...before.publicKey }, format: 'jwk' });
    expect(verify(null, Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url'))).toBe(true);
    const changed = Buffer.from(JSON.stringify({ ...(JSON.parse(Buffer.from(payload, 'base64url').toString()) as object), reason: null })).toString('base64url');
    for (const forged of [`${header}.${changed}.${signature}`, `${header}.${payload}.${signature.slice(0, -4)}AAAA`, `${header}.${payload}.`, 'nonsense', 'a.b.c', `eyJhbGciOiJub25lIn0.${payload}.`]) {
      expect(await verified(forged), forged.slice(-40)).toEqual({ valid: false, statement: null, publicKey: null });
    }
    expect((await verified(receipt, (await house.person('auditor', 'here')).authorization)).valid).toBe(true);
    expect((await verified(receipt, (await house.person('auditor', 'elsewhere')).authorization)).valid).toBe(false);
  });

  it('leaves the name in no file and no row', async () => {
    await house.app.get(SweepJob).handle({}, { jobId: '', topic: '', attempt: 1, signal: new AbortController().signal });
    await house.system((client) => client.$executeRaw`CHECKPOINT`).catch(() => undefined);
    const hits = readdirSync(house.dataDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => { const bytes = readFileSync(path); return ['Vanishing', 'VANISHING', 'Valentina', 'ERASE-1'].some((needle) => bytes.includes(needle) || bytes.includes(Buffer.from(needle, 'utf16le'))); });
    expect(hits).toEqual([]);
  });

  it('does nothing at all while one study is under legal hold', async () => {
    const [first, second] = [await house.send({ patientId: 'HOLD-1' }), await house.send({ patientId: 'HOLD-1' })];
    const id = await house.patientOf('HOLD-1');
    await house.json(`/api/v1/studies/${second.studyInstanceUid}`, { method: 'PATCH', headers: { 'content-type': 'application/json' }, body: '{"legalHold":true}' });
    const response = await erase(id);
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([409, 'study-on-hold']);
    expect(await house.json(`/api/v1/patients/${id}`)).toMatchObject({ studyCount: 2, studiesOnHold: 1 });
    for (const { studyInstanceUid } of [first, second]) expect((await house.fetch(`/dicom-web/studies/${studyInstanceUid}`)).status).toBe(200);
    await house.json(`/api/v1/studies/${second.studyInstanceUid}`, { method: 'PATCH', headers: { 'content-type': 'application/json' }, body: '{"legalHold":false}' });
    expect((await erase(id)).status).toBe(200);
  });

  it('is for those who may, of their own patients, as they have seen them', async () => {
    await house.send({ patientId: 'GUARD-1' });
    const id = await house.patientOf('GUARD-1');
    const etag = (await house.fetch(`/api/v1/patients/${id}`)).headers.get('etag') ?? '';
    for (const role of ['radiologist', 'technician', 'auditor', 'service']) expect((await erase(id, { authorization: (await house.person(role, 'here')).authorization })).status, role).toBe(403);
    expect((await erase(id, { authorization: (await house.person('admin', 'elsewhere')).authorization })).status).toBe(404);
    await house.send({ patientId: 'GUARD-1' });
    expect((await erase(id, { 'if-match': etag })).status).toBe(412);
    expect((await erase(uuidv7())).status).toBe(404);
    expect((await erase('GUARD-1')).status).toBe(404);
    for (const body of ['{"reason":""}', '{"reason":"a\\u0000b"}', '{"why":"x"}', '[]', '{']) {
      expect((await house.fetch(`/api/v1/patients/${id}`, { method: 'DELETE', headers: { 'content-type': 'application/json' }, body })).status, body).toBe(400);
    }
    expect(await house.json(`/api/v1/patients/${id}`)).toMatchObject({ studyCount: 2 });
    const now = (await house.fetch(`/api/v1/patients/${id}`)).headers.get('etag') ?? '';
    expect((await erase(id, { 'if-match': now })).status).toBe(200);
    expect((await erase(id)).status).toBe(404);
  });

  it('does not keep the same person from coming again, as somebody else', async () => {
    await house.send({ patientId: 'AGAIN-1', name: 'Again^A' });
    const before = await house.patientOf('AGAIN-1');
    expect((await erase(before)).status).toBe(200);
    await house.send({ patientId: 'AGAIN-1', name: 'Again^A' });
    const after = await house.patientOf('AGAIN-1');
    expect(after).not.toBe(before);
    expect(await house.json(`/api/v1/patients/${after}`)).toMatchObject({ patientName: 'Again^A', studyCount: 1 });
  });

  it('leaves nothing half when instances go on arriving', async () => {
    const study = newDicomUid();
    let erasures = 0;
    for (let round = 0; round < 4; round++) {
      await house.send({ patientId: 'LATE-1', study });
      const id = await house.patientOf('LATE-1');
      const arriving = Array.from({ length: 12 }, (_, index) => house.send({ patientId: 'LATE-1', ...(index % 2 === 0 && { study }) }));
      const response = await erase(id);
      if (response.status === 200) erasures++;
      const fates = await Promise.all(arriving);
      for (const { status } of fates) expect([201, 422]).toContain(status);
      const rows = await house.system((client) => client.study.findMany({ where: { OR: [{ studyInstanceUid: study }, { patient: { id } }, { instances: { some: { sopInstanceUid: { in: fates.map(({ sopInstanceUid }) => sopInstanceUid) } } } }] }, include: { instances: true, patient: true } }));
      for (const { keyId, instances, instanceCount, patient } of rows) {
        expect(patient?.id).not.toBe(id);
        expect(instances).toHaveLength(instanceCount);
        expect(await house.system((client) => client.studyKey.count({ where: { id: keyId } }))).toBe(1);
        for (const { blobKey } of instances) await house.app.get(BlobStore).read(blobKey);
      }
      // What was answered with 201 and came too late for the erasure is there, whole; what was there before is gone.
      for (const { status, sopInstanceUid } of fates) if (status !== 201) expect(rows.flatMap(({ instances }) => instances).some((one) => one.sopInstanceUid === sopInstanceUid)).toBe(false);
    }
    expect(erasures).toBeGreaterThan(0);
    expect(await house.system((client) => client.patient.count({ where: { studies: { none: {} } } }))).toBe(0);
  });

  it('forgets what is known of uploads that brought the patient', async () => {
    const { bytes } = await house.send({ patientId: 'TUS-0' });
    const created = await house.fetch('/api/v1/uploads', { method: 'POST', headers: { 'tus-resumable': '1.0.0', 'upload-length': String(bytes.length), 'upload-metadata': `filename ${Buffer.from('VANISHING.dcm').toString('base64')}` } });
    expect(created.status).toBe(201);
    const location = created.headers.get('location') ?? '';
    const path = location.startsWith('http') ? new URL(location).pathname : location;
    expect((await house.fetch(path, { method: 'PATCH', headers: { 'tus-resumable': '1.0.0', 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' }, body: new Uint8Array(bytes) })).status).toBe(204);
    await eventually('the upload is done', async () => (await house.system((client) => client.upload.count({ where: { state: 'done' } }))) === 1);
    expect((await erase(await house.patientOf('TUS-0'))).status).toBe(200);
    await eventually('the upload is forgotten', async () => (await house.system((client) => client.upload.count())) === 0);
  });

  it('is not undone by news that come late', async () => {
    const { studyInstanceUid } = await house.send({ patientId: 'NEWS-1' });
    const stored = await house.study(studyInstanceUid);
    const result = conclusion(house as unknown as House, stored);
    const resultId = await commitResult(house as unknown as House, result, []);
    expect((await erase(await house.patientOf('NEWS-1'))).status).toBe(200);
    const jobId = uuidv7();
    await house.app.get(FanOutJob).handle({ institutionId: house.institutionId, analysis: result.analysis, analysisId: result.analysisId, resultId, studyInstanceUid }, { jobId, topic: 'result.ready', attempt: 1, signal: new AbortController().signal });
    expect(await house.system((client) => client.notification.count({ where: { id: jobId } }))).toBe(0);
  });
});
