import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { startProduct, type Product } from '../../support/product.js';
import { askS3, startS3rver, type S3Server } from '../../support/s3.js';
import { relatedBody, testInstance, upload } from '../images/instances.js';

describe('the product', () => {
  let server: S3Server | undefined;
  let product: Product | undefined;

  afterEach(async () => {
    await product?.stop();
    await server?.stop();
    product = server = undefined;
  });

  it('keeps its blobs in S3', async () => {
    server = await startS3rver();
    product = await startProduct({ env: { BLOB_STORE: 's3', S3_ENDPOINT: server.endpoint, S3_BUCKET: 'images', S3_ACCESS_KEY_ID: 'S3RVER', S3_SECRET_ACCESS_KEY: 'S3RVER' } });
    const one = testInstance();
    expect(await upload(product, ['one.dcm', one.bytes])).toMatchObject({ status: 201 });
    const listed = await askS3(server.endpoint, '/images?list-type=2');
    expect(listed.match(/<Key>/g)?.length).toBeGreaterThanOrEqual(1);
    expect(listed).not.toContain(one.sopInstanceUid);
    const response = await product.fetch(`/dicom-web/studies/${one.studyInstanceUid}/series/${one.seriesInstanceUid}/instances/${one.sopInstanceUid}`, { headers: { accept: 'multipart/related; type="application/dicom"' } });
    expect(response.status).toBe(200);
    expect(Buffer.from(await response.arrayBuffer()).includes(Buffer.from(one.bytes))).toBe(true);
    expect(readdirSync(join(product.dataDir, 'drafts'))).toEqual([]);
    expect((await product.fetch('/ready')).status).toBe(200);
    await server.stop();
    server = undefined;
    expect((await product.fetch('/ready')).status).toBe(503);
    expect(await upload(product, ['two.dcm', testInstance().bytes])).toMatchObject({ status: 503 });
  });

  it('answers 507 while no more than the reserve is free, and serves what it has', async () => {
    product = await startProduct({ keepData: true });
    const { dataDir } = product;
    const one = testInstance();
    await upload(product, ['one.dcm', one.bytes]);
    await product.stop();
    product = await startProduct({ dataDir, env: { STORAGE_RESERVE_BYTES: '1000TB' }, keepData: false });
    const response = await product.fetch('/dicom-web/studies', {
      method: 'POST', headers: { 'content-type': 'multipart/related; type="application/dicom"; boundary=b' }, body: new Uint8Array(relatedBody([{ bytes: testInstance().bytes }], 'b')),
    });
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([507, 'storage-full']);
    expect((await upload(product, ['two.dcm', testInstance().bytes])).status).toBe(507);
    expect((await product.fetch(`/api/v1/studies/${one.studyInstanceUid}`)).status).toBe(200);
    expect((await product.fetch('/ready')).status).toBe(200);
    expect(await (await product.fetch('/metrics')).text()).toMatch(/^healthvision_storage_free_bytes [1-9]\d*/m);
  });
});
