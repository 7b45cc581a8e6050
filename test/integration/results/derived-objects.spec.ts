import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseInstanceBytes } from '../../../src/imaging/dicom/header.js';
import type { DerivedWriter } from '../../../src/imaging/report/derived-writers.js';
import { newDicomUid, uuidv7 } from '../../../src/kernel/uid.js';
import { StudyReader, type StoredStudy } from '../../../src/modules/images/images.contract.js';
import { SweepJob } from '../../../src/modules/images/sweep.job.js';
import type { ResultJson } from '../../../src/modules/results/findings-json.js';
import type { FullVersionJson } from '../../../src/modules/results/review/review-json.js';
import { ResultRetentionJob } from '../../../src/modules/results/result-retention.job.js';
import { ResultWriter, type NewResult } from '../../../src/modules/results/results.contract.js';
import { BlobStore } from '../../../src/platform/storage/blob-store.js';
import { Database } from '../../../src/platform/database/database.js';
import { broken, flippedAxis, missingCode, WRITERS, wrongReference } from '../../support/derived-writers.js';
import { eventually } from '../../support/product.js';
import { exchanged, testInstance, type StudyView } from '../images/instances.js';
import { openPatientHouse, type PatientHouse } from '../images/patient-house.js';
import { ctStudy, noduleResult, stow, writeWith } from './derived-house.js';
import { commitResult, type House } from './house.js';

let house: PatientHouse;
let words = 0;
beforeAll(async () => { house = await openPatientHouse(); });
beforeEach(() => { writeWith(house, WRITERS); });
afterAll(async () => { await house.close(); });

const context = { jobId: '', topic: '', attempt: 1, signal: new AbortController().signal };
const commit = (result: NewResult, topics?: readonly string[]): Promise<string> => commitResult(house as unknown as House, result, topics);
const newStudy = (): Promise<StoredStudy> => ctStudy(house, `derived ${String(++words)}`);
const viewOf = (uid: string): Promise<StudyView & { lateInstances: number }> => house.json(`/api/v1/studies/${uid}`);
const bytesOf = async (response: Response): Promise<Uint8Array> => new Uint8Array(await response.arrayBuffer());
const problemOf = async (response: Response): Promise<[number, string]> => [response.status, ((await response.json()) as { code: string }).code];
const derivedRows = (studyId: string): Promise<{ sopInstanceUid: string; blobKey: string; derived: boolean }[]> => house.system((client) => client.instance.findMany({ where: { studyId, derived: true } }));
const plannedFor = (studyInstanceUid: string): Promise<number> => house.system((client) => client.outboxEvent.count({ where: { topic: 'study.completed', payload: { path: ['studyInstanceUid'], equals: studyInstanceUid } } }));

describe('SEG and SR of a result', () => {
  it('are instances of the study that every search finds, and start nothing', async () => {
    const study = await newStudy();
    const before = await viewOf(study.studyInstanceUid);
    const completions = await plannedFor(study.studyInstanceUid);
    const id = await commit(noduleResult(house, study));
    const after = await viewOf(study.studyInstanceUid);
    expect(after).toMatchObject({ state: 'complete', revision: before.revision, instanceCount: 8, seriesCount: 3, lateInstances: 0, completion: before.completion });
    expect(after.modalities).toEqual(['CT', 'SEG', 'SR']);
    expect(await plannedFor(study.studyInstanceUid)).toBe(completions);
    const series = await house.json<Record<string, { Value?: unknown[] }>[]>(`/dicom-web/studies/${study.studyInstanceUid}/series?Modality=SEG`);
    expect(series).toHaveLength(1);
    expect(await house.json(`/dicom-web/instances?StudyInstanceUID=${study.studyInstanceUid}&Modality=SR`)).toHaveLength(1);
    for (const kind of ['seg', 'sr'] as const) {
      const file = await house.fetch(`/api/v1/results/${id}/${kind}.dcm`);
      expect([file.status, file.headers.get('content-type'), file.headers.get('content-disposition')]).toEqual([200, 'application/dicom', `attachment; filename="${id}.${kind}.dcm"`]);
      const bytes = await bytesOf(file);
      const { studyInstanceUid, seriesInstanceUid, sopInstanceUid } = parseInstanceBytes(bytes);
      const wado = await house.fetch(`/dicom-web/studies/${studyInstanceUid}/series/${seriesInstanceUid}/instances/${sopInstanceUid}`, { headers: { accept: 'multipart/related; type="application/dicom"; transfer-syntax=*' } });
      expect(wado.status).toBe(200);
      expect(Buffer.from(await wado.arrayBuffer()).includes(Buffer.from(bytes))).toBe(true);
      const etag = file.headers.get('etag') ?? '';
      expect((await house.fetch(`/api/v1/results/${id}/${kind}.dcm`, { headers: { 'if-none-match': etag } })).status).toBe(304);
    }
    // An analysis sees the images only.
    expect((await house.app.get(StudyReader).find(house.institutionId, study.studyInstanceUid))?.series.map(({ modality }) => modality)).toEqual(['CT']);
  });

  it('are read by those who may read results, of their institution', async () => {
    const study = await newStudy();
    const id = await commit(noduleResult(house, study));
    const { authorization } = await house.person('admin', 'elsewhere');
    expect(await problemOf(await house.fetch(`/api/v1/results/${id}/sr.dcm`, { headers: { authorization } }))).toEqual([404, 'result-not-found']);
    expect((await house.fetch(`/api/v1/results/${id}/sr.dcm`, { headers: { authorization: (await house.person('auditor', 'here')).authorization } })).status).toBe(403);
    expect((await fetch(`${house.url}/api/v1/results/${id}/sr.dcm`)).status).toBe(401);
    expect(await problemOf(await house.fetch(`/api/v1/results/${uuidv7()}/seg.dcm`))).toEqual([404, 'result-not-found']);
    const plain = await commit(noduleResult(house, study, { segmentation: null, segments: [], findings: [] }));
    expect(await problemOf(await house.fetch(`/api/v1/results/${plain}/seg.dcm`))).toEqual([404, 'derived-object-not-found']);
    expect((await house.fetch(`/api/v1/results/${plain}/sr.dcm`)).status).toBe(200);
  });

  it('stay ours when somebody sends them back, whatever the institution says of conflicts', async () => {
    const study = await newStudy();
    const id = await commit(noduleResult(house, study));
    const bytes = await bytesOf(await house.fetch(`/api/v1/results/${id}/seg.dcm`));
    await house.json('/api/v1/image-policy', { method: 'PUT', headers: { 'content-type': 'application/json' }, body: '{"onConflict":"replace","retentionDays":null}' });
    const before = await viewOf(study.studyInstanceUid);
    expect((await stow(house, [{ bytes }])).status).toBe(200);
    const refused = await stow(house, [{ bytes: exchanged(bytes, 'SEG ', 'SEX ') }]);
    expect(refused.status).toBe(409);
    await house.json('/api/v1/image-policy', { method: 'PUT', headers: { 'content-type': 'application/json' }, body: '{"onConflict":"reject","retentionDays":null}' });
    expect(await viewOf(study.studyInstanceUid)).toMatchObject({ state: 'complete', revision: before.revision, instanceCount: 8 });
    expect(await derivedRows(study.id)).toHaveLength(2);
    expect(await bytesOf(await house.fetch(`/api/v1/results/${id}/seg.dcm`))).toEqual(bytes);
  });

  it('start nothing where they come from outside: neither in another archive nor beside the images', async () => {
    const study = await newStudy();
    const id = await commit(noduleResult(house, study));
    const bytes = await bytesOf(await house.fetch(`/api/v1/results/${id}/seg.dcm`));
    const { authorization, institutionId } = await house.person('admin', 'elsewhere');
    const [image] = study.series[0]?.instances ?? [];
    if (!image) throw new Error('no image');
    expect((await stow(house, [{ bytes: await house.app.get(StudyReader).readInstance(image.blobKey) }], authorization)).status).toBe(200);
    const complete = (): Promise<Response> => house.fetch(`/api/v1/studies/${study.studyInstanceUid}/complete`, { method: 'POST', headers: { authorization } });
    await complete();
    expect((await stow(house, [{ bytes }], authorization)).status).toBe(200);
    const there = await house.system((client) => client.study.findFirstOrThrow({ where: { institutionId } }));
    expect(there).toMatchObject({ state: 'complete', revision: 1, lateInstances: 0, instanceCount: 2 });
    // Alone in an archive: a study that is settled, and has nothing to analyse.
    const alone = await house.person('admin', 'elsewhere');
    expect((await stow(house, [{ bytes }], alone.authorization)).status).toBe(200);
    expect((await house.app.get(StudyReader).find(alone.institutionId, study.studyInstanceUid))?.series).toEqual([]);
  });

  it('are counted right when results of one study and late images come at once', async () => {
    const study = await newStudy();
    const late = [1, 2, 3].map((n) => testInstance({ studyInstanceUid: study.studyInstanceUid, seriesInstanceUid: study.series[0]?.seriesInstanceUid ?? '', fill: n, patientId: `PID late` }));
    await Promise.all([...Array.from({ length: 6 }, () => commit(noduleResult(house, study))), ...late.map((one) => stow(house, [one]))]);
    expect(await viewOf(study.studyInstanceUid)).toMatchObject({ instanceCount: 6 + 3 + 12, seriesCount: 1 + 12, lateInstances: 3 });
  });

  it('go with their study, and with the patient', async () => {
    for (const remove of [
      (uid: string) => house.fetch(`/api/v1/studies/${uid}`, { method: 'DELETE' }),
      async (_uid: string, word: string) => house.fetch(`/api/v1/patients/${await house.patientOf(`PID ${word}`)}`, { method: 'DELETE' }),
    ]) {
      const study = await newStudy();
      const id = await commit(noduleResult(house, study));
      const blobs = (await derivedRows(study.id)).map(({ blobKey }) => blobKey);
      expect((await remove(study.studyInstanceUid, `derived ${String(words)}`)).ok).toBe(true);
      await eventually('the result is gone', async () => (await house.fetch(`/api/v1/results/${id}/sr.dcm`)).status === 404);
      expect(await derivedRows(study.id)).toEqual([]);
      await house.app.get(SweepJob).handle({}, context);
      for (const blob of blobs) await expect(house.app.get(BlobStore).read(blob)).rejects.toMatchObject({ code: 'blob-missing' });
    }
  });

  it('go with their result when retention takes it, and leave the images', async () => {
    const study = await newStudy();
    // Nobody who is told of them holds them meanwhile.
    const [old, young] = [await commit(noduleResult(house, study), []), await commit(noduleResult(house, study), [])];
    await house.system(async (client) => {
      await client.result.update({ where: { id: old }, data: { createdAt: new Date(Date.now() - 40 * 86_400_000) } });
      await client.institution.update({ where: { id: house.institutionId }, data: { resultRetentionDays: 30 } });
    });
    await house.app.get(ResultRetentionJob).handle({}, context);
    await house.system((client) => client.institution.update({ where: { id: house.institutionId }, data: { resultRetentionDays: null } }));
    expect((await house.fetch(`/api/v1/results/${old}/sr.dcm`)).status).toBe(404);
    expect((await house.fetch(`/api/v1/results/${young}/sr.dcm`)).status).toBe(200);
    const view = await viewOf(study.studyInstanceUid);
    expect(view).toMatchObject({ instanceCount: 8, seriesCount: 3, state: 'complete' });
    expect([...view.modalities].sort()).toEqual(['CT', 'SEG', 'SR']);
  });
});

describe('the gate', () => {
  const withheld = async (writers: readonly DerivedWriter[], check: string): Promise<void> => {
    writeWith(house, writers);
    const study = await newStudy();
    const id = await commit(noduleResult(house, study, { summary: { text: '1 nodule', critical: true } }));
    const result = await house.json<ResultJson>(`/api/v1/results/${id}`);
    expect(result).toMatchObject({ status: 'withheld', findings: [], labels: [], segments: [], summary: { text: 'Withheld: the result did not pass its checks', critical: false } });
    expect(result.faults?.map((fault) => fault.check)).toContain(check);
    expect(JSON.stringify(result)).not.toContain(`PID derived`);
    const { findings, segments } = await house.json<FullVersionJson>(`/api/v1/results/${id}/versions/1`);
    expect([findings, segments]).toEqual([[], []]);
    for (const path of ['preview.png', 'sr.dcm', 'seg.dcm', 'provenance']) expect(await problemOf(await house.fetch(`/api/v1/results/${id}/${path}`))).toEqual([409, 'result-withheld']);
    expect(await viewOf(study.studyInstanceUid)).toMatchObject({ instanceCount: 6, seriesCount: 1, modalities: ['CT'] });
    const ids = (await house.json<{ items: ResultJson[] }>(`/api/v1/results?status=withheld&studyInstanceUid=${study.studyInstanceUid}`)).items.map((one) => one.id);
    expect(ids).toEqual([id]);
    expect((await house.json<{ items: ResultJson[] }>(`/api/v1/results?critical=true&studyInstanceUid=${study.studyInstanceUid}`)).items).toEqual([]);
    const { summary, faults } = await house.json<ResultJson>(`/api/v1/results/${id}`, { headers: { 'accept-language': 'zh-CN' } });
    expect([summary.text, faults?.[0]?.title]).toEqual(['暂不发布：结果未通过检查', expect.stringMatching(/[一-鿿]/)]);
  };

  it('withholds a result whose mask is mirrored', () => withheld(broken(flippedAxis), 'geometry'));
  it('withholds a result that refers to images that were not read', () => withheld(broken(wrongReference), 'reference'));
  it('withholds a result with a code missing', () => withheld(broken(missingCode), 'code'));
  it('withholds a result whose writer throws, and tells no value', () => withheld(WRITERS.map((writer) => ({ ...writer, write: () => { throw new Error('PID derived 1'); } })), 'iod'));
  it('withholds an object that would be taken for an image', () => withheld(WRITERS.map((writer) => ({ ...writer, check: () => [], write: (source, seg) => {
    const object = writer.write(source, seg);
    return object && { ...object, sopClassUid: '1.2.840.10008.5.1.4.1.1.2', bytes: exchanged(object.bytes, object.sopClassUid, '1.2.840.10008.5.1.4.1.1.2'.padEnd(object.sopClassUid.length, '\0')) as Uint8Array<ArrayBuffer> };
  } })), 'iod'));
  it('withholds an object of another study', () => withheld(WRITERS.map((writer) => ({ ...writer, check: () => [], write: (source, seg) => writer.write({ ...source, studyInstanceUid: '1.2.3' }, seg) })), 'reference'));
  it('withholds an object with a source’s UID', () => withheld(WRITERS.map((writer) => ({ ...writer, check: () => [], write: (source, seg) => {
    const object = writer.write(source, seg);
    const uid = source.instances[0]?.sopInstanceUid ?? '';
    return object && { ...object, sopInstanceUid: uid, bytes: exchanged(object.bytes, object.sopInstanceUid, uid.padEnd(object.sopInstanceUid.length, '\0')) as Uint8Array<ArrayBuffer> };
  } })), 'reference'));

  it('withholds a result whose images were replaced since they were read, and leaves nothing behind', async () => {
    const study = await newStudy();
    const result = noduleResult(house, study);
    const prepared = await house.app.get(ResultWriter).prepare(result);
    const [image] = study.series[0]?.instances ?? [];
    if (!image) throw new Error('no image');
    await house.system((client) => client.instance.update({ where: { id: image.id }, data: { id: uuidv7() } }));
    const faults = await house.app.get(Database).transaction({ institutionId: house.institutionId }, async (tx) => {
      await house.app.get(StudyReader).lock(tx, house.institutionId, study.id);
      return house.app.get(ResultWriter).commit(tx, prepared);
    });
    expect(faults).toMatchObject([{ check: 'reference' }]);
    expect(await derivedRows(study.id)).toEqual([]);
    expect(await house.json(`/api/v1/results/${prepared.id}`)).toMatchObject({ status: 'withheld', findings: [] });
    const waiting = await house.system((client) => client.blobTombstone.count({ where: { blobKey: { startsWith: `${house.institutionId}/` }, dueAt: { gt: new Date() } } }));
    expect(waiting).toBeGreaterThanOrEqual(2);
  });

  it('withholds a result whose object has a UID that is taken', async () => {
    const study = await newStudy();
    const result = noduleResult(house, study);
    const prepared = await house.app.get(ResultWriter).prepare(result);
    const [uid = newDicomUid()] = prepared.instances.sopInstanceUids;
    expect((await stow(house, [testInstance({ sopInstanceUid: uid })])).status).toBe(200);
    const faults = await house.app.get(Database).transaction({ institutionId: house.institutionId }, async (tx) => {
      await house.app.get(StudyReader).lock(tx, house.institutionId, study.id);
      return house.app.get(ResultWriter).commit(tx, prepared);
    });
    expect(faults).toMatchObject([{ check: 'reference' }]);
  });

  it('stores nothing when the study went meanwhile', async () => {
    const study = await newStudy();
    const prepared = await house.app.get(ResultWriter).prepare(noduleResult(house, study));
    expect((await house.fetch(`/api/v1/studies/${study.studyInstanceUid}`, { method: 'DELETE' })).status).toBe(204);
    await expect(house.app.get(Database).transaction({ institutionId: house.institutionId }, (tx) => house.app.get(ResultWriter).commit(tx, prepared))).rejects.toMatchObject({ code: 'study-deleted' });
    expect((await house.fetch(`/api/v1/results/${prepared.id}`)).status).toBe(404);
  });
});
