import { connect } from 'node:net';
import { AppError } from '../../kernel/errors.js';
import type { Config } from '../config.js';
import { redisAddresses, type RedisAddress } from '../redis.js';

const PATIENCE_MS = 5_000;

/**
 * Makes sure that the queue's server, or one of its sentinels, is there before anything is built on it: BullMQ would wait for it without a word.
 * @throws AppError `queue-unavailable`, with the address and what the connection met
 */
export async function assertQueueReachable(config: Pick<Config, 'QUEUE_BACKEND' | 'REDIS_URL' | 'REDIS_SENTINELS'>): Promise<void> {
  if (config.QUEUE_BACKEND !== 'redis' || config.REDIS_URL === undefined) return;
  const name = config.REDIS_SENTINELS ? 'REDIS_SENTINELS' : 'REDIS_URL';
  try {
    await Promise.any(redisAddresses(config).map((address) => assertReachable(address, name)));
  } catch (error) {
    // Of `Promise.any`: what each of them met.
    throw error instanceof AggregateError ? error.errors[0] : error;
  }
}

async function assertReachable(address: RedisAddress, setting: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const socket = connect(address);
    const fail = (why: string): void => {
      socket.destroy();
      reject(new AppError('queue-unavailable', { detail: `Redis cannot be reached at ${address.host}:${String(address.port)} (${setting}): ${why}` }));
    };
    socket.setTimeout(PATIENCE_MS, () => { fail(`no answer within ${String(PATIENCE_MS / 1000)} s`); });
    socket.once('error', (error: NodeJS.ErrnoException) => { fail(error.code ?? error.name); });
    socket.once('connect', () => { socket.destroy(); resolve(); });
  });
}
