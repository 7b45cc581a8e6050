import { Module } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import type { WorklistEntry } from '../../../src/modules/analysis/worklist/worklist-json.js';
import { WorklistController } from '../../../src/modules/analysis/worklist/worklist.controller.js';
import { WorklistStore, type WorklistFilter } from '../../../src/modules/analysis/worklist/worklist.store.js';
import { ImagesCoreModule } from '../../../src/modules/images/images-core.module.js';
import { StudyHeadings, StudyReader } from '../../../src/modules/images/images.contract.js';
import { ResultsCoreModule } from '../../../src/modules/results/results-core.module.js';
import { KeyVault } from '../../../src/platform/crypto/key-vault.js';
import { dicomFile, imagePixel, type Element } from '../../support/dicom-builder.js';
import { relatedBody, STOW_TYPE } from '../../support/dicom-files.js';
import { writeNothing } from '../results/derived-house.js';
import { commitResult, conclusion, openHouse, type House } from '../results/house.js';

@Module({ imports: [ImagesCoreModule, ResultsCoreModule], controllers: [WorklistController], providers: [WorklistStore] })
class WorklistModule {}

let house: House;
beforeAll(async () => {
  house = await openHouse({ imports: [WorklistModule] });
  writeNothing(house);
});
afterAll(async () => { await house.close(); });

let studies = 0;

interface About { name?: string | Uint8Array; charset?: string; patientId?: string; accession?: string; date?: string | null; modality?: string }

/** One study of one image. */
async function store({ name, charset = 'ISO_IR 192', patientId = `P-${String(studies)}`, accession = '', date = '20260101', modality = 'CT' }: About): Promise<string> {
  const uid = `1.2.3.${String(++studies)}`;
  const elements: Element[] = [
    [0x00080005, 'CS', charset], [0x00080016, 'UI', '1.2.840.10008.5.1.4.1.1.7'], [0x00080018, 'UI', `${uid}.1.1`], ...(date === null ? [] : [[0x00080020, 'DA', date] as const]), [0x00080050, 'SH', accession], [0x00080060, 'CS', modality],
    [0x00081030, 'LO', 'Chest'], ...(name === undefined ? [] : [[0x00100010, 'PN', even(name)] as const]), [0x00100020, 'LO', patientId], [0x0020000d, 'UI', uid], [0x0020000e, 'UI', `${uid}.1`], ...imagePixel(2, 2), [0x7fe00010, 'OW', new Uint8Array(4)],
  ];
  const response = await house.fetch('/dicom-web/studies', { method: 'POST', headers: { 'content-type': STOW_TYPE }, body: new Uint8Array(relatedBody([dicomFile(elements)])) });
  expect(response.status, await response.clone().text()).toBe(200);
  return uid;
}

/** Values have an even length. PS3.5 §7.1.1 */
function even(name: string | Uint8Array): Uint8Array {
  const bytes = Buffer.from(name);
  return bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.from(' ')]);
}

async function resultOf(studyInstanceUid: string, critical: boolean, analysis = 'chest-xray-classification'): Promise<string> {
  const study = await house.app.get(StudyReader).find(house.institutionId, studyInstanceUid);
  const instance = study?.series[0]?.instances[0];
  if (!study || !instance) throw new Error('the study is not there');
  return commitResult(house, conclusion(house, { study, instance }, { analysis, heatMaps: [], summary: { text: '', critical } }));
}

async function runOf(studyInstanceUid: string, status: string, purpose = 'clinical'): Promise<string> {
  const study = await house.app.get(StudyReader).find(house.institutionId, studyInstanceUid);
  const [id, model] = [uuidv7(), uuidv7()];
  await house.owner.analysisRun.create({
    data: { id, institutionId: house.institutionId, studyId: study?.id ?? '', studyInstanceUid, studyRevision: 1, analysis: 'lung-nodule-detection', modelId: model, modelName: 'x', modelVersion: '1.0.0', modelDigest: model, selection: '', purpose, status, progress: 0.25, reasonCode: status === 'failed' ? 'out-of-memory' : null },
  });
  return id;
}

interface Page { items: WorklistEntry[]; nextCursor: string | null }
async function list(query = '', headers: Record<string, string> = {}): Promise<Page> {
  const response = await house.fetch(`/api/v1/worklist?${query}`, { headers });
  expect(response.status, await response.clone().text()).toBe(200);
  return (await response.json()) as Page;
}
const uids = async (query: string): Promise<string[]> => (await list(query)).items.map(({ studyInstanceUid }) => studyInstanceUid);

describe('GET /api/v1/worklist', () => {
  it('tells of a study, its newest runs and its newest results, in the caller’s language', async () => {
    const uid = await store({ name: 'Wang^XiaoDong=王^小东=', patientId: 'TELL-1', accession: 'ACC-1' });
    await runOf(uid, 'succeeded');
    const run = await runOf(uid, 'failed');
    await runOf(uid, 'running', 'shadow');
    await resultOf(uid, true);
    const result = await resultOf(uid, false);
    const [entry] = (await list('text=TELL-1', { 'accept-language': 'zh' })).items;
    expect(entry).toMatchObject({
      studyInstanceUid: uid, readable: true, patientId: 'TELL-1', patientName: 'Wang^XiaoDong', patientNameIdeographic: '王^小东', patientNamePhonetic: null, accessionNumber: 'ACC-1', studyDescription: 'Chest',
      studyDate: '2026-01-01', modalities: ['CT'], instanceCount: 1, state: 'receiving', critical: true,
      runs: [{ id: run, analysis: 'lung-nodule-detection', status: 'failed', reason: 'out-of-memory', progress: 0.25 }],
      results: [{ id: result, analysis: 'chest-xray-classification', status: 'preliminary', critical: false, summary: '肺炎 93 %' }],
    });
    expect((await list('text=TELL-1')).items[0]?.results[0]?.summary).toBe('Pneumonia 93 %');
  });

  it('finds patients by what people type: beginnings of names in any script and order, of Patient IDs and accession numbers', async () => {
    const müller = await store({ name: 'Müller^Jürgen', patientId: 'FIND-1', accession: 'FA-17' });
    const yamada = await store({ name: 'Yamada^Tarou=山田^太郎=やまだ^たろう', patientId: 'FIND-2' });
    const gb = await store({ name: Buffer.from('57616e675e57656e3dcdf55ecec4', 'hex'), charset: 'GB18030', patientId: 'FIND-3' });
    for (const [text, expected] of [
      ['mul', [müller]], ['MÜLLER jür', [müller]], ['Jurgen Muller', [müller]], ['Müller^J', [müller]], ['FIND-1', [müller]], ['FA-', [müller]], ['山田', [yamada]], ['太郎', [yamada]], ['山田太郎', [yamada]], ['やまだ', [yamada]], ['王文', [gb]], ['王', [gb]],
      ['FIND', [gb, yamada, müller]], ['ller', []], ['Müller Tarou', []], ["'; DROP TABLE studies; --", []], ['%', []], ['*', []],
    ] as const) expect((await uids(`text=${encodeURIComponent(text)}`)).filter((uid) => text !== '王' || uid === gb), text).toEqual(expected);
  });

  it('filters by every column, alone and together', async () => {
    const [a, b, c] = [await store({ modality: 'MR', date: '20200101', patientId: 'FILTER-A' }), await store({ modality: 'MR', date: '20210101', patientId: 'FILTER-B' }), await store({ modality: 'MR', date: null, patientId: 'FILTER-C' })];
    await runOf(a, 'running');
    await resultOf(b, true);
    const final = await resultOf(c, false);
    await house.owner.result.update({ where: { id: final }, data: { status: 'final' } });
    expect(await uids('modality=MR')).toEqual([c, b, a]);
    expect(await uids('modality=MR&sort=study-date')).toEqual([c, b, a]);
    expect(await uids('modality=MR&analysisStatus=running')).toEqual([a]);
    expect(await uids('modality=MR&critical=true')).toEqual([b]);
    expect(await uids('modality=MR&resultStatus=final')).toEqual([c]);
    expect(await uids('modality=MR&studyDateFrom=2020-06-01')).toEqual([b]);
    expect(await uids('modality=MR&studyDateTo=2020-06-01')).toEqual([a]);
    expect(await uids('studyDateFrom=2020-01-01&studyDateTo=2021-01-01&text=FILTER')).toEqual([b, a]);
    expect(await uids('modality=MR&state=complete')).toEqual([]);
    expect(await uids('critical=true&resultStatus=final&modality=MR')).toEqual([]);
  });

  it('finds the same studies whichever way it goes to them', async () => {
    const worklist = house.app.get(WorklistStore);
    for (const [modality, analysis, review] of [['MR', 'running', 'final'], ['CT', 'failed', 'preliminary'], ['MR', 'failed', 'preliminary']] as const) {
      const some = await store({ modality, patientId: `WAYS-${modality}` });
      await runOf(some, analysis);
      const id = await resultOf(some, modality === 'CT');
      if (review === 'final') await house.owner.result.update({ where: { id }, data: { status: review } });
    }
    const tokens = await house.app.get(StudyHeadings).tokensOf(house.institutionId, 'WAYS');
    const parts: WorklistFilter[] = [{ tokens }, { modality: 'MR' }, { critical: true }, { analysisStatus: 'failed' }, { resultStatus: 'preliminary' }, { state: 'receiving' }, { studyDateFrom: '20200101', studyDateTo: '20260101' }];
    const filters = [{}, ...parts, ...parts.flatMap((one) => parts.map((other) => ({ ...one, ...other })))];
    for (const filter of filters) {
      for (const order of ['received', 'study-date'] as const) {
        const [cursor] = (await worklist.list(house.institutionId, {}, order, 3, undefined)).slice(-1);
        for (const at of [undefined, cursor?.id]) {
          // By the filter that the fewest fit; out of the newest; by what all of them select.
          const found = await Promise.all([{ few: 1_000, newest: 1 }, { few: 0, newest: 1_000 }, { few: 0, newest: 1 }].map((reach) => worklist.list(house.institutionId, filter, order, 50, at, reach)));
          const [first = [], ...others] = found.map((studies) => studies.map(({ id }) => id));
          for (const other of others) expect(other, JSON.stringify({ filter: Object.keys(filter), order })).toEqual(first);
        }
      }
    }
    expect(await worklist.list(house.institutionId, { tokens, modality: 'MR', analysisStatus: 'failed' }, 'received', 50, undefined, { few: 0, newest: 1 })).toHaveLength(1);
  });

  it('shows nothing of a withheld result but that there is one', async () => {
    const uid = await store({ patientId: 'WITHHELD' });
    const id = await resultOf(uid, true);
    await house.owner.result.update({ where: { id }, data: { status: 'withheld' } });
    expect((await list('text=WITHHELD')).items[0]).toMatchObject({ critical: false, results: [{ id, status: 'withheld', critical: false, summary: null }] });
    expect(await uids('text=WITHHELD&critical=true')).toEqual([]);
    expect(await uids('text=WITHHELD&resultStatus=withheld')).toEqual([uid]);
  });

  it('pages through all of them once, in both orders', async () => {
    for (const date of ['20190101', '20190101', null, '20180505', null]) await store({ patientId: `PAGES-${String(studies)}`, date, modality: 'US' });
    for (const sort of ['received', 'study-date']) {
      const whole = await list(`modality=US&sort=${sort}`);
      const seen: string[] = [];
      for (let cursor: string | null = ''; cursor !== null;) {
        const page: Page = await list(`modality=US&sort=${sort}&limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`);
        seen.push(...page.items.map(({ id }) => id));
        cursor = page.nextCursor;
      }
      expect(seen, sort).toEqual(whole.items.map(({ id }) => id));
      expect(seen).toHaveLength(5);
    }
    const dates = (await list('modality=US&sort=study-date')).items.map(({ studyDate }) => studyDate);
    expect(dates).toEqual([null, null, '2019-01-01', '2019-01-01', '2018-05-05']);
    // A study that is gone meanwhile ends no list in an error.
    expect((await house.fetch(`/api/v1/worklist?sort=study-date&cursor=${uuidv7()}`)).status).toBe(200);
  });

  it('is a study’s line still when its key is destroyed, and tells nobody who it was', async () => {
    const uid = await store({ name: 'Gone^Gerda', patientId: 'GONE-1' });
    const study = await house.owner.study.findFirstOrThrow({ where: { studyInstanceUid: uid } });
    const before = await list('limit=1');
    expect(before.items[0]?.patientName).toBe('Gone^Gerda');
    await house.owner.studyKey.deleteMany({ where: { id: study.keyId } });
    house.app.get(KeyVault).forget(study.keyId);
    expect((await list('limit=1')).items[0]).toMatchObject({ studyInstanceUid: uid, readable: false, patientName: null, patientId: null });
  });

  it('says which parameter is wrong', async () => {
    const response = await house.fetch('/api/v1/worklist?critical=false&sort=name&studyDateFrom=2026&text=&colour=red&cursor=x&limit=0');
    expect(response.status).toBe(400);
    const { code, errors } = (await response.json()) as { code: string; errors: { pointer: string }[] };
    expect([code, errors.map(({ pointer }) => pointer).sort()]).toEqual(['invalid-query', ['/colour', '/critical', '/cursor', '/limit', '/sort', '/studyDateFrom', '/text']]);
  });

  it('shows a caller what they may read, and lets no filter tell the rest', async () => {
    const uid = await store({ patientId: 'SCOPE-1' });
    await runOf(uid, 'running');
    await resultOf(uid, true);
    const { key } = await (await house.fetch('/api/v1/api-keys', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name: 'images only', scopes: ['images:read'] }) })).json() as { key: string };
    const ask = (query: string, apiKey = key): Promise<Response> => fetch(`${house.url}/api/v1/worklist?${query}`, { headers: { 'x-api-key': apiKey } });
    expect(((await (await ask('text=SCOPE-1')).json()) as Page).items).toMatchObject([{ studyInstanceUid: uid, critical: false, runs: [], results: [] }]);
    for (const filter of ['critical=true', 'resultStatus=final', 'analysisStatus=running']) expect((await ask(filter)).status, filter).toBe(403);
    const { key: other } = await (await house.fetch('/api/v1/api-keys', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name: 'results only', scopes: ['results:read'] }) })).json() as { key: string };
    expect((await ask('', other)).status).toBe(403);
    expect((await fetch(`${house.url}/api/v1/worklist`)).status).toBe(401);
  });

  it('puts on record whose studies were shown', async () => {
    const uid = await store({ patientId: 'RECORD-1' });
    await uids('text=RECORD-1');
    const event = await house.owner.auditEvent.findFirstOrThrow({ where: { action: 'listWorklist' }, orderBy: { sequence: 'desc' } });
    expect(event.studyInstanceUids).toEqual([uid]);
    expect(JSON.stringify(event.details)).not.toContain('RECORD');
  });

  it('shows nobody the studies of another institution', async () => {
    const uid = await store({ patientId: 'WALL-1' });
    await house.owner.study.updateMany({ where: { studyInstanceUid: uid }, data: { institutionId: uuidv7() } });
    expect(await uids('text=WALL-1')).toEqual([]);
  });
});
