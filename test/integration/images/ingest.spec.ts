import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DicomJson } from '../../../src/imaging/dicom/dicom-json.js';
import { newDicomUid } from '../../../src/kernel/uid.js';
import { prismaOf } from '../../../src/platform/database/database.js';
import { BlobStore } from '../../../src/platform/storage/blob-store.js';
import { dicomFile, imagePixel, withElements } from '../../support/dicom-builder.js';
import { sha256 } from '../../support/dicom-files.js';
import { openArchiveHouse, type ArchiveHouse } from './archive-house.js';
import { relatedBody, testInstance, type TestInstance } from './instances.js';

let house: ArchiveHouse;

beforeAll(async () => { house = await openArchiveHouse(); });
afterAll(async () => { await house.close(); });

const store = (...instances: { bytes: Uint8Array }[]): Promise<Response> =>
  house.fetch('/dicom-web/studies', { method: 'POST', headers: { 'content-type': 'multipart/related; type="application/dicom"; boundary=boundary-7' }, body: new Uint8Array(relatedBody(instances)) });

async function retrieved({ studyInstanceUid, seriesInstanceUid, sopInstanceUid }: TestInstance): Promise<[number, string]> {
  const response = await house.fetch(`/dicom-web/studies/${studyInstanceUid}/series/${seriesInstanceUid}/instances/${sopInstanceUid}`, { headers: { accept: 'application/dicom; transfer-syntax=*' } });
  return [response.status, sha256(new Uint8Array(await response.arrayBuffer()))];
}

async function decide(onConflict: 'reject' | 'replace'): Promise<void> {
  const etag = (await house.fetch('/api/v1/image-policy')).headers.get('etag') ?? '';
  expect((await house.fetch('/api/v1/image-policy', { method: 'PUT', headers: { 'content-type': 'application/json', 'if-match': etag }, body: JSON.stringify({ onConflict, retentionDays: null }) })).status).toBe(200);
  // A changed policy holds after two seconds.
  await new Promise((resolve) => setTimeout(resolve, 2_100));
}

describe('what arrives at once', () => {
  it('is stored together, whatever studies it belongs to, and each gets its own fate', async () => {
    const study = newDicomUid();
    const series = newDicomUid();
    const clients = Array.from({ length: 24 }, (_, i) => testInstance({ fill: i, ...(i % 3 > 0 && { studyInstanceUid: study, ...(i % 3 === 2 && { seriesInstanceUid: series }) }) }));
    const taken = testInstance({ ...clients[0], fill: 200 });
    const answers = await Promise.all([...clients, ...clients.slice(0, 4)].map((one) => store(one)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 28 }, () => 200));
    expect((await store(taken)).status).toBe(409);
    const [found] = await house.json<DicomJson[]>(`/dicom-web/studies?StudyInstanceUID=${study}`);
    expect([found?.['00201206']?.Value, found?.['00201208']?.Value]).toEqual([[9], [16]]);
    expect((await house.json<unknown[]>(`/dicom-web/studies/${study}/series/${series}/instances`)).length).toBe(8);
    for (const one of clients) expect(await retrieved(one)).toEqual([200, sha256(one.bytes)]);
    expect(await house.owner.blobTombstone.count({ where: { dueAt: { gt: new Date() } } })).toBe(0);
  });

  it('does not suffer from a value that no index takes', async () => {
    const noise = Array.from({ length: 3_000 }, () => Math.random().toString(36).slice(2)).join('');
    const odd = { studyInstanceUid: newDicomUid(), seriesInstanceUid: newDicomUid(), sopInstanceUid: newDicomUid() };
    const bytes = dicomFile(withElements(
      imagePixel(2, 2), [0x00080018, 'UI', odd.sopInstanceUid], [0x0020000d, 'UI', odd.studyInstanceUid], [0x0020000e, 'UI', odd.seriesInstanceUid],
      [0x00080020, 'DA', noise.slice(0, 30_000)], [0x00080060, 'CS', noise.slice(0, 20_000)], [0x7fe00010, 'OB', Uint8Array.of(1, 2, 3, 4)],
    ));
    const good = [testInstance(), testInstance()];
    const answers = await Promise.all([{ bytes }, ...good].map((one) => store(one)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(await retrieved({ ...odd, bytes })).toEqual([200, sha256(bytes)]);
  });
});

describe('an instance that comes again with other bytes', () => {
  it('replaces what can no longer be read, and corrects its series', async () => {
    const first = testInstance({ modality: 'OT', fill: 1 });
    const second = testInstance({ ...first, modality: 'XC', fill: 2 });
    expect((await store(first)).status).toBe(200);
    const { blobKey } = await house.owner.instance.findFirstOrThrow({ where: { sopInstanceUid: first.sopInstanceUid } });
    const path = join(house.config.dataDir, 'blobs', 'objects', blobKey);
    expect(readdirSync(join(path, '..'))).toHaveLength(1);
    writeFileSync(path, 'damaged');
    const neighbour = testInstance();
    expect((await Promise.all([store(second), store(neighbour)])).map(({ status }) => status)).toEqual([409, 200]);
    await decide('replace');
    try {
      expect((await store(second)).status).toBe(200);
    } finally {
      await decide('reject');
    }
    expect(await retrieved(second)).toEqual([200, sha256(second.bytes)]);
    const [study] = await house.json<DicomJson[]>(`/dicom-web/studies?StudyInstanceUID=${first.studyInstanceUid}`);
    expect(study?.['00080061']?.Value).toEqual(['XC']);
    const [series] = await house.json<DicomJson[]>(`/dicom-web/studies/${first.studyInstanceUid}/series?Modality=XC`);
    expect(series?.['00080060']?.Value).toEqual(['XC']);
  });
});

describe('bytes that cannot be made durable', () => {
  it('fail their own request, and leave nothing behind', async () => {
    const blobs = house.app.get(BlobStore);
    const begin = blobs.begin.bind(blobs);
    let broken = 0;
    // The first draft of the round meets a disk that has just become full.
    blobs.begin = async () => {
      const draft = await begin();
      if (broken++ === 0) draft.commit = () => begin().then(async (other) => { await other.abort(); throw Object.assign(new Error('full'), { code: 'ENOSPC' }); });
      return draft;
    };
    const instances = [testInstance(), testInstance(), testInstance()];
    try {
      const answers = await Promise.all(instances.map((one) => store(one)));
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 507]);
    } finally {
      blobs.begin = begin;
    }
    expect((await Promise.all(instances.map((one) => store(one)))).map(({ status }) => status)).toEqual([200, 200, 200]);
    for (const one of instances) expect(await retrieved(one)).toEqual([200, sha256(one.bytes)]);
  });
});

describe('a deadlock of raw statements', () => {
  it('is tried again', async () => {
    const { database, institutionId } = house;
    let attempts = 0;
    const lock = (first: number, second: number): Promise<unknown> => database.transaction({ institutionId }, async (tx) => {
      attempts++;
      await prismaOf(tx).$executeRaw`SELECT pg_advisory_xact_lock(${first}::bigint)`;
      await new Promise((resolve) => setTimeout(resolve, 300));
      await prismaOf(tx).$executeRaw`SELECT pg_advisory_xact_lock(${second}::bigint)`;
    });
    await Promise.all([lock(4_711, 4_712), lock(4_712, 4_711)]);
    expect(attempts).toBe(3);
  });
});
