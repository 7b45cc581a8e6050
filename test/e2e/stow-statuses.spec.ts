import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DicomJson } from '../../src/imaging/dicom/dicom-json.js';
import { newDicomUid } from '../../src/kernel/uid.js';
import { preparedDirectory } from '../support/data-directory.js';
import { beginUpload, PART_HEAD } from '../support/begun-upload.js';
import { captureFile, ctFile, dcmtkIsInstalled, exchanged, relatedBody, relatedParts, sha256, STOW_TYPE, textOf, type DumpOptions, type Identity } from '../support/dicom-files.js';
import { eventually, startProduct, temporaryDirectory, type Product } from '../support/product.js';

/** Failure Reasons. @see PS3.18 Annex I.2, PS3.7 Annex C */
const REASON = { outOfResources: 0xa700, otherStudy: 0xa900, duplicate: 0x0111, cannotUnderstand: 0xc000, transferSyntax: 0xc122 } as const;
const PARTS = 10_000;

interface Answer {
  status: number;
  json: DicomJson & { code?: string };
  /** Of Referenced SOP Sequence. */
  stored: unknown[];
  /** Of Failed SOP Sequence. */
  failed: { uid: unknown; reason: unknown; comment: unknown }[];
}

interface Sending {
  study?: string;
  type?: string;
  to?: Product;
  headers?: Record<string, string>;
}

let product: Product;

const dcmtk = dcmtkIsInstalled();

describe.skipIf(!dcmtk)('STOW-RS answers (PS3.18 §10.5)', () => {
  beforeAll(async () => {
    product = await startProduct({ env: { APP_ROLE: 'api', SETTLE_SECONDS: '3600', MAX_UPLOAD_BYTES: '64MiB' } });
  });

  afterAll(async () => {
    expect(await product.stop()).toBe(0);
  });

  describe('200', () => {
    it('when every part is stored, whatever transfer syntax it is written in', async () => {
      const study = newDicomUid();
      const writes: DumpOptions['writes'][] = ['+te', '+ti', '+tb', '+td'];
      const files = [
        ...writes.map((syntax) => ctFile({ studyInstanceUid: study }, { writes: syntax ?? '+te' })),
        captureFile(await sharp({ create: { width: 64, height: 48, channels: 3, background: { r: 90, g: 20, b: 40 } } }).jpeg().toBuffer(), { studyInstanceUid: study }),
      ];
      const answer = await store(files.map(({ bytes }) => bytes));
      expect(answer).toMatchObject({ status: 200, failed: [] });
      expect(answer.stored).toEqual(files.map(({ sopInstanceUid }) => sopInstanceUid));
      expect(answer.json['00081190']?.Value).toEqual([`${product.url}/dicom-web/studies/${study}`]);
      for (const [i, item] of (answer.json['00081199']?.Value ?? []).entries()) {
        const reference = item as DicomJson;
        expect(reference['00081150']?.Value).toHaveLength(1);
        // The URL that it names is where it lies.
        const retrieved = await retrieve(textOf(reference, '00081190'));
        expect(sha256(retrieved)).toBe(sha256(files[i]?.bytes ?? new Uint8Array(0)));
      }
    });

    it('when the very same bytes come again, and nothing is changed by it', async () => {
      const file = ctFile();
      await store([file.bytes]);
      const before = await product.json<{ instanceCount: number; updatedAt: string }>(`/api/v1/studies/${file.studyInstanceUid}`);
      const again = await store([file.bytes, file.bytes], { study: file.studyInstanceUid });
      expect(again).toMatchObject({ status: 200, failed: [], stored: [file.sopInstanceUid, file.sopInstanceUid] });
      expect(await product.json(`/api/v1/studies/${file.studyInstanceUid}`)).toEqual(before);
    });

    it('when one instance comes without the multipart', async () => {
      const file = ctFile();
      expect(await send(file.bytes, { type: 'application/dicom' })).toMatchObject({ status: 200, stored: [file.sopInstanceUid], failed: [] });
    });

    it('when metadata and bulk data come apart', async () => {
      const uids = ctFile();
      const pixels = new Uint8Array(new Uint16Array(16 * 16).map((_, i) => i).buffer);
      const metadata = [{
        '00020010': { vr: 'UI', Value: ['1.2.840.10008.1.2.1'] }, '00080016': { vr: 'UI', Value: ['1.2.840.10008.5.1.4.1.1.2'] }, '00080018': { vr: 'UI', Value: [uids.sopInstanceUid] },
        '00080060': { vr: 'CS', Value: ['CT'] }, '00080005': { vr: 'CS', Value: ['ISO_IR 192'] }, '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Json^Jan', Ideographic: '张^三' }] }, '00100020': { vr: 'LO', Value: ['J-1'] },
        '0020000D': { vr: 'UI', Value: [uids.studyInstanceUid] }, '0020000E': { vr: 'UI', Value: [uids.seriesInstanceUid] },
        '00280002': { vr: 'US', Value: [1] }, '00280004': { vr: 'CS', Value: ['MONOCHROME2'] }, '00280010': { vr: 'US', Value: [16] }, '00280011': { vr: 'US', Value: [16] }, '00280100': { vr: 'US', Value: [16] },
        '00280101': { vr: 'US', Value: [16] }, '00280102': { vr: 'US', Value: [15] }, '00280103': { vr: 'US', Value: [0] }, '7FE00010': { vr: 'OW', BulkDataURI: 'bulk/pixels' },
      }];
      const body = relatedBody([
        { type: 'application/dicom+json; transfer-syntax=1.2.840.10008.1.2.1', bytes: Buffer.from(JSON.stringify(metadata)) },
        { type: 'application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1', bytes: pixels, location: 'bulk/pixels' },
      ]);
      const answer = await send(body, { type: 'multipart/related; type="application/dicom+json"; boundary="boundary-of-tests"' });
      expect(answer).toMatchObject({ status: 200, stored: [uids.sopInstanceUid], failed: [] });
      const frame = await product.fetch(`${instancePath(uids)}/frames/1`, { headers: { accept: 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1' } });
      expect((await relatedParts(frame))[0]?.bytes).toEqual(pixels);
    });
  });

  describe('202', () => {
    it('when some parts are stored, with the reason of every other', async () => {
      const [good, conflicting, foreign] = [ctFile(), ctFile(), ctFile({}, { elements: { '0008,0018': ['UI', '1.2.3.4.5.6'] } })];
      await store([conflicting.bytes]);
      const answer = await store([
        good.bytes,
        ctFile(conflicting, { fill: 9 }).bytes,
        exchanged(foreign.bytes, '1.2.840.10008.1.2.1\0', '1.2.840.10008.1.2.9\0'),
        Buffer.from('no DICOM'),
        good.bytes.subarray(0, good.bytes.length - 100),
      ]);
      expect(answer.status).toBe(202);
      expect(answer.stored).toEqual([good.sopInstanceUid]);
      expect(answer.failed.map(({ reason }) => reason)).toEqual([REASON.duplicate, REASON.transferSyntax, REASON.cannotUnderstand, REASON.cannotUnderstand]);
      expect(answer.failed[0]?.uid).toBe(conflicting.sopInstanceUid);
    });
  });

  describe('409, none stored', () => {
    const URL_STUDY = newDicomUid();
    const cases: [what: string, reason: number, comment: string, bytes: () => Uint8Array][] = [
      ['a part of another study than the URL’s', REASON.otherStudy, 'wrong-study', () => ctFile().bytes],
      ['no Study Instance UID', REASON.cannotUnderstand, 'missing-uid', () => ctFile({ studyInstanceUid: URL_STUDY }, { elements: { '0020,000d': null } }).bytes],
      ['no Series Instance UID', REASON.cannotUnderstand, 'missing-uid', () => ctFile({ studyInstanceUid: URL_STUDY }, { elements: { '0020,000e': null } }).bytes],
      ['a UID that is none', REASON.cannotUnderstand, 'missing-uid', () => ctFile({ studyInstanceUid: URL_STUDY }, { elements: { '0020,000e': ['UI', '1.2.<script>'] } }).bytes],
      ['a transfer syntax that nobody knows', REASON.transferSyntax, 'unsupported-transfer-syntax', () => exchanged(ctFile({ studyInstanceUid: URL_STUDY }).bytes, '1.2.840.10008.1.2.1\0', '1.2.840.10008.1.2.9\0')],
      ['a file that ends too early', REASON.cannotUnderstand, 'truncated-file', () => ctFile({ studyInstanceUid: URL_STUDY }).bytes.subarray(0, -64)],
      ['bytes that are no DICOM', REASON.cannotUnderstand, 'not-dicom', () => Buffer.from('%PDF-1.7 and so on, long enough to be looked at')],
      ['a part without a byte', REASON.cannotUnderstand, 'empty-file', () => new Uint8Array(0)],
    ];

    it.each(cases)('for %s (reason %i, %s)', async (_, reason, code, bytes) => {
      const answer = await store([bytes()], { study: URL_STUDY });
      expect(answer).toMatchObject({ status: 409, stored: [], failed: [{ reason }] });
      expect(String(answer.failed[0]?.comment)).toContain(code);
      expect((await product.fetch(`/api/v1/studies/${URL_STUDY}`)).status).toBe(404);
    });

    it('for a SOP Class UID that neither the data set nor the header names', async () => {
      // dump2dcm writes no header without a SOP class: the data set alone is what an old device sends.
      const bare = ctFile({}, { elements: { '0008,0016': null } });
      const answer = await store([bare.bytes]);
      expect(answer).toMatchObject({ status: 409, failed: [{ reason: REASON.cannotUnderstand }] });
      expect(String(answer.failed[0]?.comment)).toContain('missing-sop-class');
    });

    it('for other bytes under a UID that is stored, until the institution allows replacing; then the last bytes count', async () => {
      const first = ctFile();
      const second = ctFile(first, { fill: 9 });
      await store([first.bytes]);
      expect(await store([second.bytes])).toMatchObject({ status: 409, failed: [{ uid: first.sopInstanceUid, reason: REASON.duplicate }] });
      expect(sha256(await retrieve(instancePath(first)))).toBe(sha256(first.bytes));
      await setPolicy('replace');
      try {
        expect(await store([second.bytes])).toMatchObject({ status: 200, stored: [first.sopInstanceUid] });
        expect(sha256(await retrieve(instancePath(first)))).toBe(sha256(second.bytes));
        const moved = ctFile({ sopInstanceUid: first.sopInstanceUid });
        expect((await store([moved.bytes])).status).toBe(409);
      } finally {
        await setPolicy('reject');
      }
      expect((await product.json<{ instanceCount: number }>(`/api/v1/studies/${first.studyInstanceUid}`)).instanceCount).toBe(1);
    });
  });

  describe('400', () => {
    it.each<[string, () => Uint8Array, string]>([
      ['an empty body', () => new Uint8Array(0), STOW_TYPE],
      ['a body that is all preamble', () => Buffer.from('nothing to see here'), STOW_TYPE],
      ['a body without parts', () => Buffer.from('--boundary-of-tests--\r\n'), STOW_TYPE],
      ['a body that ends before its closing boundary', () => relatedBody([ctFile().bytes]).subarray(0, -24), STOW_TYPE],
      ['a content type without a boundary', () => relatedBody([ctFile().bytes]), 'multipart/related; type="application/dicom"'],
      ['a boundary that the body does not have', () => relatedBody([ctFile().bytes]), 'multipart/related; type="application/dicom"; boundary=other'],
      ['a part whose headers never end', () => Buffer.from(`--boundary-of-tests\r\nContent-Type: ${'a'.repeat(40_000)}`), STOW_TYPE],
      ['metadata that are no JSON', () => relatedBody([{ type: 'application/dicom+json', bytes: Buffer.from('[{]') }]), 'multipart/related; type="application/dicom+json"; boundary="boundary-of-tests"'],
    ])('for %s', async (_, body, type) => {
      expect(await send(body(), { type })).toMatchObject({ status: 400, json: { code: 'malformed-multipart' } });
    });
  });

  describe('the statuses of every web service', () => {
    it.each<[what: string, type: string, body?: Uint8Array]>([
      ['JSON', 'application/json', Buffer.from('[]')], ['XML', 'multipart/related; type="application/dicom+xml"; boundary="boundary-of-tests"'], ['bytes of any kind', 'application/octet-stream'],
      ['a form', 'multipart/form-data; boundary="boundary-of-tests"'], ['no type at all', ''],
    ])('415 for %s', async (_, type, body = relatedBody([ctFile().bytes])) => {
      expect((await send(body, { type })).status).toBe(415);
    });

    it('413 for more bytes than a request may carry, announced or found out', async () => {
      const tooMuch = new Uint8Array(65 * 2 ** 20);
      expect(await send(tooMuch)).toMatchObject({ status: 413, json: { code: 'payload-too-large' } });
      const socket = await begin(PART_HEAD);
      let answer = '';
      socket.setEncoding('utf8').on('data', (text: string) => { answer += text; }).on('error', () => undefined);
      const piece = `100000\r\n${'\0'.repeat(2 ** 20)}\r\n`;
      for (let sent = 0; sent < 66 && answer === '' && socket.writable; sent++) if (!socket.write(piece, 'latin1')) await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
      await eventually('an answer', () => Promise.resolve(answer.includes('\r\n\r\n')));
      expect(answer).toMatch(/^HTTP\/1\.1 413 /);
      socket.destroy();
    });

    it('401 without credentials, 403 without the permission', async () => {
      const body = relatedBody([ctFile().bytes]);
      const anonymous = await fetch(`${product.url}/dicom-web/studies`, { method: 'POST', body: new Uint8Array(body), headers: { 'content-type': STOW_TYPE } });
      expect(anonymous.status).toBe(401);
      const { key } = await product.json<{ key: string }>('/api/v1/api-keys', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name: 'reader', scopes: ['images:read'] }) });
      expect(await send(body, { headers: { 'x-api-key': key } })).toMatchObject({ status: 403, json: { code: 'forbidden' } });
    });

    it('404 for a study that no UID can name', async () => {
      expect((await store([ctFile().bytes], { study: 'not-a-uid' })).status).toBe(404);
    });
  });

  describe('clients of every kind', () => {
    it(`may send ${String(PARTS)} parts in one request`, async () => {
      const template = ctFile({ studyInstanceUid: newDicomUid(), seriesInstanceUid: newDicomUid(), sopInstanceUid: `1.2.826.0.1.${'0'.padStart(8, '1')}` }, { side: 0 });
      const files = Array.from({ length: PARTS }, (_, i) => exchanged(template.bytes, template.sopInstanceUid, `1.2.826.0.1.${String(20_000_000 + i)}`));
      const answer = await store(files, { study: template.studyInstanceUid });
      expect(answer.status).toBe(200);
      expect(answer.stored).toHaveLength(PARTS);
      expect((await product.json<{ instanceCount: number }>(`/api/v1/studies/${template.studyInstanceUid}`)).instanceCount).toBe(PARTS);
      expect(residentBytes(product)).toBeLessThan(400e6);
    });

    it(`may send ${String(PARTS)} parts of nonsense, and hear why of each`, async () => {
      const answer = await store(Array.from({ length: PARTS }, () => Buffer.from('nonsense')));
      expect(answer.status).toBe(409);
      expect(answer.failed).toHaveLength(PARTS);
    });

    it('may store the same instance at the same time: once it is stored', async () => {
      const file = ctFile({}, { side: 256 });
      const answers = await Promise.all(Array.from({ length: 6 }, () => store([file.bytes])));
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
      expect((await product.json<{ instanceCount: number }>(`/api/v1/studies/${file.studyInstanceUid}`)).instanceCount).toBe(1);
    });

    it('may store different bytes under the same UID at the same time: one of them is stored, and stays', async () => {
      const uids = ctFile();
      const files = [1, 2, 3, 4].map((fill) => ctFile(uids, { side: 256, fill }));
      const answers = await Promise.all(files.map(({ bytes }) => store([bytes])));
      const winners = answers.flatMap(({ status }, i) => (status === 200 ? [i] : []));
      expect(winners).toHaveLength(1);
      for (const answer of answers) if (answer.status !== 200) expect(answer).toMatchObject({ status: 409, failed: [{ reason: REASON.duplicate }] });
      expect(sha256(await retrieve(instancePath(uids)))).toBe(sha256(files[winners[0] ?? -1]?.bytes ?? new Uint8Array(0)));
    });

    it('may hang up in mid-part: the whole parts stay, of the half one nothing does', async () => {
      const [whole, half] = [ctFile(), ctFile({}, { side: 512 })];
      const body = relatedBody([whole.bytes, half.bytes]);
      const socket = await begin(body.subarray(0, whole.bytes.length + 300_000));
      // Long enough for what was sent to arrive.
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      socket.resetAndDestroy();
      await eventually('the first part', async () => (await product.fetch(instancePath(whole), { headers: { accept: 'multipart/related; type="application/dicom"' } })).status === 200);
      await eventually('the draft’s end', () => Promise.resolve(drafts() === 0));
      expect((await product.fetch(`/api/v1/studies/${half.studyInstanceUid}`)).status).toBe(404);
      expect((await product.fetch(instancePath(half))).status).toBe(404);
    });

    it('may send a byte now and then, a hundred of them, and nobody else waits for it', async () => {
      const sockets = await Promise.all(Array.from({ length: 100 }, () => begin(PART_HEAD)));
      const dripping = setInterval(() => { for (const socket of sockets) socket.write('1\r\n\0\r\n'); }, 100);
      try {
        for (let round = 0; round < 10; round++) {
          const started = Date.now();
          expect((await store([ctFile().bytes])).status).toBe(200);
          expect(Date.now() - started).toBeLessThan(5_000);
        }
        expect(residentBytes(product)).toBeLessThan(400e6);
      } finally {
        clearInterval(dripping);
        for (const socket of sockets) socket.destroy();
      }
    });
  });

  it('never failed of itself', () => {
    expect(product.output()).not.toMatch(/"level":"?(50|60|error|fatal)/);
  });
});

describe.skipIf(!dcmtk || !mayMount())('STOW-RS on a disk that runs full', () => {
  let small: Product;
  let dataDir: string;
  let blobs: string;

  beforeAll(async () => {
    dataDir = await preparedDirectory();
    blobs = join(dataDir, 'blobs');
    mkdirSync(blobs, { mode: 0o700 });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', blobs]);
    small = await startProduct({ dataDir, env: { APP_ROLE: 'api', SETTLE_SECONDS: '3600', STORAGE_RESERVE_BYTES: '8MiB' } });
  });

  afterAll(async () => {
    await small.stop();
    execFileSync('umount', [blobs]);
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('answers 202 with 0xA700 for what has no room, then 507, and goes on reading', async () => {
    const files = Array.from({ length: 60 }, () => ctFile({}, { side: 724 }));
    const answer = await store(files.map(({ bytes }) => bytes), { to: small });
    expect(answer.status).toBe(202);
    expect(answer.stored.length).toBeGreaterThan(1);
    expect(answer.stored.length + answer.failed.length).toBe(files.length);
    expect(new Set(answer.failed.map(({ reason }) => reason))).toEqual(new Set([REASON.outOfResources]));
    const full = await store([ctFile({}, { side: 3000 }).bytes], { to: small });
    expect(full.status).toBe(507);
    const kept = files.find(({ sopInstanceUid }) => sopInstanceUid === answer.stored[0]);
    if (!kept) throw new Error('what is stored was not sent');
    expect(sha256(await retrieve(instancePath(kept), small))).toBe(sha256(kept.bytes));
    expect((await small.fetch('/ready')).status).toBe(200);
  });
});

/** True, or false with a loud line, when this account may not mount a file system. */
function mayMount(): boolean {
  const folder = temporaryDirectory();
  const mounts = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder]).status === 0;
  if (mounts) execFileSync('umount', [folder]);
  else console.warn('SKIPPED: a small file system cannot be mounted by this account; a full disk is not tested here');
  rmSync(folder, { recursive: true, force: true });
  return mounts;
}

function store(files: readonly Uint8Array[], sending: Sending = {}): Promise<Answer> {
  return send(relatedBody(files), sending);
}

async function send(body: Uint8Array, { study, type = STOW_TYPE, to = product, headers = {} }: Sending = {}): Promise<Answer> {
  const response = await to.fetch(`/dicom-web/studies${study === undefined ? '' : `/${study}`}`, {
    method: 'POST', body: new Uint8Array(body), headers: { ...headers, 'content-type': type, 'accept': 'application/dicom+json' },
  });
  const text = await response.text();
  const json = JSON.parse(text === '' ? '{}' : text) as Answer['json']; // a Store Instances Response or a problem
  const items = (tag: string): DicomJson[] => (json[tag]?.Value ?? []) as DicomJson[]; // sequences hold items
  return {
    status: response.status,
    json,
    stored: items('00081199').map((item) => item['00081155']?.Value?.[0]),
    failed: items('00081198').map((item) => ({ uid: item['00081155']?.Value?.[0], reason: item['00081197']?.Value?.[0], comment: ((item['00741048']?.Value ?? []) as DicomJson[])[0]?.['00000902']?.Value?.[0] })),
  };
}

function instancePath({ studyInstanceUid, seriesInstanceUid, sopInstanceUid }: Identity): string {
  return `/dicom-web/studies/${studyInstanceUid}/series/${seriesInstanceUid}/instances/${sopInstanceUid}`;
}

/** One instance as it is stored. @param where  a path, or the URL of an answer */
async function retrieve(where: string, from = product): Promise<Uint8Array> {
  const response = await from.fetch(where.replace(from.url, ''), { headers: { accept: 'multipart/related; type="application/dicom"; transfer-syntax=*' } });
  if (response.status !== 200) throw new Error(`${where}: ${String(response.status)} ${await response.text()}`);
  const [part] = await relatedParts(response);
  if (!part) throw new Error('an answer without a part');
  return part.bytes;
}

async function setPolicy(onConflict: 'reject' | 'replace'): Promise<void> {
  await product.json('/api/v1/image-policy', { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ onConflict, retentionDays: null }) });
  // Every process hears of it within two seconds.
  await new Promise((resolve) => setTimeout(resolve, 2_200));
}

/** An upload by hand: the head of the request, and the beginning of its chunked body. */
function begin(beginning: Uint8Array): Promise<Socket> {
  return beginUpload(product, beginning);
}

/** Objects that are being received. */
function drafts(): number {
  return readdirSync(join(product.dataDir, 'blobs', 'drafts')).length;
}

function residentBytes({ process: { pid } }: Product): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(execFileSync('cat', [`/proc/${String(pid)}/status`], { encoding: 'utf8' }))?.[1] ?? 0) * 1024;
}
