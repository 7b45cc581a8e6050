import { describe, expect, it } from 'vitest';
import { redisOptions } from './redis.js';

describe('the way to Redis', () => {
  it('is the URL', () => {
    expect(redisOptions({ REDIS_URL: 'redis://redis.hospital.test' })).toEqual({ host: 'redis.hospital.test', port: 6379 });
    expect(redisOptions({ REDIS_URL: 'rediss://me:p%40ss@[::1]:7000/2' })).toEqual({ host: '::1', port: 7000, username: 'me', password: 'p@ss', db: 2, tls: {} });
  });

  it('is asked of the sentinels, where there are some', () => {
    const settings = { REDIS_URL: 'redis://:secret@mymaster/1', REDIS_SENTINELS: ['one.test', '[::1]:7001'], REDIS_SENTINEL_PASSWORD: 'other' };
    const sentinels = [{ host: 'one.test', port: 26_379 }, { host: '::1', port: 7001 }];
    expect(redisOptions(settings)).toEqual({ sentinels, name: 'mymaster', failoverDetector: true, sentinelCommandTimeout: 2_000, password: 'secret', db: 1, sentinelPassword: 'other' });
    expect(redisOptions({ ...settings, REDIS_URL: 'rediss://mymaster' })).toMatchObject({ tls: {}, enableTLSForSentinelMode: true, sentinelTLS: {} });
  });
});
