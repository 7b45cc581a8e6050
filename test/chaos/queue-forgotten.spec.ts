import { Redis } from 'ioredis';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/platform/config.js';
import { openDatabase } from '../../src/platform/database/open-database.js';
import { createLogger } from '../../src/platform/ops/logger.js';
import { uploadXray, type AnalysisView } from '../support/flow.js';
import { eventually, startProduct, type Product } from '../support/product.js';
import { redisIsInstalled, startRedis, type RedisServer } from '../support/redis.js';

const STUDIES = 12;

async function truncateQueues(dataDir: string): Promise<void> {
  const database = await openDatabase(parseConfig({ DATA_DIR: dataDir }), createLogger('silent'));
  const client = new pg.Client({ connectionString: database.url });
  try {
    await client.connect();
    const { rows: [row] } = await client.query<{ tables: string }>(`SELECT string_agg(format('bullmq.%I', tablename), ', ') AS tables FROM pg_tables WHERE schemaname = 'bullmq' AND tablename !~ 'migration|ledger|version'`);
    await client.query(`TRUNCATE ${row?.tables ?? ''}`);
  } finally {
    await client.end();
    await database.close();
  }
}

async function flush(url: string): Promise<void> {
  const client = new Redis(url);
  await client.flushall();
  client.disconnect();
}

const repairsOf = async ({ url }: Product): Promise<Record<string, number>> => Object.fromEntries([...(await (await fetch(`${url}/metrics`)).text()).matchAll(/repairs_total\{kind="([\w-]+)"\} (\d+)/g)].map(([, kind = '', count]) => [kind, Number(count)]));

async function emptyInMidFlight(backend: string): Promise<void> {
  const redis: RedisServer | undefined = backend === 'redis' ? await startRedis() : undefined;
  const product = await startProduct({ env: { QUEUE_BACKEND: backend, ...(redis && { REDIS_URL: redis.url }) } });
  try {
    const forget = (): Promise<void> => (redis ? flush(redis.url) : truncateQueues(product.dataDir));
    const studies: string[] = [];
    for (let seed = 0; seed < STUDIES; seed++) {
      studies.push(await uploadXray(product, seed));
      if (seed % 4 === 3) await forget();
    }
    const told = await eventually('every result to be told of', async () => {
      const { items } = await product.json<{ items: { subject: { resultId: string } }[] }>('/api/v1/notifications?topic=result.ready&limit=200');
      return items.length >= STUDIES && items;
    }, 120_000);
    for (const study of studies) {
      const { items } = await product.json<{ items: AnalysisView[] }>(`/api/v1/analyses?studyInstanceUid=${study}`);
      expect(items.map(({ status }) => status)).toEqual(['succeeded']);
      const { items: results } = await product.json<{ items: { id: string }[] }>(`/api/v1/results?studyInstanceUid=${study}`);
      expect(results.map(({ id }) => id)).toEqual([items[0]?.resultId]);
    }
    expect([told.length, new Set(told.map(({ subject }) => subject.resultId)).size]).toEqual([STUDIES, STUDIES]);
    expect((await repairsOf(product)).schedule).toBeGreaterThan(0);
  } finally {
    await product.stop();
    await redis?.stop();
  }
}

/** Beside each other: both wait most of the time until somebody misses something. */
describe.concurrent('a queue that is emptied in mid-flight', () => {
  it.each(['postgres', ...(redisIsInstalled() ? ['redis'] : [])])('on %s loses no run, and does none twice', emptyInMidFlight);
});
