import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DicomJson } from '../../../src/imaging/dicom/dicom-json.js';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { KeyVault } from '../../../src/platform/crypto/key-vault.js';
import { Database } from '../../../src/platform/database/database.js';
import type { Element } from '../../support/dicom-builder.js';
import { openArchive, type Archive } from './qido-archive.js';

let archive: Archive;

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

interface Study {
  uid: string;
  /** Terms of Specific Character Set and the bytes of Patient's Name. */
  charset?: string;
  name: string | Uint8Array;
  id: string;
  date?: string;
  time?: string;
  modality?: string;
  series?: number;
  instances?: number;
  more?: readonly Element[];
}

const CT = '1.2.840.10008.5.1.4.1.1.2';

/** Oldest first. The names in other letters are the examples of PS3.5 Annexes H, J and K. */
const STUDIES: readonly Study[] = [
  { uid: '1.2.1', name: 'Smith^John', id: 'P-1', date: '20260101', time: '083000', more: [[0x00080050, 'SH', 'ACC-1'], [0x00081030, 'LO', 'CT Thorax'], [0x00200010, 'SH', 'S-1'], [0x00080090, 'PN', 'Grey^Meredith'], [0x00100030, 'DA', '19720304'], [0x00100040, 'CS', 'M']] },
  { uid: '1.2.2', name: 'SMYTHE^Jane', id: 'p-1', date: '20260102', time: '12', modality: 'MR', more: [[0x00081030, 'LO', 'MR Brain'], [0x00100030, 'DA', '19800101']] },
  { uid: '1.2.3', charset: 'ISO_IR 100', name: bytes('4dfc6c6c65725e4af67267'), id: 'P-30', date: '20260103', time: '101530.5' },
  { uid: '1.2.4', charset: 'GB18030', name: bytes('57616e675e5869616f446f6e673dcdf55ed0a1b6ab'), id: 'P-4', date: '20260104' },
  { uid: '1.2.5', charset: '\\ISO 2022 IR 87', name: bytes('59616d6164615e5461726f753d1b2442 3b33 4544 1b28425e 1b2442 4240 4f3a 1b28423d1b2442 2464 245e 2440 1b28425e1b2442 243f 246d 2426 1b2842'), id: 'P-5', date: '20260105' },
  { uid: '1.2.6', charset: 'ISO_IR 192', name: bytes('57616e675e5869616f4d696e673de78e8b5ee5b08fe6988e'), id: 'P-6', date: '20260106', series: 2, instances: 12 },
];

const REQUEST: Element = [0x00400275, 'SQ', [[[0x00400007, 'LO', 'Step'], [0x00400009, 'SH', 'STEP-1'], [0x00401001, 'SH', 'PROC-1']]]];

async function store({ uid, charset, name, id, date, time, modality = 'CT', series = 1, instances = 1, more = [] }: Study, institutionId?: string): Promise<void> {
  for (let s = series; s >= 1; s--) {
    for (let i = instances; i >= 1; i--) {
      await archive.store([
        [0x00080005, 'CS', charset ?? ''], [0x00080008, 'CS', i === 1 ? 'LOCALIZER' : 'AXIAL'], [0x00080016, 'UI', CT], [0x00080018, 'UI', `${uid}.${String(s)}.${String(i)}`], [0x00080020, 'DA', date ?? ''], [0x00080030, 'TM', time ?? ''],
        [0x00080060, 'CS', modality], [0x0008103e, 'LO', `Series ${String(s)}`], [0x00100010, 'PN', name], [0x00100020, 'LO', id], [0x0020000d, 'UI', uid], [0x0020000e, 'UI', `${uid}.${String(s)}`],
        [0x00200011, 'IS', String(s)], [0x00200013, 'IS', String(i)], [0x00280010, 'US', [512]], [0x00280011, 'US', [256]], [0x00280100, 'US', [16]], [0x00400244, 'DA', date ?? ''], [0x00400245, 'TM', time ?? ''], ...(s === 1 ? [REQUEST] : []), ...more,
      ], institutionId);
    }
  }
}

beforeAll(async () => {
  archive = await openArchive();
  for (const study of STUDIES) await store(study);
  const neighbour = uuidv7();
  await archive.owner.institution.create({ data: { id: neighbour, name: 'Neighbour' } });
  await store({ uid: '1.2.99', name: 'Smith^John', id: 'P-1', date: '20260101' }, neighbour);
});

afterAll(async () => {
  await archive.close();
});

async function search(path: string, headers: Record<string, string> = {}): Promise<{ status: number; results: DicomJson[]; warning: string | null; code: string | undefined; type: string | null }> {
  const response = await archive.fetch(`/dicom-web/${path}`, headers);
  const body = (await response.json()) as DicomJson[] | { code: string };
  return {
    status: response.status, results: Array.isArray(body) ? body : [], warning: response.headers.get('warning'), type: response.headers.get('content-type'), code: Array.isArray(body) ? undefined : body.code,
  };
}

const first = (json: DicomJson, tag: string): unknown => json[tag]?.Value?.[0];
/** The last part of the UIDs that a query finds. */
const found = async (query: string, level: 'studies' | 'series' | 'instances' = 'studies'): Promise<string[]> => {
  const { status, results } = await search(`${level}?${query}`);
  if (status !== 200) throw new Error(`${query}: ${String(status)}`);
  return results.map((json) => String(first(json, level === 'studies' ? '0020000D' : level === 'series' ? '0020000E' : '00080018')).replace(/^1\.2\./, ''));
};

describe('a search for studies', () => {
  it('lists all of the institution, newest first, with what the standard asks for', async () => {
    const { status, results, type, warning } = await search('studies');
    expect({ status, type, warning }).toEqual({ status: 200, type: 'application/dicom+json; charset=utf-8', warning: null });
    expect(results.map((json) => first(json, '0020000D'))).toEqual(['1.2.6', '1.2.5', '1.2.4', '1.2.3', '1.2.2', '1.2.1']);
    expect(results[5]).toEqual({
      '00080005': { vr: 'CS', Value: ['ISO_IR 192'] }, '00080020': { vr: 'DA', Value: ['20260101'] }, '00080030': { vr: 'TM', Value: ['083000'] }, '00080050': { vr: 'SH', Value: ['ACC-1'] }, '00080056': { vr: 'CS', Value: ['ONLINE'] },
      '00080061': { vr: 'CS', Value: ['CT'] }, '00080090': { vr: 'PN', Value: [{ Alphabetic: 'Grey^Meredith' }] }, '00081030': { vr: 'LO', Value: ['CT Thorax'] }, '00081190': { vr: 'UR', Value: [`${archive.url}/dicom-web/studies/1.2.1`] },
      '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Smith^John' }] }, '00100020': { vr: 'LO', Value: ['P-1'] }, '00100030': { vr: 'DA', Value: ['19720304'] }, '00100040': { vr: 'CS', Value: ['M'] }, '0020000D': { vr: 'UI', Value: ['1.2.1'] },
      '00200010': { vr: 'SH', Value: ['S-1'] }, '00201206': { vr: 'IS', Value: [1] }, '00201208': { vr: 'IS', Value: [1] },
    });
    expect(results[0]).toMatchObject({ '00201206': { Value: [2] }, '00201208': { Value: [24] }, '00100010': { Value: [{ Alphabetic: 'Wang^XiaoMing', Ideographic: '王^小明' }] } });
    expect(results[1]?.['00100010']?.Value).toEqual([{ Alphabetic: 'Yamada^Tarou', Ideographic: '山田^太郎', Phonetic: 'やまだ^たろう' }]);
  });

  it.each<[string, string[]]>([
    ['PatientID=P-1', ['1']], ['PatientID=p-1', ['2']], ['PatientID=P-*', ['6', '5', '4', '3', '1']], ['PatientID=P-3*', ['3']], ['PatientID=P-1%5CP-4', ['4', '1']], ['PatientID=P-1%5C*-30', ['3', '1']], ['PatientID=%20P-1%20', ['1']], ['00100020=nobody', []],
    ['AccessionNumber=ACC-1', ['1']], ['AccessionNumber=ACC*', ['1']], ['AccessionNumber=*CC-*', ['1']], ['StudyID=S-1', ['1']], ['PatientBirthDate=19720304', ['1']], ['PatientBirthDate=19790101-19801231', ['2']], ['PatientBirthDate=-19750101', ['1']],
    ['PatientName=smith^john', ['1']], ['PatientName=smith', []], ['PatientName=SMITH*', ['1']], ['PatientName=*mith*', ['1']], ['PatientName=sm?th*', ['2', '1']], ['PatientName=sm?th^*', ['1']], ['PatientName=muller*', ['3']], ['PatientName=M%C3%9CLLER^J%C3%B6rg', ['3']],
    ['PatientName=王*', ['6', '4']], ['PatientName=王^小东', ['4']], ['PatientName=*小明', ['6']], ['PatientName=%3D王*', ['6', '4']], ['PatientName=王*%3D*', []], ['PatientName=山田*', ['5']], ['PatientName=*太郎', ['5']], ['PatientName=やまだ*', ['5']],
    ['PatientName=%3D%3Dやまだ^たろう', ['5']], ['PatientName=Wang*%3D*明', ['6']], ['PatientName=wang*%3D*東', []],
    ['PatientName=smith&fuzzymatching=true', ['2', '1']], ['PatientName=smith%20jonathan&fuzzymatching=true', []], ['PatientName=jon,smith&fuzzymatching=true', ['2', '1']], ['PatientName=*xiao*&fuzzymatching=true', ['6', '4']], ['PatientName=王小东&fuzzymatching=true', ['4']], ['PatientName=*li*&fuzzymatching=true', []],
    ['ReferringPhysicianName=grey*', ['1']], ['StudyDescription=CT*', ['1']], ['StudyDescription=*rain', ['2']], ['StudyDescription=*RAIN', []],
    ['StudyDate=20260102', ['2']], ['StudyDate=20260102-20260103', ['3', '2']], ['StudyDate=20260105-', ['6', '5']], ['StudyDate=-20260102', ['2', '1']], ['StudyTime=12', ['2']], ['StudyTime=1015', ['3']], ['StudyTime=0800-1100', ['3', '1']],
    ['StudyDate=20260101-20260102&StudyTime=0900-1100', []], ['StudyDate=20260101-20260102&StudyTime=0800-1300', ['2', '1']], ['StudyDate=20260101-20260103&StudyTime=0900-1016', ['3', '2']], ['StudyDate=20260103&StudyTime=1000-1016', ['3']],
    ['ModalitiesInStudy=MR', ['2']], ['ModalitiesInStudy=M*', ['2']], ['ModalitiesInStudy=MR,CT', ['6', '5', '4', '3', '2', '1']], ['Modality=MR', ['2']], ['SOPClassesInStudy=1.2.840.10008.5.1.4.1.1.2&StudyDate=20260101', ['1']],
    ['StudyInstanceUID=1.2.1,1.2.4,1.2.99', ['4', '1']], ['StudyInstanceUID=1.2.1%5C1.2.4', ['4', '1']], ['NumberOfStudyRelatedInstances=24', ['6']], ['PatientSex=M', ['1']], ['PatientSex=M&PatientID=p-1', []],
    ['PatientName=&PatientID=*&StudyDate=20260101', ['1']], ['InstanceAvailability=ONLINE&PatientID=P-1', ['1']], ['InstanceAvailability=NEARLINE', []], ['PatientName=*n&PatientID=P-1', ['1']], ['PatientName=*q&PatientID=P-1', []],
  ])('with %s finds %j', async (query, expected) => { expect(await found(query)).toEqual(expected); });

  it('pages through what the columns decide and what has to be compared alike', async () => {
    for (const query of ['', 'PatientID=P-*', 'PatientName=*m*&StudyDate=20260101-20261231', 'PatientSex=']) {
      const all = await found(query);
      expect(all.length).toBeGreaterThan(2);
      const pages = await Promise.all(all.map((_, offset) => found(`${query}&limit=1&offset=${String(offset)}`)));
      expect(pages.flat()).toEqual(all);
      expect(await found(`${query}&offset=${String(all.length)}`)).toEqual([]);
    }
  });

  it('says when there is more', async () => {
    expect((await search('studies?limit=2')).warning).toBe(`299 ${archive.url}/dicom-web: There are additional results that can be requested.`);
    expect((await search('studies?limit=6')).warning).toBeNull();
    expect((await search('studies?limit=0')).results).toEqual([]);
    expect((await search('studies?limit=5000')).results).toHaveLength(6);
  });

  it('says what it did not do', async () => {
    const { status, results, warning } = await search('studies?SeriesDescription=x&emptyvaluematching=true&00091001=1&PatientID=P-1');
    expect({ status, found: results.length }).toEqual({ status: 200, found: 1 });
    for (const part of ['SeriesDescription is not supported', 'emptyvaluematching parameter is not supported', '00091001 is not supported']) expect(warning).toContain(part);
  });

  it('refuses what it cannot do, and tells neither values nor names in doing so', async () => {
    for (const [query, code] of [['PatientName=*li*', 'unsupported-matching'], ['PatientID=%3F1', 'unsupported-matching'], ['PatientNam=Secret', 'invalid-query'], ['StudyDate=Secret', 'invalid-query'], ['limit=Secret', 'invalid-query']] as const) {
      const response = await archive.fetch(`/dicom-web/studies?${query}`);
      const text = await response.text();
      expect({ status: response.status, code: (JSON.parse(text) as { code: string }).code, type: response.headers.get('content-type') }).toEqual({ status: 400, code, type: 'application/problem+json; charset=utf-8' });
      expect(text).not.toMatch(/Secret|\*li\*/);
    }
  });

  it('is answered in DICOM JSON or not at all', async () => {
    expect((await search('studies', { accept: 'application/json' })).type).toBe('application/json; charset=utf-8');
    expect(await search('studies', { accept: 'multipart/related; type="application/dicom+xml"' })).toMatchObject({ status: 406, code: 'not-acceptable' });
    expect((await search('studies?accept=application/dicom%2Bjson', { accept: 'text/html' })).status).toBe(200);
  });

  it('is for those who may read images', async () => {
    const { status } = await fetch(`${archive.url}/dicom-web/studies`);
    expect(status).toBe(401);
  });
});

describe('a search for series', () => {
  it('of a study comes by series number', async () => {
    const { status, results } = await search('studies/1.2.6/series');
    expect(status).toBe(200);
    expect(results).toEqual([1, 2].map((number) => ({
      '00080005': { vr: 'CS', Value: ['ISO_IR 192'] }, '00080056': { vr: 'CS', Value: ['ONLINE'] }, '00080060': { vr: 'CS', Value: ['CT'] }, '0008103E': { vr: 'LO', Value: [`Series ${String(number)}`] },
      '00081190': { vr: 'UR', Value: [`${archive.url}/dicom-web/studies/1.2.6/series/1.2.6.${String(number)}`] }, '0020000D': { vr: 'UI', Value: ['1.2.6'] }, '0020000E': { vr: 'UI', Value: [`1.2.6.${String(number)}`] },
      '00200011': { vr: 'IS', Value: [number] }, '00201209': { vr: 'IS', Value: [12] }, '00400244': { vr: 'DA', Value: ['20260106'] }, '00400245': { vr: 'TM' },
      ...(number === 1 && { '00400275': { vr: 'SQ', Value: [{ '00400009': { vr: 'SH', Value: ['STEP-1'] }, '00401001': { vr: 'SH', Value: ['PROC-1'] } }] } }),
    })));
  });

  it('of the whole archive has the study with it', async () => {
    const { results } = await search('series?PatientName=wang*ming');
    expect(results.map((json) => first(json, '00100010'))).toEqual(Array(2).fill({ Alphabetic: 'Wang^XiaoMing', Ideographic: '王^小明' }));
    expect(results.map((json) => json['00081190']?.Value?.[0])).toEqual([1, 2].map((number) => `${archive.url}/dicom-web/studies/1.2.6/series/1.2.6.${String(number)}`));
    expect((await search('studies/1.2.6/series?includefield=PatientName,00081030')).results[0]).toMatchObject({ '00100010': { vr: 'PN' } });
  });

  it.each<[string, string[]]>([
    ['Modality=MR', ['2.1']], ['SeriesNumber=2', ['6.2']], ['SeriesInstanceUID=1.2.1.1,1.2.5.1,1.2.99.1', ['5.1', '1.1']], ['PerformedProcedureStepStartDate=20260102-20260103&PerformedProcedureStepStartTime=1100-1016', ['3.1', '2.1']],
    ['RequestAttributesSequence.ScheduledProcedureStepID=STEP-1&StudyInstanceUID=1.2.6', ['6.1']], ['00400275.00400009=STEP-1&00400275.00401001=PROC-2', []], ['SeriesDescription=Series%202', ['6.2']], ['NumberOfSeriesRelatedInstances=12&SeriesNumber=1', ['6.1']], ['PatientID=P-4', ['4.1']],
  ])('with %s finds %j', async (query, expected) => { expect(await found(query, 'series')).toEqual(expected); });

  it('of an unknown or foreign study finds nothing', async () => {
    for (const path of ['studies/1.2.98/series', 'studies/1.2.99/series', 'studies/1.2.99/instances']) expect(await search(path)).toMatchObject({ status: 200, results: [] });
    expect((await search('studies/not-a-uid/series')).status).toBe(404);
  });
});

describe('a search for instances', () => {
  it('of a series comes by instance number', async () => {
    const { results } = await search('studies/1.2.6/series/1.2.6.2/instances');
    expect(results.map((json) => first(json, '00200013'))).toEqual(Array.from({ length: 12 }, (_, at) => at + 1));
    expect(results[0]).toEqual({
      '00080005': { vr: 'CS', Value: ['ISO_IR 192'] }, '00080016': { vr: 'UI', Value: [CT] }, '00080018': { vr: 'UI', Value: ['1.2.6.2.1'] }, '00080056': { vr: 'CS', Value: ['ONLINE'] },
      '00081190': { vr: 'UR', Value: [`${archive.url}/dicom-web/studies/1.2.6/series/1.2.6.2/instances/1.2.6.2.1`] }, '0020000D': { vr: 'UI', Value: ['1.2.6'] }, '0020000E': { vr: 'UI', Value: ['1.2.6.2'] },
      '00200013': { vr: 'IS', Value: [1] }, '00280010': { vr: 'US', Value: [512] }, '00280011': { vr: 'US', Value: [256] }, '00280100': { vr: 'US', Value: [16] },
    });
  });

  it('of a study comes by series, then by instance, with the series', async () => {
    const { results } = await search('studies/1.2.6/instances');
    expect(results.map((json) => first(json, '00080018'))).toEqual([1, 2].flatMap((series) => Array.from({ length: 12 }, (_, at) => `1.2.6.${String(series)}.${String(at + 1)}`)));
    expect(results[0]).toMatchObject({ '00080060': { Value: ['CT'] }, '0008103E': { Value: ['Series 1'] }, '00201209': { Value: [12] } });
    expect(results[0]).not.toHaveProperty('00100010');
  });

  it('pages alike whether it compares or not', async () => {
    for (const query of ['', '&BitsAllocated=16']) {
      const pages = await Promise.all([0, 5, 10, 15, 20].map((offset) => search(`studies/1.2.6/instances?limit=5&offset=${String(offset)}${query}`)));
      expect(pages.flatMap(({ results }) => results.map((json) => first(json, '00080018')))).toEqual([1, 2].flatMap((series) => Array.from({ length: 12 }, (_, at) => `1.2.6.${String(series)}.${String(at + 1)}`)));
    }
  });

  it('of the whole archive has study and series with it', async () => {
    const { results } = await search('instances?PatientID=P-4');
    expect(results).toHaveLength(1);
    expect(results[0]).toMatchObject({ '00080018': { Value: ['1.2.4.1.1'] }, '00080060': { Value: ['CT'] }, '00100010': { Value: [{ Alphabetic: 'Wang^XiaoDong', Ideographic: '王^小东' }] }, '00201208': { Value: [1] } });
  });

  it.each<[string, string[]]>([
    ['SOPInstanceUID=1.2.1.1.1', ['1.1.1']], ['InstanceNumber=12&SeriesNumber=2', ['6.2.12']], ['ImageType=LOCALIZER&StudyInstanceUID=1.2.6', ['6.1.1', '6.2.1']], ['Rows=512&Columns=256&SOPClassUID=1.2.840.10008.5.1.4.1.1.2&StudyDate=20260101', ['1.1.1']], ['Rows=511', []], ['NumberOfFrames=1', []], ['BitsAllocated=8', []],
  ])('with %s finds %j', async (query, expected) => { expect(await found(query, 'instances')).toEqual(expected); });

  it('has all that is stored on request', async () => {
    const { results } = await search('studies/1.2.6/series/1.2.6.1/instances?includefield=all&limit=1');
    expect(results[0]).toMatchObject({ '00080008': { Value: ['LOCALIZER'] }, '00100020': { Value: ['P-6'] }, '00400275': { vr: 'SQ' }, '00080005': { Value: ['ISO_IR 192'] } });
  });
});

describe('what is stored', () => {
  it('names no patient in a plain column', async () => {
    const rows = await archive.owner.$queryRawUnsafe<{ line: string }[]>('SELECT s::text AS line FROM studies s UNION ALL SELECT s::text FROM series s UNION ALL SELECT i::text FROM instances i');
    expect(rows.length).toBeGreaterThan(20);
    const text = rows.map(({ line }) => line).join('\n');
    for (const secret of ['Smith', 'SMITH', 'P-30', 'ACC-1', '19720304', '王', Buffer.from('Smith').toString('hex'), Buffer.from('P-30').toString('hex')]) expect(text).not.toContain(secret);
  });

  it('and damaged does not keep the others from being listed', async () => {
    const client = archive.owner;
    const { sealed } = await client.study.findFirstOrThrow({ where: { studyInstanceUid: '1.2.5' } });
    const damaged = Buffer.from(sealed);
    damaged[20] = (damaged[20] ?? 0) ^ 1;
    await client.study.updateMany({ where: { studyInstanceUid: '1.2.5' }, data: { sealed: damaged } });
    const { results, warning } = await search('studies');
    expect(results).toHaveLength(6);
    expect(results[1]).toMatchObject({ '0020000D': { Value: ['1.2.5'] }, '00100010': { vr: 'PN' } });
    expect(results[1]?.['00100010']?.Value).toBeUndefined();
    expect(warning).toContain('damaged');
    await client.study.updateMany({ where: { studyInstanceUid: '1.2.5' }, data: { sealed } });
  });

  it('is gone with its key', async () => {
    const vault = archive.app.get(KeyVault);
    await store({ uid: '1.2.50', name: 'Gone^Soon', id: 'P-50', date: '20260601' });
    expect(await found('PatientID=P-50')).toEqual(['50']);
    const key = await vault.keyOfStudy(archive.institutionId, '1.2.50');
    await archive.app.get(Database).transaction({ institutionId: archive.institutionId }, (tx) => vault.destroy(tx, [key.id]));
    vault.forget(key.id);
    expect(await found('PatientID=P-50')).toEqual([]);
    await archive.owner.study.deleteMany({ where: { studyInstanceUid: '1.2.50' } });
  });
});

describe('modalities, rare and common', () => {
  const COPIES = 1_200;

  beforeAll(async () => {
    const client = archive.owner;
    // 500 and 501 series stand on either side of what counts as rare.
    await client.$executeRaw`
      INSERT INTO studies (id, institution_id, study_instance_uid, key_id, sealed, search_tokens, modalities, sop_classes, study_date, last_instance_at, updated_at)
      SELECT gen_random_uuid(), institution_id, '1.2.2000.' || n, key_id, sealed, '{}',
        '{NM}'::text[] || CASE WHEN n <= 500 THEN '{US}'::text[] ELSE '{}' END || CASE WHEN n <= 501 THEN '{CR}'::text[] ELSE '{}' END || CASE WHEN n % 100 = 0 THEN '{PT}'::text[] ELSE '{}' END,
        '{}', CASE WHEN n % 200 = 0 THEN '20210101' ELSE '20210102' END, now(), now() FROM studies, generate_series(1, ${COPIES}::int) n WHERE study_instance_uid = '1.2.1'`;
    await client.$executeRaw`
      INSERT INTO series (id, institution_id, study_id, series_instance_uid, sealed, modality)
      SELECT gen_random_uuid(), st.institution_id, st.id, st.study_instance_uid || '.' || place, se.sealed, one
      FROM studies st, unnest(st.modalities) WITH ORDINALITY AS m(one, place), series se WHERE st.study_instance_uid LIKE '1.2.2000.%' AND se.series_instance_uid = '1.2.1.1'`;
  });
  afterAll(async () => {
    await archive.owner.study.deleteMany({ where: { studyInstanceUid: { startsWith: '1.2.2000.' } } });
  });

  it.each([
    ['PT', 12], ['US', 500], ['CR', 501], ['NM', 1_200], ['PT,MR', 13], ['XX', 0], ['PT&StudyDate=20210101', 6], ['PT&Modality=US', 5], ['PT&NumberOfStudyRelatedInstances=0', 12],
  ])('find the studies with %s, page by page as a pattern of it does', async (query, count) => {
    // A pattern is compared with every study.
    const pattern = query.replaceAll(/[A-Z]{2}(?=[,&]|$)/g, '$&*');
    expect(pattern).not.toBe(query);
    const all = await found(`ModalitiesInStudy=${query}&limit=1000`);
    expect([all.length, new Set(all).size]).toEqual([Math.min(count, 1_000), Math.min(count, 1_000)]);
    for (const page of ['limit=1000', 'limit=7', 'limit=7&offset=3', 'limit=300&offset=450', 'limit=1000&offset=499', 'offset=2147483647']) expect(await found(`ModalitiesInStudy=${query}&${page}`), page).toEqual(await found(`ModalitiesInStudy=${pattern}&${page}`));
  });

  it('find series', async () => {
    expect(await found('Modality=PT&limit=5', 'series')).toEqual(await found('Modality=PT*&limit=5', 'series'));
    expect(await found('Modality=PT&limit=1000', 'series')).toHaveLength(12);
    expect(await found('Modality=MR,PT&limit=1000', 'series')).toHaveLength(13);
  });
});

describe('numbers that no row has', () => {
  it.each([
    'studies?PatientName=SMITH*&offset=2147483647', 'studies?StudyID=S*&limit=2147483647&offset=2147483647', 'studies?ModalitiesInStudy=CT&offset=2147483647', 'studies?offset=2147483647&limit=2147483647', 'studies?PatientSex=M&PatientID=P-1&offset=2147483647',
    'series?PatientName=SMITH*&offset=2147483647', 'studies/1.2.6/instances?limit=2147483647&offset=2147483647', 'instances?Rows=99999999999', 'instances?Rows=1e999', 'instances?Rows=0.5', 'series?SeriesNumber=999999999999', 'series?SeriesNumber=-2147483649',
    'studies?NumberOfStudyRelatedInstances=999999999999',
  ])('find nothing: %s', async (path) => { expect(await search(path)).toMatchObject({ status: 200, results: [] }); });

  it.each(['offset=2147483648', 'limit=99999999999', 'offset=-1'])('are refused: %s', async (query) => {
    expect(await search(`instances?${query}`)).toMatchObject({ status: 400, code: 'invalid-query' });
  });
});

describe('a large archive', () => {
  const COPIES = 5_100;

  beforeAll(async () => {
    // Sealed for another row, the copies cannot be opened: what counts here is how many there are.
    await archive.owner.$executeRaw`
      INSERT INTO studies (id, institution_id, study_instance_uid, key_id, sealed, search_tokens, modalities, sop_classes, study_date, last_instance_at, updated_at)
      SELECT gen_random_uuid(), institution_id, '1.2.1000.' || n, key_id, sealed, search_tokens, '{XA}', '{}', '20200101', now(), now() FROM studies, generate_series(1, ${COPIES}::int) n WHERE study_instance_uid = '1.2.1'`;
  });
  afterAll(async () => {
    await archive.owner.study.deleteMany({ where: { studyInstanceUid: { startsWith: '1.2.1000.' } } });
  });

  it('is paged through in thousands, each study once', async () => {
    // The copies have no series that an exact modality would be looked for in.
    const pages = await Promise.all([0, 1_000, 2_000, 3_000, 4_000, 5_000].map((offset) => search(`studies?ModalitiesInStudy=XA*&limit=9999&offset=${String(offset)}`)));
    expect(pages.map(({ results }) => results.length)).toEqual([1_000, 1_000, 1_000, 1_000, 1_000, 100]);
    expect(new Set(pages.flatMap(({ results }) => results.map((json) => first(json, '0020000D')))).size).toBe(COPIES);
    expect(pages[0]?.warning).toContain('The number of results exceeded the maximum supported by the server.');
    expect((await search('studies')).results).toHaveLength(100);
  });

  it('is paged through alike by tokens that nearly all studies have', async () => {
    for (const query of ['StudyID=S*', 'PatientName=jon%20smith&fuzzymatching=true&StudyDate=20200101-20260101']) {
      const pages = await Promise.all([0, 1_000, 4_990, 5_200].map((offset) => search(`studies?${query}&limit=1000&offset=${String(offset)}`)));
      expect(pages.map(({ results }) => results.length)).toEqual([1_000, 1_000, 111, 0]);
      expect(new Set(pages.flatMap(({ results }) => results.map((json) => first(json, '0020000D')))).size).toBe(2_111);
    }
    expect(await found('StudyID=S*', 'series')).toEqual(['1.1']);
  });

  it('is not decrypted as a whole for one search', async () => {
    expect(await search('studies?PatientSex=O')).toMatchObject({ status: 400, code: 'unsupported-matching' });
    expect(await search('studies?PatientSex=O&StudyDate=20260101-')).toMatchObject({ status: 200, results: [] });
  });
});

describe('the capabilities', () => {
  it('are a WADL document', async () => {
    const response = await archive.fetch('/dicom-web/', { accept: 'application/vnd.sun.wadl+xml' }, 'OPTIONS');
    expect({ status: response.status, type: response.headers.get('content-type') }).toEqual({ status: 200, type: 'application/vnd.sun.wadl+xml; charset=utf-8' });
    expect(await response.text()).toContain(`<resources base="${archive.url}/dicom-web/">`);
    expect((await archive.fetch('/dicom-web', { accept: 'application/json' }, 'OPTIONS')).headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect((await archive.fetch('/dicom-web', { accept: 'text/html' }, 'OPTIONS')).status).toBe(406);
  });
});
