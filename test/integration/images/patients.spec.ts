import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newDicomUid, uuidv7 } from '../../../src/kernel/uid.js';
import { KeyVault } from '../../../src/platform/crypto/key-vault.js';
import { prismaOf, type PrismaTransaction } from '../../../src/platform/database/database.js';
import { dicomFile, type Element } from '../../support/dicom-builder.js';
import { openArchiveHouse, type ArchiveHouse } from './archive-house.js';

interface Patient { id: string; patientId: string | null; patientName: string | null; patientBirthDate: string | null; studyCount: number; studiesOnHold: number; firstStudyDate: string | null; lastStudyDate: string | null; modalities: string[] }
interface Study { patientResourceId: string | null; patientId: string | null }

let house: ArchiveHouse;
beforeAll(async () => { house = await openArchiveHouse(); });
afterAll(async () => { await house.close(); });

interface Sent { patientId?: string; name?: string | Uint8Array; study?: string; sop?: string; date?: string; modality?: string; charset?: string; comment?: string; authorization?: string }

/** Stores one instance and gives its study's UID. */
async function send({ patientId, name, study = newDicomUid(), sop = newDicomUid(), date = '20260102', modality = 'CT', charset, comment = '', authorization }: Sent): Promise<string> {
  const elements: Element[] = [
    ...(charset === undefined ? [] : [[0x00080005, 'CS', charset] as const]),
    [0x00080018, 'UI', sop], [0x00080020, 'DA', date], [0x00080060, 'CS', modality],
    ...(name === undefined ? [] : [[0x00100010, 'PN', name] as const]),
    ...(patientId === undefined ? [] : [[0x00100020, 'LO', patientId] as const]),
    [0x00104000, 'LT', comment], [0x0020000d, 'UI', study], [0x0020000e, 'UI', `${study.slice(0, 40)}.1`],
  ];
  const form = new FormData();
  form.append('files', new Blob([new Uint8Array(dicomFile(elements))]), 'a.dcm');
  const response = await house.fetch('/api/v1/images', { method: 'POST', body: form, ...(authorization !== undefined && { headers: { authorization } }) });
  if (response.status !== 201) throw new Error(await response.text());
  return study;
}

const system = <T>(work: (client: PrismaTransaction) => Promise<T>): Promise<T> => house.database.transaction('system', (tx) => work(prismaOf(tx)));
const list = async (query = ''): Promise<Patient[]> => (await house.json<{ items: Patient[] }>(`/api/v1/patients?limit=200${query}`)).items;
const studyOf = (uid: string): Promise<Study> => house.json(`/api/v1/studies/${uid}`);
const policy = (onConflict: string): Promise<Response> => house.fetch('/api/v1/image-policy', { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ onConflict, retentionDays: null }) });
const removeStudy = async (uid: string): Promise<void> => { expect((await house.fetch(`/api/v1/studies/${uid}`, { method: 'DELETE' })).status).toBe(204); };

describe('patients', () => {
  it('are everybody with one Patient ID, told by their newest study', async () => {
    const first = await send({ patientId: 'ONE-1', name: 'Older^Olga', date: '20240506' });
    const second = await send({ patientId: 'ONE-1', name: 'Newer^Olga', date: '20260102', modality: 'MR' });
    const [patient, ...others] = await list('&patientId=ONE-1');
    expect(others).toEqual([]);
    expect(patient).toMatchObject({ patientId: 'ONE-1', patientName: 'Newer^Olga', studyCount: 2, studiesOnHold: 0, firstStudyDate: '2024-05-06', lastStudyDate: '2026-01-02', modalities: ['CT', 'MR'] });
    expect(patient?.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect((await studyOf(first)).patientResourceId).toBe(patient?.id);
    expect((await studyOf(second)).patientResourceId).toBe(patient?.id);
    const response = await house.fetch(`/api/v1/patients/${patient?.id ?? ''}`);
    expect([response.status, await response.json()]).toEqual([200, patient]);
    expect(response.headers.get('etag')).toMatch(/^"/);
  });

  it('do not exist for studies without a Patient ID, and begin when one comes', async () => {
    const study = await send({ name: 'Nameless^N' });
    expect(await studyOf(study)).toMatchObject({ patientResourceId: null, patientId: null });
    await send({ study, patientId: 'LATER-1' });
    const [patient] = await list('&patientId=LATER-1');
    expect(patient?.studyCount).toBe(1);
    expect((await studyOf(study)).patientResourceId).toBe(patient?.id);
  });

  it('have their names right, whatever they were written in, and are found by a beginning of them', async () => {
    // 王^小东 in GB18030, behind the Latin letters.
    const gb18030 = Buffer.concat([Buffer.from('Wang^XiaoDong='), Buffer.from([0xcd, 0xf5]), Buffer.from('^'), Buffer.from([0xd0, 0xa1, 0xb6, 0xab])]);
    await send({ patientId: 'ZH-1', charset: 'GB18030', name: gb18030 });
    const [patient] = await list('&patientId=ZH-1');
    expect(patient).toMatchObject({ patientName: 'Wang^XiaoDong', patientNameIdeographic: '王^小东' });
    for (const name of ['wang', 'WANG^X', 'xiao', '王', '小东', '王小东']) expect((await list(`&name=${encodeURIComponent(name)}`)).map(({ id }) => id), name).toContain(patient?.id);
    for (const name of ['ang', '东', 'Wong']) expect((await list(`&name=${encodeURIComponent(name)}`)).map(({ id }) => id), name).not.toContain(patient?.id);
  });

  it('are paged', async () => {
    for (let index = 0; index < 5; index++) await send({ patientId: `PAGE-${String(index)}` });
    const all = await list();
    const seen: string[] = [];
    for (let cursor = ''; ;) {
      const page = await house.json<{ items: Patient[]; nextCursor: string | null }>(`/api/v1/patients?limit=2${cursor}`);
      seen.push(...page.items.map(({ id }) => id));
      if (page.nextCursor === null) break;
      cursor = `&cursor=${page.nextCursor}`;
    }
    expect(seen).toEqual(all.map(({ id }) => id));
  });

  it('go with their last study, and come back as somebody else', async () => {
    const [first, second] = [await send({ patientId: 'GO-1' }), await send({ patientId: 'GO-1' })];
    const [before] = await list('&patientId=GO-1');
    await removeStudy(first);
    expect((await list('&patientId=GO-1'))[0]).toMatchObject({ id: before?.id, studyCount: 1 });
    await removeStudy(second);
    expect(await list('&patientId=GO-1')).toEqual([]);
    expect((await house.fetch(`/api/v1/patients/${before?.id ?? ''}`)).status).toBe(404);
    await send({ patientId: 'GO-1' });
    const [after] = await list('&patientId=GO-1');
    expect(after?.id).not.toBe(before?.id);
  });

  it('are exchanged when a study turns out to be somebody else’s', async () => {
    await policy('replace');
    const sop = newDicomUid();
    const study = await send({ patientId: 'WRONG-1', sop });
    const other = await send({ patientId: 'RIGHT-1' });
    const [right] = await list('&patientId=RIGHT-1');
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    await send({ patientId: 'RIGHT-1', study, sop, comment: 'corrected' });
    expect(await studyOf(study)).toMatchObject({ patientResourceId: right?.id, patientId: 'RIGHT-1' });
    expect(await list('&patientId=WRONG-1')).toEqual([]);
    expect(await system((client) => client.patient.count({ where: { studies: { none: {} } } }))).toBe(0);
    await removeStudy(other);
    expect((await list('&patientId=RIGHT-1'))[0]).toMatchObject({ id: right?.id, studyCount: 1 });
    await policy('reject');
  });

  it('are made once by many who store their studies at the same time, while others are removed', async () => {
    const neighbour = await house.neighbour();
    const rounds = Array.from({ length: 24 }, async (_, index) => {
      const study = await send({ patientId: `RACE-${String(index % 3)}`, modality: index % 2 === 0 ? 'CT' : 'MR' });
      if (index % 4 === 0) expect((await house.fetch(`${neighbour}/api/v1/studies/${study}`, { method: 'DELETE' })).status).toBe(204);
    });
    await Promise.all(rounds);
    const studies = await system((client) => client.study.findMany({ where: { patientIdToken: { not: null } }, include: { patient: true } }));
    for (const { patient, patientIdToken } of studies) expect(patient?.patientIdToken).toBe(patientIdToken);
    expect(await system((client) => client.patient.count({ where: { studies: { none: {} } } }))).toBe(0);
    const counts = await Promise.all([0, 1, 2].map(async (index) => (await list(`&patientId=RACE-${String(index)}`)).map(({ studyCount }) => studyCount)));
    expect(counts.map(({ length }) => length)).toEqual([1, 1, 1]);
    expect(counts.flat().reduce((sum, count) => sum + count, 0)).toBe(18);
  });

  it('are nobody whose key was destroyed', async () => {
    const study = await send({ patientId: 'SHRED-1', name: 'Shredded^S' });
    const { keyId, patientId } = await system((client) => client.study.findFirstOrThrow({ where: { studyInstanceUid: study } }));
    await system((client) => client.studyKey.delete({ where: { id: keyId } }));
    house.app.get(KeyVault).forget(keyId);
    const patient = await house.json<Patient>(`/api/v1/patients/${patientId ?? ''}`);
    expect(patient).toMatchObject({ patientId: null, patientName: null, patientBirthDate: null, studyCount: 1, firstStudyDate: '2026-01-02' });
  });

  it('of others are not there', async () => {
    const { authorization } = await house.person('admin', 'elsewhere');
    await send({ patientId: 'ONE-1', authorization });
    const theirs = (await (await house.fetch('/api/v1/patients', { headers: { authorization } })).json()) as { items: Patient[] };
    expect(theirs.items.map(({ patientId }) => patientId)).toEqual(['ONE-1']);
    const [foreign] = theirs.items;
    expect(await list('&patientId=ONE-1')).toHaveLength(1);
    expect((await house.fetch(`/api/v1/patients/${foreign?.id ?? ''}`)).status).toBe(404);
    const [own] = await list('&patientId=ONE-1');
    expect((await house.fetch(`/api/v1/patients/${own?.id ?? ''}`, { headers: { authorization } })).status).toBe(404);
  });

  it('are asked for properly, by those who may', async () => {
    for (const path of ['/api/v1/patients/ONE-1', `/api/v1/patients/${uuidv7()}`]) expect((await house.fetch(path)).status, path).toBe(404);
    for (const query of ['patientId=', 'name=a*', 'name=', `name=${'x'.repeat(17)}`, 'sex=F', 'limit=0', 'cursor=x', 'patientId=1&patientId=2']) {
      expect([query, (await house.fetch(`/api/v1/patients?${query}`)).status]).toEqual([query, query === 'patientId=' ? 200 : 400]);
    }
    expect(await list(`&patientId=${encodeURIComponent("' OR 1=1 --")}`)).toEqual([]);
    for (const [role, status] of [['technician', 200], ['radiologist', 200], ['auditor', 403]] as const) {
      const { authorization } = await house.person(role, 'here');
      expect((await house.fetch('/api/v1/patients', { headers: { authorization } })).status).toBe(status);
    }
  });
});
