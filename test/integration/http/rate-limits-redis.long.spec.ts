import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/platform/config.js';
import { RateLimiter } from '../../../src/platform/limits/rate-limiter.js';
import { RedisWindows } from '../../../src/platform/limits/redis-windows.js';
import { createLogger } from '../../../src/platform/ops/logger.js';
import { redisIsInstalled, startRedis, type RedisServer } from '../../support/redis.js';
import { call, openHouse, signIn, type House } from '../users/house.js';

describe.skipIf(!redisIsInstalled())('limits that are counted in Redis', () => {
  let redis: RedisServer;
  let house: House;
  const stores: RedisWindows[] = [];

  beforeAll(async () => {
    redis = await startRedis();
    house = await openHouse();
  });

  afterAll(async () => {
    for (const store of stores) store.close();
    await house.close();
    await redis.stop();
  });

  /** A process of its own, as far as counting goes. */
  function replica(reports?: boolean[]): RateLimiter {
    const store = new RedisWindows(parseConfig({ QUEUE_BACKEND: 'redis', REDIS_URL: redis.url }));
    stores.push(store);
    return new RateLimiter(store, createLogger('silent'), { away: (isAway) => { reports?.push(isAway); } });
  }

  it.each([50, 100, 1_000])('hold %i over two processes of the product', async (limit) => {
    const settings = { QUEUE_BACKEND: 'redis', REDIS_URL: redis.url, RATE_LIMIT_PRINCIPAL: String(limit) };
    const replicas = [await house.neighbour(settings), await house.neighbour(settings)];
    const token = (await signIn(house.url)).access_token;
    const created = await call<{ key: string }>(token, 'POST', `${house.url}/api/v1/api-keys`, { name: 'limits', scopes: ['users:read'] });
    let admitted = 0;
    let next = 0;
    await Promise.all(Array.from({ length: 20 }, async () => {
      while (next < limit + 200) {
        const { status, headers } = await call(created.body.key, 'GET', `${replicas[next++ % 2]?.url ?? ''}/api/v1/users?limit=1`);
        if (status === 200) admitted += 1;
        else expect(status).toBe(429);
        expect(Number(headers.get('ratelimit-reset'))).toBeLessThanOrEqual(60);
      }
    }));
    expect(admitted).toBeLessThanOrEqual(limit);
    expect(admitted).toBeGreaterThanOrEqual(limit * 0.95);
  });

  it('start anew a minute after the first request', async () => {
    const [one, two] = [replica(), replica()];
    for (let index = 0; index < 5; index++) expect((await one.take('minute', 5)).admitted).toBe(true);
    const refused = await two.take('minute', 5);
    expect(refused.admitted).toBe(false);
    await new Promise((resolve) => setTimeout(resolve, refused.resetSeconds * 1000));
    expect((await two.take('minute', 5)).admitted).toBe(true);
  });

  it('are kept by each process alone while Redis is away, at once, and together again after', async () => {
    const reports: boolean[] = [];
    const one = replica(reports);
    expect((await one.take('before', 100)).admitted).toBe(true);
    const { port } = new URL(redis.url);
    await redis.stop();
    const start = performance.now();
    const verdicts = await Promise.all(Array.from({ length: 300 }, (_, index) => one.take(`during-${String(index % 3)}`, 50)));
    expect(performance.now() - start).toBeLessThan(2_500);
    expect(verdicts.filter(({ admitted }) => admitted)).toHaveLength(150);
    expect(reports).toEqual([true]);
    redis = await startRedis(Number(port));
    await expect.poll(async () => { await one.take(`after-${String(performance.now())}`, 50); return reports; }, { timeout: 15_000, interval: 500 }).toEqual([true, false]);
  });
});
