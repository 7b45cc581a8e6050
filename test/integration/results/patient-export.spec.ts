import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fromBuffer, type Entry } from 'yauzl';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { KeyVault } from '../../../src/platform/crypto/key-vault.js';
import { BlobStore } from '../../../src/platform/storage/blob-store.js';
import { openPatientHouse, type PatientHouse } from '../images/patient-house.js';
import { commitResult, conclusion, type House } from './house.js';

interface Manifest { patient: string; instances: { exported: number; missing: number }; files: { path: string; sizeBytes: number; sha256: string }[] }
interface StudyManifest { files: Manifest['files']; missing: { sopInstanceUid: string; code: string }[] }

let house: PatientHouse;
beforeAll(async () => { house = await openPatientHouse(); });
afterAll(async () => { await house.close(); });

async function exported(id: string, headers: Record<string, string> = {}): Promise<Map<string, Buffer>> {
  const response = await house.fetch(`/api/v1/patients/${id}/export`, { headers });
  expect([response.status, response.headers.get('content-type'), response.headers.get('cache-control')]).toEqual([200, 'application/zip', 'no-store']);
  expect(response.headers.get('content-disposition')).toBe(`attachment; filename="patient-${id}.zip"`);
  return entriesOf(Buffer.from(await response.arrayBuffer()));
}

/** Read by another implementation than the one that writes. */
async function entriesOf(bytes: Buffer): Promise<Map<string, Buffer>> {
  return new Promise((resolve, reject) => {
    fromBuffer(bytes, { lazyEntries: true }, (failure, zip) => {
      if (failure) { reject(failure); return; }
      const entries = new Map<string, Buffer>();
      zip.on('entry', (entry: Entry) => {
        zip.openReadStream(entry, (error, stream) => {
          if (error) { reject(error); return; }
          const chunks: Buffer[] = [];
          stream.on('data', (chunk: Buffer) => chunks.push(chunk));
          stream.on('end', () => { entries.set(entry.fileName, Buffer.concat(chunks)); zip.readEntry(); });
        });
      });
      zip.on('end', () => { resolve(entries); });
      zip.on('error', reject);
      zip.readEntry();
    });
  });
}

function flipLastBit(dataDir: string, blobKey: string): void {
  const found = readdirSync(dataDir, { recursive: true, withFileTypes: true }).find((entry) => entry.isFile() && entry.name.includes(basename(blobKey)));
  if (!found) throw new Error('the blob is not there');
  const path = join(found.parentPath, found.name);
  const bytes = readFileSync(path);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

const jsonIn = (entries: Map<string, Buffer>, path: string): unknown => JSON.parse(entries.get(path)?.toString('utf8') ?? 'null');
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('the export of a patient', () => {
  it('holds all that is kept of them and nothing of anybody else, and says what it is', async () => {
    const first = await house.send({ patientId: 'EXPORT-1', name: 'Portable^Paula', side: 64 });
    const second = await house.send({ patientId: 'EXPORT-1', name: 'Portable^Paula', study: first.studyInstanceUid });
    const third = await house.send({ patientId: 'EXPORT-1', name: 'Portable^Paula' });
    const foreign = await house.send({ patientId: 'OTHER-1', name: 'Private^Peter' });
    const id = await house.patientOf('EXPORT-1');
    const stored = await house.study(first.studyInstanceUid);
    const result = conclusion(house as unknown as House, stored);
    const resultId = await commitResult(house as unknown as House, result);
    await house.system((client) => client.analysisRun.create({
      data: {
        id: result.analysisId, institutionId: house.institutionId, studyId: stored.study.id, studyInstanceUid: first.studyInstanceUid, studyRevision: 1, analysis: result.analysis, modelId: uuidv7(), modelName: 'm',
        modelVersion: '1.0.0', modelDigest: 'sha256:0', selection: '', status: 'succeeded', resultId,
      },
    }));
    const { objects: [report] } = (await house.system((client) => client.result.findUniqueOrThrow({ where: { id: resultId } }))) as unknown as { objects: { seriesInstanceUid: string; sopInstanceUid: string }[] };
    const entries = await exported(id, { 'accept-language': 'zh-CN' });

    const paths = [first, second, third].map((one) => `dicom/${one.studyInstanceUid}/${one.seriesInstanceUid}/${one.sopInstanceUid}.dcm`);
    expect([...entries.keys()].sort()).toEqual([
      'README.txt', 'patient.json', 'studies.json', 'analyses.json', 'results.json', 'manifest.json', ...paths, `dicom/${first.studyInstanceUid}/${report?.seriesInstanceUid ?? ''}/${report?.sopInstanceUid ?? ''}.dcm`, `dicom/${first.studyInstanceUid}/manifest.json`, `dicom/${third.studyInstanceUid}/manifest.json`].sort());
    for (const [index, { bytes }] of [first, second, third].entries()) expect(sha256(entries.get(paths[index] ?? '') ?? Buffer.of())).toBe(sha256(bytes));
    expect(entries.get('README.txt')?.toString('utf8')).toMatch(/GDPR[\s\S]*您的数据/);
    expect(jsonIn(entries, 'patient.json')).toEqual(await house.json(`/api/v1/patients/${id}`));
    const studies = jsonIn(entries, 'studies.json') as { studyInstanceUid: string; series: unknown[] }[];
    expect(studies.map(({ studyInstanceUid, series }) => [studyInstanceUid, series.length])).toEqual([[third.studyInstanceUid, 1], [first.studyInstanceUid, 3]]);
    expect(jsonIn(entries, 'analyses.json')).toEqual([await house.json(`/api/v1/analyses/${result.analysisId}`)]);
    expect(jsonIn(entries, 'results.json')).toEqual([await house.json(`/api/v1/results/${resultId}`, { headers: { 'accept-language': 'zh-CN' } })]);
    expect([...entries.values()].some((bytes) => bytes.includes('Private') || bytes.includes(foreign.sopInstanceUid))).toBe(false);

    const manifest = jsonIn(entries, 'manifest.json') as Manifest;
    expect(manifest).toMatchObject({ patient: id, instances: { exported: 4, missing: 0 } });
    expect([...entries.keys()].at(-1)).toBe('manifest.json');
    const listed = [...manifest.files, ...[first, third].flatMap(({ studyInstanceUid }) => (jsonIn(entries, `dicom/${studyInstanceUid}/manifest.json`) as StudyManifest).files)];
    expect(listed.map(({ path }) => path).sort()).toEqual([...entries.keys()].filter((path) => path !== 'manifest.json').sort());
    for (const { path, sizeBytes, sha256: digest } of listed) expect([path, sizeBytes, digest]).toEqual([path, entries.get(path)?.length, sha256(entries.get(path) ?? Buffer.of())]);
  });

  it('names what cannot be read, and holds the rest', async () => {
    const [lost, kept] = [await house.send({ patientId: 'DAMAGED-1', side: 16 }), await house.send({ patientId: 'DAMAGED-1' })];
    const id = await house.patientOf('DAMAGED-1');
    const { instance } = await house.study(lost.studyInstanceUid);
    await house.app.get(BlobStore).delete(instance.blobKey);
    const damaged = await house.send({ patientId: 'DAMAGED-1', side: 300 });
    flipLastBit(house.dataDir, (await house.study(damaged.studyInstanceUid)).instance.blobKey);
    const entries = await exported(id);
    expect(jsonIn(entries, `dicom/${lost.studyInstanceUid}/manifest.json`)).toMatchObject({ files: [], missing: [{ sopInstanceUid: lost.sopInstanceUid, code: 'blob-missing' }] });
    expect((jsonIn(entries, 'manifest.json') as Manifest).instances).toEqual({ exported: 1, missing: 2 });
    expect(jsonIn(entries, `dicom/${damaged.studyInstanceUid}/manifest.json`)).toMatchObject({ files: [], missing: [{ sopInstanceUid: damaged.sopInstanceUid, code: 'blob-corrupt' }] });
    expect(entries.has(`dicom/${kept.studyInstanceUid}/${kept.seriesInstanceUid}/${kept.sopInstanceUid}.dcm`)).toBe(true);
  });

  it('of a patient whose key was destroyed says so', async () => {
    const { studyInstanceUid, sopInstanceUid } = await house.send({ patientId: 'SHREDDED-1', name: 'Shredded^S' });
    const id = await house.patientOf('SHREDDED-1');
    const { keyId } = await house.system((client) => client.study.findFirstOrThrow({ where: { studyInstanceUid } }));
    await house.system((client) => client.studyKey.delete({ where: { id: keyId } }));
    house.app.get(KeyVault).forget(keyId);
    const entries = await exported(id);
    expect(jsonIn(entries, 'patient.json')).toMatchObject({ patientName: null });
    expect((jsonIn(entries, `dicom/${studyInstanceUid}/manifest.json`) as StudyManifest).missing).toMatchObject([{ sopInstanceUid, code: 'key-destroyed' }]);
  });

  it('is for those who may, of their own patients', async () => {
    const id = await house.patientOf('EXPORT-1');
    for (const role of ['radiologist', 'technician', 'auditor', 'service']) {
      expect((await house.fetch(`/api/v1/patients/${id}/export`, { headers: { authorization: (await house.person(role, 'here')).authorization } })).status, role).toBe(403);
    }
    const elsewhere = await house.person('admin', 'elsewhere');
    expect((await house.fetch(`/api/v1/patients/${id}/export`, { headers: { authorization: elsewhere.authorization } })).status).toBe(404);
    for (const wrong of [uuidv7(), 'EXPORT-1', '..%2f..']) expect((await house.fetch(`/api/v1/patients/${wrong}/export`)).status).toBe(404);
  });
});
