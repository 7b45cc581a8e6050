import { Server as Hl7Server, type Inbound } from 'node-hl7-server';
import { readFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { StoredStudy } from '../../../src/modules/images/images.contract.js';
import type { DeliveryJson, DestinationJson } from '../../../src/modules/results/destinations/destinations-json.js';
import { OverdueDeliveriesJob } from '../../../src/modules/results/destinations/overdue-deliveries.job.js';
import { Sender } from '../../../src/modules/results/destinations/sender.service.js';
import type { NewResult } from '../../../src/modules/results/results.contract.js';
import { Authority, opensslIsInstalled } from '../../support/certificates.js';
import { broken, WRITERS, wrongReference } from '../../support/derived-writers.js';
import { ADMIN, eventually } from '../../support/product.js';
import { openPatientHouse, type PatientHouse } from '../images/patient-house.js';
import { ctStudy, noduleResult, writeNothing, writeWith } from './derived-house.js';
import { commitResult, type House } from './house.js';

let house: PatientHouse;
let study: StoredStudy;
const closers: (() => unknown)[] = [];
beforeAll(async () => {
  house = await openPatientHouse({ ALLOWED_PRIVATE_HOSTS: '127.0.0.1,localhost', PUBLIC_URL: 'https://hv.hospital.example/' });
  house.app.get(Sender).timeoutMs = 1_000;
  writeNothing(house);
  study = await ctStudy(house, 'hl7');
});
beforeEach(async () => { writeNothing(house); await house.system((client) => client.destination.deleteMany()); });
afterEach(async () => { for (const close of closers.splice(0)) await close(); });
afterAll(async () => { await house.close(); });

const json = (method: string, body: unknown, headers: Record<string, string> = {}): RequestInit => ({ method, body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } });
const make = (port: number, target: object = {}, more: object = {}): Promise<DestinationJson> => house.json('/api/v1/destinations', json('POST', { name: 'RIS', target: { kind: 'hl7', host: '127.0.0.1', port, tls: false, ...target }, ...more }));
const deliveriesOf = async ({ id }: DestinationJson): Promise<DeliveryJson[]> => (await house.json<{ items: DeliveryJson[] }>(`/api/v1/destinations/${id}/deliveries`)).items;
const commit = (changes: Partial<NewResult> = {}): Promise<string> => commitResult(house as unknown as House, noduleResult(house, study, changes));
const post = (path: string, body: object): Promise<unknown> => house.json(path, json('POST', body, { 'if-match': '*' }));
const sign = (id: string): Promise<unknown> => post(`/api/v1/results/${id}/sign-off`, { meaning: 'approved', password: ADMIN.password });
/** A delivery once it is delivered, given up or failed. */
const tried = (destination: DestinationJson, version = 1): Promise<DeliveryJson> => eventually('a try', async () => {
  const one = (await deliveriesOf(destination)).find((delivery) => delivery.version === version);
  return one !== undefined && (one.state !== 'waiting' || one.failure !== null) && one;
}, 20_000);
const redeliver = (destination: DestinationJson, delivery: DeliveryJson): Promise<unknown> => house.json(`/api/v1/destinations/${destination.id}/deliveries/${delivery.id}/redeliver`, { method: 'POST' });

type Answer = (message: string, socket: Socket) => string | undefined;
const START = '\u000b';
const END = '\u001c\r';
const controlIdOf = (message: string): string => message.split('|')[9] ?? '';
const acknowledging = (code: string, more = ''): Answer => (message) => `${START}MSH|^~\\&|RIS|H|HV|R|20261129||ACK^R01|77|P|2.5.1\rMSA|${code}|${controlIdOf(message)}${more}\r${END}`;

/** Reads one message for each connection and answers as it is told to; undefined: not at all. */
async function receiver(answer: Answer, charset = 'utf-8'): Promise<{ port: number; taken: string[] }> {
  const taken: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let bytes = Buffer.alloc(0);
    socket.on('error', () => undefined).on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.at(-1) !== 0x0d || bytes.at(-2) !== 0x1c) return;
      const message = new TextDecoder(charset).decode(bytes.subarray(1, -2));
      taken.push(message);
      const text = answer(message, socket);
      if (text !== undefined) socket.write(text);
    });
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  closers.push(() => { for (const socket of sockets) socket.destroy(); server.close(); });
  // A server that listens at TCP has an address of that kind.
  return { port: (server.address() as AddressInfo).port, taken };
}

/** The receiver of another implementation, on a port that nobody has. */
async function hl7Server(tls?: { cert: Buffer; key: Buffer }): Promise<{ port: number; messages: { controlId: string; type: string; patient: string; uid: string }[] }> {
  const { port } = await receiver(() => undefined);
  await closers.pop()?.();
  const messages: { controlId: string; type: string; patient: string; uid: string }[] = [];
  const server = new Hl7Server({ bindAddress: '127.0.0.1', ...(tls && { tls }) });
  const inbound: Inbound = server.createInbound({ port }, (request, response) => {
    const message = request.getMessage();
    messages.push({ controlId: message.get('MSH.10').toString(), type: message.get('MSH.9').toString(), patient: message.get('PID.3.1').toString(), uid: message.get('OBX.5').toString() });
    void response.sendResponse('AA');
  });
  await new Promise<void>((resolve) => { inbound.once('listen', resolve); });
  closers.push(() => inbound.close());
  return { port, messages };
}

describe('an HL7 destination', () => {
  it('is made with what is usual, read and changed', async () => {
    const made = await make(2575, { receivingApplication: 'RIS' });
    expect(made.target).toEqual({ kind: 'hl7', host: '127.0.0.1', port: 2575, tls: false, ca: null, sendingApplication: 'HEALTHVISION', sendingFacility: '', receivingApplication: 'RIS', receivingFacility: '', characterSet: 'UTF-8', processingId: 'P', language: 'en', pdf: false });
    const changed = await house.json<DestinationJson>(`/api/v1/destinations/${made.id}`, json('PATCH', { target: { kind: 'hl7', host: 'ris.example.org', port: 2576, characterSet: 'GB18030', language: 'zh-CN' } }));
    expect(changed.target).toMatchObject({ host: 'ris.example.org', tls: true, characterSet: 'GB18030', language: 'zh-CN' });
  });

  it('is refused when it is malformed or leads inside', async () => {
    const code = async (target: object): Promise<unknown> => { const response = await house.fetch('/api/v1/destinations', json('POST', { name: 'x', target: { kind: 'hl7', port: 2575, ...target } })); return [response.status, ((await response.json()) as { code?: string }).code]; };
    for (const target of [{}, { host: 'a b' }, { host: 'ris.example.org', port: 0 }, { host: 'ris.example.org', ca: 'x' }, { host: 'ris.example.org', tls: 'yes' }, { host: 'ris.example.org', sendingApplication: 'A\rB' }, { host: 'ris.example.org', characterSet: 'GBK' }, { host: 'ris.example.org', extra: 1 }]) {
      expect(await code(target), JSON.stringify(target)).toEqual([400, 'invalid-body']);
    }
    for (const target of [{ host: '10.0.0.1' }, { host: '169.254.169.254' }, { host: 'fe80::1' }, { host: '127.1' }, { host: '8.8.8.8', tls: false }]) expect(await code(target), JSON.stringify(target)).toEqual([422, 'url-not-allowed']);
    expect(await code({ host: '8.8.8.8' })).toEqual([201, undefined]);
  });
});

describe('ORU^R01 over MLLP', () => {
  it('arrives at a receiver of another implementation, and comes again with the same control id', async () => {
    const { port, messages } = await hl7Server();
    const destination = await make(port);
    await commit();
    const delivery = await tried(destination);
    expect(delivery).toMatchObject({ state: 'delivered', attempts: 1, failure: null, version: 1 });
    expect(messages).toMatchObject([{ patient: 'PID hl7', uid: study.studyInstanceUid }]);
    expect([messages[0]?.controlId, messages[0]?.type]).toEqual([expect.stringMatching(/^[0-9A-F]{20}$/), expect.stringContaining('ORU')]);
    await redeliver(destination, delivery);
    await eventually('the second time', () => Promise.resolve(messages.length === 2));
    expect(messages[1]).toEqual(messages[0]);
    const events = await house.json<{ items: { action: string; outcome: string }[] }>(`/api/v1/audit-events?studyInstanceUid=${study.studyInstanceUid}`);
    expect(events.items.filter(({ action }) => action === 'deliverResult').map(({ outcome }) => outcome)).toContain('succeeded');
  });

  it.skipIf(!opensslIsInstalled())('goes by TLS to whom the authority knows, by the name that was given, and to nobody else', async () => {
    const authority = new Authority();
    const [good, other] = [authority.sign('ris'), authority.sign('other', 'DNS:other.example.org')].map(({ cert, key }) => ({ cert: readFileSync(cert), key: readFileSync(key) }));
    const [server, impostor] = [await hl7Server(good), await hl7Server(other)];
    const ca = readFileSync(authority.ca, 'utf8');
    const made = [await make(server.port, { tls: true, ca }), await make(server.port, { tls: true, ca, host: 'localhost' }), await make(server.port, { tls: true }), await make(impostor.port, { tls: true, ca, host: 'localhost' }), await make(1, { tls: true })];
    await commit();
    const outcomes = (await Promise.all(made.map((one) => tried(one)))).map(({ state, failure }) => [state, failure?.code, failure?.detail]);
    expect(outcomes).toEqual([
      ['delivered', undefined, undefined], ['delivered', undefined, undefined],
      ['waiting', 'unreachable', 'No connection (UNABLE_TO_VERIFY_LEAF_SIGNATURE)'], ['waiting', 'unreachable', 'No connection (ERR_TLS_CERT_ALTNAME_INVALID)'], ['waiting', 'unreachable', 'No connection (ECONNREFUSED)'],
    ]);
    expect([server.messages.length, impostor.messages.length]).toEqual([2, 0]);
  });

  it('takes every answer for what it is', async () => {
    const answers: [string, Answer, object][] = [
      ['AA', acknowledging('AA'), { state: 'delivered', failure: null }],
      ['CA', acknowledging('CA'), { state: 'delivered', failure: null }],
      ['in pieces', (message, socket) => { const all = acknowledging('AA')(message, socket) ?? ''; Array.from(all).forEach((one, n) => setTimeout(() => socket.write(one), n)); return undefined; }, { state: 'delivered', failure: null }],
      ['with blanks before and without an end', (message, socket) => `\r\n${acknowledging('AA')(message, socket) ?? ''}`.replace(END, '\u001c'), { state: 'delivered', failure: null }],
      ['AE', acknowledging('AE', '|Zhang San is unknown\rERR|||207^Zhang^HL70357|E'), { state: 'waiting', failure: { code: 'refused', detail: 'Acknowledgement AE, error 207' } }],
      ['CE', acknowledging('CE', '\rERR|||Zhang San'), { state: 'waiting', failure: { code: 'refused', detail: 'Acknowledgement CE' } }],
      ['AR', acknowledging('AR'), { state: 'given-up', failure: { code: 'refused', detail: 'Acknowledgement AR' } }],
      ['CR', acknowledging('CR'), { state: 'given-up', failure: { code: 'refused', detail: 'Acknowledgement CR' } }],
      ['an unknown code', acknowledging('Zhang San'), { state: 'waiting', failure: { code: 'bad-answer', detail: 'The receiver answered with an unknown acknowledgement code (MSA-1)' } }],
      ['of another message', (message, socket) => (acknowledging('AA')(message, socket) ?? '').replace(controlIdOf(message), 'OTHER'), { state: 'waiting', failure: { code: 'bad-answer', detail: 'The receiver acknowledged another message (MSA-2)' } }],
      ['no MSA', () => `${START}MSH|^~\\&|RIS\r${END}`, { state: 'waiting', failure: { code: 'bad-answer' } }],
      ['two messages', (message, socket) => `${START}MSH|^~\\&|RIS\r${(acknowledging('AA')(message, socket) ?? '').slice(1)}`, { state: 'waiting', failure: { code: 'bad-answer' } }],
      ['nothing in a frame', () => `${START}${END}`, { state: 'waiting', failure: { code: 'bad-answer' } }],
      ['the message itself', (message) => `${START}${message}${END}`, { state: 'waiting', failure: { code: 'bad-answer' } }],
      ['HTTP', () => 'HTTP/1.1 400 Bad Request\r\n\r\n', { state: 'waiting', failure: { code: 'bad-answer', detail: 'The receiver does not speak MLLP' } }],
      ['without end', (_, socket) => { const timer = setInterval(() => socket.write(START + 'A'.repeat(32_000)), 10); socket.on('close', () => { clearInterval(timer); }); return undefined; }, { state: 'waiting', failure: { code: 'bad-answer', detail: 'The receiver answered without end' } }],
      ['nothing', () => undefined, { state: 'waiting', failure: { code: 'timeout' } }],
      ['half of it', (message, socket) => acknowledging('AA')(message, socket)?.slice(0, 30), { state: 'waiting', failure: { code: 'timeout' } }],
      ['a closed half', (_, socket) => { socket.end(); return undefined; }, { state: 'waiting', failure: { code: 'unreachable' } }],
      ['a broken connection', (_, socket) => { socket.resetAndDestroy(); return undefined; }, { state: 'waiting', failure: { code: 'unreachable' } }],
    ];
    const made = [];
    for (const [, answer] of answers) made.push(await make((await receiver(answer)).port));
    await commit();
    const outcomes = await Promise.all(made.map((one) => tried(one)));
    for (const [n, delivery] of outcomes.entries()) {
      const [name, , expected] = answers[n] ?? [];
      expect(delivery, name).toMatchObject({ ...expected, attempts: 1 });
    }
    expect(JSON.stringify(outcomes)).not.toContain('Zhang');
  });

  it('tells in Chinese and GB 18030, with a link, and the report as PDF where it is wanted', async () => {
    const { port, taken } = await receiver(acknowledging('AA'), 'gb18030');
    const destination = await make(port, { characterSet: 'GB18030', language: 'zh-CN', pdf: true, processingId: 'T' });
    house.app.get(Sender).timeoutMs = 20_000;
    const id = await commit();
    expect(await tried(destination)).toMatchObject({ state: 'delivered' });
    house.app.get(Sender).timeoutMs = 1_000;
    const lines = taken[0]?.split('\r') ?? [];
    expect(lines[0]).toMatch(/\|ORU\^R01\^ORU_R01\|[0-9A-F]{20}\|T\|2\.5\.1\|{6}GB 18030-2000\|zh\^/);
    expect(lines.find((line) => line.includes('19005-8'))).toContain('|1 个结节，直径 30 mm|');
    expect(lines.find((line) => line.includes('REPORT-LINK'))).toContain(`|https://hv.hospital.example/api/v1/results/${id}/report.html?language=zh-CN^^text^html|`);
    const pdf = lines.find((line) => line.includes('|ED|'))?.split('|')[5]?.split('^')[4] ?? '';
    expect(Buffer.from(pdf, 'base64').subarray(0, 5).toString()).toBe('%PDF-');
  });

  it('never tells of a result that is withheld; one without SEG and SR is told of', async () => {
    const { port, taken } = await receiver(acknowledging('AA'));
    const destination = await make(port);
    writeWith(house, broken(wrongReference));
    const withheld = await commit();
    writeNothing(house);
    const id = await commit();
    await tried(destination);
    expect((await deliveriesOf(destination)).map(({ resultId }) => resultId)).toEqual([id]);
    expect(taken.join('')).not.toContain(withheld);
    // Nor when it was released before.
    await house.system((client) => client.result.update({ where: { id }, data: { status: 'withheld' } }));
    const [delivery] = await deliveriesOf(destination);
    if (delivery) await redeliver(destination, delivery);
    await eventually('the refusal', async () => (await deliveriesOf(destination))[0]?.failure?.code === 'object-missing');
    expect(taken).toHaveLength(1);
  });
});

describe('versions', () => {
  it('are sent once they are signed: final, then corrected; what was taken back is not in them', async () => {
    writeWith(house, WRITERS);
    const { port, taken } = await receiver(acknowledging('AA'));
    const [all, signed] = [await make(port), await make(port, {}, { results: 'signed' })];
    const result = noduleResult(house, study);
    const id = await commitResult(house as unknown as House, result);
    await tried(all);
    await sign(id);
    await tried(all, 2);
    await tried(signed, 2);
    await post(`/api/v1/results/${id}/amendments`, { reason: 'Seen again', decisions: [{ decision: 'reject', finding: result.findings[0]?.id, reason: 'artefact' }] });
    await sign(id);
    await tried(all, 4);
    await tried(signed, 4);
    expect((await deliveriesOf(signed)).map(({ version, state }) => [version, state])).toEqual([[4, 'delivered'], [2, 'delivered']]);
    const seen = taken.map((message) => {
      const fields = message.split('\r').find((line) => line.startsWith('OBR'))?.split('|') ?? [];
      return [fields[3], fields[25], message.includes('121071^Finding'), fields[32] !== undefined];
    });
    const filler = `${id}^HEALTHVISION`;
    expect(seen.filter(([, status]) => status === 'P')).toEqual([[filler, 'P', true, false]]);
    expect(seen.filter(([, status]) => status === 'F')).toEqual([[filler, 'F', true, true], [filler, 'F', true, true]]);
    expect(seen.filter(([, status]) => status === 'C')).toEqual([[filler, 'C', false, true], [filler, 'C', false, true]]);
    expect(new Set(taken.map(controlIdOf)).size).toBe(5);
  });

  it('do not come after what took their place', async () => {
    let code = 'AE';
    const { port, taken } = await receiver((message, socket) => acknowledging(code)(message, socket));
    const destination = await make(port);
    const id = await commit();
    expect(await tried(destination)).toMatchObject({ state: 'waiting' });
    code = 'AA';
    await sign(id);
    expect(await tried(destination, 2)).toMatchObject({ state: 'delivered' });
    await house.system((client) => client.delivery.updateMany({ where: { state: 'waiting' }, data: { nextAt: new Date(Date.now() - 600_000) } }));
    await house.app.get(OverdueDeliveriesJob).handle();
    const late = await eventually('the end of the first', async () => (await deliveriesOf(destination)).find(({ version, state }) => version === 1 && state === 'given-up'));
    expect(late.failure).toEqual({ code: 'superseded', detail: 'A later version was signed and is sent in its place' });
    expect(taken.map((message) => message.includes('|RAD|F'))).toEqual([false, true]);
  });

  it('wait for the one before that is on its way', async () => {
    house.app.get(Sender).timeoutMs = 10_000;
    const answers: (() => void)[] = [];
    const { port, taken } = await receiver((message, socket) => { answers.push(() => socket.write(acknowledging('AA')(message, socket) ?? '')); return undefined; });
    const destination = await make(port);
    const id = await commit();
    await eventually('the first message', () => Promise.resolve(taken.length === 1));
    await sign(id);
    await eventually('the second delivery', async () => (await deliveriesOf(destination)).length === 2);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(taken).toHaveLength(1);
    answers[0]?.();
    await eventually('the second message', () => Promise.resolve(taken.length === 2));
    answers[1]?.();
    await tried(destination, 2);
    expect((await deliveriesOf(destination)).map(({ version, state }) => [version, state])).toEqual([[2, 'delivered'], [1, 'delivered']]);
    house.app.get(Sender).timeoutMs = 1_000;
  });
});
