import { createHash, randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UploadJson } from '../../../src/modules/images/uploads/uploads-json.js';
import { ExpireUploadsJob } from '../../../src/modules/images/uploads/expire-uploads.job.js';
import { StoreUploadJob } from '../../../src/modules/images/uploads/store-upload.job.js';
import { preparedDirectory } from '../../support/data-directory.js';
import { eventually, startProduct } from '../../support/product.js';
import { grayPng } from '../../support/xray.js';
import { openArchiveHouse, type ArchiveHouse } from './archive-house.js';
import { testInstance, upload as uploadForm } from './instances.js';

let house: ArchiveHouse;

beforeAll(async () => { house = await openArchiveHouse({ MAX_UPLOAD_BYTES: '48MiB' }); });
afterAll(async () => { await house.close(); });

const TUS = { 'tus-resumable': '1.0.0' };
const STREAM = { ...TUS, 'content-type': 'application/offset+octet-stream' };
const CONTEXT = { jobId: '', topic: '', attempt: 1, signal: new AbortController().signal };

type Fetch = (path: string, init?: RequestInit) => Promise<Response>;

const here: Fetch = (path, init) => house.fetch(path, init);
const metadata = (pairs: Record<string, string>): string => Object.entries(pairs).map(([key, value]) => `${key} ${Buffer.from(value).toString('base64')}`).join(',');
const bodyOf = (bytes: Uint8Array): RequestInit => ({ body: new Uint8Array(bytes) });
const codeOf = async (response: Response): Promise<[number, string]> => [response.status, ((await response.json()) as { code: string }).code];

/** @returns the upload's path */
async function create(length: number | null, pairs: Record<string, string> = { filename: 'a.dcm' }, call: Fetch = here): Promise<string> {
  const response = await call('/api/v1/uploads', { method: 'POST', headers: { ...TUS, ...(length === null ? { 'upload-defer-length': '1' } : { 'upload-length': String(length) }), 'upload-metadata': metadata(pairs) } });
  expect(response.status).toBe(201);
  expect(response.headers.get('tus-resumable')).toBe('1.0.0');
  return response.headers.get('location') ?? '';
}

const patch = (path: string, offset: number, bytes: Uint8Array, headers: Record<string, string> = {}): Promise<Response> =>
  house.fetch(path, { method: 'PATCH', headers: { ...STREAM, 'upload-offset': String(offset), ...headers }, ...bodyOf(bytes) });

async function offsetOf(path: string, call: Fetch = here): Promise<number> {
  const response = await call(path, { method: 'HEAD', headers: TUS });
  expect([200, response.headers.get('cache-control')]).toEqual([response.status, 'no-store']);
  return Number(response.headers.get('upload-offset'));
}

const ended = (path: string, json: (path: string) => Promise<UploadJson> = (at) => house.json<UploadJson>(at)): Promise<UploadJson> =>
  eventually(`the end of ${path}`, async () => { const view = await json(path); return (view.state === 'done' || view.state === 'failed') && view; });

describe('a resumable upload', () => {
  it('says what it can do', async () => {
    const response = await house.fetch('/api/v1/uploads', { method: 'OPTIONS' });
    expect(response.status).toBe(204);
    expect(Object.fromEntries(['tus-version', 'tus-max-size', 'tus-extension', 'tus-checksum-algorithm'].map((name) => [name, response.headers.get(name)]))).toEqual({
      'tus-version': '1.0.0', 'tus-max-size': String(48 * 2 ** 20), 'tus-extension': 'creation,creation-with-upload,creation-defer-length,expiration,checksum,termination', 'tus-checksum-algorithm': 'sha1,sha256',
    });
  });

  it('comes piece by piece and is stored once it is whole, as a form would have been', async () => {
    const { bytes, studyInstanceUid, sopInstanceUid } = testInstance({ size: 300 });
    const path = await create(bytes.length, { filename: 'Doe^Jane 001.dcm', filetype: 'application/dicom' });
    const half = Math.floor(bytes.length / 2);
    const first = await patch(path, 0, bytes.subarray(0, half));
    expect([first.status, first.headers.get('upload-offset'), first.headers.get('tus-resumable')]).toEqual([204, String(half), '1.0.0']);
    expect(Date.parse(first.headers.get('upload-expires') ?? '')).toBeGreaterThan(Date.now());
    const head = await house.fetch(path, { method: 'HEAD', headers: TUS });
    expect([head.headers.get('upload-offset'), head.headers.get('upload-length'), head.headers.get('upload-metadata')]).toEqual([String(half), String(bytes.length), metadata({ filename: 'Doe^Jane 001.dcm', filetype: 'application/dicom' })]);
    expect(await house.json<UploadJson>(path)).toMatchObject({ state: 'receiving', offsetBytes: half, lengthBytes: bytes.length });
    expect((await patch(path, half, bytes.subarray(half))).headers.get('upload-expires')).toBeNull();
    expect(await ended(path)).toMatchObject({ state: 'done', items: [{ file: 'Doe^Jane 001.dcm', status: 'stored', studyInstanceUid, sopInstanceUid }] });
    expect(await offsetOf(path)).toBe(bytes.length);
    const { sha256 } = await house.owner.instance.findFirstOrThrow({ where: { sopInstanceUid } });
    expect(sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
  });

  it('leaves neither names nor bytes behind', async () => {
    const { bytes } = testInstance({ patientName: 'Hidden^Harriet' });
    const path = await create(bytes.length, { filename: 'Hidden^Harriet.dcm' });
    await patch(path, 0, bytes);
    await ended(path);
    const rows = await house.owner.$queryRaw<{ text: string }[]>`SELECT row_to_json(uploads)::text AS text FROM uploads`;
    const hex = Buffer.from('Hidden^Harriet').toString('hex');
    for (const { text } of rows) for (const trace of ['Hidden', metadata({ filename: 'Hidden^Harriet.dcm' }), hex]) expect(text).not.toContain(trace);
    const row = await house.owner.upload.findUniqueOrThrow({ where: { id: path.split('/').at(-1) ?? '' } });
    expect(row.segments).toEqual([]);
  });

  it('may bring its first bytes, or all, with its creation', async () => {
    const { bytes, sopInstanceUid } = testInstance();
    const response = await house.fetch('/api/v1/uploads', { method: 'POST', headers: { ...STREAM, 'upload-length': String(bytes.length), 'upload-metadata': metadata({ filename: 'b.dcm' }) }, ...bodyOf(bytes) });
    expect([response.status, response.headers.get('upload-offset')]).toEqual([201, String(bytes.length)]);
    expect(await ended(response.headers.get('location') ?? '')).toMatchObject({ items: [{ file: 'b.dcm', status: 'stored', sopInstanceUid }] });
  });

  it('may tell its length at the end', async () => {
    const { bytes } = testInstance();
    const path = await create(null);
    expect((await house.fetch(path, { method: 'HEAD', headers: TUS })).headers.get('upload-defer-length')).toBe('1');
    expect((await patch(path, 0, bytes.subarray(0, 100))).status).toBe(204);
    expect(await codeOf(await patch(path, 100, new Uint8Array(0), { 'upload-length': '99' }))).toEqual([400, 'bad-request']);
    expect((await patch(path, 100, bytes.subarray(100), { 'upload-length': String(bytes.length) })).status).toBe(204);
    expect(await ended(path)).toMatchObject({ state: 'done', lengthBytes: bytes.length });
    const late = await create(null);
    expect((await patch(late, 0, bytes)).status).toBe(204);
    expect((await house.json<UploadJson>(late)).state).toBe('receiving');
    expect((await patch(late, bytes.length, new Uint8Array(0), { 'upload-length': String(bytes.length) })).status).toBe(204);
    expect(await ended(late)).toMatchObject({ items: [{ status: 'duplicate' }] });
  });

  it('may be a picture with its fields, or what nobody can read', async () => {
    const png = await grayPng(77);
    const picture = await create(png.length, { filename: 'x.png', patientId: 'P-77', modality: 'DX', bodyPart: 'CHEST' });
    await patch(picture, 0, png);
    const { items } = await ended(picture);
    expect(items).toMatchObject([{ file: 'x.png', status: 'stored' }]);
    expect(await house.json(`/api/v1/studies/${items?.[0]?.studyInstanceUid ?? ''}`)).toMatchObject({ patientId: 'P-77', modalities: ['DX'] });
    const notes = await create(5, { name: 'notes.txt' });
    await patch(notes, 0, Buffer.from('hello'));
    expect(await ended(notes)).toMatchObject({ state: 'done', items: [{ file: 'notes.txt', status: 'refused', code: 'not-dicom' }] });
    expect(await ended(await create(0, {}))).toMatchObject({ state: 'done', items: [{ file: 'unnamed', status: 'refused', code: 'empty-file' }] });
  });

  it('refuses what the protocol does not allow', async () => {
    const post = (headers: Record<string, string>): Promise<Response> => house.fetch('/api/v1/uploads', { method: 'POST', headers });
    const other = await post({ 'tus-resumable': '0.2.2', 'upload-length': '1' });
    expect(other.headers.get('tus-version')).toBe('1.0.0');
    expect(await codeOf(other)).toEqual([412, 'precondition-failed']);
    for (const headers of [{}, { 'upload-length': 'x' }, { 'upload-length': '-1' }, { 'upload-length': '1', 'upload-defer-length': '1' }, { 'upload-defer-length': '2' }, { 'upload-length': '1', 'upload-metadata': 'filename ***' }] as Record<string, string>[]) {
      expect(await codeOf(await post({ ...TUS, ...headers }))).toEqual([400, 'bad-request']);
    }
    expect(await codeOf(await post({ ...TUS, 'upload-length': String(48 * 2 ** 20 + 1) }))).toEqual([413, 'payload-too-large']);
    const path = await create(10);
    expect(await codeOf(await house.fetch(path, { method: 'PATCH', headers: { ...TUS, 'content-type': 'application/json', 'upload-offset': '0' }, body: '{}' }))).toEqual([415, 'unsupported-media-type']);
    expect(await codeOf(await house.fetch(path, { method: 'PATCH', headers: STREAM, body: 'x' }))).toEqual([400, 'bad-request']);
    expect(await codeOf(await patch(path, 1, Buffer.from('x')))).toEqual([409, 'upload-offset-conflict']);
    expect(await codeOf(await patch(path, 0, Buffer.alloc(11)))).toEqual([413, 'payload-too-large']);
    expect(await codeOf(await patch(path, 0, Buffer.from('x'), { 'upload-length': '12' }))).toEqual([400, 'bad-request']);
    expect(await offsetOf(path)).toBe(0);
    for (const id of ['0198c0de-0000-7000-8000-000000000000', 'x']) {
      expect((await house.fetch(`/api/v1/uploads/${id}`, { method: 'HEAD', headers: TUS })).status).toBe(404);
      expect((await house.fetch(`/api/v1/uploads/${id}`)).status).toBe(404);
      expect((await patch(`/api/v1/uploads/${id}`, 0, Buffer.from('x'))).status).toBe(404);
    }
  });

  it('takes no byte beyond its length from a body that does not say how long it is', async () => {
    const path = await create(4);
    const stream = new ReadableStream<Uint8Array>({ start(controller) { controller.enqueue(Buffer.from('123')); controller.enqueue(Buffer.from('456')); controller.close(); } });
    const init: RequestInit & { duplex: 'half' } = { method: 'PATCH', headers: { ...STREAM, 'upload-offset': '0' }, body: stream, duplex: 'half' };
    expect(await codeOf(await house.fetch(path, init))).toEqual([413, 'payload-too-large']);
    expect(await offsetOf(path)).toBe(0);
  });

  it('drops bytes that do not match their checksum', async () => {
    const { bytes } = testInstance();
    const path = await create(bytes.length);
    const digest = (algorithm: string): string => `${algorithm} ${createHash(algorithm).update(bytes).digest('base64')}`;
    expect(await codeOf(await patch(path, 0, Buffer.concat([bytes.subarray(1), Buffer.of(0)]), { 'upload-checksum': digest('sha1') }))).toEqual([460, 'upload-checksum-mismatch']);
    expect(await codeOf(await patch(path, 0, bytes, { 'upload-checksum': 'crc32 AAAA' }))).toEqual([400, 'bad-request']);
    expect(await offsetOf(path)).toBe(0);
    expect((await patch(path, 0, bytes, { 'upload-checksum': digest('sha256') })).status).toBe(204);
    expect((await ended(path)).items?.[0]?.status).toBe('stored');
  });

  it('is given up when the client says so', async () => {
    const path = await create(100);
    await patch(path, 0, Buffer.alloc(50));
    const row = await house.owner.upload.findUniqueOrThrow({ where: { id: path.split('/').at(-1) ?? '' } });
    const [{ blobKey } = { blobKey: '' }] = row.segments as { blobKey: string }[];
    expect((await house.fetch(path, { method: 'DELETE', headers: TUS })).status).toBe(204);
    expect((await house.fetch(path, { method: 'HEAD', headers: TUS })).status).toBe(404);
    expect((await house.fetch(path, { method: 'DELETE', headers: TUS })).status).toBe(404);
    await eventually('the bytes are swept', async () => (await house.owner.blobTombstone.count({ where: { blobKey } })) === 0);
  });

  it('is created once for one Idempotency-Key', async () => {
    const post = (headers: Record<string, string>): Promise<Response> => house.fetch('/api/v1/uploads', { method: 'POST', headers: { ...TUS, 'idempotency-key': 'upload-1', 'content-length': '0', ...headers } });
    const wanted = { 'upload-length': '9', 'upload-metadata': metadata({ filename: 'a.dcm' }) };
    const [first, second] = [await post(wanted), await post(wanted)];
    expect([first.status, second.status, second.headers.get('idempotency-replayed')]).toEqual([201, 201, 'true']);
    for (const name of ['location', 'tus-resumable', 'upload-offset', 'upload-expires']) expect([name, second.headers.get(name)]).toEqual([name, first.headers.get(name) ?? 'missing']);
    const others: Record<string, string>[] = [{ ...wanted, 'upload-length': '10' }, { ...wanted, 'upload-metadata': metadata({ filename: 'b.dcm' }) }, { 'upload-defer-length': '1' }];
    for (const other of others) expect(await codeOf(await post(other))).toEqual([422, 'idempotency-key-reused']);
  });

  it('says in every answer which version it speaks, whoever asks', async () => {
    const path = await create(10);
    const { authorization: auditor } = await house.person('auditor', 'here');
    const asked = (at: string, init: RequestInit): Promise<[number, string | null]> => house.fetch(at, init).then(({ status, headers }) => [status, headers.get('tus-resumable')]);
    expect(await asked(path, { method: 'HEAD', headers: { ...TUS, authorization: 'Bearer none' } })).toEqual([401, '1.0.0']);
    expect(await asked('/api/v1/uploads', { method: 'POST', headers: { ...TUS, 'upload-length': '1', 'authorization': auditor } })).toEqual([403, '1.0.0']);
    expect(await asked(path, { method: 'PATCH', headers: { ...TUS, 'content-type': 'application/x-unknown' }, body: 'x' })).toEqual([415, '1.0.0']);
    expect(await asked('/api/v1/uploads/x', { method: 'HEAD', headers: TUS })).toEqual([404, '1.0.0']);
    expect((await house.fetch('/api/v1/studies')).headers.get('tus-resumable')).toBeNull();
  });

  it('works for clients that only know POST', async () => {
    const path = await create(3);
    const post = (headers: Record<string, string>, body?: string): Promise<Response> => house.fetch(path, { method: 'POST', headers, ...(body !== undefined && { body }) });
    expect((await post({ ...STREAM, 'x-http-method-override': 'PATCH', 'upload-offset': '0' }, 'ab')).status).toBe(204);
    expect(await codeOf(await post(STREAM, 'c'))).toEqual([405, 'method-not-allowed']);
    expect((await post({ ...TUS, 'x-http-method-override': 'DELETE' })).status).toBe(204);
    expect((await house.fetch(path)).status).toBe(404);
  });

  it('belongs to its institution', async () => {
    const path = await create(3);
    const { authorization } = await house.person('admin', 'elsewhere');
    const there = (method: string, headers: Record<string, string> = {}, body?: string): Promise<Response> => house.fetch(path, { method, headers: { ...TUS, authorization, ...headers }, ...(body !== undefined && { body }) });
    for (const method of ['HEAD', 'GET', 'DELETE']) expect((await there(method)).status).toBe(404);
    expect((await there('PATCH', { ...STREAM, 'upload-offset': '0' }, 'abc')).status).toBe(404);
    expect(await offsetOf(path)).toBe(0);
    const { authorization: auditor } = await house.person('auditor', 'here');
    expect((await house.fetch(path, { headers: { authorization: auditor } })).status).toBe(403);
  });
});

describe('a connection that breaks', () => {
  it('costs nothing of what had come, and the upload goes on in another process', async () => {
    const { bytes } = testInstance({ size: 2_000 });
    const path = await create(bytes.length);
    const sent = 1_500_000;
    await cutOff(path, 0, bytes.subarray(0, sent), bytes.length);
    const offset = await eventually('what had come', async () => { const at = await offsetOf(path); return at > 0 && at; });
    expect(offset).toBe(sent);
    const neighbour = await house.neighbour();
    expect(await offsetOf(`${neighbour}${path}`)).toBe(sent);
    const rest = await house.fetch(`${neighbour}${path}`, { method: 'PATCH', headers: { ...STREAM, 'upload-offset': String(sent) }, ...bodyOf(bytes.subarray(sent)) });
    expect(rest.status).toBe(204);
    expect((await ended(path)).items?.[0]?.status).toBe('stored');
  });

  it('costs all of a piece that has a checksum', async () => {
    const path = await create(1_000_000);
    await cutOff(path, 0, randomBytes(500_000), 1_000_000, { 'upload-checksum': `sha1 ${Buffer.alloc(20).toString('base64')}` });
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await offsetOf(path)).toBe(0);
  });

  async function cutOff(path: string, offset: number, bytes: Uint8Array, announced: number, headers: Record<string, string> = {}): Promise<void> {
    const { authorization } = await house.person('technician', 'here');
    const sentHeaders = { authorization, ...STREAM, 'upload-offset': String(offset), 'content-length': String(announced), ...headers };
    await new Promise<void>((resolve) => {
      const outgoing = request(`${house.url}${path}`, { method: 'PATCH', headers: sentHeaders });
      outgoing.on('error', () => { resolve(); });
      outgoing.write(bytes, () => { setTimeout(() => { outgoing.destroy(); resolve(); }, 300); });
    });
  }
});

describe('two clients that continue at the same offset', () => {
  it('do not mix: one is refused, and the file is whole', async () => {
    const { bytes, sopInstanceUid } = testInstance({ size: 1_500 });
    const neighbour = await house.neighbour();
    const path = await create(bytes.length);
    const middle = 1_000_000;
    const at = (base: string): Promise<Response> => house.fetch(`${base}${path}`, { method: 'PATCH', headers: { ...STREAM, 'upload-offset': '0' }, ...bodyOf(bytes.subarray(0, middle)) });
    const statuses = (await Promise.all([at(house.url), at(neighbour), at(house.url), at(neighbour)])).map(({ status }) => status);
    expect(statuses.sort()).toEqual([204, 409, 409, 409]);
    expect(await offsetOf(path)).toBe(middle);
    await patch(path, middle, bytes.subarray(middle));
    expect((await ended(path)).items).toMatchObject([{ status: 'stored', sopInstanceUid }]);
  });
});

describe('an upload that nobody goes on with', () => {
  const row = (path: string): string => path.split('/').at(-1) ?? '';
  const expire = async (path: string): Promise<void> => { await house.owner.upload.update({ where: { id: row(path) }, data: { expiresAt: new Date(Date.now() - 1_000) } }); };
  const tidy = (): Promise<void> => house.app.get(ExpireUploadsJob).handle({}, CONTEXT);

  it('expires, and its bytes with it', async () => {
    const path = await create(100);
    await patch(path, 0, Buffer.alloc(50));
    await expire(path);
    const response = await house.fetch(path);
    expect([410, 404]).toContain(response.status);
    expect([410, 404]).toContain((await patch(path, 50, Buffer.alloc(50))).status);
    await tidy();
    expect((await house.fetch(path)).status).toBe(404);
  });

  it('is stored in the end when its job was lost, and only once when two come', async () => {
    const { bytes } = testInstance();
    const path = await create(bytes.length + 1);
    await patch(path, 0, bytes);
    // As a crash between the last byte and the job leaves it.
    await house.owner.upload.update({ where: { id: row(path) }, data: { lengthBytes: bytes.length, state: 'storing' } });
    await expire(path);
    await tidy();
    expect(await ended(path)).toMatchObject({ state: 'done', items: [{ status: 'stored' }] });
    await house.app.get(StoreUploadJob).handle({ institutionId: house.institutionId, uploadId: row(path) }, CONTEXT);
    expect((await house.json<UploadJson>(path)).items).toMatchObject([{ status: 'stored' }]);
  });

  it('is not removed while it waits to be stored, and fails after a day of trying', async () => {
    const path = await create(5);
    const id = row(path);
    await house.owner.upload.update({ where: { id }, data: { state: 'storing', offsetBytes: 5, segments: [{ blobKey: `${house.institutionId}/nowhere`, sizeBytes: 5 }], outcome: { kind: 'reminders', count: 144 } } });
    expect(await codeOf(await house.fetch(path, { method: 'DELETE', headers: TUS }))).toEqual([409, 'conflict']);
    expect((await house.json<UploadJson>(path)).expiresAt).toBeNull();
    await expire(path);
    await tidy();
    expect(await ended(path)).toMatchObject({ state: 'failed', problem: { code: 'internal' } });
  });

  it('fails at once when its bytes are not what was written', async () => {
    const path = await create(5);
    const id = row(path);
    await house.owner.upload.update({ where: { id }, data: { state: 'storing', offsetBytes: 5, segments: [{ blobKey: `${house.institutionId}/nowhere`, sizeBytes: 5 }] } });
    await house.app.get(StoreUploadJob).handle({ institutionId: house.institutionId, uploadId: id }, CONTEXT);
    expect(await house.json<UploadJson>(path)).toMatchObject({ state: 'failed', problem: { code: 'blob-missing' } });
  });
});

describe('kill -9 after the last byte', () => {
  it('loses nothing: the upload is stored by whoever comes next', async () => {
    const dataDir = await preparedDirectory();
    const instances = Array.from({ length: 3 }, () => testInstance({ size: 700 }));
    const first = await startProduct({ dataDir });
    const before: Fetch = (path, init) => first.fetch(path, init);
    const paths: string[] = [];
    for (const { bytes } of instances) {
      const path = await create(bytes.length, { filename: 'a.dcm' }, before);
      const cut = Math.floor(bytes.length / 3);
      await first.fetch(path, { method: 'PATCH', headers: { ...STREAM, 'upload-offset': '0' }, ...bodyOf(bytes.subarray(0, cut)) });
      paths.push(path);
      if (paths.length === instances.length) break;
      expect((await first.fetch(path, { method: 'PATCH', headers: { ...STREAM, 'upload-offset': String(cut) }, ...bodyOf(bytes.subarray(cut)) })).status).toBe(204);
    }
    first.process.kill('SIGKILL');
    await new Promise((resolve) => first.process.once('exit', resolve));

    const second = await startProduct({ dataDir, keepData: false });
    try {
      const [last] = instances.slice(-1);
      const unfinished = paths.at(-1) ?? '';
      const bytes = last?.bytes ?? new Uint8Array(0);
      const offset = await offsetOf(unfinished, (at, init) => second.fetch(at, init));
      expect(offset).toBe(Math.floor(bytes.length / 3));
      expect((await second.fetch(unfinished, { method: 'PATCH', headers: { ...STREAM, 'upload-offset': String(offset) }, ...bodyOf(bytes.subarray(offset)) })).status).toBe(204);
      for (const path of paths) expect((await ended(path, (at) => second.json<UploadJson>(at))).items?.[0]?.status).toMatch(/^(stored|duplicate)$/);
      for (const { bytes: sent } of instances) expect((await uploadForm(second, ['again', sent])).items[0]?.status).toBe('duplicate');
    } finally {
      await second.stop();
    }
  });
});
