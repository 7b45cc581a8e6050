import dimse from 'dcmjs-dimse';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage, type Server as HttpServer } from 'node:http';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { haveSameDataSet, type ReadableFile } from '../../../src/modules/images/data-set-equality.js';
import type { StoredStudy } from '../../../src/modules/images/images.contract.js';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { DeliveriesStore } from '../../../src/modules/results/destinations/deliveries.store.js';
import { DeliverJob } from '../../../src/modules/results/destinations/deliver.job.js';
import type { DeliveryJson, DestinationJson } from '../../../src/modules/results/destinations/destinations-json.js';
import { OverdueDeliveriesJob } from '../../../src/modules/results/destinations/overdue-deliveries.job.js';
import { Sender } from '../../../src/modules/results/destinations/sender.service.js';
import type { DicomJson } from '../../../src/imaging/dicom/dicom-json.js';
import { parseInstanceBytes } from '../../../src/imaging/dicom/header.js';
import { WRITERS } from '../../support/derived-writers.js';
import { eventually } from '../../support/product.js';
import { hasDcmtk, IMPLICIT } from '../images/dimse-scu.js';
import { openPatientHouse, type PatientHouse } from '../images/patient-house.js';
import { ctStudy, noduleResult, writeWith } from './derived-house.js';
import { commitResult, type House } from './house.js';

const dcmtk = await hasDcmtk();
let house: PatientHouse;
let study: StoredStudy;
const closers: (() => void | Promise<void>)[] = [];
beforeAll(async () => {
  house = await openPatientHouse({ ALLOWED_PRIVATE_HOSTS: '127.0.0.1' });
  house.app.get(Sender).timeoutMs = 2_000;
  writeWith(house, WRITERS);
  study = await ctStudy(house, 'destinations');
});
beforeEach(async () => { await house.system((client) => client.destination.deleteMany()); });
afterEach(async () => { for (const close of closers.splice(0)) await close(); });
afterAll(async () => { await house.close(); });

const json = (method: string, body: unknown, headers: Record<string, string> = {}): RequestInit => ({ method, body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } });
const make = (target: unknown, more: object = {}): Promise<DestinationJson> => house.json('/api/v1/destinations', json('POST', { name: 'PACS', target, ...more }));
const deliveriesOf = async ({ id }: DestinationJson): Promise<DeliveryJson[]> => (await house.json<{ items: DeliveryJson[] }>(`/api/v1/destinations/${id}/deliveries`)).items;
const commit = (): Promise<string> => commitResult(house as unknown as House, noduleResult(house, study));
/** After the first try. */
const tried = (destination: DestinationJson): Promise<DeliveryJson> => eventually('a try', async () => {
  const [first] = await deliveriesOf(destination);
  return first !== undefined && (first.state !== 'waiting' || first.failure !== null) && first;
}, 20_000);

async function listening(server: Server | HttpServer): Promise<number> {
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  closers.push(() => { server.close(); });
  // A server that listens at TCP has an address of that kind.
  return (server.address() as AddressInfo).port;
}

interface Taken { path: string; headers: IncomingMessage['headers']; body: Buffer }

/** A STOW-RS server that answers what it is told to. */
async function stowServer(answer: () => { status: number; body?: string } | undefined): Promise<{ target: object; taken: Taken[] }> {
  const taken: Taken[] = [];
  const port = await listening(createHttpServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part)).on('end', () => {
      taken.push({ path: request.url ?? '', headers: request.headers, body: Buffer.concat(parts) });
      const what = answer();
      if (what) response.writeHead(what.status, { 'content-type': 'application/dicom+json' }).end(what.body ?? '{}');
    });
  }));
  return { target: { kind: 'stow', url: `http://127.0.0.1:${String(port)}/dicom-web/` }, taken };
}

/** An SCP that answers every C-STORE with a status. */
async function scpWith(status: number): Promise<{ target: object }> {
  class Scp extends dimse.Scp {
    override associationRequested(association: InstanceType<typeof dimse.association.Association>): void {
      for (const { context } of association.getPresentationContexts()) context.setResult(dimse.constants.PresentationContextResult.Accept, '1.2.840.10008.1.2.1');
      this.sendAssociationAccept();
    }

    override cStoreRequest(request: InstanceType<typeof dimse.requests.CStoreRequest>, callback: (response: InstanceType<typeof dimse.responses.CStoreResponse>) => void): void {
      const response = dimse.responses.CStoreResponse.fromRequest(request);
      response.setStatus(status);
      callback(response);
    }

    override associationReleaseRequested(): void {
      this.sendAssociationReleaseResponse();
    }
  }
  const port = await listening(createServer((socket) => { new Scp(socket, {}); }));
  return { target: { kind: 'dimse', host: '127.0.0.1', port, calledAeTitle: 'PACS' } };
}

/** Takes connections and says nothing, or whatever `speak` does. */
async function deaf(speak: (socket: Socket) => void = () => undefined): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => { sockets.add(socket); socket.on('error', () => undefined); speak(socket); });
  closers.push(() => { for (const socket of sockets) socket.destroy(); });
  return listening(server);
}

describe('destinations', () => {
  it('are made, read, changed with what was seen, and deleted; the secret is never shown', async () => {
    const created = await house.fetch('/api/v1/destinations', json('POST', { name: 'PACS', target: { kind: 'stow', url: 'https://pacs.example.org/dicom-web', authorization: 'Bearer secret-of-pacs' } }));
    const text = await created.text();
    expect([created.status, text.includes('secret-of-pacs')]).toEqual([201, false]);
    const made = JSON.parse(text) as DestinationJson;
    expect(made).toMatchObject({ enabled: true, results: 'all', target: { kind: 'stow', url: 'https://pacs.example.org/dicom-web', hasAuthorization: true } });
    expect(created.headers.get('location')).toBe(`/api/v1/destinations/${made.id}`);
    const path = `/api/v1/destinations/${made.id}`;
    const etag = created.headers.get('etag') ?? '';
    expect((await house.fetch(path)).headers.get('etag')).toBe(etag);
    const row = await house.system((client) => client.destination.findUniqueOrThrow({ where: { id: made.id } }));
    expect(Buffer.from(row.sealedAuthorization ?? []).includes('secret-of-pacs')).toBe(false);
    const changed = await house.fetch(path, json('PATCH', { name: 'Archive', target: { kind: 'stow', url: 'https://pacs.example.org/other' } }, { 'if-match': etag }));
    expect(await changed.json()).toMatchObject({ name: 'Archive', target: { url: 'https://pacs.example.org/other', hasAuthorization: true } });
    expect((await house.fetch(path, json('PATCH', { name: 'Late' }, { 'if-match': etag }))).status).toBe(412);
    // Another server is not shown what was meant for the first one.
    expect(await house.json(path, json('PATCH', { target: { kind: 'stow', url: 'https://elsewhere.example.org/dicom-web' } }))).toMatchObject({ target: { hasAuthorization: false } });
    expect((await house.fetch(path, { method: 'DELETE' })).status).toBe(204);
    expect((await house.fetch(path)).status).toBe(404);
  });

  it('refuse what is malformed, what leads inside, and who may not', async () => {
    const code = async (target: unknown): Promise<unknown> => { const response = await house.fetch('/api/v1/destinations', json('POST', { name: 'x', target })); return [response.status, ((await response.json()) as { code: string }).code]; };
    for (const target of [undefined, {}, { kind: 'ftp' }, { kind: 'stow' }, { kind: 'stow', url: 'ftp://x' }, { kind: 'stow', url: 'https://x.org', authorization: 'a\r\nHost: b' }, { kind: 'dimse', host: '127.0.0.1', port: 0, calledAeTitle: 'A' }, { kind: 'dimse', host: '127.0.0.1', port: 104, calledAeTitle: 'A\\B' }, { kind: 'dimse', host: 'a b', port: 104, calledAeTitle: 'A' }, { kind: 'stow', url: 'https://x.org', extra: 1 }]) {
      expect(await code(target), JSON.stringify(target)).toEqual([400, 'invalid-body']);
    }
    for (const target of [{ kind: 'stow', url: 'http://pacs.example.org' }, { kind: 'stow', url: 'https://10.0.0.1/x' }, { kind: 'stow', url: 'https://user:pass@pacs.example.org' }, { kind: 'stow', url: 'https://169.254.169.254/latest' }, { kind: 'dimse', host: '8.8.8.8', port: 104, calledAeTitle: 'A' }, { kind: 'dimse', host: '10.0.0.1', port: 104, calledAeTitle: 'A' }]) {
      expect(await code(target), JSON.stringify(target)).toEqual([422, 'url-not-allowed']);
    }
    const made = await make({ kind: 'stow', url: 'https://pacs.example.org' });
    for (const role of ['radiologist', 'technician', 'auditor'] as const) expect((await house.fetch('/api/v1/destinations', { headers: { authorization: (await house.person(role, 'here')).authorization } })).status).toBe(403);
    const { authorization } = await house.person('admin', 'elsewhere');
    for (const [method, path] of [['GET', ''], ['PATCH', ''], ['DELETE', ''], ['GET', '/deliveries']] as const) {
      const response = await house.fetch(`/api/v1/destinations/${made.id}${path}`, { method, headers: { authorization, ...(method === 'PATCH' && { 'content-type': 'application/json' }) }, ...(method === 'PATCH' && { body: '{"enabled":false}' }) });
      expect([method, path, response.status]).toEqual([method, path, 404]);
    }
  });

  it('are twenty at most, even when they are made at once', async () => {
    const statuses = await Promise.all(Array.from({ length: 25 }, async (_, n) => (await house.fetch('/api/v1/destinations', json('POST', { name: `PACS ${String(n)}`, enabled: false, target: { kind: 'stow', url: 'https://pacs.example.org' } }))).status));
    expect([statuses.filter((status) => status === 201).length, statuses.filter((status) => status === 409).length]).toEqual([20, 5]);
  });
});

describe('STOW-RS to a destination', () => {
  it('sends SEG and SR of every result that is released, once', async () => {
    const { target, taken } = await stowServer(() => ({ status: 200 }));
    const destination = await make({ ...target, authorization: 'Bearer abc' });
    const [signed, off] = [await make(target, { results: 'signed' }), await make(target, { enabled: false })];
    const id = await commit();
    const delivery = await tried(destination);
    expect(delivery).toMatchObject({ resultId: id, version: 1, state: 'delivered', attempts: 1, failure: null, nextAttemptAt: null, studyInstanceUid: study.studyInstanceUid });
    expect(taken).toHaveLength(1);
    expect(taken[0]).toMatchObject({ path: '/dicom-web/studies', headers: { authorization: 'Bearer abc', accept: 'application/dicom+json' } });
    for (const kind of ['seg', 'sr']) expect(taken[0]?.body.includes(Buffer.from(await (await house.fetch(`/api/v1/results/${id}/${kind}.dcm`)).arrayBuffer()))).toBe(true);
    expect([await deliveriesOf(signed), await deliveriesOf(off)]).toEqual([[], []]);
    const events = await house.json<{ items: { action: string; outcome: string }[] }>(`/api/v1/audit-events?studyInstanceUid=${study.studyInstanceUid}`);
    expect(events.items.filter(({ action }) => action === 'deliverResult').map(({ outcome }) => outcome).sort()).toEqual(['attempted', 'succeeded']);
    // Once more on request.
    const again = await house.fetch(`/api/v1/destinations/${destination.id}/deliveries/${delivery.id}/redeliver`, { method: 'POST' });
    expect([again.status, await again.json()]).toMatchObject([202, { state: 'waiting', attempts: 0 }]);
    await eventually('the second time', async () => taken.length === 2 && (await deliveriesOf(destination))[0]?.state === 'delivered');
    // A job that comes twice finds nothing to do.
    await house.app.get(DeliverJob).handle({ institutionId: house.institutionId, deliveryId: delivery.id }, { jobId: '', topic: '', attempt: 1, signal: new AbortController().signal });
    expect(taken).toHaveLength(2);
  });

  it.each([
    [{ status: 409 }, { state: 'given-up', failure: { code: 'refused', detail: 'HTTP 409' } }],
    [{ status: 415 }, { state: 'given-up', failure: { code: 'refused', detail: 'HTTP 415' } }],
    [{ status: 503 }, { state: 'waiting', failure: { code: 'busy', detail: 'HTTP 503' } }],
    [{ status: 401 }, { state: 'waiting', failure: { code: 'refused', detail: 'HTTP 401' } }],
    [{ status: 302 }, { state: 'waiting', failure: { code: 'refused', detail: 'HTTP 302' } }],
    [{ status: 202, body: '{"00081198":{"vr":"SQ","Value":[{"00081197":{"vr":"US","Value":[42752]}}]}}' }, { state: 'waiting', failure: { code: 'busy', detail: 'STOW-RS Failure Reason 0xA700' } }],
    [{ status: 409, body: '{"00081198":{"vr":"SQ","Value":[{"00081197":{"vr":"US","Value":[43264]}}]}}' }, { state: 'given-up', failure: { code: 'refused', detail: 'STOW-RS Failure Reason 0xA900' } }],
    [{ status: 409, body: '{"00081198":{"vr":"SQ","Value":[{"00081197":{"vr":"US","Value":[273]}},{"00081197":{"vr":"US","Value":[43264]}}]}}' }, { state: 'given-up', failure: { code: 'refused', detail: 'STOW-RS Failure Reason 0xA900' } }],
    [{ status: 409, body: '{"00081198":{"vr":"SQ","Value":[{"00081197":{"vr":"US","Value":[273]}}]}}' }, { state: 'delivered', failure: null }],
    [{ status: 200, body: 'null' }, { state: 'delivered', failure: null }],
    [{ status: 200, body: '<html>' }, { state: 'delivered', failure: null }],
  ])('takes %j for what it is', async (answer, expected) => {
    const { target } = await stowServer(() => answer);
    const destination = await make(target);
    await commit();
    expect(await tried(destination)).toMatchObject(expected);
  });

  it('waits for a server that hangs no longer than it may, and tries again later', async () => {
    const { target } = await stowServer(() => undefined);
    const destination = await make(target);
    await commit();
    const delivery = await tried(destination);
    expect(delivery).toMatchObject({ state: 'waiting', attempts: 1, failure: { code: 'timeout' } });
    expect(Date.parse(delivery.nextAttemptAt ?? '') - Date.now()).toBeGreaterThan(20_000);
    const port = await deaf((socket) => { socket.destroy(); });
    const broken = await make({ kind: 'stow', url: `http://127.0.0.1:${String(port)}` });
    await commit();
    expect(await tried(broken)).toMatchObject({ state: 'waiting', failure: { code: 'unreachable' } });
  });

  it('sends what the queue forgot', async () => {
    const { target, taken } = await stowServer(() => ({ status: taken.length === 1 ? 503 : 200 }));
    const destination = await make(target);
    await commit();
    await tried(destination);
    await house.system((client) => client.delivery.updateMany({ data: { nextAt: new Date(Date.now() - 600_000) } }));
    await house.app.get(OverdueDeliveriesJob).handle();
    await eventually('the delivery', async () => (await deliveriesOf(destination))[0]?.state === 'delivered');
    expect(taken).toHaveLength(2);
  });

  it('leaves a try that began anew to itself, however the one before ends', async () => {
    const resultId = await commit();
    const { id: destinationId } = await make((await stowServer(() => ({ status: 200 }))).target);
    const [id, { institutionId }] = [uuidv7(), house];
    const due = { attempts: 0, nextAt: new Date(Date.now() - 1_000) };
    await house.system((client) => client.delivery.create({ data: { id, institutionId, destinationId, resultId, version: 1, studyInstanceUid: study.studyInstanceUid, ...due } }));
    const store = house.app.get(DeliveriesStore);
    const before = await store.claim(institutionId, id);
    await house.system((client) => client.delivery.update({ where: { id }, data: due }));
    const now = await store.claim(institutionId, id);
    if (!before || !now) throw new Error('nothing was claimed');
    await store.finish(before, { state: 'given-up', failure: { code: 'refused', detail: '' } });
    await store.release(before);
    expect(await house.system((client) => client.delivery.findUniqueOrThrow({ where: { id } }))).toMatchObject({ state: 'waiting', attempts: 1, nextAt: now.nextAt });
    await store.finish(now, { state: 'delivered' });
    expect(await house.system((client) => client.delivery.findUniqueOrThrow({ where: { id } }))).toMatchObject({ state: 'delivered', failure: null });
  });

  it('goes with its result', async () => {
    const { target } = await stowServer(() => ({ status: 503 }));
    const destination = await make(target);
    const other = await ctStudy(house, 'gone');
    await commitResult(house as unknown as House, noduleResult(house, other));
    await tried(destination);
    expect((await house.fetch(`/api/v1/studies/${other.studyInstanceUid}`, { method: 'DELETE' })).status).toBe(204);
    await eventually('the deliveries are gone', async () => (await deliveriesOf(destination)).length === 0);
  });
});

describe('C-STORE to a destination', () => {
  it.each([
    [0xa700, { state: 'waiting', failure: { code: 'busy', detail: 'C-STORE status 0xA700' } }],
    [0x0110, { state: 'waiting', failure: { code: 'busy', detail: 'C-STORE status 0x0110' } }],
    [0xa900, { state: 'given-up', failure: { code: 'refused', detail: 'C-STORE status 0xA900' } }],
    [0xc000, { state: 'given-up', failure: { code: 'refused', detail: 'C-STORE status 0xC000' } }],
    [0xb000, { state: 'delivered', failure: null }],
    [0x0111, { state: 'delivered', failure: null }],
    [0x0000, { state: 'delivered', failure: null }],
  ])('takes status %i for what it is', async (status, expected) => {
    const destination = await make((await scpWith(status)).target);
    await commit();
    expect(await tried(destination)).toMatchObject(expected);
  });

  it('gives up on a PACS that hangs, that closes, that talks nonsense, that is not there', async () => {
    const ports = [await deaf(), await deaf((socket) => { socket.destroy(); }), await deaf((socket) => { socket.write(Buffer.alloc(100, 0x41)); }), 1];
    const made: DestinationJson[] = [];
    for (const port of ports) made.push(await make({ kind: 'dimse', host: '127.0.0.1', port, calledAeTitle: 'PACS' }));
    await commit();
    const deliveries = await Promise.all(made.map(tried));
    for (const delivery of deliveries) expect(delivery).toMatchObject({ state: 'waiting', attempts: 1 });
    expect(deliveries.map(({ failure }) => failure?.code)).toEqual(['timeout', 'unreachable', expect.stringMatching(/timeout|unreachable/), 'unreachable']);
  });

  it.skipIf(!dcmtk)('stores in storescp of dcmtk, byte for byte; also where implicit VR alone is taken', async () => {
    for (const options of [['--bit-preserving'], ['--implicit']]) {
      const folder = mkdtempSync(join(tmpdir(), 'healthvision-storescp-'));
      const port = await freePort();
      const child = storescp(['-od', folder, ...options, '-aet', 'DCMTK', String(port)]);
      closers.push(() => { child.kill(); rmSync(folder, { recursive: true, force: true }); });
      const destination = await make({ kind: 'dimse', host: '127.0.0.1', port, calledAeTitle: 'DCMTK', callingAeTitle: 'OURS' });
      await sleepUntilListening(port);
      const id = await commit();
      expect(await tried(destination)).toMatchObject({ state: 'delivered' });
      const stored = readdirSync(folder).map((file) => readFileSync(join(folder, file)));
      expect(stored).toHaveLength(2);
      for (const kind of ['seg', 'sr'] as const) {
        const ours = Buffer.from(await (await house.fetch(`/api/v1/results/${id}/${kind}.dcm`)).arrayBuffer());
        const { sopInstanceUid, attributes } = parseInstanceBytes(ours);
        const theirs = stored.find((bytes) => parseInstanceBytes(bytes).sopInstanceUid === sopInstanceUid);
        expect(withoutBulk(parseInstanceBytes(theirs ?? new Uint8Array()).attributes)).toEqual(withoutBulk(attributes));
        if (kind === 'seg') expect(pixelsOf(theirs ?? new Uint8Array())).toEqual(pixelsOf(ours));
        if (options[0] === '--bit-preserving') expect(await haveSameDataSet(fileOf(ours), fileOf(theirs ?? new Uint8Array()))).toBe(true);
      }
      await house.system((client) => client.destination.deleteMany());
    }
  });

  it.skipIf(!dcmtk)('is rejected by storescp that refuses, and retried', async () => {
    const port = await freePort();
    const child = storescp(['--refuse', String(port)]);
    closers.push(() => { child.kill(); });
    await sleepUntilListening(port);
    const destination = await make({ kind: 'dimse', host: '127.0.0.1', port, calledAeTitle: 'DCMTK' });
    await commit();
    expect(await tried(destination)).toMatchObject({ state: 'waiting', failure: { code: 'association-rejected' } });
  });
});

/** Native pixel data, the last element: implicit VR says its length at once, explicit VR has VR and padding before. */
function pixelsOf(bytes: Uint8Array): Buffer {
  const { headerLength, meta } = parseInstanceBytes(bytes);
  return Buffer.from(bytes.subarray(headerLength + (meta.transferSyntaxUid === IMPLICIT ? 8 : 12)));
}

/** What was left in place is compared by bytes. */
function withoutBulk(attributes: DicomJson): DicomJson {
  return Object.fromEntries(Object.entries(attributes).filter(([, { Value }]) => Value !== undefined));
}

function fileOf(bytes: Uint8Array): ReadableFile {
  return { sizeBytes: bytes.length, read: ({ offset, length }) => Promise.resolve(bytes.subarray(offset, offset + length)) };
}

function storescp(options: readonly string[]): ChildProcess {
  return spawn('storescp', options, { stdio: 'ignore' });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

async function sleepUntilListening(port: number): Promise<void> {
  await eventually('storescp listens', () => new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => { socket.destroy(); resolve(true); });
    socket.on('error', () => { resolve(false); });
  }));
}
