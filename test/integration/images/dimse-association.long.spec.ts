import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseInstanceBytes } from '../../../src/imaging/dicom/header.js';
import { AppError, type ErrorCode } from '../../../src/kernel/errors.js';
import { newDicomUid } from '../../../src/kernel/uid.js';
import type { ByteSource } from '../../../src/modules/images/byte-source.js';
import type { DimseCallersStore, FoundCaller } from '../../../src/modules/images/dimse/dimse-callers.store.js';
import { DimseServer, MOST_ASSOCIATIONS, MOST_CONNECTIONS } from '../../../src/modules/images/dimse/dimse-server.js';
import type { Fate } from '../../../src/modules/images/fate.js';
import type { IngestService, IngestTarget } from '../../../src/modules/images/ingest.service.js';
import { eventOf } from '../../../src/platform/audit/audit-event.js';
import { parseConfig } from '../../../src/platform/config.js';
import { createLogger } from '../../../src/platform/ops/logger.js';
import { Metrics } from '../../../src/platform/ops/metrics.js';
import { dicomFile, encodeDataSet, imagePixel, UIDS, withElements } from '../../support/dicom-builder.js';
import { eventually, temporaryDirectory } from '../../support/product.js';
import {
  ABORT, associateRequest, COMMAND, command, data, dcmtk, echoCommand, EXPLICIT, hasDcmtk, IMPLICIT, item, LAST, pdu, pdv, RawScu, RELEASE, SECONDARY_CAPTURE, storeCommand, VERIFICATION,
} from './dimse-scu.js';

const dcmtkIsThere = await hasDcmtk();
const HOUSE = '0198c0de-0000-7000-8000-000000000000';
const caller = (aeTitle: string, addresses: string[] = [], institutionState = 'active'): FoundCaller => ({ id: aeTitle, institutionId: HOUSE, aeTitle, addresses, description: null, createdAt: new Date(), updatedAt: new Date(), institutionState });

interface Stored {
  bytes: Buffer;
  target: IngestTarget;
}

/** The SCP before an ingest that does what the test says: what is tested here is everything up to it. */
class Bench {
  readonly stored: Stored[] = [];
  readonly broken: unknown[] = [];
  readonly callers = new Map([caller('MODALITY'), caller('ELSEWHERE', ['10.0.0.0/8']), caller('HERE', ['127.0.0.0/8', '::1/128']), caller('SUSPENDED', [], 'suspended')].map((entry) => [entry.aeTitle, entry]));
  readonly metrics = new Metrics();
  ingest: (source: ByteSource, target: IngestTarget) => Promise<Fate> = (source, target) => this.keep(source, target);
  findCaller = (aeTitle: string): Promise<FoundCaller | undefined> => Promise.resolve(this.callers.get(aeTitle));
  readonly server: DimseServer;
  port = 0;

  constructor(variables: Record<string, string> = {}) {
    // The two members that the SCP calls.
    const callers = { findByAeTitle: (aeTitle: string) => this.findCaller(aeTitle) } as unknown as DimseCallersStore;
    const ingest = { ingest: (source: ByteSource, target: IngestTarget) => this.ingest(source, target).catch((error: unknown) => { this.broken.push(error); throw error; }) } as unknown as IngestService;
    this.server = new DimseServer(parseConfig({ HOST: '127.0.0.1', DIMSE_PORT: '0', ...variables }), createLogger('silent'), this.metrics, callers, ingest, { write: (draft) => Promise.resolve(eventOf(draft)) });
    this.server.limits = { requestMs: 1_000, idleMs: 1_500, patienceMs: 1_000, lingerMs: 500 };
  }

  async listen(): Promise<this> {
    this.port = (await this.server.listen()) ?? 0;
    return this;
  }

  async keep(source: ByteSource, target: IngestTarget): Promise<Fate> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of source) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    const { studyInstanceUid, seriesInstanceUid, sopInstanceUid, sopClassUid } = parseInstanceBytes(bytes);
    this.stored.push({ bytes, target });
    return { status: 'stored', studyInstanceUid, seriesInstanceUid, sopInstanceUid, sopClassUid };
  }

  /** Value of a metric with these labels. */
  async metric(name: string, labels: Record<string, string> = {}): Promise<number> {
    const metric = await this.metrics.registry.getSingleMetric(name)?.get();
    return metric?.values.find((value) => Object.entries(labels).every(([label, text]) => value.labels[label] === text))?.value ?? 0;
  }
}

let bench: Bench;

beforeEach(async () => {
  bench = await new Bench().listen();
});

/** Bytes of buffers that somebody holds: what is only not yet collected was read and let go. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().arrayBuffers;
}

afterEach(async () => {
  await bench.server.beforeApplicationShutdown();
});

const rejection = async (options: Parameters<typeof associateRequest>[0]): Promise<number[] | undefined> => {
  const scu = await RawScu.connect(bench.port);
  scu.send(associateRequest(options));
  const answer = await scu.receive();
  await scu.closed();
  return answer?.[0] === 3 ? [...answer.subarray(7, 10)] : undefined;
};

const small = (sopInstanceUid: string): Uint8Array => dicomFile([[0x00080018, 'UI', sopInstanceUid]], { bare: true });
const dataSetOf = (file: Buffer): Buffer => {
  // Behind preamble, DICM and the group whose length (0002,0000) says.
  return file.subarray(132 + 12 + file.readUInt32LE(132 + 8));
};

describe('An association', () => {
  it('is accepted for a caller on the list, from an address that it may call from', async () => {
    for (const calling of ['MODALITY', 'HERE']) (await RawScu.associated(bench.port, { calling })).destroy();
    expect(await bench.metric('healthvision_dimse_associations_total', { outcome: 'accepted' })).toBe(2);
  });

  it('is rejected for unknown and misplaced callers and for another called AE, for good', async () => {
    expect(await rejection({ calling: 'STRANGER' })).toEqual([1, 1, 3]);
    expect(await rejection({ calling: 'modality' })).toEqual([1, 1, 3]);
    expect(await rejection({ calling: '' })).toEqual([1, 1, 3]);
    expect(await rejection({ calling: 'ELSEWHERE' })).toEqual([1, 1, 3]);
    expect(await rejection({ calling: 'SUSPENDED' })).toEqual([1, 1, 3]);
    expect(await rejection({ called: 'ORTHANC' })).toEqual([1, 1, 7]);
    expect(await rejection({ version: 2 })).toEqual([1, 2, 2]);
    expect(await rejection({ applicationContext: '1.2.3' })).toEqual([1, 1, 2]);
    expect(await bench.metric('healthvision_dimse_associations_total', { outcome: 'address-not-allowed' })).toBe(1);
  });

  it('is rejected for now when the list cannot be read', async () => {
    bench.findCaller = () => Promise.reject(new AppError('database-unavailable'));
    expect(await rejection({})).toEqual([2, 3, 1]);
  });

  it('is rejected for now when all places are taken, and places come back', async () => {
    const scus = await Promise.all(Array.from({ length: MOST_ASSOCIATIONS }, () => RawScu.associated(bench.port)));
    expect(await bench.metric('healthvision_dimse_open_associations')).toBe(MOST_ASSOCIATIONS);
    expect(await rejection({})).toEqual([2, 3, 2]);
    for (const scu of scus) scu.destroy();
    await eventually('the places are free', async () => (await bench.metric('healthvision_dimse_open_associations')) === 0);
    (await RawScu.associated(bench.port)).destroy();
  });

  it('takes storage and verification, the first transfer syntax that can be decoded, and contexts in any order', async () => {
    const scu = await RawScu.connect(bench.port);
    scu.send(associateRequest({
      contexts: [
        { id: 9, abstractSyntax: '1.2.840.10008.5.1.4.1.1.4', transferSyntaxes: ['1.2.840.10008.1.2.4.70', EXPLICIT] },
        { id: 1, abstractSyntax: '1.2.840.10008.5.1.4.1.1.2', transferSyntaxes: ['1.2.840.10008.1.2.4.100', '1.2.3.4', '1.2.840.10008.1.2.5'] },
        { id: 5, abstractSyntax: '1.2.840.10008.5.1.4.1.2.2.1', transferSyntaxes: [IMPLICIT] },
        { id: 3, abstractSyntax: '1.3.12.2.1107.5.9.1', transferSyntaxes: [IMPLICIT] },
        { id: 255, abstractSyntax: VERIFICATION, transferSyntaxes: ['1.2.840.10008.1.2.4.100'] },
      ],
      // Maximum length 0 (no limit), asynchronous operations, and the SCP role for CT.
      userItems: [item(0x51, Buffer.alloc(4)), item(0x53, Buffer.from([0, 0, 0, 0])), item(0x54, Buffer.concat([Buffer.from([0, 25]), Buffer.from('1.2.840.10008.5.1.4.1.1.2'), Buffer.from([1, 1])]))],
    }));
    const answer = await scu.receive();
    scu.destroy();
    expect(answer?.[0]).toBe(2);
    const contexts: Record<number, [number, string]> = {};
    const user: Record<number, Buffer> = {};
    for (let at = 74; answer && at < answer.length;) {
      const [type, length] = [answer.readUInt8(at), answer.readUInt16BE(at + 2)];
      const value = answer.subarray(at + 4, at + 4 + length);
      if (type === 0x21) contexts[value.readUInt8(0)] = [value.readUInt8(2), value.subarray(8).toString()];
      if (type === 0x50) for (let inner = 0; inner < value.length; inner += 4 + value.readUInt16BE(inner + 2)) user[value.readUInt8(inner)] = value.subarray(inner + 4, inner + 4 + value.readUInt16BE(inner + 2));
      at += 4 + length;
    }
    expect(contexts).toEqual({
      1: [0, '1.2.840.10008.1.2.5'], 3: [0, IMPLICIT], 5: [3, expect.any(String)], 9: [0, '1.2.840.10008.1.2.4.70'], 255: [4, expect.any(String)],
    });
    expect(user[0x51]?.readUInt32BE(0)).toBe(128 * 1024);
    expect(user[0x52]?.toString()).toBe('2.25.79516009368418279361988253162248230491');
    expect(user[0x53]).toBeUndefined();
    expect([...(user[0x54]?.subarray(-2) ?? [])]).toEqual([1, 0]);
  });

  it('answers C-ECHO, as often as it is asked, and ends with its release', async () => {
    const scu = await RawScu.associated(bench.port);
    for (let messageId = 1; messageId <= 300; messageId++) {
      scu.send(data(pdv(3, COMMAND | LAST, echoCommand(messageId))));
      const answer = await scu.receive();
      // Message ID Being Responded To (0000,0120)
      const at = answer?.indexOf(Buffer.from([0, 0, 0x20, 0x01, 2, 0, 0, 0])) ?? -1;
      expect(answer?.readUInt16LE(at + 8)).toBe(messageId);
    }
    scu.send(RELEASE);
    expect((await scu.receive())?.[0]).toBe(6);
    await scu.closed();
    expect(await bench.metric('healthvision_dimse_requests_total', { operation: 'C-ECHO', status: '0x0000' })).toBe(300);
  });
});

describe('C-STORE', () => {
  it('hands the data set on exactly as it was sent, however it is cut, behind a head that says where it comes from', async () => {
    const sopInstanceUid = newDicomUid();
    // What libraries write otherwise: sequences of undefined length, a private group, group lengths, an odd order of padding.
    const dataSet = encodeDataSet([
      [0x00080000, 'UL', [4711]], ...withElements(UIDS, [0x00080018, 'UI', sopInstanceUid]).filter(([tag]) => tag < 0x00200000),
      [0x00081140, 'SQ', [[[0x00081150, 'UI', SECONDARY_CAPTURE], [0x00081155, 'UI', '1.2.3']], []], { undefinedLength: true }],
      [0x00090010, 'LO', 'PRIVATE THING\0'], [0x00091001, 'UN', new Uint8Array([1, 2, 3, 4, 5, 6])],
      ...UIDS.filter(([tag]) => tag > 0x00200000), [0x00200013, 'IS', '1\0'], ...imagePixel(64, 64), [0x7fe00010, 'OB', new Uint8Array(4096).map((_, i) => i & 0xff)],
    ], { explicit: true, littleEndian: true });
    const scu = await RawScu.associated(bench.port);
    for (const fragmentBytes of [1, 7, 4_094, 131_066]) {
      expect(await scu.store(sopInstanceUid, dataSet, { fragmentBytes })).toEqual({ status: 0 });
    }
    // All fragments in one PDU, with an empty one between.
    scu.send(data(pdv(1, COMMAND, storeCommand(sopInstanceUid).subarray(0, 10)), pdv(1, COMMAND | LAST, storeCommand(sopInstanceUid).subarray(10)), pdv(1, 0, dataSet.subarray(0, 99)), pdv(1, 0, new Uint8Array(0)), pdv(1, LAST, dataSet.subarray(99))));
    expect(await scu.response()).toEqual({ status: 0 });
    scu.send(RELEASE);
    expect(bench.stored).toHaveLength(5);
    for (const { bytes, target } of bench.stored) {
      expect(target).toEqual({ institutionId: HOUSE });
      expect(dataSetOf(bytes).equals(Buffer.from(dataSet))).toBe(true);
      expect(bytes.equals(bench.stored[0]?.bytes ?? Buffer.alloc(0))).toBe(true);
      expect(parseInstanceBytes(bytes).meta).toMatchObject({ transferSyntaxUid: EXPLICIT, mediaStorageSopClassUid: SECONDARY_CAPTURE, mediaStorageSopInstanceUid: sopInstanceUid, sourceApplicationEntityTitle: 'MODALITY' });
    }
  });

  it('answers each fate with its status, and goes on', async () => {
    const refused = (code: ErrorCode) => (): Promise<Fate> => Promise.resolve({ status: 'refused', code });
    const thrown = (error: Error) => (): Promise<Fate> => Promise.reject(error);
    const scu = await RawScu.associated(bench.port);
    const large = Buffer.concat([small('1.2.3.4'), encodeDataSet([[0x7fe00010, 'OB', new Uint8Array(3 << 20)]], { explicit: true, littleEndian: true })]);
    for (const [ingest, status] of [
      [refused('instance-conflict'), 0x0111], [refused('wrong-study'), 0x0111], [refused('not-dicom'), 0xc000], [refused('truncated-file'), 0xc000], [refused('missing-sop-class'), 0xa900],
      [refused('unsupported-transfer-syntax'), 0x0122], [thrown(new AppError('storage-full')), 0xa700], [thrown(new AppError('database-unavailable')), 0xa700],
      [thrown(new AppError('storage-unavailable')), 0xa700], [thrown(new Error('PATIENT^NAME')), 0x0110],
      [(source: ByteSource, target: IngestTarget) => bench.keep(source, target), 0],
    ] as const) {
      bench.ingest = ingest;
      // Most of these decide at once: the rest of the data set is still read off the wire.
      const answer = await scu.store('1.2.3.4', large);
      expect(answer?.status).toBe(status);
      expect(answer?.comment ?? '').not.toMatch(/PATIENT/);
      expect((answer?.comment ?? '').length).toBeLessThanOrEqual(64);
      if (status !== 0) expect(answer?.comment).toBeTruthy();
    }
    scu.destroy();
  });

  it('refuses a data set that is not the instance of the command', async () => {
    const scu = await RawScu.associated(bench.port, { contexts: [{ id: 1, abstractSyntax: SECONDARY_CAPTURE, transferSyntaxes: [EXPLICIT] }, { id: 3, abstractSyntax: '1.2.840.10008.5.1.4.1.1.2', transferSyntaxes: [IMPLICIT] }] });
    expect(await scu.store('1.2.3.5', small('1.2.3.4'))).toMatchObject({ status: 0xa900 });
    expect(await scu.store('1.2.3.4', small('1.2.3.4'), { contextId: 3, sopClassUid: '1.2.840.10008.5.1.4.1.1.2' })).toMatchObject({ status: 0xa900 });
    expect(await scu.store('1.2.3.4', small('1.2.3.4'), { contextId: 3 })).toMatchObject({ status: 0x0122 });
    expect(await scu.store('not-a-uid', small('1.2.3.4'))).toMatchObject({ status: 0xc000 });
    expect(await scu.store('1.2.3.4', Buffer.from('neither here nor there'))).toMatchObject({ status: 0xc000 });
    scu.send(data(pdv(1, COMMAND | LAST, storeCommand('1.2.3.4', { dataSet: false }))));
    expect(await scu.response()).toMatchObject({ status: 0xc000 });
    expect(bench.stored).toHaveLength(0);
    expect(await scu.store('1.2.3.4', small('1.2.3.4'))).toEqual({ status: 0 });
    scu.destroy();
  });

  it('refuses objects beyond MAX_UPLOAD_BYTES', async () => {
    const strict = await new Bench({ MAX_UPLOAD_BYTES: '1MB' }).listen();
    const scu = await RawScu.associated(strict.port);
    const large = Buffer.concat([small('1.2.3.4'), encodeDataSet([[0x7fe00010, 'OB', new Uint8Array(2 << 20)]], { explicit: true, littleEndian: true })]);
    expect(await scu.store('1.2.3.4', large)).toMatchObject({ status: 0xc000 });
    scu.destroy();
    await strict.server.beforeApplicationShutdown();
  });

  it('slows the sender down instead of holding what the ingest has not taken', async () => {
    let let_go = (): void => undefined;
    const letGo = new Promise<void>((resolve) => { let_go = resolve; });
    let taken = 0;
    bench.ingest = async (source, target) => {
      for await (const chunk of source) {
        taken += chunk.length;
        if (taken > 1_000) await letGo;
      }
      return { status: 'stored', studyInstanceUid: '1.2', seriesInstanceUid: '1.2', sopInstanceUid: '1.2.3.4', sopClassUid: target.institutionId };
    };
    const scu = await RawScu.associated(bench.port);
    const pixels = Buffer.alloc(64 << 20);
    const large = Buffer.concat([small('1.2.3.4'), encodeDataSet([[0x7fe00010, 'OB', pixels]], { explicit: true, littleEndian: true })]);
    const before = heldBytes();
    const answer = scu.store('1.2.3.4', large, { fragmentBytes: 131_066 });
    // Longer than a peer may be silent: it is we who do not read.
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    const [held, written] = [heldBytes() - before, scu.socket.bytesWritten];
    let_go();
    // The sender's own fragments lie in the same process.
    expect(held).toBeLessThan(40 << 20);
    expect(written).toBeLessThan(48 << 20);
    expect(await answer).toEqual({ status: 0 });
    expect(taken).toBeGreaterThan(64 << 20);
    scu.destroy();
  });

  it('throws away what was cut off: by an abort, a release, a hang-up', async () => {
    for (const end of [ABORT, RELEASE, undefined]) {
      const scu = await RawScu.associated(bench.port);
      scu.send(data(pdv(1, COMMAND | LAST, storeCommand('1.2.3.4')), pdv(1, 0, small('1.2.3.4'))));
      if (end) scu.send(end);
      else scu.socket.end();
      await scu.closed();
    }
    await eventually('all are over', () => Promise.resolve(bench.broken.length === 3));
    expect(bench.stored).toHaveLength(0);
  });

  it('is refused soon after the caller was taken off the list', async () => {
    const scu = await RawScu.associated(bench.port);
    expect(await scu.store('1.2.3.4', small('1.2.3.4'))).toEqual({ status: 0 });
    bench.callers.delete('MODALITY');
    await eventually('it is noticed', async () => (await scu.store('1.2.3.4', small('1.2.3.4')))?.status === 0x0124, 10_000);
    scu.destroy();
  }, 20_000);
});

describe('A peer that does not play by the rules', () => {
  const stays = async (): Promise<void> => {
    const scu = await RawScu.associated(bench.port);
    expect(await scu.store('1.2.3.4', small('1.2.3.4'))).toEqual({ status: 0 });
    scu.destroy();
  };

  it('is aborted with the reason and disturbs nobody', async () => {
    const before: [string, Buffer, number][] = [
      ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), 1],
      ['TLS', Buffer.from('16030100a5010000a1', 'hex'), 1],
      ['a PDU of 4 GiB', pdu(1, Buffer.alloc(100), 0xffffffff), 6],
      ['a long abort', pdu(7, Buffer.alloc(100), 0xffff), 6],
      ['data first', data(pdv(1, LAST, Buffer.alloc(4))), 2],
      ['release first', RELEASE, 2],
      ['a short request', pdu(1, Buffer.alloc(20)), 6],
      ['a request without contexts', associateRequest({ contexts: [] }), 6],
      ['an even context id', associateRequest({ contexts: [{ id: 2, abstractSyntax: VERIFICATION, transferSyntaxes: [IMPLICIT] }] }), 6],
      ['the same id twice', associateRequest({ contexts: [1, 1].map((id) => ({ id, abstractSyntax: VERIFICATION, transferSyntaxes: [IMPLICIT] })) }), 6],
      ['an item beyond the end', pdu(1, Buffer.concat([associateRequest().subarray(6), Buffer.from([0x20, 0, 0xff, 0xff])])), 6],
      ['a role item beyond the end', associateRequest({ userItems: [item(0x54, Buffer.from([0xff, 0xff, 1]))] }), 6],
    ];
    for (const [what, bytes, reason] of before) {
      const scu = await RawScu.connect(bench.port);
      scu.send(bytes);
      expect([...((await scu.receive()) ?? [])], what).toEqual([7, 0, 0, 0, 0, 4, 0, 0, 2, reason]);
      await scu.closed();
    }
    const store = data(pdv(1, COMMAND | LAST, storeCommand('1.2.3.4')));
    const inside: [string, Buffer][] = [
      ['an unknown context', data(pdv(7, COMMAND | LAST, echoCommand()))],
      ['a data set first', data(pdv(1, LAST, Buffer.alloc(4)))],
      ['a fragment beyond its PDU', pdu(4, pdv(1, COMMAND, Buffer.alloc(4), 4_000_000_000))],
      ['a fragment without a header', pdu(4, Buffer.from([0, 0, 0, 1, 1]))],
      ['a command in a data set', Buffer.concat([store, data(pdv(1, COMMAND | LAST, echoCommand()))])],
      ['another context in a data set', Buffer.concat([store, data(pdv(3, LAST, Buffer.alloc(4)))])],
      ['a second association', associateRequest()],
      ['a command that is none', data(pdv(1, COMMAND | LAST, Buffer.from('garbage garbage garbage')))],
      ['an empty command', data(pdv(1, COMMAND | LAST, Buffer.alloc(0)), pdv(1, LAST, Buffer.alloc(10)))],
      ['an endless command', data(...Array.from({ length: 9 }, () => pdv(1, COMMAND, Buffer.alloc(2_000))))],
      ['C-FIND', data(pdv(1, COMMAND | LAST, command([[0x00000002, 'UI', SECONDARY_CAPTURE], [0x00000100, 'US', [0x0020]], [0x00000110, 'US', [1]], [0x00000800, 'US', [1]]])), pdv(1, LAST, Buffer.alloc(64)))],
      ['N-CREATE', data(pdv(1, COMMAND | LAST, command([[0x00000002, 'UI', SECONDARY_CAPTURE], [0x00000100, 'US', [0x0140]], [0x00000110, 'US', [1]], [0x00000800, 'US', [0x0101]]])))],
      ['a response', data(pdv(1, COMMAND | LAST, command([[0x00000002, 'UI', SECONDARY_CAPTURE], [0x00000100, 'US', [0x8001]], [0x00000120, 'US', [1]], [0x00000800, 'US', [0x0101]], [0x00000900, 'US', [0]]])), pdv(1, COMMAND | LAST, echoCommand()))],
    ];
    for (const [what, bytes] of inside) {
      const scu = await RawScu.associated(bench.port);
      scu.send(bytes);
      expect((await scu.receive())?.[0], what).toBe(7);
      await scu.closed();
    }
    expect(await bench.metric('healthvision_dimse_open_associations')).toBe(0);
    expect(bench.stored).toHaveLength(0);
    await stays();
  });

  it('is left after a while when it says nothing, little, or never hangs up', async () => {
    const silent = await RawScu.connect(bench.port);
    const idle = await RawScu.associated(bench.port);
    const half = await RawScu.connect(bench.port);
    half.send(associateRequest().subarray(0, 50));
    const stalled = await RawScu.associated(bench.port);
    stalled.send(data(pdv(1, COMMAND | LAST, storeCommand('1.2.3.4')), pdv(1, 0, small('1.2.3.4'))));
    const trickling = await RawScu.associated(bench.port);
    trickling.send(data(pdv(1, COMMAND | LAST, storeCommand('1.2.3.4')), pdv(1, 0, small('1.2.3.4'))));
    const drops = setInterval(() => trickling.send(data(pdv(1, 0, Buffer.alloc(1)))), 200);
    await Promise.all([silent, idle, half, stalled, trickling].map((scu) => scu.closed(6_000)));
    clearInterval(drops);
    await eventually('both are over', () => Promise.resolve(bench.broken.length === 2));
    expect(await bench.metric('healthvision_dimse_open_associations')).toBe(0);
    await stays();
  });

  it('finds the door closed beyond the connections that are kept', async () => {
    const crowd = await Promise.all(Array.from({ length: MOST_CONNECTIONS }, () => RawScu.connect(bench.port)));
    const late = await RawScu.connect(bench.port);
    await late.closed();
    await Promise.all(crowd.map((scu) => scu.closed()));
    await stays();
  });

  it('cannot break it with 1,500 mutilated conversations', async () => {
    const whole = Buffer.concat([associateRequest(), data(pdv(1, COMMAND | LAST, storeCommand('1.2.3.4'))), data(pdv(1, LAST, small('1.2.3.4'))), data(pdv(3, COMMAND | LAST, echoCommand())), RELEASE]);
    let seed = 20_261_122;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    const mutilated = (): Buffer => {
      const bytes = Buffer.from(whole);
      for (let i = random(6); i >= 0; i--) {
        // The titles stay, or few would get past the door.
        const at = random(bytes.length);
        if (at < 10 || at >= 42) bytes[at] = random(256);
      }
      return random(4) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes;
    };
    for (let round = 0; round < 50; round++) {
      await Promise.all(Array.from({ length: 30 }, async () => {
        const scu = await RawScu.connect(bench.port);
        scu.send(mutilated());
        scu.socket.end();
        await scu.closed();
      }));
    }
    await eventually('all are over', async () => (await bench.metric('healthvision_dimse_open_associations')) === 0);
    await stays();
  }, 120_000);
});

describe('A stop', () => {
  it('lets what is at work finish, aborts what is idle, and takes nothing new', async () => {
    let let_go = (): void => undefined;
    const held = new Promise<void>((resolve) => { let_go = resolve; });
    bench.ingest = async (source, target) => {
      await held;
      return bench.keep(source, target);
    };
    const [idle, busy] = [await RawScu.associated(bench.port), await RawScu.associated(bench.port)];
    const answer = busy.store('1.2.3.4', small('1.2.3.4'));
    await eventually('it is at work', () => Promise.resolve(busy.socket.bytesWritten > 400));
    const stopped = bench.server.beforeApplicationShutdown();
    await idle.closed();
    await expect(RawScu.connect(bench.port)).rejects.toThrow();
    let_go();
    expect(await answer).toEqual({ status: 0 });
    await busy.closed();
    await stopped;
    expect(bench.stored).toHaveLength(1);
  });

  it('aborts after a few seconds what does not come to an end', async () => {
    const scu = await RawScu.associated(bench.port);
    scu.send(data(pdv(1, COMMAND | LAST, storeCommand('1.2.3.4')), pdv(1, 0, small('1.2.3.4'))));
    const drops = setInterval(() => scu.send(data(pdv(1, 0, Buffer.alloc(65_536)))), 100);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const began = performance.now();
    await bench.server.beforeApplicationShutdown();
    clearInterval(drops);
    expect(performance.now() - began).toBeGreaterThan(4_000);
    expect(performance.now() - began).toBeLessThan(9_000);
    expect((await scu.receive())?.[0]).toBe(7);
    expect(bench.stored).toHaveLength(0);
    expect(bench.broken).toHaveLength(1);
  }, 20_000);
});

describe.runIf(dcmtkIsThere)('dcmtk', () => {
  let directory: string;
  beforeAll(() => { directory = temporaryDirectory(); });
  afterAll(() => { rmSync(directory, { recursive: true, force: true }); });
  const address = (): string[] => ['127.0.0.1', String(bench.port)];
  const titles = ['-aet', 'MODALITY', '-aec', 'HEALTHVISION'];

  /** A file as dcmtk writes it, so that what it sends is what the file holds. */
  async function written(name: string, tool: string, ...options: string[]): Promise<string> {
    const [raw, path] = [join(directory, `${name}.raw`), join(directory, name)];
    writeFileSync(raw, dicomFile(withElements(
      [...imagePixel(64, 64), [0x7fe00010, 'OW', new Uint8Array(4096).map((_, i) => (i * 7) & 0xff)]],
      [0x00080018, 'UI', newDicomUid()], [0x00100010, 'PN', 'DOE^JANE'], [0x00100020, 'LO', 'P-1'], [0x00080060, 'CS', 'OT'], [0x00200010, 'SH', '1'], [0x00200011, 'IS', '1'], [0x00200013, 'IS', '1'],
    )));
    const made = await dcmtk(tool, ...options, raw, path);
    if (made.status !== 0) throw new Error(made.output);
    return path;
  }

  const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

  it('echoscu: the right titles are answered, wrong ones rejected with their reason', async () => {
    expect((await dcmtk('echoscu', ...titles, ...address())).status).toBe(0);
    const stranger = await dcmtk('echoscu', '-aet', 'STRANGER', '-aec', 'HEALTHVISION', ...address());
    expect(stranger.status).not.toBe(0);
    expect(stranger.output).toMatch(/Rejected Permanent, Source: Service User[\s\S]*Calling AE Title Not Recognized/i);
    const wrong = await dcmtk('echoscu', '-aet', 'MODALITY', '-aec', 'ORTHANC', ...address());
    expect(wrong.output).toMatch(/Called AE Title Not Recognized/i);
    expect((await dcmtk('echoscu', ...titles, '--repeat', '20', ...address())).status).toBe(0);
  });

  it('storescu: native and compressed files arrive as they were, in their own transfer syntax', async () => {
    const files: [path: string, transferSyntax: string, option: string][] = [
      [await written('implicit', 'dcmconv', '+ti'), IMPLICIT, '-xi'],
      [await written('explicit', 'dcmconv', '+te'), EXPLICIT, '-xe'],
      [await written('big', 'dcmconv', '+tb'), '1.2.840.10008.1.2.2', '-xb'],
      [await written('deflated', 'dcmconv', '+td'), '1.2.840.10008.1.2.1.99', '-xd'],
      [await written('rle', 'dcmcrle'), '1.2.840.10008.1.2.5', '-xr'],
      [await written('jpeg-lossless', 'dcmcjpeg', '+e1'), '1.2.840.10008.1.2.4.70', '-xs'],
      [await written('jpeg-baseline', 'dcmcjpeg', '+eb'), '1.2.840.10008.1.2.4.50', '-xy'],
      [await written('jpeg-ls', 'dcmcjpls', '+el'), '1.2.840.10008.1.2.4.80', '-xt'],
    ];
    for (const [path, transferSyntax, option] of files) {
      const sent = await dcmtk('storescu', '-v', ...titles, option, ...address(), path);
      expect(sent.output, path).toMatch(/Received Store Response \(Success\)/);
      const { bytes } = bench.stored.at(-1) ?? { bytes: Buffer.alloc(0) };
      const instance = parseInstanceBytes(bytes);
      expect(instance.meta.transferSyntaxUid).toBe(transferSyntax);
      const original = readFileSync(path);
      if (transferSyntax === '1.2.840.10008.1.2.1.99') expect(instance.sopInstanceUid).toBe(parseInstanceBytes(original).sopInstanceUid);
      else expect(sha256(dataSetOf(bytes)), path).toBe(sha256(dataSetOf(original)));
      writeFileSync(`${path}.stored`, bytes);
      // Another reader than ours sees the same data set, which is what follows the blank line.
      const dump = async (file: string): Promise<string | undefined> => (await dcmtk('dcmdump', '-q', file)).output.split('# Dicom-Data-Set')[1];
      expect(await dump(`${path}.stored`)).toBe(await dump(path));
    }
  });

  it('storescu: many files in one association, with large PDUs and small ones', async () => {
    const paths = await Promise.all(Array.from({ length: 25 }, (_, i) => written(`many-${String(i)}`, 'dcmconv', '+te')));
    for (const size of ['4096', '131072']) expect((await dcmtk('storescu', ...titles, '-pdu', size, '--max-send-pdu', size, ...address(), ...paths)).status).toBe(0);
    expect(bench.stored).toHaveLength(50);
    expect(await bench.metric('healthvision_dimse_associations_total', { outcome: 'accepted' })).toBe(2);
  });

  it('storescu: fails with the status that it is given', async () => {
    bench.ingest = () => Promise.reject(new AppError('storage-full'));
    const sent = await dcmtk('storescu', '-v', ...titles, '-xe', ...address(), await written('full', 'dcmconv', '+te'));
    expect(sent.output).toMatch(/Received Store Response \(Refused: Out\s?Of\s?Resources\)/i);
  });

  it('dcmsend: sends a folder of mixed transfer syntaxes', async () => {
    const folder = join(directory, 'folder');
    mkdirSync(folder, { recursive: true });
    for (const [i, [tool, ...options]] of [['dcmconv', '+te'], ['dcmconv', '+ti'], ['dcmcrle'], ['dcmcjpeg', '+e1'], ['dcmcjpls', '+el']].entries()) {
      writeFileSync(join(folder, `${String(i)}.dcm`), readFileSync(await written(`mixed-${String(i)}`, tool ?? '', ...options)));
    }
    const sent = await dcmtk('dcmsend', '-v', ...titles, '--scan-directories', '--decompress-never', ...address(), folder);
    expect(sent.output).toMatch(/with status SUCCESS\s*: 5/);
    expect(new Set(bench.stored.map(({ bytes }) => parseInstanceBytes(bytes).meta.transferSyntaxUid)).size).toBeGreaterThanOrEqual(4);
  });
});
