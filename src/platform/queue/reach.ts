import { Redis } from 'ioredis';
import { connect } from 'node:net';
import { AppError } from '../../kernel/errors.js';
import type { Config } from '../config.js';
import { redisAddress, redisOptions, type RedisSettings } from '../redis.js';

const PATIENCE_MS = 5_000;

/**
 * Makes sure that the queue's server is there before anything is built on it: BullMQ would wait for it without a word.
 * @throws AppError `queue-unavailable`, with the address and what the connection met
 */
export async function assertQueueReachable(config: Pick<Config, 'QUEUE_BACKEND'> & RedisSettings): Promise<void> {
  if (config.QUEUE_BACKEND !== 'redis' || config.REDIS_URL === undefined) return;
  if (config.REDIS_SENTINELS) await assertSentinelsKnow(config);
  else await assertListens(config);
}

async function assertListens(settings: RedisSettings): Promise<void> {
  const address = redisAddress(settings);
  await new Promise<void>((resolve, reject) => {
    const socket = connect(address);
    const fail = (why: string): void => {
      socket.destroy();
      reject(new AppError('queue-unavailable', { detail: `Redis cannot be reached at ${address.host}:${String(address.port)} (REDIS_URL): ${why}` }));
    };
    socket.setTimeout(PATIENCE_MS, () => { fail(`no answer within ${String(PATIENCE_MS / 1000)} s`); });
    socket.once('error', (error: NodeJS.ErrnoException) => { fail(error.code ?? error.name); });
    socket.once('connect', () => { socket.destroy(); resolve(); });
  });
}

/** That one of them is there, takes the password, and knows the name. */
async function assertSentinelsKnow(settings: RedisSettings): Promise<void> {
  const redis = new Redis({ ...redisOptions(settings), lazyConnect: true, connectTimeout: PATIENCE_MS, failoverDetector: false, retryStrategy: () => null, sentinelRetryStrategy: () => null });
  const met: string[] = [];
  redis.on('error', (error) => { met.push(error.message); });
  try {
    await redis.connect();
  } catch (error) {
    const why = met.at(-1) ?? (error instanceof Error ? error.message : '');
    throw new AppError('queue-unavailable', { detail: `The sentinels (REDIS_SENTINELS) lead to no Redis of the name "${redisAddress(settings).host}" (REDIS_URL): ${why}`, cause: error });
  } finally {
    redis.disconnect();
  }
}
