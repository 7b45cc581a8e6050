import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseInstanceBytes } from '../../../src/imaging/dicom/header.js';
import { newDicomUid } from '../../../src/kernel/uid.js';
import { preparedDirectory } from '../../support/data-directory.js';
import { encodeDataSet } from '../../support/dicom-builder.js';
import { eventually, startProduct, type Product } from '../../support/product.js';
import { COMMAND, data, dcmtk, EXPLICIT, hasDcmtk, LAST, pdv, RawScu, SECONDARY_CAPTURE, storeCommand } from './dimse-scu.js';
import { testInstance, type StudyView } from './instances.js';

const dcmtkIsThere = await hasDcmtk();
let product: Product;
let port: number;

beforeAll(async () => {
  product = await startProduct({ env: { DIMSE_PORT: '0', DIMSE_AE_TITLE: 'ARCHIVE' } });
  port = Number(/DIMSE listens at port (\d+)/.exec(product.output())?.[1]);
});

afterAll(async () => {
  await product.stop();
});

interface CallerView {
  id: string;
  aeTitle: string;
  addresses: string[];
  description: string | null;
}

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<{ status: number; etag: string; location: string; json: CallerView & { code?: string; items?: CallerView[]; nextCursor?: string | null } }> {
  const response = await product.fetch(`/api/v1/dimse-callers${path}`, { method, headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers }, ...(body !== undefined && { body: JSON.stringify(body) }) });
  const text = await response.text();
  // The contract's shapes, all in one.
  return { status: response.status, etag: response.headers.get('etag') ?? '', location: response.headers.get('location') ?? '', json: (text === '' ? {} : JSON.parse(text)) as CallerView };
}

/** The instance as WADO-RS gives it, in the transfer syntax that it came in. */
async function retrieve(study: string, series: string, instance: string): Promise<Buffer> {
  const response = await product.fetch(`/dicom-web/studies/${study}/series/${series}/instances/${instance}`, { headers: { accept: 'multipart/related; type="application/dicom"; transfer-syntax=*' } });
  if (!response.ok) throw new Error(`WADO-RS: ${String(response.status)} ${await response.text()}`);
  const body = Buffer.from(await response.arrayBuffer());
  const boundary = /boundary="?([^";]+)/.exec(response.headers.get('content-type') ?? '')?.[1] ?? '';
  return body.subarray(body.indexOf('\r\n\r\n') + 4, body.lastIndexOf(`\r\n--${boundary}`));
}

const afterMeta = (file: Uint8Array): Buffer => Buffer.from(file).subarray(144 + Buffer.from(file).readUInt32LE(140));

describe('Callers', () => {
  it('are made, read, listed page by page, changed and deleted', async () => {
    const made = await call('POST', '', { aeTitle: ' CT_1 ', addresses: ['10.1.2.3', '2001:db8::/32', '10.1.2.3/32'], description: 'CT, room 1' });
    expect(made).toMatchObject({ status: 201, location: `/api/v1/dimse-callers/${made.json.id}`, json: { aeTitle: 'CT_1', addresses: ['10.1.2.3/32', '2001:db8::/32'], description: 'CT, room 1' } });
    expect(made.etag).toMatch(/^"/);
    expect(await call('GET', `/${made.json.id}`)).toMatchObject({ status: 200, etag: made.etag, json: made.json });
    const other = await call('POST', '', { aeTitle: 'MR 1' });
    expect(other.json).toMatchObject({ addresses: [], description: null });
    const first = await call('GET', '?limit=1');
    expect(first.json.items).toHaveLength(1);
    expect((await call('GET', `?limit=1&cursor=${first.json.nextCursor ?? ''}`)).json.items?.[0]?.id).not.toBe(first.json.items?.[0]?.id);

    const changed = await call('PATCH', `/${made.json.id}`, { addresses: [], description: null }, { 'if-match': made.etag });
    expect(changed).toMatchObject({ status: 200, json: { aeTitle: 'CT_1', addresses: [], description: null } });
    expect(changed.etag).not.toBe(made.etag);
    expect(await call('PATCH', `/${made.json.id}`, { description: 'x' }, { 'if-match': made.etag })).toMatchObject({ status: 412, json: { code: 'precondition-failed' } });
    expect(await call('PATCH', `/${made.json.id}`, { aeTitle: 'MR 1' })).toMatchObject({ status: 409, json: { code: 'ae-title-taken' } });
    expect((await call('DELETE', `/${made.json.id}`, undefined, { 'if-match': made.etag })).status).toBe(412);
    expect((await call('DELETE', `/${made.json.id}`, undefined, { 'if-match': changed.etag })).status).toBe(204);
    for (const method of ['GET', 'DELETE']) expect(await call(method, `/${made.json.id}`)).toMatchObject({ status: 404, json: { code: 'dimse-caller-not-found' } });
    expect((await call('DELETE', `/${other.json.id}`)).status).toBe(204);
  });

  it('have a title that stands once, and only what is a title and an address', async () => {
    const made = await call('POST', '', { aeTitle: 'TWICE' });
    expect(await call('POST', '', { aeTitle: 'TWICE' })).toMatchObject({ status: 409, json: { code: 'ae-title-taken' } });
    expect((await call('POST', '', { aeTitle: 'twice' })).status).toBe(201);
    for (const body of [
      {}, { aeTitle: '' }, { aeTitle: '   ' }, { aeTitle: 'SEVENTEEN_LETTERS' }, { aeTitle: 'BACK\\SLASH' }, { aeTitle: 'Zürich' }, { aeTitle: 'TAB\tTAB' }, { aeTitle: 'A', addresses: ['10.0.0.0/33'] },
      { aeTitle: 'A', addresses: ['host.example'] }, { aeTitle: 'A', addresses: ['10.0.0'] }, { aeTitle: 'A', description: 'two\nlines' }, { aeTitle: 'A', unknown: 1 },
    ]) expect(await call('POST', '', body), JSON.stringify(body)).toMatchObject({ status: 400, json: { code: 'invalid-body' } });
    expect((await call('PATCH', `/${made.json.id}`, {})).status).toBe(400);
  });

  it('are none of the business of those without the permission', async () => {
    const { key } = await product.json<{ key: string }>('/api/v1/api-keys', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name: 'sender', scopes: ['images:write', 'dimse-callers:read'] }) });
    expect((await call('GET', '', undefined, { 'x-api-key': key })).status).toBe(200);
    expect((await call('POST', '', { aeTitle: 'SNEAKY' }, { 'x-api-key': key })).status).toBe(403);
  });
});

describe('What is sent by DIMSE', () => {
  it('is a study like any other, comes back byte by byte, and again is the same success', async () => {
    await call('POST', '', { aeTitle: 'MODALITY', addresses: ['127.0.0.1'] });
    const sent = testInstance({ size: 700 });
    const dataSet = afterMeta(sent.bytes);
    const { sopClassUid } = parseInstanceBytes(sent.bytes);
    const scu = await RawScu.associated(port, { called: 'ARCHIVE', contexts: [{ id: 1, abstractSyntax: sopClassUid, transferSyntaxes: [EXPLICIT] }] });
    for (let round = 0; round < 2; round++) expect(await scu.store(sent.sopInstanceUid, dataSet, { sopClassUid })).toEqual({ status: 0 });
    // The same UID with other pixels.
    expect(await scu.store(sent.sopInstanceUid, afterMeta(testInstance({ ...sent, size: 700, fill: 9 }).bytes), { sopClassUid })).toMatchObject({ status: 0x0111 });
    scu.destroy();
    const study = await product.json<StudyView>(`/api/v1/studies/${sent.studyInstanceUid}`);
    expect(study).toMatchObject({ instanceCount: 1, seriesCount: 1 });
    const stored = await retrieve(sent.studyInstanceUid, sent.seriesInstanceUid, sent.sopInstanceUid);
    expect(afterMeta(stored).equals(dataSet)).toBe(true);
    expect(parseInstanceBytes(stored).meta).toMatchObject({ transferSyntaxUid: EXPLICIT, sourceApplicationEntityTitle: 'MODALITY', mediaStorageSopInstanceUid: sent.sopInstanceUid });
  });

  it('is refused from strangers, and from those who were taken off the list', async () => {
    await expect(RawScu.associated(port, { called: 'ARCHIVE', calling: 'STRANGER' })).rejects.toThrow('0300000000040001');
    const { json } = await call('POST', '', { aeTitle: 'SHORT_LIVED' });
    (await RawScu.associated(port, { called: 'ARCHIVE', calling: 'SHORT_LIVED' })).destroy();
    await call('DELETE', `/${json.id}`);
    await expect(RawScu.associated(port, { called: 'ARCHIVE', calling: 'SHORT_LIVED' })).rejects.toThrow('no association');
    const moved = await call('POST', '', { aeTitle: 'MOVED', addresses: ['192.0.2.0/24'] });
    await expect(RawScu.associated(port, { called: 'ARCHIVE', calling: 'MOVED' })).rejects.toThrow('no association');
    await call('PATCH', `/${moved.json.id}`, { addresses: ['127.0.0.0/8'] });
    (await RawScu.associated(port, { called: 'ARCHIVE', calling: 'MOVED' })).destroy();
  });

  it('is refused from callers of a suspended institution, until it is open again', async () => {
    const { id } = await product.json<{ id: string }>('/api/v1/institutions', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name: 'Elsewhere' }) });
    const why = { 'x-access-reason': 'The contract is suspended for now' };
    const state = (to: string): Promise<unknown> => product.json(`/api/v1/institutions/${id}`, { method: 'PATCH', headers: { 'content-type': 'application/json', ...why }, body: JSON.stringify({ state: to }) });
    expect((await call('POST', '', { aeTitle: 'ELSEWHERE' }, { ...why, 'x-institution-id': id })).status).toBe(201);
    (await RawScu.associated(port, { called: 'ARCHIVE', calling: 'ELSEWHERE' })).destroy();
    await state('suspended');
    await expect(RawScu.associated(port, { called: 'ARCHIVE', calling: 'ELSEWHERE' })).rejects.toThrow('0300000000040001');
    await state('active');
    (await RawScu.associated(port, { called: 'ARCHIVE', calling: 'ELSEWHERE' })).destroy();
  });

  it('leaves nothing behind when it breaks off', async () => {
    const scu = await RawScu.associated(port, { called: 'ARCHIVE' });
    const uid = newDicomUid();
    const beginning = encodeDataSet([[0x00080016, 'UI', SECONDARY_CAPTURE], [0x00080018, 'UI', uid], [0x7fe00010, 'OB', new Uint8Array(4 << 20)]], { explicit: true, littleEndian: true });
    scu.send(data(pdv(1, COMMAND | LAST, storeCommand(uid))));
    for (let at = 0; at < 3_000_000; at += 100_000) scu.send(data(pdv(1, 0, beginning.subarray(at, at + 100_000))));
    const drafts = (): string[] => readdirSync(join(product.dataDir, 'blobs', 'drafts'));
    await eventually('a draft is being written', () => Promise.resolve(drafts().length > 0));
    scu.destroy();
    await eventually('the draft is gone', () => Promise.resolve(drafts().length === 0));
  });

  it('shows in the metrics', async () => {
    const text = await (await product.fetch('/metrics')).text();
    expect(text).toMatch(/healthvision_dimse_associations_total\{outcome="accepted"\} [1-9]/);
    expect(text).toMatch(/healthvision_dimse_associations_total\{outcome="calling-ae-unknown"\} [1-9]/);
    expect(text).toMatch(/healthvision_dimse_requests_total\{operation="C-STORE",status="0x0000"\} [1-9]/);
  });

  it.runIf(dcmtkIsThere)('comes from storescu and dcmsend, in many files', async () => {
    await call('POST', '', { aeTitle: 'DCMTK' });
    const directory = await preparedDirectory();
    const study = newDicomUid();
    const names = Array.from({ length: 40 }, (_, i) => join(directory, `${String(i)}.dcm`));
    for (const name of names) writeFileSync(name, testInstance({ studyInstanceUid: study, size: 256 }).bytes);
    const titles = ['-aet', 'DCMTK', '-aec', 'ARCHIVE'];
    expect(await dcmtk('storescu', ...titles, '127.0.0.1', String(port), ...names.slice(0, 25))).toMatchObject({ status: 0 });
    expect((await dcmtk('dcmsend', '-v', ...titles, '127.0.0.1', String(port), ...names)).output).toMatch(/with status SUCCESS\s*: 40/);
    expect((await product.json<StudyView>(`/api/v1/studies/${study}`)).instanceCount).toBe(40);
    expect((await dcmtk('storescu', '-aet', 'STRANGER', '-aec', 'ARCHIVE', '127.0.0.1', String(port), names[0] ?? '')).status).not.toBe(0);
    expect((await dcmtk('echoscu', '-aet', 'DCMTK', '-aec', 'ELSEWHERE', '127.0.0.1', String(port))).output).toMatch(/Called AE Title Not Recognized/i);
    rmSync(directory, { recursive: true, force: true });
  });
});

describe('The product', () => {
  it('listens for DIMSE only where it is told to, says when the port is taken, and ends in peace', async () => {
    const plain = await startProduct();
    expect(plain.output()).not.toContain('DIMSE');
    expect(await plain.stop()).toBe(0);
    await expect(startProduct({ env: { DIMSE_PORT: String(port) } })).rejects.toThrow(/DIMSE_PORT.*in use/);
    const other = await startProduct({ env: { DIMSE_PORT: '0' } });
    const ownPort = Number(/DIMSE listens at port (\d+)/.exec(other.output())?.[1]);
    const waiting = await RawScu.connect(ownPort);
    const began = performance.now();
    expect(await other.stop()).toBe(0);
    expect(performance.now() - began).toBeLessThan(15_000);
    await waiting.closed();
  }, 180_000);
});
