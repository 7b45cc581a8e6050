import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createS3Client } from '../../../src/platform/storage/s3-client.js';
import { S3ObjectStore } from '../../../src/platform/storage/s3-object-store.js';
import { temporaryDirectory } from '../../support/product.js';
import { askS3, makeCertificates, motoIsInstalled, settingsFor, startMoto, startS3Proxy, startS3rver, type ProxiedRequest, type S3Proxy, type S3Server } from '../../support/s3.js';
import { keysOf, objectStoreContract, PretendedDisk, putObject, readObject } from './object-store.contract.js';

const MiB = 1024 * 1024;
const moto = motoIsInstalled();

interface Opened {
  store: S3ObjectStore;
  bucket: string;
  draftFolder: string;
}

const opened: Opened[] = [];

interface OpenOptions {
  bucket?: string;
  draftFolder?: string;
  disk?: PretendedDisk;
  caFile?: string;
}

/** A store that is not prepared, by default in a bucket that does not exist yet. */
function openS3(endpoint: string, { bucket = `test-${randomUUID()}`, draftFolder = temporaryDirectory(), disk = new PretendedDisk(), caFile }: OpenOptions = {}): Opened {
  const one = { store: new S3ObjectStore(createS3Client(settingsFor(endpoint, caFile)), bucket, draftFolder, disk.guard(draftFolder)), bucket, draftFolder };
  opened.push(one);
  return one;
}

afterEach(() => {
  for (const { store, draftFolder } of opened.splice(0)) {
    store.onApplicationShutdown();
    rmSync(draftFolder, { recursive: true, force: true });
  }
});

for (const [name, start, there] of [['in s3rver', startS3rver, true], ['in moto', startMoto, moto]] as const) {
  describe.skipIf(!there)(`S3 ${name}`, () => {
    let server: S3Server;
    beforeAll(async () => { server = await start(); });
    afterAll(async () => { await server.stop(); });

    objectStoreContract(name, { survivesDelete: false }, async (disk) => {
      const first = openS3(server.endpoint, { disk });
      await first.store.prepare();
      return { store: first.store, draftFolder: first.draftFolder, again: () => openS3(server.endpoint, { ...first, disk }).store, close: () => Promise.resolve() };
    });
  });
}

describe('the object store in S3', () => {
  let server: S3Server;
  let proxy: S3Proxy;
  let store: S3ObjectStore;
  let bucket: string;
  let draftFolder: string;
  const asked = (method: string, part = ''): ProxiedRequest[] => proxy.requests.filter((one) => one.method === method && one.url.includes(part));

  // moto knows more of S3 than s3rver: pages, uploads in parts that can be listed.
  beforeAll(async () => { server = moto ? await startMoto() : await startS3rver(); });
  afterAll(async () => { await server.stop(); });

  beforeEach(async () => {
    proxy = await startS3Proxy(server.endpoint);
    ({ store, bucket, draftFolder } = openS3(proxy.endpoint));
    await store.prepare();
    proxy.requests.length = 0;
  });
  afterEach(async () => { await proxy.stop(); });

  it('sends with every body its checksums, so that a server can refuse what did not arrive as it was sent', async () => {
    await putObject(store, 'small', randomBytes(100_000));
    await putObject(store, 'large', randomBytes(17 * MiB));
    const bodies = asked('PUT');
    expect(bodies.map(({ body }) => body.length).sort((a, b) => a - b)).toEqual([100_000, MiB, 8 * MiB, 8 * MiB]);
    for (const { headers, body } of bodies) {
      const crc = Buffer.alloc(4);
      crc.writeUInt32BE(crc32(body));
      expect(headers['x-amz-checksum-crc32']).toBe(crc.toString('base64'));
      expect(headers['x-amz-content-sha256']).toBe(createHash('sha256').update(body).digest('hex'));
      expect(headers.expect).toBeUndefined();
    }
  });

  it('says that it is unavailable, and shows nothing, when the server finds another checksum', async () => {
    proxy.judge(({ method }) => (method === 'PUT' ? { status: 400, code: 'BadDigest' } : 'pass'));
    await expect(putObject(store, 'a/b', randomBytes(1000))).rejects.toMatchObject({ code: 'storage-unavailable' });
    expect(await keysOf(store)).toEqual([]);
  });

  it('tries again what fails in passing', async () => {
    const failing = new Map<string, number>();
    proxy.judge(({ method, url }) => {
      const failures = (failing.get(`${method} ${url}`) ?? 0) + 1;
      failing.set(`${method} ${url}`, failures);
      if (failures === 1) return { status: 503, code: 'SlowDown' };
      return failures === 2 ? 'cut' : 'pass';
    });
    const bytes = randomBytes(9 * MiB);
    await putObject(store, 'a/small', bytes.subarray(0, 1000));
    await putObject(store, 'a/large', bytes);
    expect((await readObject(store, 'a/small')).equals(bytes.subarray(0, 1000))).toBe(true);
    expect((await readObject(store, 'a/large')).equals(bytes)).toBe(true);
    await store.delete('a/small');
    expect(await keysOf(store)).toEqual(['a/large']);
  });

  it('asks again for an answer that broke off, and gives up when it always does', async () => {
    const bytes = randomBytes(3 * MiB);
    await putObject(store, 'a/b', bytes);
    let cuts = 2;
    proxy.judge(({ method }) => (method === 'GET' && cuts-- > 0 ? { cutAnswerAfter: 100_000 } : 'pass'));
    const reader = await store.open('a/b');
    cuts = 2;
    expect(Buffer.from(await reader.read({ offset: 2 * MiB, length: MiB })).equals(bytes.subarray(2 * MiB))).toBe(true);
    proxy.judge(({ method }) => (method === 'GET' ? { cutAnswerAfter: 100_000 } : 'pass'));
    await expect(reader.read({ offset: MiB, length: MiB })).rejects.toMatchObject({ code: 'storage-unavailable' });
    await expect(store.open('a/b')).rejects.toMatchObject({ code: 'storage-unavailable' });
    proxy.judge(() => 'pass');
    expect(Buffer.from(await reader.read({ offset: MiB, length: MiB })).equals(bytes.subarray(MiB, 2 * MiB))).toBe(true);
    await reader.close();
  });

  it.each([
    ['is cut off', 'cut', 'storage-unavailable'],
    ['meets a server without room', { status: 507, code: 'XMinioStorageFull' }, 'storage-full'],
    ['meets a quota', { status: 403, code: 'QuotaExceeded' }, 'storage-full'],
    ['is refused', { status: 403, code: 'AccessDenied' }, 'storage-unavailable'],
    ['was taken away by somebody else', { status: 404, code: 'NoSuchUpload' }, 'storage-unavailable'],
  ] as const)('leaves nothing to be seen, nor in parts, of an upload that %s', async (_, verdict, code) => {
    for (const [size, failing] of [[1000, 'a/b'], [20 * MiB, 'partNumber=2'], [20 * MiB, 'partNumber=3']] as const) {
      proxy.judge(({ method, url }) => (method === 'PUT' && url.includes(failing) ? verdict : 'pass'));
      await expect(putObject(store, 'a/b', randomBytes(size))).rejects.toMatchObject({ code });
    }
    // The last request of all is the one that shows the object.
    proxy.judge(({ method, url }) => (method === 'POST' && url.includes('uploadId=') ? verdict : 'pass'));
    await expect(putObject(store, 'a/b', randomBytes(9 * MiB))).rejects.toMatchObject({ code });
    proxy.judge(() => 'pass');
    expect(await keysOf(store)).toEqual([]);
    await expect(store.open('a/b')).rejects.toMatchObject({ code: 'blob-missing' });
    if (moto) expect(await askS3(server.endpoint, `/${bucket}?uploads`)).not.toContain('<UploadId>');
    expect(readdirSync(draftFolder)).toEqual([]);
  });

  it('reads a small object with one request, a frame of a large one with two, and a stream in few', async () => {
    const bytes = randomBytes(30 * MiB);
    await putObject(store, 'small', bytes.subarray(0, 500_000));
    await putObject(store, 'large', bytes);
    const requests = async (work: () => Promise<unknown>): Promise<number> => {
      proxy.requests.length = 0;
      await work();
      await new Promise((resolve) => setTimeout(resolve, 100));
      return asked('GET').length;
    };
    expect(await requests(() => readObject(store, 'small'))).toBe(1);
    expect(await requests(async () => {
      const reader = await store.open('large');
      await reader.read({ offset: 0, length: 96 });
      await reader.read({ offset: 20 * MiB, length: MiB });
      await reader.close();
    })).toBe(2);
    expect(await requests(async () => {
      const reader = await store.open('large');
      for (let offset = 0; offset < bytes.length; offset += MiB) await reader.read({ offset, length: MiB });
      await reader.close();
    })).toBeLessThanOrEqual(12);
    expect(asked('GET').every(({ headers }, n) => n === 0 || headers['if-match'] !== undefined)).toBe(true);
  });

  it('fetches nothing more for a reader that was closed', async () => {
    const bytes = randomBytes(30 * MiB);
    await putObject(store, 'large', bytes);
    const reader = await store.open('large');
    for (let offset = 0; offset < 4 * MiB; offset += MiB) await reader.read({ offset, length: MiB });
    await reader.close();
    proxy.requests.length = 0;
    await expect(reader.read({ offset: 25 * MiB, length: MiB })).rejects.toMatchObject({ code: 'storage-unavailable' });
    expect(proxy.requests).toEqual([]);
  });

  it.skipIf(!moto)('lists page by page', async () => {
    for (let n = 0; n < 8; n++) await putObject(store, `a/${String(n)}`, Buffer.from('x'));
    proxy.judge(({ url }) => (url.includes('list-type=2') ? { url: `${url}&max-keys=3` } : 'pass'));
    proxy.requests.length = 0;
    expect(await keysOf(store, 'a/')).toHaveLength(8);
    expect(asked('GET', 'list-type=2')).toHaveLength(3);
  });

  it('makes the bucket, also when several start at once, and prepares again', async () => {
    const one = openS3(proxy.endpoint);
    const others = [1, 2, 3].map(() => openS3(proxy.endpoint, { bucket: one.bucket }));
    await Promise.all([one, ...others].map((each) => each.store.prepare()));
    await putObject(one.store, 'a', Buffer.from('kept'));
    await one.store.prepare();
    expect((await readObject(others[0]?.store ?? one.store, 'a')).toString()).toBe('kept');
  });

  it.skipIf(!moto)('drops at its start the parts of uploads that were cut off', async () => {
    proxy.judge(({ method, url }) => ((method === 'POST' && url.includes('uploadId=')) || method === 'DELETE' ? 'cut' : 'pass'));
    await expect(putObject(store, 'a/b', randomBytes(9 * MiB))).rejects.toMatchObject({ code: 'storage-unavailable' });
    // moto says of every upload that it is years old.
    expect(await askS3(server.endpoint, `/${bucket}?uploads`)).toContain('<UploadId>');
    proxy.judge(() => 'pass');
    await store.prepare();
    expect(await askS3(server.endpoint, `/${bucket}?uploads`)).not.toContain('<UploadId>');
  });

  it('says at its start what is wrong with the bucket', async () => {
    const start = (): Promise<void> => openS3(proxy.endpoint, { bucket }).store.prepare();
    for (const [verdict, detail] of [
      [{ status: 403, code: 'AccessDenied' }, /refuses the credentials/],
      [{ status: 301, code: 'PermanentRedirect' }, /another region/],
      ['cut', /cannot be used: (ECONNRESET|EPIPE)/],
    ] as const) {
      proxy.judge(() => verdict);
      await expect(start()).rejects.toMatchObject({ code: 'storage-unavailable', detail: expect.stringMatching(detail) as string });
    }
    proxy.judge(({ method, url }) => (url.startsWith(`/${bucket}`) && method !== 'GET' ? { status: method === 'HEAD' ? 404 : 403, code: 'AccessDenied' } : 'pass'));
    await expect(start()).rejects.toMatchObject({ code: 'storage-unavailable', detail: expect.stringMatching(/refuses the credentials/) as string });
    // Servers that do not know of this do without.
    proxy.judge(({ url }) => (url.includes('uploads') ? { status: 501, code: 'NotImplemented' } : 'pass'));
    await start();
    await proxy.stop();
    await expect(start()).rejects.toMatchObject({ code: 'storage-unavailable', detail: expect.stringMatching(/cannot be used: ECONNREFUSED/) as string });
    proxy = await startS3Proxy(server.endpoint);
  });

  it('is unavailable, and soon says so, without its bucket, its server or its folder of drafts', async () => {
    await store.ping();
    const elsewhere = openS3(proxy.endpoint);
    await expect(elsewhere.store.ping()).rejects.toMatchObject({ code: 'storage-unavailable' });
    await expect(elsewhere.store.open('a/b')).rejects.toMatchObject({ code: 'storage-unavailable', detail: expect.stringMatching(/bucket is missing/) as string });
    await expect(keysOf(elsewhere.store)).rejects.toMatchObject({ code: 'storage-unavailable' });
    await expect(putObject(elsewhere.store, 'a/b', Buffer.from('x'))).rejects.toMatchObject({ code: 'storage-unavailable' });
    rmSync(draftFolder, { recursive: true });
    await expect(store.ping()).rejects.toMatchObject({ code: 'storage-unavailable' });
    const away = openS3('http://127.0.0.1:1');
    const begun = Date.now();
    await expect(away.store.ping()).rejects.toMatchObject({ code: 'storage-unavailable' });
    expect(Date.now() - begun).toBeLessThan(3_000);
    await expect(away.store.open('a/b')).rejects.toMatchObject({ code: 'storage-unavailable' });
  });

  it('says nothing of a key in what it throws', async () => {
    proxy.judge(() => ({ status: 403, code: 'AccessDenied' }));
    const error: unknown = await store.open('institution/study/secret').catch((thrown: unknown) => thrown);
    expect(String(error)).not.toContain('secret');
  });
});

describe('S3 behind an authority of its own', () => {
  const certificates = makeCertificates();
  const strangers = certificates && makeCertificates();

  for (const [name, start, there] of [['s3rver', startS3rver, true], ['moto', startMoto, moto]] as const) {
    it.skipIf(!there || !certificates)(`is trusted with S3_CA_FILE, and not without it (${name})`, async () => {
      if (!certificates) return;
      const server = await start(certificates);
      try {
        const { store } = openS3(server.endpoint, { caFile: certificates.caFile });
        await store.prepare();
        const bytes = randomBytes(9 * MiB);
        await putObject(store, 'a/large', bytes);
        await putObject(store, 'a/small', bytes.subarray(0, 3 * MiB));
        expect((await readObject(store, 'a/large')).equals(bytes)).toBe(true);
        expect((await readObject(store, 'a/small')).equals(bytes.subarray(0, 3 * MiB))).toBe(true);
        await store.ping();
        for (const caFile of [undefined, strangers?.caFile]) {
          const stranger = openS3(server.endpoint, { ...(caFile !== undefined && { caFile }) }).store;
          await expect(stranger.prepare()).rejects.toMatchObject({ code: 'storage-unavailable', detail: expect.stringMatching(/certificate of the storage is not trusted/) as string });
        }
      } finally {
        for (const { store } of opened) store.onApplicationShutdown();
        await server.stop();
      }
    });
  }
});
