import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { Agent, request, type ClientRequest } from 'node:http';
import { join } from 'node:path';
import { deflateRawSync, gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ZipFile } from 'yazl';
import { newDicomUid } from '../../../src/kernel/uid.js';
import { eventually, startProduct, type Product } from '../../support/product.js';
import { DATA, sharedFile } from '../../support/shared-data.js';
import { exchanged, testInstance, upload, type StudyView } from './instances.js';

const MAX_UPLOAD_BYTES = 12 * 1024 * 1024;
const edgeCases = sharedFile(DATA, 'dicom-edge-cases');
let product: Product;

beforeAll(async () => {
  product = await startProduct({ env: { MAX_UPLOAD_BYTES: String(MAX_UPLOAD_BYTES) } });
});

afterAll(async () => {
  await product.stop();
});

async function zipOf(entries: Record<string, Uint8Array>, options: { compress?: boolean } = {}): Promise<Uint8Array> {
  const zip = new ZipFile();
  for (const [name, bytes] of Object.entries(entries)) zip.addBuffer(Buffer.from(bytes), name, { compress: options.compress ?? true, mtime: new Date(2020, 1, 1) });
  zip.end();
  const chunks: Buffer[] = [];
  for await (const chunk of zip.outputStream) chunks.push(chunk as Buffer);
  return new Uint8Array(Buffer.concat(chunks));
}

function png(size = 32, fill = 90): Promise<Uint8Array> {
  return sharp({ create: { width: size, height: size, channels: 3, background: { r: fill, g: fill, b: fill } } }).greyscale().png().toBuffer().then((bytes) => new Uint8Array(bytes));
}

function filesUnder(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => statSync(join(folder, name)).isFile());
}

function send(agent: Agent, method: string, path: string, headers: Record<string, string>): { request: ClientRequest; status: Promise<number | undefined> } {
  const outgoing = request(`${product.url}${path}`, { agent, method, headers });
  const status = new Promise<number | undefined>((resolve, reject) => {
    outgoing.on('response', (response) => { response.resume().on('end', () => { resolve(response.statusCode); }); });
    outgoing.on('error', reject);
  });
  return { request: outgoing, status };
}

function filePart(name: string, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`Content-Disposition: form-data; name="files"; filename="${name}"\r\n\r\n`), bytes]);
}

/** A form with the boundary `b`; a part is its headers and its content. */
function multipart(...parts: (Uint8Array | string)[]): Uint8Array {
  return Buffer.concat([...parts.flatMap((part) => [Buffer.from('--b\r\n'), Buffer.from(part), Buffer.from('\r\n')]), Buffer.from('--b--')]);
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) controller.close();
      else controller.enqueue(new Uint8Array(bytes.subarray(at, (at += 65_536))));
    },
  });
}

async function isKnown(studyInstanceUid: string): Promise<boolean> {
  const response = await product.fetch(`/api/v1/studies/${studyInstanceUid}`);
  await response.arrayBuffer();
  return response.status === 200;
}

describe('a DICOM file', () => {
  it('is stored, and the same bytes again change nothing', async () => {
    const one = testInstance();
    const first = await upload(product, ['one.dcm', one.bytes]);
    expect(first).toEqual({ status: 201, items: [{ file: 'one.dcm', status: 'stored', studyInstanceUid: one.studyInstanceUid, seriesInstanceUid: one.seriesInstanceUid, sopInstanceUid: one.sopInstanceUid }] });
    const again = await upload(product, ['again.dcm', one.bytes]);
    expect(again.status).toBe(201);
    expect(again.items[0]).toMatchObject({ file: 'again.dcm', status: 'duplicate', sopInstanceUid: one.sopInstanceUid });
    const study = await product.json<StudyView>(`/api/v1/studies/${one.studyInstanceUid}`);
    expect(study).toMatchObject({ instanceCount: 1, seriesCount: 1, modalities: ['OT'] });
  });

  it('is refused when other bytes are stored under its SOP Instance UID', async () => {
    const one = testInstance({ fill: 1 });
    await upload(product, ['one.dcm', one.bytes]);
    const other = await upload(product, ['other.dcm', testInstance({ ...one, fill: 2 }).bytes]);
    expect(other.status).toBe(422);
    expect(other.items[0]).toMatchObject({ status: 'refused', code: 'instance-conflict', sopInstanceUid: one.sopInstanceUid });
    const elsewhere = await upload(product, ['elsewhere.dcm', testInstance({ sopInstanceUid: one.sopInstanceUid }).bytes]);
    expect(elsewhere.items[0]).toMatchObject({ status: 'refused', code: 'wrong-study' });
    expect(await isKnown(elsewhere.items[0]?.studyInstanceUid ?? '')).toBe(false);
  });

  it('is refused with its reason when it is empty, no DICOM, cut off, or in a foreign transfer syntax', async () => {
    const one = testInstance();
    const { status, items } = await upload(product,
      ['good.dcm', one.bytes], ['empty.dcm', new Uint8Array(0)], ['text.txt', Buffer.from('hello, this is no image')],
      ['cut.dcm', testInstance().bytes.subarray(0, -40)], ['mpeg.dcm', exchanged(testInstance().bytes, '1.2.840.10008.1.2.1\0', '1.2.840.10008.1.2.9\0')]);
    expect(status).toBe(207);
    expect(items.map(({ file, status: fate, code }) => [file, fate, code])).toEqual([
      ['good.dcm', 'stored', undefined], ['empty.dcm', 'refused', 'empty-file'], ['text.txt', 'refused', 'not-dicom'],
      ['cut.dcm', 'refused', 'truncated-file'], ['mpeg.dcm', 'refused', 'unsupported-transfer-syntax'],
    ]);
  });

  it('is stored once when eight clients send it at the same time', async () => {
    const one = testInstance();
    const answers = await Promise.all(Array.from({ length: 8 }, (_, n) => upload(product, [`${String(n)}.dcm`, one.bytes])));
    const fates = answers.map(({ items }) => items[0]?.status).sort();
    expect(fates).toEqual([...Array<string>(7).fill('duplicate'), 'stored']);
    expect(await product.json<StudyView>(`/api/v1/studies/${one.studyInstanceUid}`)).toMatchObject({ instanceCount: 1 });
  });

  it('keeps the counters right when eight instances of one new study arrive at the same time', async () => {
    const [studyInstanceUid, seriesInstanceUid] = [newDicomUid(), newDicomUid()];
    const answers = await Promise.all(Array.from({ length: 8 }, (_, n) => upload(product, [`${String(n)}.dcm`, testInstance({ studyInstanceUid, seriesInstanceUid, instanceNumber: n }).bytes])));
    expect(answers.map(({ status }) => status)).toEqual(Array<number>(8).fill(201));
    expect(await product.json<StudyView>(`/api/v1/studies/${studyInstanceUid}`)).toMatchObject({ instanceCount: 8, seriesCount: 1 });
  });

  it.skipIf(edgeCases === undefined)('of every odd kind is stored or refused with a code, and the process lives', async () => {
    const folder = edgeCases ?? '';
    const files = readdirSync(folder);
    const { status, items } = await upload(product, ...files.map((name) => [name, new Uint8Array(readFileSync(join(folder, name)))] as const));
    expect(status).toBe(207);
    expect(items.map(({ file }) => file)).toEqual(files);
    for (const item of items) expect(item.status !== 'refused' || typeof item.code === 'string', JSON.stringify(item)).toBe(true);
    expect(items.filter((item) => item.status === 'stored').length).toBeGreaterThan(30);
    expect((await fetch(`${product.url}/health`)).status).toBe(200);
  });
});

describe('an archive', () => {
  it('counts as its entries, each with its own fate', async () => {
    const [one, two] = [testInstance(), testInstance()];
    const archive = exchanged(await zipOf({
      'a/one.dcm': one.bytes, 'a/two.dcm': two.bytes, 'a/one-again.dcm': one.bytes, 'notes.txt': Buffer.from('notes'), 'inner.zip': await zipOf({ 'x.dcm': one.bytes }),
      'picture.png': await png(), '__MACOSX/a/._one.dcm': Buffer.from('x'), 'DICOMDIR': Buffer.from('x'), '.hidden': Buffer.from('x'), 'a/two.dcm.gz': gzipSync(two.bytes), 'XX/XX/climbs.dcm': one.bytes,
    }), 'XX/XX/climbs', '../../climbs');
    const { status, items } = await upload(product, ['study.zip', archive]);
    expect(status).toBe(207);
    expect(items.map(({ file, status: fate, code }) => [file, code ?? fate])).toEqual([
      ['study.zip/a/one.dcm', 'stored'], ['study.zip/a/two.dcm', 'stored'], ['study.zip/a/one-again.dcm', 'duplicate'], ['study.zip/notes.txt', 'not-dicom'],
      ['study.zip/inner.zip', 'invalid-archive'], ['study.zip/picture.png', 'not-dicom'], ['study.zip/a/two.dcm.gz', 'duplicate'], ['study.zip/../../climbs.dcm', 'unsafe-archive-path'],
    ]);
    expect(filesUnder(join(product.dataDir, 'blobs', 'drafts'))).toEqual([]);
  });

  it.each([true, false])('that was cut off gives what stands before the break (compressed: %s)', async (compress) => {
    const large = (): Uint8Array => testInstance({ size: 200 }).bytes;
    const archive = await zipOf({ '1.dcm': large(), '2.dcm': large(), '3.dcm': large() }, { compress });
    const thirdName = Buffer.from(archive).indexOf('3.dcm');
    const { status, items } = await upload(product, ['cut.zip', archive.subarray(0, thirdName + 200)]);
    expect(status).toBe(207);
    expect(items.map(({ file, status: fate, code }) => [file, code ?? fate])).toEqual([
      ['cut.zip/1.dcm', 'stored'], ['cut.zip/2.dcm', 'stored'], ['cut.zip/3.dcm', 'truncated-file'], ['cut.zip', 'invalid-archive'],
    ]);
  });

  it('with one damaged entry gives the others', async () => {
    const [one, two] = [testInstance({ size: 64 }), testInstance({ size: 64, fill: 201 })];
    const archive = await zipOf({ '1.dcm': one.bytes, '2.dcm': two.bytes }, { compress: false });
    const at = Buffer.from(archive).indexOf(Buffer.alloc(16, 201));
    archive[at] = 0;
    const { items } = await upload(product, ['damaged.zip', archive]);
    expect(items.map(({ status, code }) => code ?? status)).toEqual(['stored', 'invalid-archive']);
    expect(await isKnown(two.studyInstanceUid)).toBe(false);
  });

  it('that is empty, no archive at all, or a bomb is refused', async () => {
    const bomb = await zipOf({ 'bomb.dcm': new Uint8Array(64 * 1024 * 1024) });
    const { status, items } = await upload(product, ['empty.zip', await zipOf({})], ['folders.zip', await zipOf({ '.DS_Store': Buffer.from('x') })], ['fake.zip', Buffer.from('PK\u0003\u0004 but nothing else')], ['bomb.zip', bomb]);
    expect(status).toBe(422);
    expect(items.map(({ file, code }) => [file, code])).toEqual([
      ['empty.zip', 'invalid-archive'], ['folders.zip', 'invalid-archive'], ['fake.zip', 'invalid-archive'], ['bomb.zip/bomb.dcm', 'archive-bomb'],
    ]);
  });

  it('whose entry lies about its size is refused as a bomb or as damaged, without inflating it', async () => {
    const archive = Buffer.from(await zipOf({ 'lies.dcm': new Uint8Array(32 * 1024 * 1024) }));
    const central = archive.lastIndexOf(Buffer.from('PK\u0001\u0002'));
    archive.writeUInt32LE(1000, central + 24);
    const { items } = await upload(product, ['lies.zip', new Uint8Array(archive)]);
    expect(items[0]).toMatchObject({ status: 'refused', code: 'invalid-archive' });
  });
});

describe('a gzip file', () => {
  it('is inflated once and looked at again', async () => {
    const one = testInstance();
    const bomb = gzipSync(new Uint8Array(64 * 1024 * 1024));
    const { status, items } = await upload(product,
      ['one.dcm.gz', gzipSync(one.bytes)], ['twice.gz', gzipSync(gzipSync(one.bytes))], ['cut.gz', gzipSync(testInstance({ size: 300 }).bytes).subarray(0, -12)],
      ['fake.gz', Uint8Array.from([0x1f, 0x8b, 1, 2, 3])], ['text.tar.gz', gzipSync('ustar')], ['bomb.gz', bomb], ['study.zip.gz', gzipSync(await zipOf({ 'one.dcm': one.bytes }))]);
    expect(status).toBe(207);
    expect(items.map(({ file, status: fate, code }) => [file, code ?? fate])).toEqual([
      ['one.dcm.gz', 'stored'], ['twice.gz', 'not-dicom'], ['cut.gz', 'truncated-file'], ['fake.gz', 'invalid-archive'], ['text.tar.gz', 'not-dicom'], ['bomb.gz', 'not-dicom'], ['study.zip.gz/one.dcm', 'duplicate'],
    ]);
  });

  it('has the budget of the whole request, however it is nested and whatever its ratio', async () => {
    // 9 MiB each lie below what the ratio looks at; 30 of them exceed twenty times MAX_UPLOAD_BYTES.
    const files = Array.from({ length: 30 }, (_, n) => [`${String(n)}.gz`, gzipSync(Buffer.concat([testInstance().bytes, Buffer.alloc(9 * 1024 * 1024)]))] as const);
    const archive = await zipOf(Object.fromEntries(files.slice(15)), { compress: false });
    const { items } = await upload(product, ...files.slice(0, 15), ['nested.zip', archive]);
    const bombs = items.filter(({ code }) => code === 'archive-bomb').map(({ file }) => file);
    expect(bombs).toEqual(['nested.zip/26.gz', 'nested.zip']);
  });

  it('that inflates without end is stopped', async () => {
    const endless = Buffer.concat([testInstance().bytes.subarray(0, 132), Buffer.from([2, 0, 0x10, 0, 0x55, 0x49, 20, 0]), Buffer.from('1.2.840.10008.1.2.1\0'), Buffer.alloc(64 * 1024 * 1024)]);
    expect((await upload(product, ['endless.gz', gzipSync(endless)])).items[0]).toMatchObject({ code: 'archive-bomb' });
  });
});

describe('a picture', () => {
  const fields = [['patientId', 'X-RAY-1'], ['patientAge', '50'], ['patientSex', 'f'], ['modality', 'CR'], ['bodyPart', 'CHEST'], ['viewPosition', 'PA']] as const;

  it('becomes an instance with the fields that stand behind it, and is a duplicate when sent again', async () => {
    const picture = await png(48);
    const first = await upload(product, ['chest.png', picture], ...fields);
    expect(first.status).toBe(201);
    const again = await upload(product, ...fields, ['other-name.png', picture]);
    expect(again.items[0]).toMatchObject({ status: 'duplicate', sopInstanceUid: first.items[0]?.sopInstanceUid });
    const study = await product.json<Record<string, unknown>>(`/api/v1/studies/${first.items[0]?.studyInstanceUid ?? ''}`);
    expect(study).toMatchObject({ patientId: 'X-RAY-1', patientSex: 'F', modalities: ['CR'], series: [{ bodyPart: 'CHEST', viewPosition: 'PA', modality: 'CR' }] });
    const otherPatient = await upload(product, ['chest.png', picture], ['patientId', 'X-RAY-2']);
    expect(otherPatient.items[0]?.status).toBe('stored');
    expect(otherPatient.items[0]?.studyInstanceUid).not.toBe(first.items[0]?.studyInstanceUid);
  });

  it('without fields is a DX of the chest, as JPEG too, and stands beside DICOM in one form', async () => {
    const jpeg = await sharp(await png(40, 120)).jpeg().toBuffer();
    const { status, items } = await upload(product, ['x.jpg', new Uint8Array(jpeg)], ['one.dcm', testInstance().bytes], ['patientAge', '']);
    expect(status).toBe(201);
    expect(items.map(({ file }) => file)).toEqual(['x.jpg', 'one.dcm']);
    expect(await product.json(`/api/v1/studies/${items[0]?.studyInstanceUid ?? ''}`)).toMatchObject({ modalities: ['DX'], series: [{ bodyPart: 'CHEST' }] });
  });

  it('is refused when a field says two things, or its modality is none of a picture', async () => {
    const picture = await png(24);
    const contradicted = await upload(product, ['patientAge', '4'], ['x.png', picture], ['patientAge', '40'], ['one.dcm', testInstance().bytes]);
    expect(contradicted.items.map(({ code, status }) => code ?? status)).toEqual(['invalid-image-fields', 'stored']);
    expect((await upload(product, ['modality', 'CT'], ['x.png', picture])).items[0]).toMatchObject({ code: 'invalid-image-fields' });
    expect((await upload(product, ['modality', 'dx'], ['x.png', picture])).items[0]).toMatchObject({ status: 'stored' });
  });

  it('with wrong fields is refused, the DICOM beside it is not', async () => {
    const { status, items } = await upload(product, ['patientAge', '151'], ['x.png', await png()], ['one.dcm', testInstance().bytes]);
    expect(status).toBe(207);
    expect(items.map(({ code, status: fate }) => code ?? fate)).toEqual(['invalid-image-fields', 'stored']);
    expect(items[0]?.detail).toContain('patientAge');
  });

  it('that cannot be decoded is refused', async () => {
    const good = await png(64, 33);
    const noPixels = Buffer.from(good);
    noPixels.writeUInt32BE(0, 16);
    const { status, items } = await upload(product, ['cut.png', good.subarray(0, 60)], ['zero.png', new Uint8Array(noPixels)], ['magic.jpg', Uint8Array.from([0xff, 0xd8, 0xff, 0xe0, 1, 2])]);
    expect(status).toBe(422);
    expect(items.map(({ code }) => code)).toEqual(['invalid-image', 'invalid-image', 'invalid-image']);
    expect(filesUnder(join(product.dataDir, 'blobs', 'drafts'))).toEqual([]);
  });
});

describe('a request', () => {
  const post = async (body: NonNullable<RequestInit['body']>, type?: string): Promise<[number, string]> => {
    const response = await product.fetch('/api/v1/images', { method: 'POST', body, ...(type !== undefined && { headers: { 'content-type': type } }) });
    return [response.status, ((await response.json()) as { code: string }).code];
  };

  /** Sent in chunks, so that no length is announced. */
  const problemOf = async (body: Uint8Array): Promise<{ status: number; code: string; detail?: string }> => {
    const response = await product.fetch('/api/v1/images', { method: 'POST', headers: { 'content-type': 'multipart/form-data; boundary=b' }, body: streamOf(body), duplex: 'half' });
    return { ...((await response.json()) as { code: string; detail?: string }), status: response.status };
  };

  it('without a file, of another type, malformed, or with an unknown field is a problem', async () => {
    const empty = new FormData();
    empty.append('patientId', 'x');
    expect(await post(empty)).toEqual([400, 'bad-request']);
    expect(await post('{}', 'application/json')).toEqual([415, 'unsupported-media-type']);
    expect(await post('x', 'text/plain')).toEqual([415, 'unsupported-media-type']);
    expect(await post('x', 'multipart/form-data')).toEqual([400, 'malformed-multipart']);
    expect(await post('--b\r\nContent-Disposition: form-data; name="files"; filename="a.dcm"\r\n\r\nnever ends', 'multipart/form-data; boundary=b')).toEqual([400, 'malformed-multipart']);
    const unknown = new FormData();
    unknown.append('patientNmae', 'x');
    expect(await post(unknown)).toEqual([400, 'invalid-body']);
    const elsewhere = new FormData();
    elsewhere.append('file', new Blob(['x']), 'a.dcm');
    expect(await post(elsewhere)).toEqual([400, 'invalid-body']);
  });

  it('beyond MAX_UPLOAD_BYTES is a problem; what was stored before the limit stays', async () => {
    const one = testInstance();
    const form = new FormData();
    form.append('files', new Blob([new Uint8Array(one.bytes)]), 'one.dcm');
    form.append('files', new Blob([new Uint8Array(MAX_UPLOAD_BYTES)]), 'large.dcm');
    // Announced, it is refused at once; in chunks, when the limit is reached.
    expect(await post(form)).toEqual([413, 'payload-too-large']);
    expect(await isKnown(one.studyInstanceUid)).toBe(false);
    const encoded = new Response(form);
    const type = encoded.headers.get('content-type') ?? '';
    const response = await product.fetch('/api/v1/images', { method: 'POST', body: encoded.body, headers: { 'content-type': type }, duplex: 'half' });
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([413, 'payload-too-large']);
    expect(await isKnown(one.studyInstanceUid)).toBe(true);
  });

  it('that fails after files were stored says how many', async () => {
    const { status, detail } = await problemOf(multipart(filePart('a.dcm', testInstance().bytes), filePart('b.dcm', testInstance().bytes), 'Content-Disposition: form-data; name="patientNmae"\r\n\r\nx'));
    expect([status, detail]).toEqual([400, '2 files of this request were stored before the error.']);
  });

  it('with a part that has no name is malformed', async () => {
    for (const header of ['form-data', 'form-data; name', 'form-data; filename="a.dcm"']) {
      expect(await problemOf(multipart(`Content-Disposition: ${header}\r\n\r\nx`)), header).toMatchObject({ status: 400, code: 'malformed-multipart' });
    }
  });

  it('counts against MAX_UPLOAD_BYTES with all it brings: preamble, headers, fields and epilogue', async () => {
    const padding = Buffer.alloc(MAX_UPLOAD_BYTES, 'x');
    const field = Buffer.concat([Buffer.from('Content-Disposition: form-data; name="patientId"\r\n\r\n'), padding]);
    const one = testInstance();
    const whole = multipart(filePart('a.dcm', one.bytes));
    for (const [what, body] of [['preamble', Buffer.concat([padding, Buffer.from('\r\n'), whole])], ['field', multipart(field)], ['epilogue', Buffer.concat([whole, Buffer.from('\r\n'), padding])]] as const) {
      expect(await problemOf(body), what).toMatchObject({ status: 413, code: 'payload-too-large' });
    }
    // The file in front of the epilogue was stored.
    expect(await isKnown(one.studyInstanceUid)).toBe(true);
    const small = await product.fetch('/api/v1/images', { method: 'POST', headers: { 'content-type': 'multipart/form-data; boundary=b' }, body: streamOf(Buffer.concat([Buffer.from('preamble\r\n'), whole, Buffer.from('\r\nepilogue')])), duplex: 'half' });
    expect(small.status).toBe(201);
    await small.arrayBuffer();
  });

  it('that was answered before its end leaves the connection usable', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const head = 'Content-Disposition: form-data; name="files"; filename="a.dcm"\r\nContent-Type: application/dicom\r\n\r\n';
    const chunk = Buffer.concat([testInstance().bytes, Buffer.alloc(MAX_UPLOAD_BYTES / 3)]);
    for (const [path, type] of [['/api/v1/images', 'multipart/form-data'], ['/dicom-web/studies', 'multipart/related']] as const) {
      const early = send(agent, 'POST', path, { 'authorization': `Bearer ${await product.token()}`, 'content-type': `${type}; boundary=b` });
      early.request.write(`--b\r\n${head}`);
      for (let n = 0; n < 6; n++) early.request.write(chunk);
      early.request.end('\r\n--b--\r\n');
      expect(await early.status, path).toBe(413);
      const next = send(agent, 'GET', '/health', {});
      next.request.end();
      expect(await Promise.race([next.status, new Promise((resolve) => setTimeout(resolve, 10_000, 'no answer'))]), path).toBe(200);
    }
    agent.destroy();
  });

  it('without a token or permission is refused before its body is read', async () => {
    const response = await fetch(`${product.url}/api/v1/images`, { method: 'POST', body: new FormData() });
    expect(response.status).toBe(401);
  });

  it('whose client hangs up leaves nothing behind', async () => {
    const [whole, half] = [testInstance(), testInstance({ size: 2048 })];
    const header = (name: string): Buffer => Buffer.from(`--b\r\nContent-Disposition: form-data; name="files"; filename="${name}"\r\n\r\n`);
    const outgoing = request(`${product.url}/api/v1/images`, { method: 'POST', headers: { authorization: `Bearer ${await product.token()}`, 'content-type': 'multipart/form-data; boundary=b' } });
    outgoing.on('error', () => undefined);
    outgoing.write(Buffer.concat([header('whole.dcm'), whole.bytes, Buffer.from('\r\n'), header('half.dcm'), half.bytes.subarray(0, 2_000_000)]));
    await eventually('both instances are arriving', () => Promise.resolve(filesUnder(join(product.dataDir, 'blobs', 'drafts')).length > 0));
    outgoing.destroy();
    await eventually('the first instance is stored', () => isKnown(whole.studyInstanceUid));
    await eventually('the draft is gone', () => Promise.resolve(filesUnder(join(product.dataDir, 'blobs', 'drafts')).length === 0));
    expect(await isKnown(half.studyInstanceUid)).toBe(false);

    const archive = request(`${product.url}/api/v1/images`, { method: 'POST', headers: { authorization: `Bearer ${await product.token()}`, 'content-type': 'multipart/form-data; boundary=b' } });
    archive.on('error', () => undefined);
    archive.write(Buffer.concat([header('a.zip'), Buffer.from('PK\u0003\u0004'), deflateRawSync(Buffer.alloc(1000)), Buffer.alloc(3_000_000, 5)]));
    const drafts = join(product.dataDir, 'blobs', 'drafts');
    await eventually('the archive is being spooled', () => Promise.resolve(filesUnder(drafts).length === 1));
    const spooled = filesUnder(drafts)[0] ?? '';
    expect(statSync(join(drafts, spooled)).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(drafts, spooled)).includes(Buffer.alloc(64, 5))).toBe(false);
    archive.destroy();
    await eventually('the archive is gone', () => Promise.resolve(filesUnder(drafts).length === 0));
  });

  it('leaves no name, UID or patient in the log', async () => {
    await upload(product, ['Jane-Roe-chest.dcm', testInstance({ patientName: 'Roe^Jane' }).bytes], ['Jane-Roe.txt', Buffer.from('x')]);
    expect(product.output()).not.toMatch(/Roe|Jane|2\.25\./);
  });
});
