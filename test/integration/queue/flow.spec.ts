import { NestFactory } from '@nestjs/core';
import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { parseConfig, type Config } from '../../../src/platform/config.js';
import { Database } from '../../../src/platform/database/database.js';
import { DatabaseModule } from '../../../src/platform/database/database.module.js';
import { openDatabase, type OpenedDatabase } from '../../../src/platform/database/open-database.js';
import { createLogger } from '../../../src/platform/ops/logger.js';
import { OpsModule } from '../../../src/platform/ops/ops.module.js';
import { HandBack, JobHandler, type JobContext, type JobDefinition } from '../../../src/platform/queue/job.js';
import { Outbox } from '../../../src/platform/queue/outbox.js';
import { QueueModule } from '../../../src/platform/queue/queue.module.js';
import { StorageModule } from '../../../src/platform/storage/storage.module.js';
import { preparedDirectory } from '../../support/data-directory.js';
import { eventually } from '../../support/product.js';
import { redisIsInstalled, startRedis, type RedisServer } from '../../support/redis.js';

const seen: { text: string; jobId: string; attempt: number }[] = [];
let ticks = 0;
let handBacks = 0;

@Injectable()
class EchoJob extends JobHandler<{ text: string }> {
  handle(payload: { text: string }, { jobId, attempt }: JobContext): Promise<void> {
    seen.push({ text: payload.text, jobId, attempt });
    if (payload.text === 'flaky' && attempt < 3) return Promise.reject(new Error('not yet'));
    if (payload.text === 'handed back' && handBacks++ < 2) return Promise.reject(new HandBack());
    return Promise.resolve();
  }
}

@Injectable()
class TickJob extends JobHandler {
  handle(): Promise<void> {
    ticks++;
    return Promise.resolve();
  }
}

const jobs: JobDefinition[] = [
  { queue: 'echo', handler: EchoJob, topics: ['test.echo'], concurrency: 4 },
  { queue: 'tick', handler: TickJob, everyMs: 500, concurrency: 1 },
];

class TestModule {}

const institutionId = uuidv7();

describe.each(['postgres', ...(redisIsInstalled() ? ['redis'] : [])])('outbox, relay and queue on %s', (backend) => {
  let redis: RedisServer | undefined;
  let database: OpenedDatabase;
  let config: Config;
  const apps: INestApplicationContext[] = [];

  const start = async (): Promise<INestApplicationContext> => {
    const app = await NestFactory.createApplicationContext(
      { module: TestModule, imports: [OpsModule.forRoot(config, createLogger('silent')), DatabaseModule.forUrls(database), StorageModule, QueueModule.forWorkers(config, jobs)], providers: [EchoJob, TickJob] },
      { logger: false, abortOnError: false },
    );
    apps.push(app);
    return app;
  };

  beforeAll(async () => {
    seen.length = 0;
    ticks = 0;
    handBacks = 0;
    if (backend === 'redis') redis = await startRedis();
    config = parseConfig({ DATA_DIR: await preparedDirectory(), QUEUE_BACKEND: backend, ...(redis && { REDIS_URL: redis.url }) });
    database = await openDatabase(config, createLogger('silent'));
  });

  afterAll(async () => {
    await Promise.all(apps.splice(0).map((app) => app.close()));
    await database.close();
    await redis?.stop();
  });

  it('delivers a committed event and drops one that was rolled back', async () => {
    const app = await start();
    const outbox = app.get(Outbox);
    const scope = { institutionId };
    await app.get(Database).transaction(scope, (tx) => outbox.append(tx, { institutionId, topic: 'test.echo', payload: { text: 'kept' } }));
    await app.get(Database).transaction(scope, async (tx) => {
      await outbox.append(tx, { institutionId, topic: 'test.echo', payload: { text: 'rolled back' } });
      throw new Error('roll back');
    }).catch(() => undefined);
    await eventually('the event', () => Promise.resolve(seen.some(({ text }) => text === 'kept')));
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(seen.filter(({ text }) => text === 'kept')).toHaveLength(1);
    expect(seen.filter(({ text }) => text === 'rolled back')).toHaveLength(0);
  });

  it('tries again after a failure, and hands back without counting a try', async () => {
    const app = apps[0] ?? (await start());
    await app.get(Database).transaction({ institutionId }, (tx) => app.get(Outbox).append(tx,
      { institutionId, topic: 'test.echo', payload: { text: 'flaky' } }, { institutionId, topic: 'test.echo', payload: { text: 'handed back' } }));
    await eventually('three tries', () => Promise.resolve(seen.filter(({ text }) => text === 'flaky').length === 3));
    await eventually('two hand-backs', () => Promise.resolve(seen.filter(({ text }) => text === 'handed back').length === 3));
    expect(seen.filter(({ text }) => text === 'flaky').map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
  });

  it('shares two hundred events between two relays and consumers, each once', async () => {
    const second = await start();
    seen.length = 0;
    await second.get(Database).transaction({ institutionId }, async (tx) => {
      for (let i = 0; i < 200; i++) await second.get(Outbox).append(tx, { institutionId, topic: 'test.echo', payload: { text: `bulk ${String(i)}` } });
    });
    await eventually('all of them', () => Promise.resolve(seen.length >= 200));
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(seen).toHaveLength(200);
    expect(new Set(seen.map(({ text }) => text)).size).toBe(200);
    expect(await second.get(Outbox).pending()).toBe(0);
  });

  it('runs a timed job once per interval for the whole installation', async () => {
    ticks = 0;
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(ticks).toBeGreaterThanOrEqual(4);
    expect(ticks).toBeLessThanOrEqual(8);
  });
});

describe('the wiring', () => {
  it('refuses two handlers for one queue', () => {
    const twice = [...jobs, { queue: 'echo', handler: TickJob, concurrency: 1 }];
    expect(() => QueueModule.forWorkers(parseConfig({}), twice)).toThrow('two handlers are wired to the queue "echo"');
  });

  it('refuses a WORKER_QUEUES entry that names no queue', () => {
    expect(() => QueueModule.forWorkers(parseConfig({ WORKER_QUEUES: 'ekho' }), jobs)).toThrow('no such queue ekho');
  });
});
