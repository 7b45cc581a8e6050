import { createHash } from 'node:crypto';
import { Redis } from 'ioredis';
import { redisOptions, type RedisSettings } from '../redis.js';
import { LEASE_SHARE, WINDOW_MS, WindowStore, type Lease, type LeaseRequest } from './window-store.js';

/** The arithmetic of `leaseOf`, where the count is. A key that has run out is gone by itself. */
const LEASE = `
local limit, needed, wanted, share, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local granted, reset = tonumber(redis.call('GET', KEYS[1]) or '0'), redis.call('PTTL', KEYS[1])
if reset < 0 then granted, reset = 0, window end
local remaining = math.max(0, limit - granted)
local leased = math.min(remaining, math.max(needed, math.min(wanted, math.floor(remaining / share))))
redis.call('SET', KEYS[1], granted + leased, 'PX', math.max(1, reset))
return { leased, remaining - leased, reset }`;
const DIGEST = createHash('sha1').update(LEASE).digest('hex');

/** Windows in Redis, for installations that have one for their queues. */
export class RedisWindows extends WindowStore {
  private readonly redis: Redis;

  constructor(settings: RedisSettings) {
    super();
    this.redis = new Redis({
      ...redisOptions(settings),
      lazyConnect: true,
      connectionName: 'healthvision-limits',
      // Nobody waits for a Redis that is away: see RateLimiter.
      maxRetriesPerRequest: 0,
      commandTimeout: 1_000,
      connectTimeout: 2_000,
      retryStrategy: (attempt) => Math.min(attempt * 200, 2_000),
    });
    // Each command tells of its own failure.
    this.redis.on('error', () => undefined);
  }

  override async lease(key: string, { limit, needed, wanted }: LeaseRequest): Promise<Lease> {
    const name = `healthvision:limit:${createHash('sha256').update(key).digest('base64url')}`;
    const values = [limit, needed, wanted, LEASE_SHARE, WINDOW_MS];
    const answer = await this.redis.evalsha(DIGEST, 1, name, ...values).catch((error: unknown) => {
      if (error instanceof Error && error.message.startsWith('NOSCRIPT')) return this.redis.eval(LEASE, 1, name, ...values);
      throw error;
    });
    // What the script returns.
    const [leased, remaining, resetMs] = answer as [number, number, number];
    return { leased, remaining, resetMs };
  }

  override prune(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    this.redis.disconnect();
  }
}
