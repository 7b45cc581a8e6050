import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { SweepJob } from '../../../src/modules/images/sweep.job.js';
import { ResultRetentionJob } from '../../../src/modules/results/result-retention.job.js';
import { BlobStore } from '../../../src/platform/storage/blob-store.js';
import { eventually } from '../../support/product.js';
import { openPatientHouse, type PatientHouse } from '../images/patient-house.js';
import { commitResult, conclusion, type House } from './house.js';

interface Preview { resultRetentionDays: number | null; results: number; onHold: number; oldest: string | null }

let house: PatientHouse;
beforeAll(async () => { house = await openPatientHouse(); });
afterAll(async () => { await house.close(); });

const context = { jobId: '', topic: '', attempt: 1, signal: new AbortController().signal };
const retain = (): Promise<void> => house.app.get(ResultRetentionJob).handle({}, context);
const decide = (days: number | null): Promise<unknown> => house.system((client) => client.institution.update({ where: { id: house.institutionId }, data: { resultRetentionDays: days } }));
const preview = (query = ''): Promise<Preview> => house.json(`/api/v1/result-retention/preview${query}`);
const statusOf = async (id: string): Promise<number> => (await house.fetch(`/api/v1/results/${id}`)).status;

interface Made { resultId: string; runId: string; studyInstanceUid: string; heatMap: string }

/** A study with a run and its result of so many days ago. */
async function made(days: number): Promise<Made> {
  const { studyInstanceUid } = await house.send({ patientId: `R-${uuidv7()}` });
  const stored = await house.study(studyInstanceUid);
  const result = conclusion(house as unknown as House, stored);
  const resultId = await commitResult(house as unknown as House, result);
  const heatMap = await house.system(async (client) => {
    await client.analysisRun.create({
      data: {
        id: result.analysisId, institutionId: house.institutionId, studyId: stored.study.id, studyInstanceUid, studyRevision: 1, analysis: result.analysis, modelId: uuidv7(), modelName: 'm', modelVersion: '1.0.0',
        modelDigest: 'sha256:0', selection: '', status: 'succeeded', resultId,
      },
    });
    const row = await client.result.update({ where: { id: resultId }, data: { createdAt: new Date(Date.now() - days * 86_400_000) } });
    return (row.rendering as unknown as { heatMapBlob: { blobKey: string } | null }).heatMapBlob?.blobKey ?? '';
  });
  return { resultId, runId: result.analysisId, studyInstanceUid, heatMap };
}

const notified = (resultId: string): Promise<number> => house.system((client) => client.notification.count({ where: { subject: { path: ['resultId'], equals: resultId } } }));

describe('the retention of results', () => {
  it('removes what is older than the institution keeps it, with pictures and notifications, and leaves the study', async () => {
    const [old, young, held] = [await made(31), await made(29), await made(400)];
    await house.json(`/api/v1/studies/${held.studyInstanceUid}`, { method: 'PATCH', headers: { 'content-type': 'application/json' }, body: '{"legalHold":true}' });
    await eventually('the notifications', async () => (await notified(old.resultId)) === 1 && (await notified(young.resultId)) === 1);
    await retain();
    expect([await statusOf(old.resultId), await statusOf(young.resultId), await statusOf(held.resultId)]).toEqual([200, 200, 200]);
    expect(await preview()).toEqual({ resultRetentionDays: null, results: 0, onHold: 0, oldest: null });
    expect(await preview('?resultRetentionDays=30')).toMatchObject({ resultRetentionDays: 30, results: 1, onHold: 1 });

    await decide(30);
    expect(await preview()).toMatchObject({ resultRetentionDays: 30, results: 1, onHold: 1 });
    await retain();
    expect([await statusOf(old.resultId), await statusOf(young.resultId), await statusOf(held.resultId)]).toEqual([404, 200, 200]);
    const run = await eventually('the run says so', async () => {
      const one = await house.json<{ status: string; resultId?: string; resultRemovedAt?: string }>(`/api/v1/analyses/${old.runId}`);
      return one.resultRemovedAt !== undefined && one;
    });
    expect([run.status, run.resultId]).toEqual(['succeeded', undefined]);
    expect(await house.json(`/api/v1/analyses/${young.runId}`)).toMatchObject({ resultId: young.resultId });
    await eventually('the notification is gone', async () => (await notified(old.resultId)) === 0);
    expect(await notified(young.resultId)).toBe(1);
    expect((await house.fetch(`/api/v1/studies/${old.studyInstanceUid}`)).status).toBe(200);
    await house.app.get(SweepJob).handle({}, context);
    await expect(house.app.get(BlobStore).read(old.heatMap)).rejects.toMatchObject({ code: 'blob-missing' });
    await house.app.get(BlobStore).read(young.heatMap);
  });

  it('removes many, some at a time', async () => {
    await decide(null);
    const { studyInstanceUid } = await house.send({ patientId: 'MANY' });
    const stored = await house.study(studyInstanceUid);
    const base = conclusion(house as unknown as House, stored, { heatMaps: [] });
    await commitResult(house as unknown as House, base, []);
    await house.system(async (client) => {
      await client.$executeRaw`
        INSERT INTO results (id, institution_id, analysis_id, study_id, study_instance_uid, analysis, summary, findings, labels, segments, provenance, rendering, created_at, updated_at)
        SELECT gen_random_uuid(), institution_id, gen_random_uuid(), study_id, study_instance_uid, analysis, summary, findings, labels, segments, provenance, rendering, now() - interval '90 days', now()
        FROM results, generate_series(1, 250) WHERE study_id = ${stored.study.id}::uuid`;
    });
    await decide(60);
    await retain();
    expect(await house.system((client) => client.result.count({ where: { studyId: stored.study.id } }))).toBe(1);
    await decide(null);
  });

  it('is shown to those who run the institution, and counts whole days', async () => {
    for (const query of ['?resultRetentionDays=0', '?resultRetentionDays=1.5', '?resultRetentionDays=x', '?days=1']) expect((await house.fetch(`/api/v1/result-retention/preview${query}`)).status, query).toBe(400);
    for (const [role, status] of [['radiologist', 403], ['auditor', 200]] as const) {
      expect((await house.fetch('/api/v1/result-retention/preview', { headers: { authorization: (await house.person(role, 'here')).authorization } })).status).toBe(status);
    }
    const { authorization } = await house.person('admin', 'elsewhere');
    expect(await house.json('/api/v1/result-retention/preview?resultRetentionDays=1', { headers: { authorization } })).toMatchObject({ results: 0, onHold: 0 });
  });
});
