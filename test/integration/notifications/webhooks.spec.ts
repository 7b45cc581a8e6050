import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { eventually } from '../../support/product.js';
import { commitResult, conclusion, uploadStudy } from '../results/house.js';
import { openWebhookHouse, type Created, type WebhookHouse } from './webhook-house.js';
import { answering, openReceiver, type Received, type Receiver } from './webhook-receiver.js';

let house: WebhookHouse;
let receiver: Receiver;
beforeAll(async () => { house = await openWebhookHouse(); });
beforeEach(async () => { receiver = await openReceiver(); });
afterEach(async () => {
  receiver.close();
  await house.owner.webhook.deleteMany();
});
afterAll(async () => { await house.close(); });

const verify = (secret: string, { body, headers }: Received): { type: string; timestamp: string; data: Record<string, unknown> } => new Webhook(secret).verify(body, headers) as never;
const came = (count: number): Promise<Received[]> => eventually(`${String(count)} messages`, () => Promise.resolve(receiver.received.length >= count && receiver.received));

describe('webhooks', () => {
  it('are made, read, changed with what was seen, and deleted; the secret is shown once and kept sealed', async () => {
    const response = await house.call('POST', '', { url: 'https://hooks.example.org/a?token=t', events: ['result.ready'] });
    const { secret, ...made } = (await response.json()) as Created;
    expect(response.status).toBe(201);
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect([response.headers.get('location'), response.headers.get('cache-control')]).toEqual([`/api/v1/webhooks/${made.id}`, 'no-store']);
    expect(made).toMatchObject({ enabled: true, includePhi: false, ed25519: false, publicKey: null, concurrency: 4, events: ['result.ready'], disabledReason: null });
    const etag = response.headers.get('etag') ?? '';
    const read = await house.call('GET', `/${made.id}`);
    expect([read.headers.get('etag'), await read.json()]).toEqual([etag, made]);
    const { sealedSecrets } = await house.owner.webhook.findUniqueOrThrow({ where: { id: made.id } });
    expect(Buffer.from(sealedSecrets).includes(secret.slice(6, 30))).toBe(false);
    const changed = await house.call('PATCH', `/${made.id}`, { events: ['study.completed', 'result.critical'], ed25519: true }, { 'if-match': etag });
    expect(await changed.json()).toMatchObject({ events: ['study.completed', 'result.critical'], publicKey: expect.stringMatching(/^whpk_/) as string });
    for (const [method, path, body] of [['PATCH', '', { enabled: false }], ['POST', '/secret', {}], ['DELETE', '', undefined]] as const) expect((await house.call(method, `/${made.id}${path}`, body, { 'if-match': etag })).status).toBe(412);
    expect((await house.call('DELETE', `/${made.id}`)).status).toBe(204);
    expect((await house.call('GET', `/${made.id}`)).status).toBe(404);
    const recorded = await house.owner.auditEvent.findMany({ where: { action: { in: ['createWebhook', 'updateWebhook'] }, outcome: 'succeeded' } });
    expect(recorded).toHaveLength(2);
    expect(JSON.stringify(recorded.map(({ details }) => details))).toContain('hooks.example.org');
    expect(JSON.stringify(recorded.map(({ details }) => details))).not.toContain('token');
  });

  it.each([
    [{ url: 'https://169.254.169.254/latest', events: ['result.ready'] }, 'url-not-allowed'], [{ url: 'https://10.0.0.1/', events: ['result.ready'] }, 'url-not-allowed'], [{ url: 'http://example.org/', events: ['result.ready'] }, 'url-not-allowed'],
    [{ url: 'https://user:pass@example.org/', events: ['result.ready'] }, 'url-not-allowed'], [{ url: 'ftp://example.org', events: ['result.ready'] }, 'invalid-body'], [{ url: 'https://example.org', events: [] }, 'invalid-body'],
    [{ url: 'https://example.org', events: ['result.withheld'] }, 'invalid-body'], [{ url: 'https://example.org', events: ['result.ready', 'result.ready'] }, 'invalid-body'], [{ url: 'https://example.org', events: ['result.ready'], concurrency: 17 }, 'invalid-body'],
    [{ url: `https://example.org/${'x'.repeat(1_000)}`, events: ['result.ready'] }, 'invalid-body'], [{ url: 'https://example.org', events: ['result.ready'], secret: 'whsec_mine' }, 'invalid-body'], [{ events: ['result.ready'] }, 'invalid-body'], [[], 'invalid-body'],
  ])('are not made of %j', async (body, code) => {
    const response = await house.call('POST', '', body);
    expect(((await response.json()) as { code: string }).code).toBe(code);
  });

  it('are twenty at most, and belong to one institution', async () => {
    const statuses = await Promise.all(Array.from({ length: 23 }, async () => (await house.call('POST', '', { url: 'https://example.org', events: ['result.ready'] })).status));
    expect([statuses.filter((status) => status === 201).length, statuses.filter((status) => status === 409).length]).toEqual([20, 3]);
    const id = uuidv7();
    await house.owner.webhook.create({ data: { id, institutionId: uuidv7(), url: receiver.url, events: { 'result.ready': '0' }, sealedSecrets: new Uint8Array(1), publicKey: '' } });
    for (const [method, path, body] of [['GET', '', undefined], ['PATCH', '', { enabled: false }], ['DELETE', '', undefined], ['POST', '/secret', {}], ['POST', '/test', undefined], ['GET', '/deliveries', undefined], ['POST', '/redeliver', { from: '2026-01-01T00:00:00Z', to: '2027-01-01T00:00:00Z' }]] as const) {
      const response = await house.call(method, `/${id}${path}`, body);
      expect([method, path, response.status, ((await response.json()) as { code: string }).code]).toEqual([method, path, 404, 'webhook-not-found']);
    }
    expect(JSON.stringify(await (await house.call('GET', '?limit=200')).json())).not.toContain(id);
  });

  it('tell an institution nothing of another one', async () => {
    const mine = await house.make(receiver.url);
    await house.emit('2.25.11', ['result.ready'], uuidv7());
    await house.emit('2.25.12', ['result.ready']);
    expect(verify(mine.secret, (await came(1))[0] as Received).data.studyInstanceUid).toBe('2.25.12');
    expect(receiver.received).toHaveLength(1);
  });

  it('name patients only by who may see them', async () => {
    const key = (await (await house.fetch('/api/v1/api-keys', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name: 'hooks', scopes: ['webhooks:read', 'webhooks:write'] }) })).json()) as { key: string };
    const as = (method: string, path: string, body: object): Promise<Response> => fetch(`${house.url}/api/v1/webhooks${path}`, { method, headers: { 'content-type': 'application/json', 'x-api-key': key.key }, body: JSON.stringify(body) });
    expect((await as('POST', '', { url: receiver.url, events: ['result.ready'], includePhi: true })).status).toBe(403);
    const phi = await house.make(receiver.url, { includePhi: true });
    expect((await as('PATCH', `/${phi.id}`, { url: 'https://elsewhere.example.org' })).status).toBe(403);
    expect((await as('PATCH', `/${phi.id}`, { includePhi: false, url: 'https://elsewhere.example.org' })).status).toBe(200);
  });
});

describe('messages', () => {
  it('are signed as Standard Webhooks says, and hold ids and links only', async () => {
    const { id, secret } = await house.make(receiver.url);
    const result = conclusion(house, await uploadStudy(house, 21), { summary: { text: 'Pneumonia 93 %', critical: false } });
    const resultId = await commitResult(house, result, ['analysis.succeeded', 'result.ready', 'result.withheld']);
    const [first, second] = await came(2);
    const messages = [first, second].map((one) => verify(secret, one as Received));
    expect(messages.map(({ type }) => type)).toEqual(['analysis.succeeded', 'result.ready']);
    expect(messages[1]?.data).toEqual({
      institutionId: house.institutionId, studyInstanceUid: result.studyInstanceUid, analysis: result.analysis, analysisId: result.analysisId, resultId,
      links: {
        study: `https://vision.hospital.test/api/v1/studies/${result.studyInstanceUid}`, analysis: `https://vision.hospital.test/api/v1/analyses/${result.analysisId}`, result: `https://vision.hospital.test/api/v1/results/${resultId}`,
      },
    });
    for (const { body } of receiver.received) for (const word of ['P21', 'Pneumonia', '93']) expect(body.replaceAll(/[0-9a-f-]{36}|2\.25\.\d+/g, '')).not.toContain(word);
    const log = await house.tried(id, 2);
    // Both were planned in one millisecond, so either may stand first.
    expect(log.find(({ event }) => event === 'result.ready')).toMatchObject({ id: second?.headers['webhook-id'], event: 'result.ready', state: 'delivered', attempts: 1, lastStatus: 200, failure: null, body: JSON.parse(second?.body ?? 'null') as object });
    expect(Date.parse(messages[0]?.timestamp ?? '')).toBeLessThanOrEqual(Date.now());
  });

  it('name the patient and what was found, on record, where the institution wants it', async () => {
    const { id, secret } = await house.make(receiver.url, { includePhi: true, events: ['result.ready'] });
    receiver.behave((message, response) => { message.status = 500; response.writeHead(500).end(message.body); });
    const result = conclusion(house, await uploadStudy(house, 22));
    await commitResult(house, result);
    const { data } = verify(secret, (await came(1))[0] as Received);
    expect(data).toMatchObject({ patient: { id: 'P22' }, summary: expect.stringContaining('Pneumonia') as string, study: { accessionNumber: null } });
    const [delivery] = await house.tried(id, 1);
    // The answer has said it again: it is not kept, and neither is the body.
    expect(delivery).toMatchObject({ state: 'waiting', failure: 'refused', lastStatus: 500, answer: null });
    expect(JSON.stringify(await house.owner.$queryRaw`SELECT d::text FROM webhook_deliveries d`)).not.toContain('P22');
    expect(JSON.stringify(delivery?.body)).not.toContain('P22');
    const one = (await (await house.call('GET', `/${id}/deliveries/${delivery?.id ?? ''}`)).json()) as { body: unknown };
    expect(one.body).toEqual(JSON.parse(receiver.received[0]?.body ?? ''));
    const events = (await (await house.fetch(`/api/v1/audit-events?studyInstanceUid=${result.studyInstanceUid}&limit=200`)).json()) as { items: { action: string; outcome: string }[] };
    expect(events.items.filter(({ action }) => action === 'deliverWebhook').map(({ outcome }) => outcome).sort()).toEqual(['attempted', 'failed']);
  });

  it('are signed with both secrets while they overlap, then with the new one alone', async () => {
    const { id, secret } = await house.make(receiver.url, { ed25519: true });
    const rotated = await house.call('POST', `/${id}/secret`, { overlapHours: 1 });
    const { secret: second } = (await rotated.json()) as Created;
    expect([rotated.status, rotated.headers.get('cache-control'), second === secret]).toEqual([200, 'no-store', false]);
    await house.emit('2.25.31', ['result.ready']);
    const [both] = await came(1);
    for (const one of [secret, second]) expect(verify(one, both as Received).type).toBe('result.ready');
    expect(both?.headers['webhook-signature']?.split(' ').map((part) => part.split(',')[0])).toEqual(['v1', 'v1', 'v1a', 'v1a']);
    const { secret: third } = (await (await house.call('POST', `/${id}/secret`, { overlapHours: 0 })).json()) as Created;
    await house.emit('2.25.31', ['result.reviewed']);
    const [, alone] = await came(2);
    expect(verify(third, alone as Received).type).toBe('result.reviewed');
    for (const one of [secret, second]) expect(() => verify(one, alone as Received)).toThrow();
    for (let index = 0; index < 4; index++) expect((await house.call('POST', `/${id}/secret`, {})).status).toBe(200);
    expect((await house.call('POST', `/${id}/secret`, {})).status).toBe(409);
    expect((await house.call('POST', `/${id}/secret`, { overlapHours: 0 })).status).toBe(200);
  });

  it('can be tried with a test event, which has no consequences', async () => {
    const { id, secret } = await house.make(receiver.url, { enabled: false });
    receiver.behave(answering(410, 'no\u0007body'));
    const made = await house.call('POST', `/${id}/test`);
    const { id: deliveryId } = (await made.json()) as { id: string };
    expect([made.status, made.headers.get('location')]).toEqual([202, `/api/v1/webhooks/${id}/deliveries/${deliveryId}`]);
    expect(verify(secret, (await came(1))[0] as Received)).toMatchObject({ type: 'webhook.test', data: { webhookId: id } });
    expect(await house.tried(id, 1)).toMatchObject([{ id: deliveryId, event: 'webhook.test', state: 'given-up', failure: 'gone', lastStatus: 410, answer: 'no body' }]);
    expect(await house.webhook(id)).toMatchObject({ enabled: false, disabledReason: null });
  });
});

describe('a receiver that does not answer as it should', () => {
  it.each<[string, Parameters<Receiver['behave']>[0], object]>([
    ['hangs', () => undefined, { failure: 'timeout', lastStatus: null }],
    ['answers 200 too late', (_, response) => { setTimeout(() => response.end('ok'), 1_500); }, { failure: 'timeout', lastStatus: null }],
    ['streams for ever', (_, response) => { const timer = setInterval(() => { response.write('x'.repeat(10_000)); }, 5); response.on('close', () => { clearInterval(timer); }); }, { lastStatus: null }],
    ['redirects inside', answering(302, '', { location: 'http://169.254.169.254/latest/meta-data/' }), { failure: 'refused', lastStatus: 302 }],
    ['redirects to itself', answering(307, '', { location: '/hook' }), { failure: 'refused', lastStatus: 307 }],
    ['fails', answering(500, 'Internal\nerror'), { failure: 'refused', lastStatus: 500, answer: 'Internal error' }],
    ['hangs up', (_, __, request) => { request.socket.destroy(); }, { failure: 'unreachable', lastStatus: null }],
  ])('is tried again when it %s', async (_, behaviour, expected) => {
    const { id } = await house.make(receiver.url);
    receiver.behave(behaviour);
    await house.emit('2.25.41', ['result.ready']);
    const [delivery] = await house.tried(id, 1);
    expect(delivery).toMatchObject({ state: 'waiting', attempts: 1, ...expected });
    expect(delivery?.lastDurationMs).toBeLessThan(2_000);
    const wait = Date.parse(delivery?.nextAttemptAt ?? '') - Date.parse(delivery?.lastTriedAt ?? '');
    expect(wait).toBeGreaterThan(4_900);
    expect(wait).toBeLessThan(9_000);
    expect(receiver.received).toHaveLength(1);
    receiver.behave(answering(204));
    await house.pump(id);
    expect(await house.deliveries(id)).toMatchObject([{ state: 'delivered', attempts: 2, lastStatus: 204, failure: null }]);
    const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
    expect(ids).toEqual([delivery?.id, delivery?.id]);
  });

  it('is left alone for as long as it asks', async () => {
    const { id } = await house.make(receiver.url);
    receiver.behave(answering(429, '', { 'retry-after': '600' }));
    await house.emit('2.25.42', ['result.ready']);
    const [delivery] = await house.tried(id, 1);
    expect(Date.parse(delivery?.nextAttemptAt ?? '') - Date.now()).toBeGreaterThan(500_000);
  });

  it('is not reached where its URL leads inside, however it came to be stored', async () => {
    const { id } = await house.make(receiver.url);
    await house.owner.webhook.update({ where: { id }, data: { url: 'https://169.254.169.254/latest/meta-data/' } });
    await house.emit('2.25.43', ['result.ready']);
    expect(await house.tried(id, 1)).toMatchObject([{ state: 'waiting', failure: 'not-allowed', lastStatus: null }]);
  });

  it('that is gone is disabled at once; people are told, and events wait until it is enabled again', async () => {
    const { id } = await house.make(receiver.url, { description: 'RIS' });
    receiver.behave(answering(410));
    await house.emit('2.25.44', ['analysis.succeeded', 'result.ready']);
    await eventually('the end of it', async () => !(await house.webhook(id)).enabled);
    expect(await house.webhook(id)).toMatchObject({ enabled: false, disabledReason: 'gone', disabledAt: expect.any(String) as string });
    await house.emit('2.25.44', ['result.reviewed']);
    await eventually('three deliveries', async () => (await house.deliveries(id)).length === 3);
    await house.pump(id);
    expect(receiver.received).toHaveLength(1);
    const told = await eventually('the notification', async () => ((await (await house.fetch('/api/v1/notifications?topic=webhook.disabled')).json()) as { items: { subject: object }[] }).items[0]);
    expect(told.subject).toEqual({ webhookId: id });
    const mail = await eventually('the mail', () => Promise.resolve(readdirSync(join(house.config.dataDir, 'mail')).map((file) => readFileSync(join(house.config.dataDir, 'mail', file), 'utf8')).find((text) => /webhook/i.test(text))));
    expect(mail).toContain('To: ');
    expect(mail).not.toContain('/hook');
    expect(await house.owner.auditEvent.count({ where: { action: 'disableWebhook', object: id } })).toBe(1);
    receiver.behave(answering(200));
    expect(await (await house.call('PATCH', `/${id}`, { enabled: true })).json()).toMatchObject({ enabled: true, disabledReason: null, disabledAt: null });
    await came(4);
    expect(receiver.received.slice(1).map(({ body }) => (JSON.parse(body) as { type: string }).type)).toEqual(['analysis.succeeded', 'result.ready', 'result.reviewed']);
  });

  it('is disabled when nothing reaches it for as long as an event is tried, and not for one event alone', async () => {
    const { id } = await house.make(receiver.url);
    receiver.behave((message, response) => { answering(message.body.includes('2.25.45') ? 500 : 200)(message, response, {} as never); });
    await house.emit('2.25.45', ['result.ready']);
    await house.tried(id, 1);
    await house.emit('2.25.46', ['result.ready']);
    await came(2);
    for (let round = 0; round < 9; round++) await house.pump(id, 1);
    expect((await house.deliveries(id)).map(({ state, attempts }) => [state, attempts]).sort()).toEqual([['delivered', 1], ['given-up', 10]]);
    expect((await house.webhook(id)).enabled).toBe(true);
    receiver.behave(answering(500));
    await house.emit('2.25.47', ['result.ready']);
    await house.tried(id, 3);
    for (let round = 0; round < 9; round++) await house.pump(id, 1);
    expect(await house.webhook(id)).toMatchObject({ enabled: false, disabledReason: 'failing' });
    const metrics = (await (await fetch(`${house.url}/metrics`)).text()).split('\n').filter((line) => line.startsWith('healthvision_webhook'));
    expect(metrics).toEqual(expect.arrayContaining([expect.stringMatching(/^healthvision_webhook_deliveries_total\{outcome="given-up"\} [1-9]/), 'healthvision_webhooks_disabled_total{reason="failing"} 1']));
  });
});
