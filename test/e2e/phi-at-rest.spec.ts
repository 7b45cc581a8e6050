import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import pg from 'pg';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ZipFile } from 'yazl';
import { newDicomUid } from '../../src/kernel/uid.js';
import { captureFile, ctFile, dcmtkIsInstalled, relatedBody, STOW_TYPE, type DumpOptions, type MadeFile } from '../support/dicom-files.js';
import { ended, requestAnalysis, type UploadItem } from '../support/flow.js';
import { eventually, startProduct, temporaryDirectory, type Product } from '../support/product.js';
import { grayPng, uploadForm } from '../support/xray.js';

/** Values that no software makes up by itself. */
const PATIENT = {
  family: 'Zyxquillonian', given: 'Wrenhildegard', id: 'QX-7731-ZZ-0042', birthDate: '19430717', accession: 'ACCQ88123', referrer: 'Hollowbrook', description: 'Quixotic thoracic survey', comment: 'tattoo of a heron',
} as const;
const CHINESE = { family: '欧阳', given: '翠花霜雪' } as const;
/** The same in GB18030, which Node reads and does not write. */
const CHINESE_GB18030 = { family: Buffer.from('c5b7d1f4', 'hex'), given: Buffer.from('b4e4bba8cbaad1a9', 'hex') } as const;

const dcmtk = dcmtkIsInstalled();

describe.skipIf(!dcmtk)('what is stored and logged', () => {
  const dataDir = temporaryDirectory();
  let product: Product;
  let output = '';
  const files: MadeFile[] = [];

  beforeAll(async () => {
    expect(new TextDecoder('gb18030').decode(CHINESE_GB18030.given)).toBe(CHINESE.given);
    product = await startProduct({ dataDir, keepData: true, env: { LOG_LEVEL: 'trace', SETTLE_SECONDS: '1' } });
  });

  afterAll(async () => {
    if (product.process.exitCode === null) await product.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('is sent by every way in', async () => {
    files.push(
      named(),
      named({ writes: '+ti' }),
      named({ study: newDicomUid(), elements: { '0008,0005': ['CS', 'GB18030'], '0010,0010': ['PN', Buffer.concat([Buffer.from(`${PATIENT.family}^${PATIENT.given}=`), CHINESE_GB18030.family, Buffer.from('^'), CHINESE_GB18030.given])] } }),
      named({ study: newDicomUid(), elements: { '0008,0005': ['CS', 'ISO_IR 192'], '0010,0010': ['PN', `${PATIENT.family}^${PATIENT.given}=${CHINESE.family}^${CHINESE.given}`] } }),
      captureFile(await sharp({ create: { width: 64, height: 64, channels: 3, background: '#808080' } }).jpeg().toBuffer()),
    );
    const stored = await product.fetch('/dicom-web/studies', { method: 'POST', headers: { 'content-type': STOW_TYPE }, body: new Uint8Array(relatedBody(files.map(({ bytes }) => bytes))) });
    expect(stored.status).toBe(200);

    // An archive whose folders carry the patient's name, as a CD's do; the first answer is kept for a repetition.
    const zip = new ZipFile();
    zip.addBuffer(Buffer.from(named().bytes), `${PATIENT.family}_${PATIENT.given}/${PATIENT.id}/1.dcm`);
    zip.addBuffer(Buffer.from('not an image'), `${PATIENT.family}_${PATIENT.given}/${PATIENT.birthDate}.txt`);
    zip.end();
    const archive = await buffer(zip.outputStream);
    const form = new FormData();
    form.append('files', new Blob([new Uint8Array(archive)]), `${PATIENT.family}.zip`);
    expect((await product.fetch('/api/v1/images', { method: 'POST', headers: { 'idempotency-key': 'archive-of-a-patient' }, body: form })).status).toBe(207);

    const created = await product.fetch('/api/v1/uploads', {
      method: 'POST', headers: { 'tus-resumable': '1.0.0', 'upload-length': String(archive.length), 'upload-metadata': `filename ${Buffer.from(`${PATIENT.family} ${PATIENT.id}.zip`).toString('base64')}` },
    });
    expect(created.status).toBe(201);
    const upload = created.headers.get('location') ?? '';
    const piece = (offset: number, body: Buffer): Promise<Response> => product.fetch(upload, { method: 'PATCH', headers: { 'tus-resumable': '1.0.0', 'upload-offset': String(offset), 'content-type': 'application/offset+octet-stream' }, body: new Uint8Array(body) });
    expect((await piece(0, archive.subarray(0, 100))).status).toBe(204);
    expect((await piece(100, archive.subarray(100))).status).toBe(204);

    const picture = uploadForm([{ name: `${PATIENT.family}.png`, bytes: await grayPng(3) }], { patientId: PATIENT.id, patientAge: '3', modality: 'DX', bodyPart: 'CHEST', viewPosition: 'AP' });
    const { items } = await product.json<{ items: UploadItem[] }>('/api/v1/images', { method: 'POST', body: picture });
    expect(items[0]?.status).toBe('stored');
    const run = await requestAnalysis(product, items[0]?.studyInstanceUid ?? '');
    expect((await ended(product, run.id, 120_000)).status).toBe('succeeded');
  });

  it('is refused, cut off and stored in conflict, too', async () => {
    const [first] = files;
    if (!first) throw new Error('nothing was sent');
    const changed = ctFile(first, { fill: 99, elements: elementsOfPatient() });
    expect((await product.fetch('/dicom-web/studies', { method: 'POST', headers: { 'content-type': STOW_TYPE }, body: new Uint8Array(relatedBody([changed.bytes])) })).status).toBe(409);
    const noUid = ctFile({}, { elements: { ...elementsOfPatient(), '0020,000e': ['UI', PATIENT.id] } });
    expect((await product.fetch('/dicom-web/studies', { method: 'POST', headers: { 'content-type': STOW_TYPE }, body: new Uint8Array(relatedBody([noUid.bytes, noUid.bytes.subarray(0, 700)])) })).status).toBe(409);
    const half = connect(Number(new URL(product.url).port), '127.0.0.1');
    await once(half, 'connect');
    half.write(`POST /dicom-web/studies HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer ${await product.token()}\r\nContent-Type: ${STOW_TYPE}\r\nContent-Length: 100000\r\n\r\n`);
    half.write(relatedBody([first.bytes]).subarray(0, 1_500));
    await new Promise((resolve) => setTimeout(resolve, 500));
    half.resetAndDestroy();
  });

  it('is searched for, read, exported, and asked for wrongly', async () => {
    const searches = [
      `PatientID=${PATIENT.id}`, `PatientName=${PATIENT.family}*`, `PatientName=${PATIENT.given}&fuzzymatching=true`, `PatientName=*${PATIENT.family.slice(2, 8)}*`, `PatientBirthDate=${PATIENT.birthDate}`,
      `AccessionNumber=${PATIENT.accession}`, `PatientName=${encodeURIComponent(CHINESE.family)}*`, `ReferringPhysicianName=${PATIENT.referrer}*`, `includefield=all`, `NoSuchKeyword=${PATIENT.family}`, `StudyDate=${PATIENT.family}`,
    ];
    for (const search of searches) expect((await product.fetch(`/dicom-web/studies?${search}`)).status, search).toBeLessThan(500);
    const found = await (await product.fetch(`/dicom-web/studies?PatientID=${PATIENT.id}`)).text();
    // Else nothing would be proved below.
    expect(found).toContain(PATIENT.family);
    expect(found).toContain(CHINESE.given);
    const [first] = files;
    const study = `/dicom-web/studies/${first?.studyInstanceUid ?? ''}`;
    for (const path of [study, `${study}/metadata`, `${study}/series`, `${study}/rendered`, `/dicom-web/studies/${PATIENT.id}`, `/dicom-web/${PATIENT.family}`, `/api/v1/studies?patientId=${PATIENT.id}`, `/api/v1/studies/${PATIENT.family}`]) {
      expect((await product.fetch(path)).status, path).toBeLessThan(500);
    }
    const exported = await product.fetch(`/api/v1/studies/${first?.studyInstanceUid ?? ''}/deidentified-exports`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ project: PATIENT.description }) });
    expect(exported.status).toBeLessThan(500);
    await exported.arrayBuffer();
    for (const body of [`{"analysis":"${PATIENT.family}"}`, `{"${PATIENT.family}":`]) {
      expect((await product.fetch('/api/v1/analyses', { method: 'POST', headers: { 'content-type': 'application/json' }, body })).status).toBeLessThan(500);
    }
  });

  it('stands in no row in the clear, compressed ones included', async () => {
    // Completed, planned, fanned out and swept: every job has had its turn.
    await eventually('the settling', async () => (await product.json<{ state: string }>(`/api/v1/studies/${files[0]?.studyInstanceUid ?? ''}`)).state === 'complete', 60_000);
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const cluster = JSON.parse(readFileSync(join(dataDir, 'postgres.json'), 'utf8')) as { port: number; password: string }; // as ClusterState
    const database = new pg.Client({ host: '127.0.0.1', port: cluster.port, password: cluster.password, user: 'healthvision', database: 'healthvision' });
    await database.connect();
    try {
      const { rows: tables } = await database.query<{ name: string }>(`SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) AS name FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`);
      expect(tables.length).toBeGreaterThan(10);
      const hits: string[] = [];
      for (const { name } of tables) {
        const { rows } = await database.query<{ text: string }>(`SELECT t::text AS text FROM ${name} t`);
        const found = hitsIn(Buffer.from(rows.map(({ text }) => text).join('\n')));
        if (found.length > 0) hits.push(`${name}: ${found.join(', ')}`);
      }
      expect(hits).toEqual([]);
      // What was written and removed since is gone for the files too.
      await database.query('CHECKPOINT');
    } finally {
      await database.end();
    }
  });

  it('holds nothing of the patient in any file or log line', async () => {
    expect(await product.stop()).toBe(0);
    output = product.output();
    expect(hitsIn(Buffer.from(output))).toEqual([]);
    expect(output.length).toBeGreaterThan(1_000);
    const paths = readdirSync(dataDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    expect(paths.length).toBeGreaterThan(1_000);
    const hits = paths.flatMap((path) => [...hitsIn(Buffer.from(path)), ...hitsIn(readFileSync(path))].map((hit) => `${path.slice(dataDir.length)}: ${hit}`));
    expect(hits).toEqual([]);
  });

  it('would have been found', () => {
    const path = join(dataDir, 'control');
    for (const { bytes } of files.slice(0, 4)) {
      writeFileSync(path, bytes);
      expect(hitsIn(readFileSync(path))).toEqual(expect.arrayContaining(['family', 'id', 'birthDate']));
    }
    expect(hitsIn(Buffer.from(files[2]?.bytes ?? []))).toContain('chinese, gb18030');
    expect(hitsIn(Buffer.from(files[3]?.bytes ?? []))).toContain('chinese');
  });
});

function elementsOfPatient(): Record<string, readonly [string, string]> {
  return {
    '0008,0050': ['SH', PATIENT.accession], '0008,0090': ['PN', `${PATIENT.referrer}^R`], '0008,1030': ['LO', PATIENT.description], '0010,0010': ['PN', `${PATIENT.family}^${PATIENT.given}`],
    '0010,0020': ['LO', PATIENT.id], '0010,0030': ['DA', PATIENT.birthDate], '0010,4000': ['LT', PATIENT.comment],
  };
}

const STUDY = newDicomUid();

/** One more image of the patient, in the same study unless it is told otherwise. */
function named({ study = STUDY, elements = {}, ...options }: DumpOptions & { study?: string } = {}): MadeFile {
  return ctFile({ studyInstanceUid: study }, { ...options, side: 64, elements: { ...elementsOfPatient(), ...elements } });
}

/** What is looked for: as it is, in capitals and small letters, in two-byte characters, escaped and in hexadecimal. */
const NEEDLES: readonly (readonly [what: string, bytes: Buffer])[] = [
  ...Object.entries({ ...PATIENT, isoBirthDate: '1943-07-17' }).flatMap(([what, text]) => [text, text.toUpperCase(), text.toLowerCase()].flatMap((form) => formsOf(form).map((bytes) => [what, bytes] as const))),
  ...[CHINESE.given, `${CHINESE.family}^${CHINESE.given}`].flatMap((text) => formsOf(text).map((bytes) => ['chinese', bytes] as const)),
  ['chinese, gb18030', CHINESE_GB18030.given],
];

function formsOf(text: string): Buffer[] {
  const escaped = text.replaceAll(/[\u0080-\uffff]/g, (character) => `\\u${character.charCodeAt(0).toString(16)}`);
  const wide = Buffer.from(text, 'utf16le');
  return [Buffer.from(text), wide, Buffer.from(wide).swap16(), Buffer.from(escaped), Buffer.from(Buffer.from(text).toString('hex'))];
}

/** What of the patient is in these bytes. */
function hitsIn(bytes: Buffer): string[] {
  return [...new Set(NEEDLES.flatMap(([what, needle]) => (bytes.includes(needle) ? [what] : [])))];
}
