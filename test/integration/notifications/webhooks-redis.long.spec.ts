import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WakeWebhooksJob } from '../../../src/modules/notifications/webhooks/wake-webhooks.job.js';
import { WebhookUpkeepJob } from '../../../src/modules/notifications/webhooks/webhook-upkeep.job.js';
import { eventually } from '../../support/product.js';
import { redisIsInstalled, startRedis, type RedisServer } from '../../support/redis.js';
import { openWebhookHouse, type WebhookHouse } from './webhook-house.js';
import { answering, openReceiver, type Receiver } from './webhook-receiver.js';

const EVENTS = ['study.completed', 'analysis.succeeded', 'result.ready', 'result.reviewed'];
const STUDIES = Array.from({ length: 60 }, (_, index) => `2.25.9${String(1_000 + index)}`);

describe.skipIf(!redisIsInstalled())('webhooks with their queue in Redis', () => {
  let redis: RedisServer;
  let house: WebhookHouse;
  let receiver: Receiver;
  beforeAll(async () => {
    redis = await startRedis();
    house = await openWebhookHouse({ QUEUE_BACKEND: 'redis', REDIS_URL: redis.url });
    receiver = await openReceiver();
  });
  afterAll(async () => {
    receiver.close();
    await house.close();
    await redis.stop();
  });

  it('lose no event and no order when it forgets everything while they are under way', async () => {
    const { id } = await house.make(receiver.url, { events: EVENTS });
    receiver.behave((message, response, request) => { setTimeout(() => { answering(Math.random() < 0.1 ? 500 : 200)(message, response, request); }, 5); });
    const client = new Redis(redis.url);
    const emitting = Promise.all(STUDIES.map((study) => house.emit(study, EVENTS)));
    for (let flush = 0; flush < 4; flush++) {
      await new Promise((resolve) => setTimeout(resolve, 150));
      await client.flushall();
    }
    await emitting;
    client.disconnect();
    // The relay hands over what it has not; what was handed over before counts as old enough to be missed.
    await eventually('the relay', async () => (await house.owner.outboxEvent.count({ where: { dispatchedAt: null } })) === 0);
    await house.owner.$executeRaw`UPDATE outbox SET dispatched_at = dispatched_at - interval '3 minutes'`;
    await house.app.get(WebhookUpkeepJob).handle();
    await eventually('every delivery', async () => {
      await house.pump(id);
      await house.app.get(WakeWebhooksJob).handle();
      const rows = await house.owner.webhookDelivery.groupBy({ by: ['state'], where: { webhookId: id }, _count: true });
      return rows.length === 1 && rows[0]?.state === 'delivered' && rows[0]._count === STUDIES.length * EVENTS.length;
    }, 60_000);
    const arrived = receiver.received.filter(({ status }) => status === 200).map(({ body }) => JSON.parse(body) as { type: string; data: { studyInstanceUid: string } });
    for (const study of STUDIES) {
      // Somebody may have been cut off before they could say that it had arrived: then it came again, before the next.
      const types = arrived.filter(({ data }) => data.studyInstanceUid === study).map(({ type }) => type);
      expect(types.filter((type, index) => type !== types[index - 1])).toEqual(EVENTS);
    }
  });
});
