import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { parseConfig, type Config } from '../../../src/platform/config.js';
import type { Logger } from '../../../src/platform/ops/logger.js';
import { assertRedisKeepsJobs } from '../../../src/platform/queue/eviction.js';
import { freePort, redisIsInstalled, startRedis, type RedisServer } from '../../support/redis.js';

const PASSWORD = 'okapi-zebra-4711';

describe.skipIf(!redisIsInstalled())('a Redis that drops what it is given', () => {
  let redis: RedisServer | undefined;
  afterEach(() => redis?.stop());

  const start = async (...settings: string[]): Promise<string> => {
    redis = await startRedis(undefined, ['--requirepass', PASSWORD, ...settings]);
    return redis.url.replace('//', `//:${PASSWORD}@`);
  };

  it('is warned of, by the name of its policy, and refused in production', async () => {
    const url = await start('--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru');
    const { warnings, logger } = listening();
    await assertRedisKeepsJobs(configOf(url), logger);
    expect(warnings).toEqual([expect.stringContaining('{"policy":"allkeys-lru"} Redis drops jobs')]);
    await expect(assertRedisKeepsJobs(configOf(url, true), logger)).rejects.toMatchObject({ code: 'configuration-invalid', message: expect.stringMatching(/maxmemory-policy allkeys-lru.*must be noeviction/) as string });
  });

  it('is none under noeviction, and where CONFIG is forbidden', async () => {
    const url = await start('--rename-command', 'CONFIG', '');
    const { warnings, logger } = listening();
    await assertRedisKeepsJobs(configOf(url, true), logger);
    expect(warnings).toEqual([]);
  });

  it('cannot be told where INFO is forbidden too: that is warned of', async () => {
    const url = await start('--rename-command', 'INFO', '');
    const { warnings, logger } = listening();
    await assertRedisKeepsJobs(configOf(url, true), logger);
    expect(warnings).toEqual([expect.stringContaining('does not say')]);
  });

  it('is not asked by somebody with another password', async () => {
    const url = (await start()).replace(PASSWORD, 'okapi-zebra-4712');
    await expect(assertRedisKeepsJobs(configOf(url), listening().logger)).rejects.toMatchObject({ code: 'queue-unavailable', message: expect.stringMatching(/WRONGPASS|NOAUTH/) as string });
  });
});

describe('what answers in the place of Redis', () => {
  it('is told of when it hangs up', async () => {
    const port = await freePort();
    const server = createServer((socket: Socket) => { socket.destroy(); }).listen(port, '127.0.0.1');
    await once(server, 'listening');
    await expect(assertRedisKeepsJobs(configOf(`redis://127.0.0.1:${String(port)}`), listening().logger)).rejects.toMatchObject({ code: 'queue-unavailable' });
    server.close();
  });

  it('is not asked where the queue is in PostgreSQL', async () => {
    await assertRedisKeepsJobs(parseConfig({}), listening().logger);
  });
});

function configOf(url: string, isProduction = false): Config {
  return { ...parseConfig({ QUEUE_BACKEND: 'redis', REDIS_URL: url }), isProduction };
}

function listening(): { warnings: string[]; logger: Logger } {
  const warnings: string[] = [];
  const warn = (...[about, text]: unknown[]): void => { warnings.push(typeof about === 'string' ? about : `${JSON.stringify(about)} ${String(text)}`); };
  return { warnings, logger: { warn } as unknown as Logger }; // as much of it as is called
}
