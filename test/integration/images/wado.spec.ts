import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { deflateRawSync, gunzipSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DicomJson } from '../../../src/imaging/dicom/dicom-json.js';
import { parseInstanceBytes } from '../../../src/imaging/dicom/header.js';
import { decodeFrame, frameCount, frameLocation } from '../../../src/imaging/dicom/pixels.js';
import { DEFLATED_EXPLICIT_LITTLE, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, RLE_LOSSLESS } from '../../../src/imaging/dicom/transfer-syntax.js';
import { newDicomUid } from '../../../src/kernel/uid.js';
import { nativeCodec, nativeEncoder } from '../../../src/platform/threads/codecs.js';
import { dicomFile, encapsulated, imagePixel, withElements, type Element } from '../../support/dicom-builder.js';
import { eventually, startProduct, type Product } from '../../support/product.js';
import { DATA, sharedFile } from '../../support/shared-data.js';
import { AS_STORED, DICOM, OCTETS, partsOf, retrieve, store } from './wado-parts.js';

const JPEG_LS = '1.2.840.10008.1.2.4.80';
const JPEG = '1.2.840.10008.1.2.4.50';
const ROWS = 24;
const COLUMNS = 40;
const SAMPLES = Array.from({ length: ROWS * COLUMNS }, (_, i) => (i * 37) % 4096);
const PIXELS = Buffer.from(Uint16Array.from(SAMPLES).buffer);

let product: Product;

beforeAll(async () => { product = await startProduct({ env: { SETTLE_SECONDS: '600' } }); });
afterAll(async () => { await product.stop(); });

interface Made {
  bytes: Uint8Array;
  study: string;
  series: string;
  sop: string;
  /** `<study>/series/<series>/instances/<sop>` */
  path: string;
}

function uids({ study = newDicomUid(), series = newDicomUid(), sop = newDicomUid() } = {}): Omit<Made, 'bytes'> & { elements: Element[] } {
  return { study, series, sop, path: `${study}/series/${series}/instances/${sop}`, elements: [[0x00080018, 'UI', sop], [0x0020000d, 'UI', study], [0x0020000e, 'UI', series]] };
}

const deflated = (dataSet: Uint8Array): Uint8Array => new Uint8Array(deflateRawSync(dataSet));

/** A grey image of 12 bits. */
function image({ transferSyntax = EXPLICIT_LITTLE, elements = [], ...fixed }: { transferSyntax?: string; elements?: readonly Element[]; study?: string; series?: string } = {}): Made {
  const { elements: identity, ...made } = uids(fixed);
  const isDeflated = transferSyntax === DEFLATED_EXPLICIT_LITTLE;
  const all = withElements([...imagePixel(ROWS, COLUMNS, 16, 12), [0x00100010, 'PN', 'Doe^Jane'], [0x7fe00010, 'OW', SAMPLES]], ...identity, ...elements);
  return { ...made, bytes: dicomFile(all, { transferSyntax, ...(isDeflated && { transform: deflated }) }) };
}

/** Several frames of 8 bits, each of one grey, RLE or native. */
async function frames(count: number, transferSyntax: string, identity: { study?: string; series?: string } = {}): Promise<Made> {
  const { elements, ...made } = uids(identity);
  const format = { rows: 8, columns: 8, samplesPerPixel: 1, photometric: 'MONOCHROME2', bitsAllocated: 8, bitsStored: 8, highBit: 7, signed: false };
  const greys = Array.from({ length: count }, (_, i) => new Uint8Array(64).fill(10 * (i + 1)));
  const encoded: Uint8Array[] = [];
  for (const grey of greys) encoded.push(transferSyntax === EXPLICIT_LITTLE ? grey : await nativeEncoder.encode(grey, transferSyntax, format));
  const pixelData: Element = transferSyntax === EXPLICIT_LITTLE ? [0x7fe00010, 'OB', Buffer.concat(greys)] : [0x7fe00010, 'OB', encapsulated(encoded.map(even)), { undefinedLength: true }];
  return { ...made, bytes: dicomFile([...imagePixel(8, 8), [0x00280008, 'IS', String(count)], pixelData, ...elements], { transferSyntax }) };
}

function even(bytes: Uint8Array): Uint8Array {
  return bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.of(0)]);
}

async function pixelsOf(bytes: Uint8Array): Promise<Buffer[]> {
  const parsed = parseInstanceBytes(bytes);
  return Promise.all(Array.from({ length: frameCount(parsed) }, async (_, index) => {
    const { pixels } = await decodeFrame(parsed, Buffer.concat(frameLocation(parsed, index).map(({ offset, length }) => bytes.subarray(offset, offset + length))), nativeCodec, index);
    return Buffer.from(pixels.buffer, pixels.byteOffset, pixels.byteLength);
  }));
}

/** In an order of their own, since instances that come at once have none. */
const sorted = (all: readonly Uint8Array[]): Buffer[] => all.map((one) => Buffer.from(one)).sort((a, b) => Buffer.compare(a, b));

const syntaxOf = (bytes: Uint8Array): string => parseInstanceBytes(bytes).meta.transferSyntaxUid;

describe('WADO-RS instances', () => {
  it('come back with the very bytes that were sent, a study, a series and one alone', async () => {
    const [one, two] = [image(), image()];
    const three = image({ study: one.study, series: one.series });
    const four = image({ study: one.study });
    await store(product, one.bytes, two.bytes, three.bytes, four.bytes);
    for (const accept of [AS_STORED, DICOM, undefined]) {
      const study = await retrieve(product, one.study, accept);
      expect(study.status).toBe(200);
      expect(sorted(study.parts.map(({ bytes }) => bytes))).toEqual(sorted([one, three, four].map(({ bytes }) => bytes)));
      expect(study.parts[0]?.headers).toEqual({ 'content-type': `application/dicom; transfer-syntax=${EXPLICIT_LITTLE}` });
      expect(Number(study.headers.get('content-length'))).toBe(study.bytes.length);
      expect(sorted((await retrieve(product, `${one.study}/series/${one.series}`, accept)).parts.map(({ bytes }) => bytes))).toEqual(sorted([one.bytes, three.bytes]));
      expect((await retrieve(product, one.path, accept)).parts.map(({ bytes }) => bytes)).toEqual([Buffer.from(one.bytes)]);
    }
    const alone = await retrieve(product, one.path, 'application/dicom');
    expect(alone.headers.get('content-type')).toBe(`application/dicom; transfer-syntax=${EXPLICIT_LITTLE}`);
    expect(alone.bytes.equals(one.bytes)).toBe(true);
  });

  it('come in explicit little endian unless the client takes another syntax', async () => {
    for (const transferSyntax of [IMPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED_EXPLICIT_LITTLE]) {
      const made = image({ transferSyntax });
      await store(product, made.bytes);
      const [part] = (await retrieve(product, made.study)).parts;
      expect(part?.headers['content-type']).toBe(`application/dicom; transfer-syntax=${EXPLICIT_LITTLE}`);
      const bytes = part?.bytes ?? Buffer.alloc(0);
      expect(syntaxOf(bytes)).toBe(EXPLICIT_LITTLE);
      expect(parseInstanceBytes(bytes).attributes).toEqual(parseInstanceBytes(made.bytes).attributes);
      expect((await pixelsOf(bytes))[0]?.equals(PIXELS)).toBe(true);
      const [untouched] = (await retrieve(product, made.study, AS_STORED)).parts;
      expect(untouched?.headers['content-type']).toBe(`application/dicom; transfer-syntax=${transferSyntax}`);
      expect(untouched?.bytes.equals(made.bytes)).toBe(true);
    }
  });

  it('are decompressed, frame by frame', async () => {
    for (const transferSyntax of [RLE_LOSSLESS, JPEG_LS]) {
      const made = await frames(5, transferSyntax);
      await store(product, made.bytes);
      const [part] = (await retrieve(product, made.path)).parts;
      expect(syntaxOf(part?.bytes ?? Buffer.alloc(0))).toBe(EXPLICIT_LITTLE);
      expect(await pixelsOf(part?.bytes ?? Buffer.alloc(0))).toEqual(await pixelsOf(made.bytes));
      const alone = await retrieve(product, made.path, 'application/dicom');
      expect(Number(alone.headers.get('content-length'))).toBe(alone.bytes.length);
      expect(alone.headers.get('etag')).toMatch(/^W\//);
    }
  });

  it('are compressed without loss where that is asked for, and never with loss', async () => {
    const [made, report] = [image(), uids()];
    const sr = dicomFile([...report.elements.filter(([tag]) => tag !== 0x0020000d), [0x0020000d, 'UI', made.study], [0x00080060, 'CS', 'SR']]);
    await store(product, made.bytes);
    for (const syntax of [RLE_LOSSLESS, JPEG_LS, '1.2.840.10008.1.2.4.70', '1.2.840.10008.1.2.4.90']) {
      const { status, parts } = await retrieve(product, made.study, `${DICOM}; transfer-syntax=${syntax}`);
      expect(status).toBe(200);
      expect(syntaxOf(parts[0]?.bytes ?? Buffer.alloc(0))).toBe(syntax);
      expect((await pixelsOf(parts[0]?.bytes ?? Buffer.alloc(0)))[0]?.equals(PIXELS)).toBe(true);
    }
    expect(await retrieve(product, made.study, `${DICOM}; transfer-syntax=${JPEG}`)).toMatchObject({ status: 406, code: 'not-acceptable' });
    await store(product, sr);
    const partial = await retrieve(product, made.study, `${DICOM}; transfer-syntax=${RLE_LOSSLESS}`);
    expect([partial.status, partial.parts.length]).toEqual([206, 1]);
    expect((await retrieve(product, made.study, `${DICOM}; transfer-syntax=${RLE_LOSSLESS}, ${DICOM};q=0.5`)).parts).toHaveLength(2);
  });

  it('that came without a preamble get one', async () => {
    const { elements, path } = uids();
    const bare = dicomFile([...elements, ...imagePixel(ROWS, COLUMNS, 16, 12), [0x7fe00010, 'OW', SAMPLES]], { bare: true });
    await store(product, bare);
    for (const accept of ['application/dicom', 'application/dicom; transfer-syntax=*']) {
      const { bytes } = await retrieve(product, path, accept);
      expect(bytes.toString('latin1', 128, 132)).toBe('DICM');
      expect(bytes.subarray(-bare.length).equals(bare)).toBe(true);
      expect(syntaxOf(bytes)).toBe(EXPLICIT_LITTLE);
    }
  });

  it('that came without a preamble get one among the others of a study', async () => {
    const whole = image();
    const { elements } = uids({ study: whole.study });
    const bare = dicomFile([...elements, ...imagePixel(ROWS, COLUMNS, 16, 12), [0x7fe00010, 'OW', SAMPLES]], { bare: true });
    await store(product, whole.bytes);
    await store(product, bare);
    const { status, headers, bytes, parts } = await retrieve(product, whole.study, AS_STORED);
    expect([status, headers.get('content-length'), parts.length]).toEqual([200, null, 2]);
    expect(bytes.length).toBeGreaterThan(whole.bytes.length + bare.length);
    for (const part of parts) expect(part.bytes.toString('latin1', 128, 132)).toBe('DICM');
    expect(parts[0]?.bytes.equals(whole.bytes)).toBe(true);
    expect(parts[1]?.bytes.subarray(-bare.length).equals(bare)).toBe(true);
  });

  it('alone have an ETag and come in ranges', async () => {
    const made = image();
    await store(product, made.bytes);
    const whole = await retrieve(product, made.path, 'application/dicom');
    const etag = whole.headers.get('etag') ?? '';
    expect(etag).toMatch(/^"[0-9a-f]{64}"$/);
    expect(whole.headers.get('accept-ranges')).toBe('bytes');
    const again = await retrieve(product, made.path, 'application/dicom', { 'if-none-match': etag });
    expect([again.status, again.bytes.length, again.headers.get('etag')]).toEqual([304, 0, etag]);
    const part = await retrieve(product, made.path, 'application/dicom', { range: 'bytes=128-131' });
    expect([part.status, part.bytes.toString(), part.headers.get('content-range')]).toEqual([206, 'DICM', `bytes 128-131/${String(made.bytes.length)}`]);
    expect((await retrieve(product, made.path, 'application/dicom', { range: 'bytes=-10' })).bytes.equals(made.bytes.subarray(-10))).toBe(true);
    expect(await retrieve(product, made.path, 'application/dicom', { range: `bytes=${String(made.bytes.length)}-` })).toMatchObject({ status: 416, code: 'range-not-satisfiable' });
    expect((await retrieve(product, made.path, 'application/dicom', { range: 'bytes=-0' })).headers.get('content-range')).toBe(`bytes */${String(made.bytes.length)}`);
    expect((await retrieve(product, made.path, 'application/dicom', { 'range': 'bytes=0-1', 'if-range': '"other"' })).status).toBe(200);
    const head = await product.fetch(`/dicom-web/studies/${made.path}`, { method: 'HEAD', headers: { accept: 'application/dicom' } });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(made.bytes.length)]);
  });

  it('that are not there, or not in this form, are refused', async () => {
    const made = image();
    await store(product, made.bytes);
    const [other, elsewhere] = [newDicomUid(), image()];
    await store(product, elsewhere.bytes);
    expect(await retrieve(product, other)).toMatchObject({ status: 404, code: 'study-not-found' });
    expect(await retrieve(product, `${made.study}/series/${other}`)).toMatchObject({ status: 404, code: 'series-not-found' });
    expect(await retrieve(product, `${made.study}/series/${elsewhere.series}/instances/${elsewhere.sop}`)).toMatchObject({ status: 404, code: 'series-not-found' });
    expect(await retrieve(product, `${made.study}/series/${made.series}/instances/${elsewhere.sop}`)).toMatchObject({ status: 404, code: 'instance-not-found' });
    expect((await retrieve(product, 'nonsense')).status).toBe(404);
    for (const accept of ['application/dicom', 'text/html', 'multipart/related; type="application/dicom+xml"']) expect(await retrieve(product, made.study, accept)).toMatchObject({ status: 406, code: 'not-acceptable' });
    // The query parameter goes first.
    expect((await retrieve(product, `${made.path}?accept=${encodeURIComponent('application/dicom')}`, 'text/html')).headers.get('content-type')).toMatch(/^application\/dicom;/);
  });
});

describe('WADO-RS metadata', () => {
  const PRIVATE_BULK = Buffer.from(Array.from({ length: 3000 }, (_, i) => i % 251));

  it('are the attributes of every instance, large values by reference', async () => {
    const one = image({ elements: [[0x00090010, 'LO', 'BULKY'], [0x00091011, 'OB', PRIVATE_BULK], [0x00081030, 'LO', 'with "BulkDataURI":"hv:/ inside']] });
    const two = image({ study: one.study });
    await store(product, one.bytes);
    await store(product, two.bytes);
    const study = await retrieve(product, `${one.study}/metadata`, 'application/dicom+json');
    expect(study.headers.get('content-type')).toBe('application/dicom+json; charset=utf-8');
    const [first, second, ...rest] = JSON.parse(study.bytes.toString()) as DicomJson[];
    expect(rest).toEqual([]);
    const url = `${product.url}/dicom-web/studies/${one.path}/bulkdata`;
    expect(first).toMatchObject({
      '00080018': { Value: [one.sop] }, '00100010': { Value: [{ Alphabetic: 'Doe^Jane' }] }, '00081030': { Value: ['with "BulkDataURI":"hv:/ inside'] },
      '00091011': { vr: 'OB', BulkDataURI: `${url}/00091011` }, '7FE00010': { vr: 'OW', BulkDataURI: `${url}/7FE00010` },
    });
    expect(second?.['00080018']?.Value).toEqual([two.sop]);
    expect(JSON.parse((await retrieve(product, `${one.study}/series/${one.series}/metadata`)).bytes.toString())).toEqual([first]);
    expect(JSON.parse((await retrieve(product, `${two.path}/metadata`, 'application/json')).bytes.toString())).toEqual([second]);
    const bulk = await fetch(first?.['00091011']?.BulkDataURI ?? '', { headers: { authorization: `Bearer ${await product.token()}` } });
    expect(Buffer.from(await bulk.arrayBuffer()).equals(PRIVATE_BULK)).toBe(true);
  });

  it('are compressed for those who take that', async () => {
    const made = image();
    await store(product, made.bytes);
    const token = await product.token();
    const raw = await new Promise<{ encoding: string | undefined; body: Buffer }>((resolve, reject) => {
      request(`${product.url}/dicom-web/studies/${made.study}/metadata`, { headers: { 'authorization': `Bearer ${token}`, 'accept-encoding': 'gzip;q=0.8, br' } }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => { resolve({ encoding: response.headers['content-encoding'], body: Buffer.concat(chunks) }); });
      }).on('error', reject).end();
    });
    expect(raw.encoding).toBe('gzip');
    expect(JSON.parse(gunzipSync(raw.body).toString())).toHaveLength(1);
    expect(await retrieve(product, `${newDicomUid()}/metadata`)).toMatchObject({ status: 404, code: 'study-not-found' });
  });

  it('have an ETag that changes with the study', async () => {
    const made = image();
    await store(product, made.bytes);
    const etag = async (): Promise<string> => (await retrieve(product, `${made.study}/metadata`)).headers.get('etag') ?? '';
    const before = await etag();
    expect(before).toMatch(/^W\//);
    expect((await retrieve(product, `${made.study}/metadata`, undefined, { 'if-none-match': before })).status).toBe(304);
    await store(product, image({ study: made.study }).bytes);
    expect(await etag()).not.toBe(before);
    expect((await retrieve(product, `${made.study}/metadata`, undefined, { 'if-none-match': before })).status).toBe(200);
  });

  it('are never XML', async () => {
    const made = image();
    await store(product, made.bytes);
    for (const accept of ['application/dicom+xml', 'multipart/related; type="application/dicom+xml"', 'multipart/related; type="application/dicom+json"']) {
      expect(await retrieve(product, `${made.study}/metadata`, accept)).toMatchObject({ status: 406, code: 'not-acceptable' });
    }
  });

  it('of long studies come page by page, each instance once', async () => {
    const first = image();
    const made = [first, ...Array.from({ length: 230 }, () => { const { elements, ...rest } = uids({ study: first.study, series: first.series }); return { ...rest, bytes: dicomFile([...elements, [0x00080060, 'CS', 'SR']]) }; })];
    await store(product, ...made.map(({ bytes }) => bytes));
    const all = JSON.parse((await retrieve(product, `${first.study}/metadata`)).bytes.toString()) as DicomJson[];
    expect(all.map((one) => one['00080018']?.Value?.[0]).sort()).toEqual(made.map(({ sop }) => sop).sort());
    expect(sorted((await retrieve(product, first.study, AS_STORED)).parts.map(({ bytes }) => bytes))).toEqual(sorted(made.map(({ bytes }) => bytes)));
  });
});

describe('WADO-RS frames', () => {
  it('come uncompressed in the order asked for, whatever they are stored in', async () => {
    for (const transferSyntax of [EXPLICIT_LITTLE, RLE_LOSSLESS, JPEG_LS]) {
      const made = await frames(3, transferSyntax);
      await store(product, made.bytes);
      const { status, parts } = await retrieve(product, `${made.path}/frames/3,1`, OCTETS);
      expect(status).toBe(200);
      expect(parts.map(({ bytes }) => bytes)).toEqual([Buffer.alloc(64, 30), Buffer.alloc(64, 10)]);
      expect(parts[0]?.headers).toEqual({ 'content-type': `application/octet-stream; transfer-syntax=${EXPLICIT_LITTLE}`, 'content-location': `${product.url}/dicom-web/studies/${made.path}/frames/3` });
      const alone = await retrieve(product, `${made.path}/frames/2`, 'application/octet-stream');
      expect([alone.bytes.equals(Buffer.alloc(64, 20)), alone.headers.get('content-length')]).toEqual([true, '64']);
      expect((await retrieve(product, `${made.path}/frames/2`, 'application/octet-stream', { 'if-none-match': alone.headers.get('etag') ?? '' })).status).toBe(304);
    }
  });

  it('come by the hundreds in one request', async () => {
    const made = await frames(300, EXPLICIT_LITTLE);
    await store(product, made.bytes);
    const numbers = Array.from({ length: 300 }, (_, index) => 300 - index);
    const { status, parts } = await retrieve(product, `${made.path}/frames/${numbers.join(',')}`, OCTETS);
    expect([status, parts.length]).toEqual([200, 300]);
    expect(parts.map(({ bytes }) => bytes[0])).toEqual(numbers.map((number) => (number * 10) % 256));
  });

  it('come little endian', async () => {
    const made = image({ transferSyntax: EXPLICIT_BIG });
    await store(product, made.bytes);
    expect((await retrieve(product, `${made.path}/frames/1`, OCTETS)).parts[0]?.bytes.equals(PIXELS)).toBe(true);
    const packed = image({ transferSyntax: DEFLATED_EXPLICIT_LITTLE });
    await store(product, packed.bytes);
    expect((await retrieve(product, `${packed.path}/frames/1`)).parts[0]?.bytes.equals(PIXELS)).toBe(true);
  });

  it('come as they are stored to those who take that', async () => {
    const made = await frames(2, JPEG_LS);
    await store(product, made.bytes);
    const parsed = parseInstanceBytes(made.bytes);
    const [stored] = frameLocation(parsed, 1);
    const codestream = Buffer.from(made.bytes.subarray(stored?.offset, (stored?.offset ?? 0) + (stored?.length ?? 0)));
    for (const [accept, type] of [
      ['multipart/related; type=application/octet-stream; transfer-syntax=*', 'application/octet-stream'], ['multipart/related; type="image/jls"', 'image/jls'],
      ['multipart/related; type="image/x-jls"; transfer-syntax=1.2.840.10008.1.2.4.80', 'image/x-jls'],
    ] as const) {
      const [part] = (await retrieve(product, `${made.path}/frames/2`, accept)).parts;
      expect(part?.headers['content-type']).toBe(`${type}; transfer-syntax=${JPEG_LS}`);
      expect(part?.bytes.equals(codestream)).toBe(true);
    }
    expect(await retrieve(product, `${made.path}/frames/2`, 'multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.50')).toMatchObject({ status: 406 });
    expect((await retrieve(product, `${made.path}/frames/1,2`, 'image/jls')).status).toBe(406);
  });

  it('of single bits begin at a byte each', async () => {
    const { elements, path } = uids();
    const bits = withElements(imagePixel(3, 3, 8), [0x00280100, 'US', [1]], [0x00280101, 'US', [1]], [0x00280102, 'US', [0]], [0x00280008, 'IS', '2']);
    // 18 bits: nine ones, then nine zeros but for the last.
    await store(product, dicomFile([...elements, ...bits, [0x7fe00010, 'OB', [0xff, 0x01, 0x02, 0x00]]]));
    const { parts } = await retrieve(product, `${path}/frames/1,2`, OCTETS);
    expect(parts.map(({ bytes }) => [...bytes])).toEqual([[0xff, 0x01], [0x00, 0x01]]);
  });

  it('that are not there are not found', async () => {
    const made = await frames(2, EXPLICIT_LITTLE);
    await store(product, made.bytes);
    for (const list of ['3', '1,3']) expect(await retrieve(product, `${made.path}/frames/${list}`)).toMatchObject({ status: 404, code: 'frame-not-found' });
    for (const list of ['0', 'a', '1-2', '1,,2']) expect((await retrieve(product, `${made.path}/frames/${list}`)).status).toBe(400);
    const { elements, path } = uids();
    await store(product, dicomFile([...elements, [0x00080060, 'CS', 'SR']]));
    expect(await retrieve(product, `${path}/frames/1`)).toMatchObject({ status: 404, code: 'frame-not-found' });
  });
});

describe('WADO-RS bulk data', () => {
  const LARGE = Buffer.from(Uint16Array.from({ length: 150_000 }, (_, i) => i % 65_000).buffer);
  const NESTED = Buffer.from(Array.from({ length: 2000 }, (_, i) => i % 256));
  const bulky = (transferSyntax: string): Made => {
    // dicomFile swaps numbers, not bytes.
    const swapped = transferSyntax === EXPLICIT_BIG ? Buffer.from(LARGE).swap16() : LARGE;
    return image({ transferSyntax, elements: [[0x00281201, 'OW', swapped], [0x54000100, 'SQ', [[[0x54001010, 'OB', NESTED]]]]] });
  };

  it('are values in little endian, alone, as a part, and in ranges', async () => {
    for (const transferSyntax of [EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED_EXPLICIT_LITTLE]) {
      const made = bulky(transferSyntax);
      await store(product, made.bytes);
      const whole = await retrieve(product, `${made.path}/bulkdata/00281201`);
      expect([whole.status, whole.headers.get('content-type'), whole.headers.get('content-length')]).toEqual([200, 'application/octet-stream', String(LARGE.length)]);
      expect(whole.bytes.equals(LARGE)).toBe(true);
      const [part] = (await retrieve(product, `${made.path}/bulkdata/00281201`, OCTETS)).parts;
      expect(part?.bytes.equals(LARGE)).toBe(true);
      expect(part?.headers['content-location']).toBe(`${product.url}/dicom-web/studies/${made.path}/bulkdata/00281201`);
      for (const [first, last] of [[0, 0], [1, 2], [65_535, 65_537], [131_071, 262_145], [299_999, 299_999]] as const) {
        const range = await retrieve(product, `${made.path}/bulkdata/00281201`, 'application/octet-stream', { range: `bytes=${String(first)}-${String(last)}` });
        expect([range.status, range.headers.get('content-range')]).toEqual([206, `bytes ${String(first)}-${String(last)}/300000`]);
        expect(range.bytes.equals(LARGE.subarray(first, last + 1))).toBe(true);
      }
      const partialPart = await retrieve(product, `${made.path}/bulkdata/00281201`, OCTETS, { range: 'bytes=10-19' });
      expect([partialPart.status, partialPart.parts[0]?.headers['content-range'], partialPart.parts[0]?.bytes.equals(LARGE.subarray(10, 20))]).toEqual([206, 'bytes 10-19/300000', true]);
      const beyond = await retrieve(product, `${made.path}/bulkdata/00281201`, undefined, { range: 'bytes=300000-' });
      expect([beyond.status, beyond.code, beyond.headers.get('content-range')]).toEqual([416, 'range-not-satisfiable', 'bytes */300000']);
      expect((await retrieve(product, `${made.path}/bulkdata/00281201`, undefined, { 'if-none-match': whole.headers.get('etag') ?? '' })).status).toBe(304);
      expect((await retrieve(product, `${made.path}/bulkdata/54000100/0/54001010`)).bytes.equals(NESTED)).toBe(true);
      expect((await retrieve(product, `${made.path}/bulkdata/7fe00010`)).bytes.equals(PIXELS)).toBe(true);
    }
  });

  it('of compressed pixel data are frames, or one value uncompressed', async () => {
    const made = await frames(3, RLE_LOSSLESS);
    await store(product, made.bytes);
    const native = Buffer.concat([10, 20, 30].map((grey) => Buffer.alloc(64, grey)));
    expect((await retrieve(product, `${made.path}/bulkdata/7FE00010`)).bytes.equals(native)).toBe(true);
    expect((await retrieve(product, `${made.path}/bulkdata/7FE00010`, OCTETS)).parts.map(({ bytes }) => bytes)).toEqual([native]);
    const { parts } = await retrieve(product, `${made.path}/bulkdata/7FE00010`, 'multipart/related; type="image/dicom-rle"');
    expect(parts.map(({ headers }) => headers['content-location']?.split('/bulkdata/')[1])).toEqual(['7FE00010/frames/1', '7FE00010/frames/2', '7FE00010/frames/3']);
    expect((await retrieve(product, `${made.path}/bulkdata/7FE00010`, 'image/dicom-rle')).status).toBe(406);
  });

  it('of a whole resource come a part each', async () => {
    const made = bulky(EXPLICIT_LITTLE);
    const other = await frames(2, RLE_LOSSLESS, { study: made.study });
    await store(product, made.bytes);
    await store(product, other.bytes);
    const locations = async (path: string): Promise<(string | undefined)[]> => (await retrieve(product, path, OCTETS)).parts.map((part) => part.headers['content-location']?.split('/bulkdata/')[1]);
    const all = ['00281201', '54000100/0/54001010', '7FE00010', '7FE00010/frames/1', '7FE00010/frames/2'];
    expect(await locations(made.study)).toEqual(all);
    expect(await locations(`${made.study}/bulkdata`)).toEqual(all);
    expect(await locations(`${made.path}/bulkdata`)).toEqual(all.slice(0, 3));
    expect(await locations(`${made.study}/pixeldata`)).toEqual(all.slice(2));
    const { elements, study } = uids();
    await store(product, dicomFile([...elements, [0x00080060, 'CS', 'SR']]));
    expect(await retrieve(product, `${study}/bulkdata`, OCTETS)).toMatchObject({ status: 404, code: 'bulk-data-not-found' });
  });

  it('that are not there are not found', async () => {
    const made = image();
    await store(product, made.bytes);
    for (const path of ['00100010', '00091011', 'nonsense', '54000100/0/54001010', '7FE00010/frames', '54000100/a/54001010', '%2e%2e/x']) {
      expect((await retrieve(product, `${made.path}/bulkdata/${path}`)).status, path).toBe(404);
    }
    expect(await retrieve(product, `${made.path}/bulkdata/7FE00010`, 'image/webp')).toMatchObject({ status: 406 });
  });

  it('that are a PDF may be had as what they are', async () => {
    const { elements, path } = uids();
    const pdf = Buffer.from(`%PDF-1.4 ${'x'.repeat(3000)}`);
    await store(product, dicomFile([...elements, [0x00420011, 'OB', even(pdf)], [0x00420012, 'LO', 'application/pdf']]));
    expect((await retrieve(product, `${path}/bulkdata/00420011`, 'application/pdf')).headers.get('content-type')).toBe('application/pdf');
    expect((await retrieve(product, `${path}/bulkdata/00420011`)).headers.get('content-type')).toBe('application/octet-stream');
    expect((await retrieve(product, `${path}/bulkdata/00420011`, 'text/html')).status).toBe(406);
  });
});

describe('WADO-RS pictures', () => {
  const size = async (bytes: Buffer): Promise<unknown> => { const { format, width, height } = await sharp(bytes).metadata(); return { format, width, height }; };

  const raw = (bytes: Buffer): Promise<Buffer> => sharp(bytes).toColourspace('b-w').raw().toBuffer();

  it('show an image as JPEG or PNG, in a window and a viewport', async () => {
    const made = image();
    await store(product, made.bytes);
    expect(await size((await retrieve(product, `${made.path}/rendered`)).bytes)).toEqual({ format: 'jpeg', width: COLUMNS, height: ROWS });
    const png = await retrieve(product, `${made.path}/rendered?window=2048,4096,linear`, 'image/png');
    expect(png.headers.get('content-type')).toBe('image/png');
    const grey = await raw(png.bytes);
    expect([...grey.subarray(0, 40)]).toEqual(SAMPLES.slice(0, 40).map((value) => Math.round((value / 4095) * 255)));
    expect(await size((await retrieve(product, `${made.path}/rendered?viewport=80,80`)).bytes)).toEqual({ format: 'jpeg', width: 80, height: 48 });
    const flipped = await retrieve(product, `${made.path}/rendered?window=2048,4096,linear&viewport=4,2,0,0,-4,2`, 'image/png');
    expect([...(await raw(flipped.bytes)).subarray(0, 4)]).toEqual([...grey.subarray(0, 4)].reverse());
    expect((await retrieve(product, `${made.path}/rendered?quality=1`)).bytes.length).toBeLessThan((await retrieve(product, `${made.path}/rendered?quality=100`)).bytes.length);
    expect((await retrieve(product, `${made.path}/rendered?accept=image/png`, 'image/jpeg')).headers.get('content-type')).toBe('image/png');
    const etag = png.headers.get('etag') ?? '';
    expect((await retrieve(product, `${made.path}/rendered?window=2048,4096,linear`, 'image/png', { 'if-none-match': etag })).status).toBe(304);
    expect((await retrieve(product, `${made.path}/rendered?window=2048,4000,linear`, 'image/png', { 'if-none-match': etag })).status).toBe(200);
    expect((await retrieve(product, `${made.path}/rendered?annotation=patient`)).headers.get('warning')).toMatch(/^299 /);
  });

  it('refuse what is malformed', async () => {
    const made = image();
    await store(product, made.bytes);
    for (const query of ['window=40,400', 'window=40,400,cubic', 'viewport=10', 'viewport=10,10,0,0,41,1', 'quality=0', 'quality=x', 'annotation=x', 'iccprofile=x']) {
      expect(await retrieve(product, `${made.path}/rendered?${query}`), query).toMatchObject({ status: 400, code: 'invalid-query' });
    }
    expect((await retrieve(product, `${made.path}/thumbnail?viewport=1,1,1,1`)).status).toBe(400);
    for (const accept of ['image/gif', 'video/mp4', 'application/dicom']) expect(await retrieve(product, `${made.path}/rendered`, accept)).toMatchObject({ status: 406, code: 'not-acceptable' });
  });

  it('show frames, one or several', async () => {
    const made = await frames(3, RLE_LOSSLESS);
    await store(product, made.bytes);
    const grey = async (bytes: Buffer): Promise<number | undefined> => (await raw(bytes))[0];
    expect(await grey((await retrieve(product, `${made.path}/frames/3/rendered`, 'image/png')).bytes)).toBe(30);
    // Of several frames the middle one stands for the instance.
    expect(await grey((await retrieve(product, `${made.path}/rendered`, 'image/png')).bytes)).toBe(20);
    const several = await retrieve(product, `${made.path}/frames/1,3/rendered`, 'multipart/related; type="image/png"');
    expect(await Promise.all(several.parts.map(({ bytes }) => grey(bytes)))).toEqual([10, 30]);
    expect((await retrieve(product, `${made.path}/rendered`, 'multipart/related; type="image/png"')).parts).toHaveLength(3);
    expect((await retrieve(product, `${made.path}/frames/1,3/rendered`, 'image/png')).status).toBe(406);
    expect(await retrieve(product, `${made.path}/frames/4/rendered`)).toMatchObject({ status: 404, code: 'frame-not-found' });
    expect(await size((await retrieve(product, `${made.path}/frames/1/thumbnail`)).bytes)).toEqual({ format: 'jpeg', width: 8, height: 8 });
  });

  it('show the middle image of a series and a study', async () => {
    const study = newDicomUid();
    const series = newDicomUid();
    const slices = [3, 1, 2].map((number) => {
      const { elements } = uids({ study, series });
      return dicomFile([...elements, ...imagePixel(256, 300, 8), [0x00200013, 'IS', String(number)], [0x7fe00010, 'OB', new Uint8Array(256 * 300).fill(number * 50)]]);
    });
    const { elements } = uids({ study });
    await store(product, ...slices, dicomFile([...elements, [0x00080060, 'CS', 'SR']]));
    for (const path of [`${study}/rendered`, `${study}/series/${series}/rendered`]) {
      const { bytes } = await retrieve(product, path, 'image/png');
      expect((await raw(bytes))[0]).toBe(100);
    }
    for (const path of [`${study}/thumbnail`, `${study}/series/${series}/thumbnail`]) expect(await size((await retrieve(product, path)).bytes)).toEqual({ format: 'jpeg', width: 128, height: 109 });
    expect(await size((await retrieve(product, `${study}/thumbnail?viewport=64,64`)).bytes)).toEqual({ format: 'jpeg', width: 64, height: 55 });
    expect((await retrieve(product, `${study}/rendered`, 'multipart/related; type="image/jpeg"')).parts).toHaveLength(3);
  });

  it('of several images leave those out that do not have the region', async () => {
    const grey = (size: number, study?: string): Made => {
      const { elements, ...made } = uids({ study });
      return { ...made, bytes: dicomFile([...elements, ...imagePixel(size, size), [0x7fe00010, 'OB', new Uint8Array(size * size)]]) };
    };
    const [before, localizer] = [grey(64), grey(32)];
    const [middle, after] = [grey(32, before.study), grey(64, before.study)];
    for (const { bytes } of [before, middle, after, localizer]) await store(product, bytes);
    const { status, parts } = await retrieve(product, `${before.study}/rendered?viewport=64,64,0,0,64,64`, 'multipart/related; type="image/jpeg"');
    expect([status, parts.map(({ headers }) => headers['content-location']?.includes(middle.sop))]).toEqual([200, [false, false]]);
    for (const path of [localizer.study, localizer.path, middle.path, `${middle.path}/frames/1`]) {
      expect(await retrieve(product, `${path}/rendered?viewport=64,64,0,0,64,64`, 'multipart/related; type="image/jpeg"'), path).toMatchObject({ status: 400, code: 'invalid-query' });
    }
    expect(await retrieve(product, `${before.path}/frames/1,2/rendered`, 'multipart/related; type="image/jpeg"')).toMatchObject({ status: 404, code: 'frame-not-found' });
  });

  it('of several images leave those out that are replaced meanwhile', async () => {
    const policy = async (onConflict: string): Promise<void> => {
      const { headers } = await product.fetch('/api/v1/image-policy');
      await product.json('/api/v1/image-policy', { method: 'PUT', headers: { 'content-type': 'application/json', 'if-match': headers.get('etag') ?? '' }, body: JSON.stringify({ onConflict, retentionDays: null }) });
    };
    await policy('replace');
    // A changed policy holds after two seconds.
    await setTimeout(2_100);
    // More than the buffers between the server and a client that does not read.
    const [side, count] = [2_000, 6];
    const { elements, study } = uids();
    await store(product, dicomFile([...elements, ...imagePixel(side, side), [0x00280008, 'IS', String(count)], [0x7fe00010, 'OB', Buffer.concat(new Array<Buffer>(count).fill(randomBytes(side * side)))]]));
    const last = image({ study });
    await store(product, last.bytes);
    const outgoing = request(`${product.url}/dicom-web/studies/${study}/rendered?quality=100`, { headers: { authorization: `Bearer ${await product.token()}`, accept: 'multipart/related; type="image/jpeg"' } });
    outgoing.end();
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    const replaced = Buffer.from(last.bytes);
    replaced[replaced.length - 1] = (replaced.at(-1) ?? 0) ^ 1;
    await store(product, replaced);
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    await policy('reject');
    expect(partsOf(Buffer.concat(chunks), response.headers['content-type'] ?? '')).toHaveLength(count);
  });

  it('are not made of what is no image', async () => {
    const { elements, study, path } = uids();
    await store(product, dicomFile([...elements, [0x00080060, 'CS', 'SR']]));
    for (const one of [study, path]) {
      expect(await retrieve(product, `${one}/rendered`)).toMatchObject({ status: 406, code: 'not-acceptable' });
      expect(await retrieve(product, `${one}/thumbnail`)).toMatchObject({ status: 404 });
    }
    expect(await retrieve(product, `${newDicomUid()}/rendered`)).toMatchObject({ status: 404, code: 'study-not-found' });
  });

  it('use lookup tables that lie in the object', async () => {
    const { elements, path } = uids();
    const table = (factor: number): Uint8Array => Buffer.from(Uint16Array.from({ length: 1024 }, (_, i) => (Math.min(255, Math.floor(i / factor)) << 8)).buffer);
    const palette: Element[] = ([[0x00281101, 0x00281201, 4], [0x00281102, 0x00281202, 8], [0x00281103, 0x00281203, 16]] as const).flatMap(([descriptor, data, factor]): Element[] => [[descriptor, 'US', [1024, 0, 16]], [data, 'OW', table(factor)]]);
    await store(product, dicomFile([...elements, ...withElements(imagePixel(1, 2, 16), [0x00280004, 'CS', 'PALETTE COLOR']), ...palette, [0x7fe00010, 'OW', [400, 1000]]]));
    const { bytes } = await retrieve(product, `${path}/rendered`, 'image/png');
    expect([...(await sharp(bytes).raw().toBuffer())]).toEqual([100, 50, 25, 250, 125, 62]);
  });
});

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)).filter((path) => statSync(path).isFile());
}

/** Turns one bit of the newest object over. */
function damage(at: (size: number) => number, known: ReadonlySet<string>): void {
  const [path = ''] = filesUnder(join(product.dataDir, 'blobs', 'objects')).filter((one) => !known.has(one));
  const bytes = readFileSync(path);
  const offset = at(bytes.length);
  bytes[offset] = (bytes[offset] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

describe('A damaged object', () => {
  const objects = (): ReadonlySet<string> => new Set(filesUnder(join(product.dataDir, 'blobs', 'objects')));

  it('is reported with the id of the instance and never served', async () => {
    const known = objects();
    const made = image();
    await store(product, made.bytes);
    damage((size) => size - 100, known);
    for (const [path, accept] of [[made.path, 'application/dicom'], [made.path, AS_STORED], [made.study, AS_STORED], [`${made.path}/frames/1`, undefined], [`${made.path}/rendered`, undefined], [`${made.path}/bulkdata/7FE00010`, undefined]] as const) {
      const { status, code, bytes } = await retrieve(product, path, accept);
      expect([status, code], path).toEqual([500, 'blob-corrupt']);
      const [, id = ''] = /"detail":"Instance ([0-9a-f-]{36}) is damaged/.exec(bytes.toString()) ?? [];
      expect(id).toHaveLength(36);
      expect(product.output()).toContain(id);
    }
    // What lies in the row is not touched by it.
    expect((await retrieve(product, `${made.path}/metadata`)).status).toBe(200);
  });

  it('cuts the connection where the answer has begun', async () => {
    const large = (study: string): Made => { const { elements, ...made } = uids({ study }); return { ...made, bytes: dicomFile([...elements, ...imagePixel(1500, 1500, 16), [0x7fe00010, 'OW', new Uint8Array(1500 * 1500 * 2)]]) }; };
    const study = newDicomUid();
    const before = large(study);
    await store(product, before.bytes);
    const known = objects();
    await store(product, large(study).bytes);
    damage((size) => size - 100, known);
    const received = await product.fetch(`/dicom-web/studies/${study}`, { headers: { accept: AS_STORED } });
    expect(received.status).toBe(200);
    await expect(received.arrayBuffer()).rejects.toThrow();
    expect((await product.fetch('/health')).status).toBe(200);
  });
});

describe('A client that leaves', () => {
  it('does not hold anything up', async () => {
    const { elements, study } = uids();
    await store(product, dicomFile([...elements, ...imagePixel(3000, 3000, 16), [0x7fe00010, 'OW', new Uint8Array(18_000_000)]]));
    const token = await product.token();
    for (let i = 0; i < 20; i++) {
      await new Promise<void>((resolve, reject) => {
        const outgoing = request(`${product.url}/dicom-web/studies/${study}`, { headers: { authorization: `Bearer ${token}`, accept: AS_STORED } }, (response) => {
          response.once('data', () => { outgoing.destroy(); resolve(); });
          response.on('error', () => undefined);
        });
        outgoing.on('error', (error: NodeJS.ErrnoException) => { if (error.code !== 'ECONNRESET') reject(error); });
        outgoing.end();
      });
    }
    expect((await retrieve(product, study, AS_STORED)).parts).toHaveLength(1);
    // Nothing stays open.
    const open = readdirSync(`/proc/${String(product.process.pid)}/fd`).length;
    expect(open).toBeLessThan(200);
  });

  it('after the head of an answer leaves nothing open', async () => {
    const made = image({ elements: [[0x00090010, 'LO', 'BULKY'], [0x00091011, 'OB', new Uint8Array(300_000)]] });
    await store(product, made.bytes);
    const objects = (): string[] => readdirSync(`/proc/${String(product.process.pid)}/fd`).flatMap((fd) => {
      try {
        const path = readlinkSync(`/proc/${String(product.process.pid)}/fd/${fd}`);
        return path.startsWith(join(product.dataDir, 'blobs')) ? [path] : [];
      } catch {
        // Closed in between.
        return [];
      }
    });
    for (const [path, accept] of [
      [`${made.path}/rendered`, 'multipart/related; type="image/jpeg"'], [`${made.study}/rendered`, 'multipart/related; type="image/jpeg"'], [`${made.study}/bulkdata`, OCTETS], [made.study, AS_STORED],
      [made.path, 'application/dicom'], [`${made.path}/bulkdata/00091011`, 'application/octet-stream'], [`${made.path}/frames/1`, OCTETS],
    ] as const) {
      for (const headers of [{ accept }, { accept, range: 'bytes=1-9' }]) expect((await product.fetch(`/dicom-web/studies/${path}`, { method: 'HEAD', headers })).status, path).toBeLessThan(300);
      await eventually(`the objects are closed after ${path}`, () => Promise.resolve(objects().length === 0), 5_000);
    }
  });
});

const edgeCases = sharedFile(DATA, 'dicom-edge-cases');

describe.skipIf(edgeCases === undefined)('The pydicom test files', () => {
  it('are retrieved in every form, or refused with a code', async () => {
    const files = edgeCases === undefined ? [] : readdirSync(edgeCases).filter((name) => name.endsWith('.dcm')).map((name) => new Uint8Array(readFileSync(join(edgeCases, name))));
    const seen = new Set<string>();
    for (const bytes of files) {
      const parsed = (() => { try { return parseInstanceBytes(bytes); } catch { return undefined; } })();
      if (parsed === undefined || seen.has(parsed.sopInstanceUid)) continue;
      seen.add(parsed.sopInstanceUid);
      const path = `${parsed.studyInstanceUid}/series/${parsed.seriesInstanceUid}/instances/${parsed.sopInstanceUid}`;
      const form = new FormData();
      form.append('files', new Blob([bytes]), 'file.dcm');
      await (await product.fetch('/api/v1/images', { method: 'POST', body: form })).arrayBuffer();
      if ((await retrieve(product, `${path}/metadata`)).status === 404) continue;
      for (const accept of [AS_STORED, DICOM, 'application/dicom', `${DICOM}; transfer-syntax=${RLE_LOSSLESS}`]) {
        const { status, parts, bytes: body } = await retrieve(product, path, accept);
        expect([200, 406], `${path} ${accept}`).toContain(status);
        if (status === 200 && accept === AS_STORED && Buffer.from(bytes).toString('latin1', 128, 132) === 'DICM') expect(parts[0]?.bytes.equals(bytes)).toBe(true);
        if (status === 200) parseInstanceBytes(parts[0]?.bytes ?? body);
      }
      for (const resource of ['frames/1', 'rendered', 'thumbnail', 'bulkdata', 'pixeldata', 'bulkdata/7FE00010']) {
        expect([200, 400, 404, 406], `${path}/${resource}`).toContain((await retrieve(product, `${path}/${resource}`)).status);
      }
    }
    expect(seen.size).toBeGreaterThan(30);
  });
});
