import { readdirSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DicomJson } from '../../../src/imaging/dicom/dicom-json.js';
import { newDicomUid } from '../../../src/kernel/uid.js';
import { eventually, startProduct, type Product } from '../../support/product.js';
import { exchanged, relatedBody, testInstance } from './instances.js';

let product: Product;

beforeAll(async () => {
  product = await startProduct();
});

afterAll(async () => {
  await product.stop();
});

const TYPE = 'multipart/related; type="application/dicom"; boundary="boundary-7"';

async function store(body: Uint8Array, { study = '', type = TYPE } = {}): Promise<{ status: number; type: string | null; json: DicomJson & { code?: string } }> {
  const response = await product.fetch(`/dicom-web/studies${study && `/${study}`}`, { method: 'POST', body: new Uint8Array(body), headers: { 'content-type': type, 'accept': 'application/dicom+json' } });
  return { status: response.status, type: response.headers.get('content-type'), json: (await response.json()) as DicomJson & { code?: string } };
}

/** Failure Reasons of the answer. */
const reasons = (json: DicomJson): unknown[] => (json['00081198']?.Value ?? []).map((item) => (item as DicomJson)['00081197']?.Value?.[0]);

/** Instances that the answer calls failed. */
const refused = (json: DicomJson): unknown[] => (json['00081198']?.Value ?? []).map((item) => (item as DicomJson)['00081155']?.Value?.[0]);

describe('STOW-RS', () => {
  it('stores all parts and refers to each; again, it is the same success', async () => {
    const study = newDicomUid();
    const instances = [testInstance({ studyInstanceUid: study }), testInstance({ studyInstanceUid: study })];
    for (let round = 0; round < 2; round++) {
      const { status, type, json } = await store(relatedBody(instances));
      expect(status).toBe(200);
      expect(type).toMatch(/^application\/dicom\+json/);
      expect(json['00081199']?.Value?.map((item) => (item as DicomJson)['00081155']?.Value?.[0])).toEqual(instances.map(({ sopInstanceUid }) => sopInstanceUid));
      expect(json['00081190']?.Value?.[0]).toBe(`${product.url}/dicom-web/studies/${study}`);
      expect(json['00081198']).toBeUndefined();
    }
  });

  it('stores what it can and says why the rest failed', async () => {
    const [good, conflicting] = [testInstance(), testInstance({ fill: 1 })];
    await store(relatedBody([conflicting]));
    const { status, json } = await store(relatedBody([
      good, { bytes: testInstance({ ...conflicting, fill: 2 }).bytes }, { bytes: Buffer.from('no dicom') }, { bytes: new Uint8Array(0) },
      { bytes: exchanged(testInstance().bytes, '1.2.840.10008.1.2.1\0', '1.2.840.10008.1.2.9\0') }, { type: 'text/plain', bytes: Buffer.from('x') },
    ]));
    expect(status).toBe(202);
    expect(reasons(json)).toEqual([0x0111, 0xc000, 0xc000, 0xc122, 0xc000]);
    expect(json['00081199']?.Value).toHaveLength(1);
  });

  it('takes only instances of the study in the URL', async () => {
    const [wanted, foreign] = [testInstance(), testInstance()];
    const mixed = await store(relatedBody([wanted, foreign]), { study: wanted.studyInstanceUid });
    expect(mixed.status).toBe(202);
    expect(reasons(mixed.json)).toEqual([0xa900]);
    const none = await store(relatedBody([foreign]), { study: wanted.studyInstanceUid });
    expect(none.status).toBe(409);
    expect(none.json['00081199']).toBeUndefined();
    expect((await store(relatedBody([wanted]), { study: 'not-a-uid' })).status).toBe(404);
  });

  it('keeps whole parts and nothing of a half one when the client hangs up', async () => {
    const [whole, half] = [testInstance(), testInstance({ size: 2048 })];
    const body = relatedBody([whole, half]);
    const outgoing = request(`${product.url}/dicom-web/studies`, { method: 'POST', headers: { 'authorization': `Bearer ${await product.token()}`, 'content-type': TYPE } });
    outgoing.on('error', () => undefined);
    outgoing.write(body.subarray(0, whole.bytes.length + 2_000_000));
    const known = async (uid: string): Promise<boolean> => (await product.fetch(`/api/v1/studies/${uid}`)).status === 200;
    const drafts = (): number => readdirSync(join(product.dataDir, 'blobs', 'drafts')).length;
    await eventually('both parts are arriving', () => Promise.resolve(drafts() > 0));
    outgoing.destroy();
    await eventually('the first part is stored', () => known(whole.studyInstanceUid));
    await eventually('the draft is gone', () => Promise.resolve(drafts() === 0));
    expect(await known(half.studyInstanceUid)).toBe(false);
  });

  it('refuses malformed and empty bodies and other types', async () => {
    const whole = relatedBody([testInstance()]);
    for (const body of [new Uint8Array(0), Buffer.from('--boundary-7--'), Buffer.from('no boundary'), whole.subarray(0, -20)]) {
      expect(await store(body)).toMatchObject({ status: 400, json: { code: 'malformed-multipart' } });
    }
    expect((await store(whole, { type: 'multipart/related; type="application/dicom"' })).status).toBe(400);
    expect((await store(whole, { type: 'multipart/related; type="application/dicom+xml"; boundary=boundary-7' })).status).toBe(415);
    expect((await store(Buffer.from('{}'), { type: 'application/json' })).status).toBe(415);
    expect((await store(whole, { type: 'text/plain' })).status).toBe(415);
  });

  it('takes a single instance as application/dicom, and only as a whole', async () => {
    const single = testInstance();
    expect((await store(single.bytes, { type: 'application/dicom' })).status).toBe(200);
    expect((await store(single.bytes, { type: 'application/dicom', study: newDicomUid() })).status).toBe(409);
    expect(reasons((await store(single.bytes.subarray(0, -50), { type: 'application/dicom' })).json)).toEqual([0xc000]);
  });

  it('refuses more parts than anybody sends, and keeps what it has stored', async () => {
    const whole = testInstance();
    const body = Buffer.concat([relatedBody([whole]).subarray(0, -'\r\n--boundary-7--\r\n'.length), Buffer.from(`${'\r\n--boundary-7\r\nContent-Type: a/b\r\n\r\n'.repeat(100_000)}\r\n--boundary-7--`)]);
    expect(await store(body)).toMatchObject({ status: 413, json: { code: 'payload-too-large', detail: 'A body may have 100000 parts. 1 file of this request was stored before the error.' } });
    expect((await product.fetch(`/api/v1/studies/${whole.studyInstanceUid}`)).status).toBe(200);
  });
});

describe('STOW-RS of metadata and bulk data', () => {
  const JSON_TYPE = 'multipart/related; type="application/dicom+json"; boundary=boundary-7';
  const part = (headers: string, body: Uint8Array | string): Buffer => Buffer.concat([Buffer.from(`--boundary-7\r\n${headers}\r\n\r\n`), Buffer.from(body as string), Buffer.from('\r\n')]);
  const metadata = (json: unknown): Buffer => part('Content-Type: application/dicom+json', typeof json === 'string' ? json : JSON.stringify(json));
  const pixels = (location: string, bytes: Uint8Array): Buffer => part(`Content-Type: application/octet-stream\r\nContent-Location: ${location}`, bytes);
  const send = (...parts: Buffer[]): ReturnType<typeof store> => store(Buffer.concat([...parts, Buffer.from('--boundary-7--')]), { type: JSON_TYPE });
  const element = (vr: string, ...Value: unknown[]): { vr: string; Value: unknown[] } => ({ vr, Value });
  const dataSet = (study: string, sop: string, uri: string): Record<string, unknown> => ({
    '00080016': element('UI', '1.2.840.10008.5.1.4.1.1.7'), '00080018': element('UI', sop), '0020000D': element('UI', study), '0020000E': element('UI', `${study}.1`),
    '00080060': element('CS', 'OT'), '00100010': element('PN', { Alphabetic: 'Wang^XiaoDong', Ideographic: '王^小东' }), '00100020': element('LO', 'J-1'),
    '00280002': element('US', 1), '00280004': element('CS', 'MONOCHROME2'), '00280010': element('US', 4), '00280011': element('US', 4), '00280100': element('US', 8), '00280101': element('US', 8),
    '00280102': element('US', 7), '00280103': element('US', 0), '7fe00010': { vr: 'OB', BulkDataURI: uri },
  });
  const items = (count: number): Record<string, unknown> => ({ '00081140': { vr: 'SQ', Value: Array.from({ length: count }, () => ({})) } });
  const sixteen = Buffer.from(Array.from({ length: 16 }, (_, n) => n));
  const kept = (json: DicomJson): number => json['00081199']?.Value?.length ?? 0;

  it('gives back the same pixels', async () => {
    const [study, instance, without] = [newDicomUid(), newDicomUid(), newDicomUid()];
    const both = [metadata([dataSet(study, instance, 'pixels/1'), dataSet(study, without, 'pixels/none')]), pixels('pixels/1', sixteen)];
    const { status, json } = await send(...both);
    expect([status, reasons(json), refused(json)]).toEqual([202, [0xc000], [without]]);
    expect(await (await product.fetch(`/api/v1/studies/${study}`)).json()).toMatchObject({ patientId: 'J-1', instanceCount: 1 });
    const frame = await product.fetch(`/dicom-web/studies/${study}/series/${study}.1/instances/${instance}/frames/1`, { headers: { accept: 'multipart/related; type="application/octet-stream"' } });
    expect(Buffer.from(await frame.arrayBuffer()).includes(sixteen)).toBe(true);
    expect((await send(...both)).status).toBe(202);
  });

  it('refuses a data set that is none, and stores its neighbours', async () => {
    const study = newDicomUid();
    const bad = {
      'an item that is a text': { '00081140': element('SQ', 'abc') },
      'an item that is a name': { '00081140': element('SQ', { Alphabetic: 'x' }) },
      'an item where a text belongs': { '00081030': element('LO', {}) },
      'a value that is no array': { '00081030': { vr: 'LO', Value: 'x' } },
      'no VR': { '00081030': {} },
      'a key that is no tag': { StudyDescription: element('LO', 'x') },
      'many items': items(200_000),
      'deep sequences': JSON.parse('{"00081140":{"vr":"SQ","Value":['.repeat(500) + '{}' + ']}}'.repeat(500)) as object,
    };
    const uids = Object.keys(bad).map(() => newDicomUid());
    const [first, last] = [dataSet(study, newDicomUid(), 'pixels/1'), dataSet(study, newDicomUid(), 'pixels/1')];
    const { status, json } = await send(metadata([first, ...Object.values(bad).map((faults, n) => ({ ...dataSet(study, uids[n] ?? '', 'pixels/1'), ...faults })), last]), pixels('pixels/1', sixteen));
    expect([status, kept(json)]).toEqual([202, 2]);
    expect(reasons(json)).toEqual(uids.map(() => 0xc000));
    expect(refused(json)).toEqual(uids);
    expect(reasons((await send(metadata(['x', null, [], { '00080018': { vr: 'UI', Value: 'x' } }]))).json)).toEqual([0xc000, 0xc000, 0xc000, 0xc000]);
  });

  it('takes an object of very many items', async () => {
    const { status, json } = await send(metadata([{ ...dataSet(newDicomUid(), newDicomUid(), 'pixels/1'), ...items(150_000) }]), pixels('pixels/1', sixteen));
    expect([status, kept(json)]).toEqual([200, 1]);
  });

  it('refuses metadata that are no data sets as a whole', async () => {
    for (const json of ['{"x":1}', '[]', '1', 'no JSON', '['.repeat(100_000)]) expect(await send(metadata(json))).toMatchObject({ status: 400, json: { code: 'malformed-multipart' } });
    expect(await send(pixels('pixels/1', sixteen))).toMatchObject({ status: 400, json: { code: 'malformed-multipart' } });
  });

  it('limits the bytes of metadata, the data sets and the parts of bulk data', async () => {
    const half = ` ${JSON.stringify([{ '00104000': element('LT', 'x'.repeat(5 << 20)) }])}`;
    const parts = (count: number): Buffer[] => Array.from({ length: count }, (_, n) => pixels(`pixels/${String(n)}`, sixteen));
    for (const [body, detail] of [
      [[metadata(half), metadata(half)], 'Metadata may have 8388608 bytes.'],
      [[metadata(Array.from({ length: 10_001 }, () => ({})))], 'Metadata may have 10000 data sets.'],
      [[metadata([{}]), ...parts(1_001)], 'Metadata may come with 1000 parts of bulk data.'],
    ] as const) expect(await send(...body)).toMatchObject({ status: 413, json: { code: 'payload-too-large', detail } });
    const study = newDicomUid();
    const { status, json } = await send(metadata([dataSet(study, newDicomUid(), 'pixels/0'), dataSet(study, newDicomUid(), 'pixels/999')]), ...parts(1_000), pixels('pixels/999', sixteen));
    expect([status, kept(json)]).toEqual([200, 2]);
  });
});
