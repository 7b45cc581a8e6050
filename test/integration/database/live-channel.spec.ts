import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfig, type Config } from '../../../src/platform/config.js';
import { Database } from '../../../src/platform/database/database.js';
import { LiveChannel } from '../../../src/platform/database/live-channel.js';
import { openDatabase, type OpenedDatabase } from '../../../src/platform/database/open-database.js';
import { createLogger } from '../../../src/platform/ops/logger.js';
import { preparedDirectory } from '../../support/data-directory.js';
import { eventually, temporaryDirectory } from '../../support/product.js';

describe('the live channel', () => {
  let opened: OpenedDatabase;
  let database: Database;
  let channel: LiveChannel;

  beforeAll(async () => {
    const config: Config = parseConfig({ DATA_DIR: await preparedDirectory() });
    opened = await openDatabase(config, createLogger('silent'));
    database = new Database(config, opened);
    channel = new LiveChannel(config, opened, createLogger('silent'), database);
  });
  afterAll(async () => {
    await channel.onApplicationShutdown();
    await database.onApplicationShutdown();
    await opened.close();
  });

  it('tells each signal once and in order, however many come at a time, and nobody of another topic', async () => {
    const told: string[] = [];
    const watching = channel.watch('run').subscribe((key) => { told.push(key); });
    await eventually('a listener', async () => {
      await channel.publish({ topic: 'run', key: 'hello' });
      return told.length > 0;
    });
    const keys = Array.from({ length: 50 }, (_, i) => `run ${String(i)}`);
    await Promise.all([...keys.map((key) => channel.publish({ topic: 'run', key })), channel.publish({ topic: 'other', key: 'x' })]);
    await eventually('the last signal', () => Promise.resolve(told.includes('run 49')));
    expect(told.filter((key) => key !== 'hello')).toEqual(keys);
    watching.unsubscribe();
  });

  it('tells whoever publishes that PostgreSQL did not take it, and goes on', async () => {
    // More than a payload may hold.
    await expect(channel.publish({ topic: 'run', key: 'x'.repeat(9_000) })).rejects.toThrow();
    await channel.publish({ topic: 'run', key: 'y' });
  });

  it('does not keep signals back behind one that hangs', async () => {
    const told: (readonly string[])[] = [];
    const hanging = { notify: (_channel: string, payloads: readonly string[]) => (told.push(payloads) === 1 ? new Promise<void>(() => undefined) : Promise.resolve()) };
    const other = new LiveChannel(parseConfig({ DATA_DIR: temporaryDirectory() }), opened, createLogger('silent'), hanging as unknown as Database);
    await Promise.all([other.publish({ topic: 'run', key: 'a' }), other.publish({ topic: 'run', key: 'b' }), other.publish({ topic: 'run', key: 'c' })]);
    expect(told).toEqual([['run a'], ['run b', 'run c']]);
  });
});
