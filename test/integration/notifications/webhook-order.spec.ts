import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { PlanWebhooksJob } from '../../../src/modules/notifications/webhooks/plan-webhooks.job.js';
import { WakeWebhooksJob } from '../../../src/modules/notifications/webhooks/wake-webhooks.job.js';
import { WebhookClaimsStore } from '../../../src/modules/notifications/webhooks/webhook-claims.store.js';
import { WebhookUpkeepJob } from '../../../src/modules/notifications/webhooks/webhook-upkeep.job.js';
import { STUDY_DELETED } from '../../../src/modules/images/images.contract.js';
import { Database } from '../../../src/platform/database/database.js';
import { Outbox } from '../../../src/platform/queue/outbox.js';
import { eventually } from '../../support/product.js';
import { uploadStudy } from '../results/house.js';
import { openWebhookHouse, type WebhookHouse } from './webhook-house.js';
import { answering, openReceiver, type Received, type Receiver } from './webhook-receiver.js';

const EVENTS = ['study.completed', 'analysis.succeeded', 'result.ready', 'result.critical', 'result.reviewed'];

let house: WebhookHouse;
let receiver: Receiver;
beforeAll(async () => { house = await openWebhookHouse(); });
beforeEach(async () => { receiver = await openReceiver(); });
afterEach(async () => {
  receiver.close();
  await house.owner.webhook.deleteMany();
});
afterAll(async () => { await house.close(); });

const messageOf = ({ body }: Received): { type: string; data: { studyInstanceUid: string } } => JSON.parse(body) as never;
const typesOf = (studyInstanceUid: string, received = receiver.received): string[] => received.map(messageOf).filter(({ data }) => data.studyInstanceUid === studyInstanceUid).map(({ type }) => type);
const allDelivered = (id: string, count: number): Promise<unknown> => eventually('all of them', async () => {
  const all = await house.deliveries(id);
  return all.length === count && all.every(({ state }) => state === 'delivered');
});
const context = (jobId: string, topic: string): Parameters<PlanWebhooksJob['handle']>[1] => ({ jobId, topic, attempt: 1, signal: new AbortController().signal });
/** Appends to the outbox what no relay hands over, as if its jobs were lost. */
async function lose(studyInstanceUid: string, topic: string, id = uuidv7(), more: object = {}): Promise<{ id: string; payload: { institutionId: string; studyInstanceUid: string } }> {
  const { institutionId } = house;
  const payload = { institutionId, studyInstanceUid, ...more };
  await house.owner.outboxEvent.create({ data: { id, institutionId, topic, payload, studyInstanceUid, dispatchedAt: new Date(Date.now() - 600_000) } });
  return { id, payload };
}

describe('events of one study', () => {
  it('arrive in order, each at least once, though tries fail and several workers send', async () => {
    const { id } = await house.make(receiver.url, { events: EVENTS, concurrency: 3 });
    const studies = Array.from({ length: 6 }, (_, index) => `2.25.10${String(index)}`);
    let tries = 0;
    receiver.behave((message, response, request) => {
      tries += 1;
      // Three messages in step would meet the same answer each time, until one is given up: the fifth try of each is taken.
      const mayFail = receiver.received.filter(({ headers }) => headers['webhook-id'] === message.headers['webhook-id']).length < 5;
      if (mayFail && tries % 7 === 3) request.socket.destroy();
      else setTimeout(() => { answering(mayFail && tries % 3 === 1 ? 503 : 200)(message, response, request); }, 10);
    });
    await Promise.all(studies.map((study) => house.emit(study, EVENTS)));
    await eventually('all of them planned', async () => (await house.deliveries(id)).length === studies.length * EVENTS.length);
    await eventually('all of them delivered', async () => {
      await house.pump(id, 4);
      return (await house.deliveries(id)).every(({ state }) => state === 'delivered');
    });
    for (const study of studies) {
      const delivered = typesOf(study, receiver.received.filter(({ status }) => status === 200));
      expect(delivered).toEqual(EVENTS);
      // Nor was a later one ever tried before an earlier one had arrived.
      const order = typesOf(study).map((type) => EVENTS.indexOf(type));
      expect(order).toEqual([...order].sort((a, b) => a - b));
    }
    expect(tries).toBeGreaterThan(studies.length * EVENTS.length);
    expect(receiver.mostOpen()).toBeLessThanOrEqual(3);
    expect(receiver.mostOpen()).toBeGreaterThan(1);
    const ids = receiver.received.filter(({ status }) => status === 200).map(({ headers }) => headers['webhook-id']);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('are planned in the order in which they were committed, whatever the order of jobs and the clocks of processes', async () => {
    const { id } = await house.make(receiver.url, { events: EVENTS });
    const later = uuidv7();
    const earlier = uuidv7(Date.now() + 3_600_000);
    await lose('2.25.111', 'analysis.succeeded', earlier);
    const { payload } = await lose('2.25.111', 'result.ready', later);
    const job = house.app.get(PlanWebhooksJob);
    await Promise.all([1, 2, 3].map(() => job.handle(payload, context(later, 'result.ready'))));
    await job.handle(payload, context(earlier, 'analysis.succeeded'));
    await allDelivered(id, 2);
    expect(typesOf('2.25.111')).toEqual(['analysis.succeeded', 'result.ready']);
  });

  it('wait for nothing of other studies, and begin where the webhook does', async () => {
    await house.emit('2.25.121', ['result.ready']);
    const { id } = await house.make(receiver.url, { events: ['result.ready'] });
    receiver.behave((message, response, request) => { answering(message.body.includes('2.25.121') ? 500 : 200)(message, response, request); });
    await house.emit('2.25.121', ['result.ready', 'result.reviewed']);
    await house.emit('2.25.122', ['result.ready']);
    expect((await house.tried(id, 2)).map(({ studyInstanceUid, state }) => [studyInstanceUid, state]).sort()).toEqual([['2.25.121', 'waiting'], ['2.25.122', 'delivered']]);
    // A type that is added begins with what happens from then on.
    expect((await house.call('PATCH', `/${id}`, { events: ['result.ready', 'result.reviewed'] })).status).toBe(200);
    receiver.behave(answering(200));
    await house.pump(id);
    await house.emit('2.25.121', ['result.reviewed']);
    await allDelivered(id, 3);
    expect(typesOf('2.25.121')).toEqual(['result.ready', 'result.ready', 'result.reviewed']);
  });
});

describe('what a worker or a queue has lost', () => {
  it('is sent by another worker once the claim of the dead one is over; the dead one has no say any more', async () => {
    const { id } = await house.make(receiver.url);
    // Nothing wakes a worker for these.
    const planned = { institutionId: house.institutionId, webhookId: id, studyInstanceUid: '2.25.131', occurredAt: new Date(), nextAt: new Date(Date.now() - 60_000) };
    await house.owner.webhookDelivery.createMany({ data: ['result.ready', 'result.reviewed'].map((topic, index) => ({ ...planned, id: uuidv7(), eventId: uuidv7(), topic, position: BigInt(index), data: { studyInstanceUid: '2.25.131' } })) });
    const claims = house.app.get(WebhookClaimsStore);
    const dead = await claims.claim(house.institutionId, id);
    expect([dead?.topic, dead?.attempts, await claims.claim(house.institutionId, id)]).toEqual(['result.ready', 1, undefined]);
    await house.owner.webhookDelivery.updateMany({ where: { id: dead?.id ?? '' }, data: { claimedUntil: new Date(Date.now() - 1_000) } });
    const second = await claims.claim(house.institutionId, id);
    expect(second).toMatchObject({ id: dead?.id, attempts: 2, claims: 2 });
    if (!dead || !second) throw new Error('not claimed');
    await claims.delivered(dead, { status: 200, durationMs: 1, failure: null, answer: null });
    expect((await house.deliveries(id)).map(({ state }) => state)).toEqual(['waiting', 'waiting']);
    await claims.release(second);
    await house.app.get(WakeWebhooksJob).handle();
    await allDelivered(id, 2);
    expect(typesOf('2.25.131')).toEqual(['result.ready', 'result.reviewed']);
  });

  it('is planned after all, once', async () => {
    const { id } = await house.make(receiver.url, { events: EVENTS });
    await lose('2.25.141', 'study.completed');
    await lose('2.25.141', 'result.ready');
    await lose('2.25.142', 'result.ready');
    await lose('2.25.142', STUDY_DELETED, uuidv7(), { erased: true });
    const upkeep = house.app.get(WebhookUpkeepJob);
    await Promise.all([upkeep.handle(), upkeep.handle()]);
    await allDelivered(id, 2);
    expect(typesOf('2.25.141')).toEqual(['study.completed', 'result.ready']);
    await upkeep.handle();
    expect(await house.deliveries(id)).toHaveLength(2);
  });

  it('is planned from its job when the outbox has forgotten it, unless the study is gone', async () => {
    const { id } = await house.make(receiver.url, { events: EVENTS });
    const { study: { studyInstanceUid } } = await uploadStudy(house, 41);
    for (const uid of [studyInstanceUid, '2.25.143']) await house.app.get(PlanWebhooksJob).handle({ institutionId: house.institutionId, studyInstanceUid: uid }, context(uuidv7(), 'study.completed'));
    await allDelivered(id, 1);
    expect(typesOf(studyInstanceUid)).toEqual(['study.completed']);
  });

  it('is forgotten after 30 days', async () => {
    const { id } = await house.make(receiver.url);
    await house.emit('2.25.145', ['result.ready', 'result.reviewed']);
    await allDelivered(id, 2);
    await house.owner.webhookDelivery.updateMany({ where: { webhookId: id, topic: 'result.ready' }, data: { createdAt: new Date(Date.now() - 31 * 86_400_000) } });
    await house.app.get(WebhookUpkeepJob).handle();
    expect((await house.deliveries(id)).map(({ event }) => event)).toEqual(['result.reviewed']);
  });
});

describe('redelivery', () => {
  it('sends one event again, with its id', async () => {
    const { id } = await house.make(receiver.url);
    await house.emit('2.25.151', ['result.ready']);
    await allDelivered(id, 1);
    const [before] = await house.deliveries(id);
    const response = await house.call('POST', `/${id}/deliveries/${before?.id ?? ''}/redeliver`);
    expect([response.status, await response.json()]).toMatchObject([202, { id: before?.id, state: 'waiting', attempts: 0, lastStatus: null }]);
    await eventually('the second time', () => Promise.resolve(receiver.received.length === 2));
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect((await house.call('POST', `/${id}/deliveries/${uuidv7()}/redeliver`)).status).toBe(404);
  });

  it('sends those of a time again, in order', async () => {
    const { id } = await house.make(receiver.url, { events: EVENTS });
    const from = new Date().toISOString();
    await house.emit('2.25.161', EVENTS);
    await allDelivered(id, 5);
    const to = new Date(Date.now() + 1_000).toISOString();
    const again = async (body: object): Promise<unknown> => (await (await house.call('POST', `/${id}/redeliver`, body)).json());
    expect(await again({ from: '2020-01-01T00:00:00Z', to: from })).toEqual({ deliveries: 0 });
    expect(await again({ from, to, state: 'given-up' })).toEqual({ deliveries: 0 });
    expect(await again({ from, to, events: ['result.reviewed', 'study.completed'] })).toEqual({ deliveries: 2 });
    await allDelivered(id, 5);
    expect(await again({ from, to })).toEqual({ deliveries: 5 });
    await allDelivered(id, 5);
    expect(typesOf('2.25.161')).toEqual([...EVENTS, 'study.completed', 'result.reviewed', ...EVENTS]);
    for (const body of [{ from, to: from }, { from }, { from, to: 'tomorrow' }, { from, to, events: [] }, { from, to, state: 'waiting' }, { from: '0000-01-01T00:00:00Z', to }]) expect(await again(body)).toMatchObject({ code: 'invalid-body' });
  });
});

describe('erasure', () => {
  it('leaves nothing that names the study, and has nothing sent that waits', async () => {
    const { id } = await house.make(receiver.url);
    receiver.behave(answering(500));
    await house.emit('2.25.171', ['result.ready', 'result.reviewed']);
    await house.emit('2.25.172', ['result.ready']);
    await eventually('two tries', () => Promise.resolve(receiver.received.length === 2));
    const { institutionId } = house;
    await house.app.get(Database).transaction({ institutionId }, (tx) => house.app.get(Outbox).append(tx, { institutionId, topic: STUDY_DELETED, payload: { institutionId, studyId: uuidv7(), studyInstanceUid: '2.25.171', erased: true } }));
    await eventually('its end', async () => (await house.deliveries(id, '&state=erased')).length === 2);
    expect(JSON.stringify(await house.owner.$queryRaw`SELECT d::text FROM webhook_deliveries d`)).not.toContain('2.25.171');
    const [erased] = await house.deliveries(id, '&state=erased');
    expect(erased).toMatchObject({ body: null, studyInstanceUid: null, answer: null });
    expect((await house.call('POST', `/${id}/deliveries/${erased?.id ?? ''}/redeliver`)).status).toBe(404);
    receiver.behave(answering(200));
    await house.app.get(WebhookUpkeepJob).handle();
    await house.pump(id);
    expect(receiver.received.slice(2).map((one) => messageOf(one).data.studyInstanceUid)).toEqual(['2.25.172']);
  });
});
