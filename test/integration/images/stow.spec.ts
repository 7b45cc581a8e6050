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
    const [whole, half] = [testInstance(), testInstance({ size: 1024 })];
    const body = relatedBody([whole, half]);
    const outgoing = request(`${product.url}/dicom-web/studies`, { method: 'POST', headers: { 'authorization': `Bearer ${await product.token()}`, 'content-type': TYPE } });
    outgoing.on('error', () => undefined);
    outgoing.write(body.subarray(0, whole.bytes.length + 500_000));
    const known = async (uid: string): Promise<boolean> => (await product.fetch(`/api/v1/studies/${uid}`)).status === 200;
    await eventually('the first part is stored', () => known(whole.studyInstanceUid));
    outgoing.destroy();
    await eventually('the draft is gone', () => Promise.resolve(readdirSync(join(product.dataDir, 'blobs', 'drafts')).length === 0));
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
    expect((await store(whole, { type: 'application/dicom' })).status).toBe(415);
  });
});
