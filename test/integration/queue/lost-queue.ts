import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { Prisma } from '../../../src/generated/prisma/client.js';
import { AppError } from '../../../src/kernel/errors.js';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { parseConfig, type Config } from '../../../src/platform/config.js';
import { Database } from '../../../src/platform/database/database.js';
import { DatabaseModule } from '../../../src/platform/database/database.module.js';
import { openDatabase, type OpenedDatabase } from '../../../src/platform/database/open-database.js';
import { createLogger } from '../../../src/platform/ops/logger.js';
import { Metrics } from '../../../src/platform/ops/metrics.js';
import { OpsModule } from '../../../src/platform/ops/ops.module.js';
import { JobHandler, type JobContext, type JobDefinition } from '../../../src/platform/queue/job.js';
import { Outbox } from '../../../src/platform/queue/outbox.js';
import { QueueControl } from '../../../src/platform/queue/queue-control.service.js';
import { QueueView } from '../../../src/platform/queue/queue-view.js';
import { QueueModule } from '../../../src/platform/queue/queue.module.js';
import { queueJobs, QueueWorkerModule } from '../../../src/platform/queue/queue.worker.js';
import { ReconcileJob } from '../../../src/platform/queue/reconcile.job.js';
import { SchedulesService } from '../../../src/platform/queue/schedules.service.js';
import { ObjectStore } from '../../../src/platform/storage/object-store.js';
import { OrphanBlobsJob } from '../../../src/platform/storage/orphan-blobs.job.js';
import { StorageModule } from '../../../src/platform/storage/storage.module.js';
import { storageJobs, StorageWorkerModule } from '../../../src/platform/storage/storage.worker.js';
import { preparedDirectory } from '../../support/data-directory.js';
import { eventually } from '../../support/product.js';
import { startRedis, type RedisServer } from '../../support/redis.js';

const begun: string[] = [];
const done: string[] = [];
const alsoDone: string[] = [];
const failing = new Map<string, Error>();
let ticks = 0;
let gate = Promise.resolve();

@Injectable()
class WorkJob extends JobHandler<{ text: string }> {
  async handle({ text }: { text: string }): Promise<void> {
    begun.push(text);
    const error = failing.get(text);
    if (error) throw error;
    await gate;
    done.push(text);
  }
}

/** A second consumer of the same events. */
@Injectable()
class AlsoJob extends JobHandler<{ text: string }> {
  handle({ text }: { text: string }): Promise<void> {
    alsoDone.push(text);
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
  { queue: 'work', handler: WorkJob, topics: ['test.work'], concurrency: 2 },
  { queue: 'also', handler: AlsoJob, topics: ['test.work'], concurrency: 2 },
  { queue: 'tick', handler: TickJob, everyMs: 500, concurrency: 1 },
  ...queueJobs, ...storageJobs,
];

class TestModule {}

const institutionId = uuidv7();

/** What holds of a queue that forgets, whatever it is kept in. */
export function describeLostQueue(backend: 'postgres' | 'redis'): void {
  let redis: RedisServer | undefined;
  let database: OpenedDatabase;
  let config: Config;
  let app: INestApplicationContext;
  const [afterSeconds, checkMs, afterMs] = [ReconcileJob.afterSeconds, SchedulesService.checkMs, OrphanBlobsJob.afterMs];

  beforeAll(async () => {
    ReconcileJob.afterSeconds = 0;
    SchedulesService.checkMs = 300;
    if (backend === 'redis') redis = await startRedis();
    config = parseConfig({ DATA_DIR: await preparedDirectory(), QUEUE_BACKEND: backend, ...(redis && { REDIS_URL: redis.url }) });
    database = await openDatabase(config, createLogger('silent'));
    app = await NestFactory.createApplicationContext(
      { module: TestModule, imports: [OpsModule.forRoot(config, createLogger('silent')), DatabaseModule.forUrls(database), StorageModule, QueueModule.forWorkers(config, jobs), QueueWorkerModule, StorageWorkerModule], providers: [WorkJob, AlsoJob, TickJob] },
      { logger: false, abortOnError: false },
    );
  });

  afterAll(async () => {
    [ReconcileJob.afterSeconds, SchedulesService.checkMs, OrphanBlobsJob.afterMs] = [afterSeconds, checkMs, afterMs];
    await app.close();
    await database.close();
    await redis?.stop();
  });

  function tell(...texts: string[]): Promise<void> {
    return app.get(Database).transaction({ institutionId }, (tx) => app.get(Outbox).append(tx, ...texts.map((text) => ({ institutionId, topic: 'test.work', payload: { institutionId, text } }))));
  }

  /** What an operator does by mistake, or a cache server that was taken for one. */
  async function forget(): Promise<void> {
    if (redis) {
      const client = new Redis(redis.url);
      await client.flushall();
      client.disconnect();
      return;
    }
    const client = new pg.Client({ connectionString: database.systemUrl });
    await client.connect();
    const { rows } = await client.query<{ tables: string }>(`SELECT string_agg(format('bullmq.%I', tablename), ', ') AS tables FROM pg_tables WHERE schemaname = 'bullmq' AND tablename NOT LIKE '%migration%'`);
    await client.query(`DELETE FROM bullmq.job; TRUNCATE ${rows[0]?.tables ?? ''}`).catch(async () => { await client.query('DELETE FROM bullmq.job; DELETE FROM bullmq.scheduler; DELETE FROM bullmq.meta'); });
    await client.end();
  }

  const reconcile = (): Promise<void> => app.get(ReconcileJob).handle({}, { jobId: 'test', topic: 'reconcile', attempt: 1, signal: new AbortController().signal } satisfies JobContext);
  const unacknowledged = async (): Promise<number> => (await app.get(Database).read<{ total: number }>('system', Prisma.sql`SELECT count(*)::int AS total FROM outbox WHERE dispatched_at IS NULL OR pending <> '{}'`))[0]?.total ?? -1;
  const repairs = async (kind: string): Promise<number> => Number(new RegExp(`repairs_total\\{kind="${kind}"\\} (\\d+)`).exec(await app.get(Metrics).registry.metrics())?.[1] ?? 0);
  const sorted = (texts: readonly string[]): string[] => [...texts].sort();

  it('forgets everything in mid-flight, and all that was told is done, each once but what was running', async () => {
    begun.length = done.length = alsoDone.length = 0;
    let open: () => void = () => undefined;
    gate = new Promise((resolve) => { open = resolve; });
    const texts = Array.from({ length: 30 }, (_, index) => `flight ${String(index)}`);
    await tell(...texts);
    await eventually('two of them to run', () => Promise.resolve(begun.length === 2 && alsoDone.length === 30));
    await eventually('the other queue to acknowledge', async () => (await app.get(Database).read<{ total: number }>('system', Prisma.sql`SELECT count(*)::int AS total FROM outbox WHERE dispatched_at IS NULL OR 'also' = ANY (pending)`))[0]?.total === 0);
    const running = new Set(begun);
    await forget();
    open();
    await eventually('the running ones', () => Promise.resolve(done.length >= 2));
    await eventually('nothing to be left', async () => { await reconcile(); return (await unacknowledged()) === 0; });
    expect(sorted([...new Set(done)])).toEqual(sorted(texts));
    // A job that vanished under its handler may be handed over before the handler's end is known; all others are done once.
    expect(done.filter((text, index) => done.indexOf(text) !== index).filter((text) => !running.has(text))).toEqual([]);
    expect(done.length).toBeLessThanOrEqual(texts.length + running.size);
    expect(sorted(alsoDone)).toEqual(sorted(texts));
    // The timed one may look at the same moment as ours: an event that is handed over twice is one job.
    expect(await repairs('job')).toBeGreaterThanOrEqual(28);
  });

  it('has its timed jobs again without a restart', async () => {
    await eventually('the schedule', () => Promise.resolve(ticks > 2));
    const before = await repairs('schedule');
    await forget();
    ticks = 0;
    await eventually('it to run', () => Promise.resolve(ticks > 2), 10_000);
    // The one of this test, the reconciler's own, and that of the blobs.
    await expect.poll(() => repairs('schedule')).toBe(before + 3);
    const regular = ticks;
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(ticks - regular).toBeLessThanOrEqual(3);
    expect(await repairs('schedule')).toBe(before + 3);
  });

  it('has a timed job again whose next run is an hour away, because a clock was wrong when it was made', async () => {
    await eventually('the schedule', () => Promise.resolve(ticks > 2));
    const before = await repairs('schedule');
    const now = Date.now.bind(Date);
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() + 3_600_000);
    ticks = 0;
    try {
      await eventually('a run under the wrong clock', () => Promise.resolve(ticks > 1), 10_000);
    } finally {
      clock.mockRestore();
    }
    ticks = 0;
    await eventually('it to run', () => Promise.resolve(ticks > 2), 10_000);
    expect(await repairs('schedule')).toBeGreaterThan(before);
  });

  it('has a job again that waits for an hour, because a clock was wrong when it failed', async () => {
    begun.length = done.length = 0;
    failing.set('late', Object.assign(new Error('away'), { code: 'ECONNREFUSED' }));
    const now = Date.now.bind(Date);
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() + 3_600_000);
    try {
      await tell('late');
      await eventually('two tries', () => Promise.resolve(begun.length > 1), 20_000);
      // The third waits for a second or two by now.
      await new Promise((resolve) => setTimeout(resolve, 300));
    } finally {
      clock.mockRestore();
      failing.delete('late');
    }
    await eventually('it to be done', async () => {
      await reconcile();
      return done.includes('late');
    }, 20_000);
  });

  it('has a timed job again whose next run somebody removed', async () => {
    const client = redis ? new Redis(redis.url) : undefined;
    const before = await repairs('schedule');
    await app.get(QueueControl).pause('tick');
    if (client) {
      const keys = await client.keys('healthvision:tick:repeat:tick:*');
      await client.del(...keys, 'healthvision:tick:delayed', 'healthvision:tick:wait');
      client.disconnect();
    } else {
      const direct = new pg.Client({ connectionString: database.systemUrl });
      await direct.connect();
      await direct.query(`DELETE FROM bullmq.job WHERE queue = 'tick'`);
      await direct.end();
    }
    await app.get(QueueControl).resume('tick');
    ticks = 0;
    await eventually('it to run', () => Promise.resolve(ticks > 1), 10_000);
    expect(await repairs('schedule')).toBeGreaterThan(before);
  });

  it('tells of what it holds, and leaves alone what waits, runs or is parked', async () => {
    await app.get(QueueControl).pause('work');
    await tell('waits');
    await eventually('it to wait', async () => (await app.get(QueueView).counts('work')).waiting === 1);
    const before = await repairs('job');
    await reconcile();
    const summary = await app.get(QueueView).summary('work');
    expect(summary).toMatchObject({ isPaused: true, consumers: 1, counts: { waiting: 1, failed: 0 } });
    expect(summary.oldestWaitingSeconds).toBeLessThan(10);
    const { jobs: [job] } = await app.get(QueueView).jobs('work', { state: 'waiting', offset: 0, limit: 5 });
    expect(job).toMatchObject({ topic: 'test.work', state: 'waiting', institutionId, attempts: 0, failure: null });
    expect((await app.get(QueueView).jobs('work', { state: 'waiting', institutionId: uuidv7(), offset: 0, limit: 5 })).jobs).toEqual([]);
    await app.get(QueueControl).resume('work');
    await eventually('it to be done', () => Promise.resolve(done.includes('waits')));
    expect(await repairs('job')).toBe(before);
  });

  it.each([
    ['bad input at once', 'bad', new AppError('blob-corrupt'), 1, { class: 'bad-input', code: 'blob-corrupt' }],
    ['a bug after three tries', 'bug', new TypeError('the patient is called Doe'), 3, { class: 'bug', code: 'TypeError' }],
  ])('parks %s, shows the code alone, and tries again when it is told to', async (_name, text, error, tries, failure) => {
    failing.set(text, error);
    begun.length = 0;
    await tell(text);
    const [parked] = await eventually('it to be parked', async () => {
      const { jobs: found } = await app.get(QueueView).jobs('work', { state: 'failed', offset: 0, limit: 5 });
      return found.length > 0 && found;
    });
    expect(begun).toHaveLength(tries);
    expect(parked).toMatchObject({ state: 'failed', attempts: tries, failure });
    await reconcile();
    await expect.poll(async () => /poison_jobs\{queue="work"\} (\d+)/.exec(await app.get(Metrics).registry.metrics())?.[1]).toBe('1');
    const id = parked?.id ?? '';
    await expect(app.get(QueueControl).retry('work', id, uuidv7())).rejects.toMatchObject({ code: 'job-not-found' });
    failing.delete(text);
    await app.get(QueueControl).retry('work', id);
    await eventually('it to be done', () => Promise.resolve(done.includes(text)));
    await eventually('it to be acknowledged', async () => (await unacknowledged()) === 0);
    await expect(app.get(QueueControl).retry('work', id)).rejects.toMatchObject({ code: 'job-not-parked' });
  });

  it('keeps a job away that somebody removed', async () => {
    failing.set('gone', new AppError('invalid-dicom'));
    await tell('gone');
    const [parked] = await eventually('it to be parked', async () => {
      const { jobs: found } = await app.get(QueueView).jobs('work', { state: 'failed', offset: 0, limit: 5 });
      return found.length > 0 && found;
    });
    await app.get(QueueControl).remove('work', parked?.id ?? '');
    await reconcile();
    expect(await unacknowledged()).toBe(0);
    expect((await app.get(QueueView).counts('work')).failed).toBe(0);
    await expect(app.get(QueueControl).remove('work', parked?.id ?? '')).rejects.toMatchObject({ code: 'job-not-found' });
    await expect(app.get(QueueControl).remove('nowhere', 'x')).rejects.toMatchObject({ code: 'queue-not-found' });
  });

  it('waits for what passes', async () => {
    failing.set('passing', new AppError('storage-unavailable'));
    begun.length = 0;
    await tell('passing');
    await eventually('some tries', () => Promise.resolve(begun.length >= 2));
    const { jobs: [job] } = await eventually('it to wait', async () => {
      const found = await app.get(QueueView).jobs('work', { state: 'delayed', offset: 0, limit: 5 });
      return found.jobs.length > 0 && found;
    });
    expect(job).toMatchObject({ state: 'delayed', failure: { class: 'transient', code: 'storage-unavailable' } });
    expect(job?.dueAt?.getTime()).toBeGreaterThan(Date.now());
    failing.delete('passing');
    await eventually('it to be done', () => Promise.resolve(done.includes('passing')));
  });

  it('has bytes beside it that no row names: they are buried, and no others', async () => {
    const store = app.get(ObjectStore);
    const names = ['tombstone', 'upload', 'result', 'model', 'orphan', 'other-orphan'] as const;
    const key = (name: (typeof names)[number]): string => `${institutionId}/test/${name}`;
    for (const path of [...names.map(key), 'backups/not-ours']) {
      const draft = await store.begin();
      await draft.append(Buffer.from(path));
      await draft.commit(path);
    }
    await app.get(Database).write('system', Prisma.sql`INSERT INTO blob_tombstones (blob_key, due_at) VALUES (${key('tombstone')}, now() + interval '1 day')`);
    await app.get(Database).write('system', Prisma.sql`INSERT INTO uploads (id, institution_id, user_id, segments, expires_at) VALUES (${uuidv7()}::uuid, ${institutionId}::uuid, ${uuidv7()}::uuid, ${JSON.stringify([{ blobKey: key('upload'), sizeBytes: 1 }])}::jsonb, now())`);
    await app.get(Database).write('system', Prisma.sql`INSERT INTO model_files (model_id, path, sha256, size_bytes, blob_key) VALUES (${uuidv7()}::uuid, 'model.onnx', '', 1, ${key('model')})`);
    await app.get(Database).write('system', Prisma.sql`
      INSERT INTO results (id, institution_id, analysis_id, study_id, study_instance_uid, analysis, summary, findings, labels, segments, provenance, rendering, updated_at)
      VALUES (${uuidv7()}::uuid, ${institutionId}::uuid, ${uuidv7()}::uuid, ${uuidv7()}::uuid, '1.2', 'x', '{}', '[]', '[]', '[]', '{}', ${JSON.stringify({ keyImage: null, heatMapBlob: { blobKey: key('result'), maps: [] } })}::jsonb, now())`);
    const look = (): Promise<void> => app.get(OrphanBlobsJob).handle({}, { jobId: 'test', topic: 'orphan-blobs', attempt: 1, signal: new AbortController().signal });
    await look();
    expect(await repairs('orphan-blob')).toBe(0);
    OrphanBlobsJob.afterMs = -1_000;
    await look();
    expect(await repairs('orphan-blob')).toBe(2);
    const buried = await app.get(Database).read<{ blob_key: string }>('system', Prisma.sql`SELECT blob_key FROM blob_tombstones WHERE due_at <= now() ORDER BY blob_key`);
    expect(buried.map(({ blob_key }) => blob_key)).toEqual([key('orphan'), key('other-orphan')]);
    await look();
    expect(await repairs('orphan-blob')).toBe(2);
  });
}
