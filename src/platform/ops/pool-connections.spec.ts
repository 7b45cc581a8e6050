import { describe, expect, it } from 'vitest';
import { Metrics } from './metrics.js';

describe('connections to the database', () => {
  it('are in use, idle or waited for, by pool, at the moment of the scrape', async () => {
    const { databasePools, registry } = new Metrics();
    const pool = { totalCount: 3, idleCount: 1, waitingCount: 0 };
    databasePools.watch('app', pool);
    const values = async (): Promise<number[]> => (await registry.getSingleMetricAsString('healthvision_database_pool_connections')).split('\n').filter((line) => !line.startsWith('#')).map((line) => Number(line.split(' ')[1]));
    expect(await values()).toEqual([2, 1, 0]);
    Object.assign(pool, { totalCount: 10, idleCount: 0, waitingCount: 4 });
    expect(await values()).toEqual([10, 0, 4]);
  });
});
