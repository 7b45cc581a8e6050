import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import dicomweb from 'dicomweb-client';
import sharp from 'sharp';
import { Upload, type UploadOptions } from 'tus-js-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import XMLHttpRequest from 'xhr2';
import type { DicomJson } from '../../src/imaging/dicom/dicom-json.js';
import { newDicomUid } from '../../src/kernel/uid.js';
import { captureFile, ctFile, dcmtkIsInstalled, relatedBody, relatedParts, sha256, STOW_TYPE, type Identity, type MadeFile } from '../support/dicom-files.js';
import { orthancIsMissing, startOrthanc, type Orthanc } from '../support/orthanc.mjs';
import { eventually, startProduct, type Product } from '../support/product.js';
import { freePort } from '../support/redis.js';

const run = promisify(execFile);
const dcmtk = dcmtkIsInstalled();
const SLICES = 12;

let product: Product;
let dimsePort: number;
/** Of the administrator, for clients that take headers when they start. */
let apiKey: string;

describe.skipIf(!dcmtk)('clients of others', () => {
  beforeAll(async () => {
    dimsePort = await freePort();
    product = await startProduct({ env: { SETTLE_SECONDS: '3600', DIMSE_PORT: String(dimsePort) } });
    apiKey = (await post<{ key: string }>('/api/v1/api-keys', { name: 'peer', scopes: ['images:read', 'images:write'] })).key;
  });

  afterAll(async () => { expect(await product.stop()).toBe(0); });

  describe('npm dicomweb-client', () => {
    const study = newDicomUid();
    const series = newDicomUid();
    let files: MadeFile[];
    let client: Client;

    beforeAll(async () => {
      // The library is written for browsers.
      Object.assign(globalThis, { XMLHttpRequest });
      client = new (dicomweb.api.DICOMwebClient as unknown as ClientClass)({ url: `${product.url}/dicom-web`, headers: { Authorization: `Bearer ${await product.token()}` } });
      files = Array.from({ length: SLICES }, (_, i) => ctFile({ studyInstanceUid: study, seriesInstanceUid: series }, {
        side: 64, fill: i, elements: { '0020,0013': ['IS', String(i + 1)], '0010,0010': ['PN', 'Client^Web'], '0010,0020': ['LO', 'WEB-1'], '0008,103e': ['LO', 'Slices'] },
      }));
    });

    it('stores', async () => {
      const answer = await client.storeInstances({ datasets: files.map(({ bytes }) => arrayBuffer(bytes)), studyInstanceUID: study });
      const json = (typeof answer === 'string' ? JSON.parse(answer) : answer) as DicomJson; // text or JSON, as the browser would have it
      expect(json['00081199']?.Value).toHaveLength(SLICES);
      expect(json['00081198']).toBeUndefined();
    });

    it('searches for studies, series and instances', async () => {
      const studies = await client.searchForStudies({ queryParams: { PatientID: 'WEB-1' } });
      expect(studies.map((item) => item['0020000D']?.Value)).toEqual([[study]]);
      expect(studies[0]).toMatchObject({ '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Client^Web' }] }, '00080061': { Value: ['CT'] }, '00201206': { Value: [1] }, '00201208': { Value: [SLICES] } });
      expect(await client.searchForStudies({ queryParams: { PatientName: 'Client*', limit: 5 } })).toHaveLength(1);
      // Nothing found is 200 with an empty list, or 204.
      expect(await client.searchForStudies({ queryParams: { PatientID: 'NOBODY' } })).toEqual([]);
      const found = await client.searchForSeries({ studyInstanceUID: study, queryParams: { includefield: 'SeriesDescription' } });
      expect(found).toMatchObject([{ '0020000E': { Value: [series] }, '00080060': { Value: ['CT'] }, '0008103E': { Value: ['Slices'] }, '00201209': { Value: [SLICES] } }]);
      const instances = await client.searchForInstances({ studyInstanceUID: study, seriesInstanceUID: series });
      expect(uidsOf(instances)).toEqual(new Set(files.map(({ sopInstanceUid }) => sopInstanceUid)));
    });

    it('retrieves what it stored, byte by byte', async () => {
      const whole = await client.retrieveStudy({ studyInstanceUID: study });
      expect(new Set(whole.map((bytes) => sha256(new Uint8Array(bytes))))).toEqual(new Set(files.map(({ bytes }) => sha256(bytes))));
      expect(await client.retrieveSeries({ studyInstanceUID: study, seriesInstanceUID: series })).toHaveLength(SLICES);
      const [first] = files;
      if (!first) throw new Error('no file');
      expect(sha256(new Uint8Array(await client.retrieveInstance(named(first))))).toBe(sha256(first.bytes));
    });

    it('reads metadata and follows them to frames, bulk data and pictures', async () => {
      const metadata = await client.retrieveStudyMetadata({ studyInstanceUID: study });
      expect(uidsOf(metadata)).toEqual(new Set(files.map(({ sopInstanceUid }) => sopInstanceUid)));
      expect(await client.retrieveSeriesMetadata({ studyInstanceUID: study, seriesInstanceUID: series })).toHaveLength(SLICES);
      const file = files[3];
      if (!file) throw new Error('no file');
      const pixels = new Uint8Array(new Uint16Array(64 * 64).fill(3).buffer);
      const own = metadata.find((item) => item['00080018']?.Value?.[0] === file.sopInstanceUid);
      const [frame] = await client.retrieveInstanceFrames({ ...named(file), frameNumbers: [1] });
      expect(new Uint8Array(frame ?? new ArrayBuffer(0))).toEqual(pixels);
      const uri = own?.['7FE00010']?.BulkDataURI;
      if (uri === undefined) throw new Error('pixel data without a BulkDataURI');
      const [bulk] = await client.retrieveBulkData({ BulkDataURI: new URL(uri, `${product.url}/dicom-web/`).href });
      expect(new Uint8Array(bulk ?? new ArrayBuffer(0))).toEqual(pixels);
      const [picture] = await client.retrieveInstanceRendered({ ...named(file), mediaTypes: [{ mediaType: 'image/png' }] });
      expect(await sharp(picture).metadata()).toMatchObject({ format: 'png', width: 64, height: 64 });
      const [thumbnail] = await client.retrieveInstanceThumbnail(named(file));
      expect((await sharp(thumbnail).metadata()).format).toMatch(/jpeg|png/);
    });
  });

  describe('storescu and echoscu of dcmtk', () => {
    const study = newDicomUid();
    /** How dump2dcm writes, and what storescu then proposes; else dcmtk writes the data set anew in whatever is accepted first. */
    const syntaxes = [['+te', '-xe'], ['+ti', '-xi'], ['+tb', '-xb']] as const;

    beforeAll(async () => { await post('/api/v1/dimse-callers', { aeTitle: 'CT01' }); });

    it('are answered when their AE title is known', async () => {
      await run('echoscu', ['-aet', 'CT01', '-aec', 'HEALTHVISION', '127.0.0.1', String(dimsePort)]);
      for (const [writes, proposes] of syntaxes) {
        const file = ctFile({ studyInstanceUid: study }, { side: 64, writes });
        await inFolder([file], (paths) => run('storescu', [proposes, '-aet', 'CT01', '-aec', 'HEALTHVISION', '127.0.0.1', String(dimsePort), ...paths]));
        const bytes = await retrieve(file);
        // The header of the file is made anew on the way, as the protocol has it; the data set is not touched.
        expect(sha256(dataSetOf(bytes)), writes).toBe(sha256(dataSetOf(file.bytes)));
      }
    });

    it('bring compressed images as they are', async () => {
      const capture = captureFile(await sharp({ create: { width: 64, height: 64, channels: 3, background: '#345678' } }).jpeg().toBuffer());
      await inFolder([capture], (paths) => run('storescu', ['-xy', '-aet', 'CT01', '-aec', 'HEALTHVISION', '127.0.0.1', String(dimsePort), ...paths]));
      expect(sha256(dataSetOf(await retrieve(capture)))).toBe(sha256(dataSetOf(capture.bytes)));
    });

    it('are turned away when nobody knows them, and when they call another', async () => {
      const stranger = ctFile();
      await inFolder([stranger], async (paths) => {
        await expect(run('storescu', ['-aet', 'STRANGER', '-aec', 'HEALTHVISION', '127.0.0.1', String(dimsePort), ...paths])).rejects.toThrow(/[Rr]eject/);
        await expect(run('storescu', ['-aet', 'CT01', '-aec', 'SOMEBODY', '127.0.0.1', String(dimsePort), ...paths])).rejects.toThrow(/[Rr]eject/);
      });
      expect((await product.fetch(`/api/v1/studies/${stranger.studyInstanceUid}`)).status).toBe(404);
    });
  });

  describe('npm tus-js-client', () => {
    it('goes on where an upload broke off', async () => {
      const file = ctFile({}, { side: 512 });
      const headers = { Authorization: `Bearer ${await product.token()}` };
      const offsets: number[] = [];
      const send = (options: Partial<UploadOptions>, breakAt = Infinity): Promise<Upload> => new Promise((resolve, reject) => {
        const upload = new Upload(Buffer.from(file.bytes), {
          endpoint: `${product.url}/api/v1/uploads`, headers, metadata: { filename: 'ct.dcm' }, chunkSize: 100_000, retryDelays: null, ...options,
          onChunkComplete: (_size, offset) => {
            offsets.push(offset);
            if (offset >= breakAt) void upload.abort().then(() => { resolve(upload); }, reject);
          },
          onError: reject, onSuccess: () => { resolve(upload); },
        });
        upload.start();
      });
      const broken = await send({}, 200_000);
      const { url } = await send({ uploadUrl: broken.url });
      expect(offsets).toEqual([100_000, 200_000, 300_000, 400_000, 500_000, file.bytes.length]);
      const state = await eventually('the upload is stored', async () => {
        const now = await product.json<{ state: string; items: unknown[] }>(new URL(url ?? '').pathname);
        return now.state === 'done' && now;
      });
      expect(state.items).toMatchObject([{ file: 'ct.dcm', status: 'stored', sopInstanceUid: file.sopInstanceUid }]);
      expect(sha256(await retrieve(file))).toBe(sha256(file.bytes));
    });
  });

  const noOrthanc = orthancIsMissing();
  if (noOrthanc !== undefined) console.warn(`SKIPPED: ${noOrthanc}; nothing is exchanged with it`);

  describe.skipIf(noOrthanc !== undefined)('Orthanc', () => {
    let orthanc: Orthanc;

    beforeAll(async () => { orthanc = await startOrthanc({ servers: { hv: { url: `${product.url}/dicom-web/`, headers: { 'X-API-Key': apiKey } } } }); });
    afterAll(async () => { await orthanc.stop(); });

    it('pushes a study by STOW-RS', async () => {
      const study = newDicomUid();
      const files = Array.from({ length: SLICES }, (_, i) => ctFile({ studyInstanceUid: study }, { side: 128, fill: i }));
      const ids: string[] = [];
      for (const { bytes } of files) ids.push((await ask<{ ParentStudy: string }>(orthanc, '/instances', bytes)).ParentStudy);
      await ask(orthanc, '/dicom-web/servers/hv/stow', JSON.stringify({ Resources: [ids[0]], Synchronous: true }));
      for (const file of files) expect(sha256(await retrieve(file))).toBe(sha256(file.bytes));
    });

    it('pulls a study by WADO-RS', async () => {
      const study = newDicomUid();
      const files = Array.from({ length: SLICES }, (_, i) => ctFile({ studyInstanceUid: study }, { side: 128, fill: i }));
      const stored = await product.fetch('/dicom-web/studies', { method: 'POST', headers: { 'content-type': STOW_TYPE }, body: new Uint8Array(relatedBody(files.map(({ bytes }) => bytes))) });
      expect(stored.status).toBe(200);
      const listed = await ask<Record<string, unknown>[]>(orthanc, '/dicom-web/servers/hv/qido', JSON.stringify({ Uri: '/studies', Arguments: { StudyInstanceUID: study } }));
      expect(JSON.stringify(listed)).toContain(study);
      await ask(orthanc, '/dicom-web/servers/hv/retrieve', JSON.stringify({ Resources: [{ Study: study }], Synchronous: true }));
      const kept = await ask<{ ID: string }[]>(orthanc, '/tools/find', JSON.stringify({ Level: 'Instance', Query: { StudyInstanceUID: study }, Expand: true }));
      expect(kept).toHaveLength(SLICES);
      const digests = await Promise.all(kept.map(async ({ ID }) => sha256(new Uint8Array(await (await fetch(`${orthanc.url}/instances/${ID}/file`)).arrayBuffer()))));
      expect(new Set(digests)).toEqual(new Set(files.map(({ bytes }) => sha256(bytes))));
    });
  });
});

/** What is called of npm dicomweb-client; its own types say `request` is required where it is not, and forget that answers are promises. */
interface Client {
  storeInstances(options: { datasets: ArrayBuffer[]; studyInstanceUID?: string }): Promise<unknown>;
  searchForStudies(options: { queryParams: object }): Promise<DicomJson[]>;
  searchForSeries(options: { studyInstanceUID: string; queryParams?: object }): Promise<DicomJson[]>;
  searchForInstances(options: { studyInstanceUID: string; seriesInstanceUID: string }): Promise<DicomJson[]>;
  retrieveStudy(options: { studyInstanceUID: string }): Promise<ArrayBuffer[]>;
  retrieveSeries(options: { studyInstanceUID: string; seriesInstanceUID: string }): Promise<ArrayBuffer[]>;
  retrieveInstance(options: Named): Promise<ArrayBuffer>;
  retrieveStudyMetadata(options: { studyInstanceUID: string }): Promise<DicomJson[]>;
  retrieveSeriesMetadata(options: { studyInstanceUID: string; seriesInstanceUID: string }): Promise<DicomJson[]>;
  retrieveInstanceFrames(options: Named & { frameNumbers: number[] }): Promise<ArrayBuffer[]>;
  retrieveBulkData(options: { BulkDataURI: string }): Promise<ArrayBuffer[]>;
  retrieveInstanceRendered(options: Named & { mediaTypes: { mediaType: string }[] }): Promise<[ArrayBuffer]>;
  retrieveInstanceThumbnail(options: Named): Promise<[ArrayBuffer]>;
}

type ClientClass = new (options: { url: string; headers: Record<string, string> }) => Client;

interface Named {
  studyInstanceUID: string;
  seriesInstanceUID: string;
  sopInstanceUID: string;
}

function named({ studyInstanceUid, seriesInstanceUid, sopInstanceUid }: Identity): Named {
  return { studyInstanceUID: studyInstanceUid, seriesInstanceUID: seriesInstanceUid, sopInstanceUID: sopInstanceUid };
}

function uidsOf(instances: readonly DicomJson[]): Set<unknown> {
  return new Set(instances.map((item) => item['00080018']?.Value?.[0]));
}

function arrayBuffer(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

async function retrieve({ studyInstanceUid, seriesInstanceUid, sopInstanceUid }: Identity): Promise<Uint8Array> {
  const response = await product.fetch(`/dicom-web/studies/${studyInstanceUid}/series/${seriesInstanceUid}/instances/${sopInstanceUid}`, { headers: { accept: 'multipart/related; type="application/dicom"; transfer-syntax=*' } });
  if (response.status !== 200) throw new Error(`${String(response.status)} ${await response.text()}`);
  return (await relatedParts(response))[0]?.bytes ?? new Uint8Array(0);
}

/** The bytes behind the File Meta Information. @see PS3.10 §7.1 */
function dataSetOf(file: Uint8Array): Uint8Array {
  // (0002,0000) UL gives the length of the group, counted behind it.
  return file.subarray(128 + 4 + 12 + new DataView(file.buffer, file.byteOffset).getUint32(128 + 4 + 8, true));
}

function post<T>(path: string, body: object): Promise<T> {
  return product.json<T>(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
}

async function ask<T>({ url }: Orthanc, path: string, body: string | Uint8Array): Promise<T> {
  const response = await fetch(`${url}${path}`, { method: 'POST', body: typeof body === 'string' ? body : new Uint8Array(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`Orthanc, ${path}: ${String(response.status)} ${text}`);
  return JSON.parse(text === '' ? 'null' : text) as T; // Orthanc's own shapes
}

async function inFolder(files: readonly MadeFile[], work: (paths: string[]) => Promise<unknown>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'healthvision-scu-'));
  try {
    const paths = files.map(({ bytes }, i) => {
      const path = join(folder, `${String(i)}.dcm`);
      writeFileSync(path, bytes);
      return path;
    });
    await work(paths);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
