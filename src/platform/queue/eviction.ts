import { Redis } from 'ioredis';
import { AppError } from '../../kernel/errors.js';
import type { Config } from '../config.js';
import type { Logger } from '../ops/logger.js';
import { redisOptions, type RedisSettings } from '../redis.js';

const PATIENCE_MS = 5_000;
const WANTED = 'noeviction';

/**
 * Makes sure that Redis keeps what it is given: under another policy than `noeviction` it drops jobs when its memory is full. Asked of INFO, which hosted
 * servers answer that forbid CONFIG.
 *
 * @throws AppError `configuration-invalid` in production; `queue-unavailable` when Redis lets nobody in
 */
export async function assertRedisKeepsJobs(config: Pick<Config, 'QUEUE_BACKEND' | 'isProduction'> & RedisSettings, logger: Logger): Promise<void> {
  if (config.QUEUE_BACKEND !== 'redis' || config.REDIS_URL === undefined) return;
  const policy = await evictionPolicy(config);
  if (policy === WANTED) return;
  if (policy === undefined) {
    logger.warn('Redis does not say what it does when its memory is full (INFO memory): see to it that maxmemory-policy is noeviction');
    return;
  }
  if (config.isProduction) throw new AppError('configuration-invalid', { detail: `REDIS_URL: this Redis drops jobs when its memory is full (maxmemory-policy ${policy}); it must be noeviction` });
  logger.warn({ policy }, 'Redis drops jobs when its memory is full: maxmemory-policy must be noeviction, and production refuses to start without');
}

/** undefined when it does not say. */
async function evictionPolicy(settings: RedisSettings): Promise<string | undefined> {
  const redis = new Redis({ ...redisOptions(settings), lazyConnect: true, connectTimeout: PATIENCE_MS, commandTimeout: PATIENCE_MS, maxRetriesPerRequest: 0, retryStrategy: () => null, sentinelRetryStrategy: () => null, enableReadyCheck: false, failoverDetector: false });
  const met: string[] = [];
  redis.on('error', (error) => { met.push(error.message); });
  try {
    await redis.connect();
    const [, policy] = /^maxmemory_policy:(\S+)/m.exec(await redis.info('memory')) ?? [];
    return policy;
  } catch (error) {
    const why = error instanceof Error && error.name === 'ReplyError' ? error.message : (met.at(-1) ?? (error instanceof Error ? error.message : ''));
    // A user who may do what BullMQ needs, and no more.
    if (/^NOPERM|unknown command/i.test(why)) return undefined;
    throw new AppError('queue-unavailable', { detail: `Redis (REDIS_URL) does not answer: ${why}`, cause: error });
  } finally {
    redis.disconnect();
  }
}
