import { afterEach, describe, expect, it } from 'vitest';
import { ThreadPool, type ThreadPoolOptions } from './thread-pool.js';

const entry = new URL('../../../test/support/misbehaving-thread.mjs', import.meta.url);
const pools: ThreadPool[] = [];

function poolOf(options: Partial<ThreadPoolOptions> = {}): ThreadPool {
  const pool = new ThreadPool(entry, { threads: 1, ...options });
  pools.push(pool);
  return pool;
}

const code = (name: string): unknown => expect.objectContaining({ name: 'AppError', code: name });

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close()));
});

describe('ThreadPool', () => {
  it('answers every task with its own result', async () => {
    const pool = poolOf({ threads: 2 });
    const results = await Promise.all(Array.from({ length: 50 }, (_, value) => pool.run({ kind: 'double', value })));
    expect(results).toEqual(Array.from({ length: 50 }, (_, value) => value * 2));
    expect([pool.running, pool.waiting]).toEqual([0, 0]);
  });

  it('brings coded errors back as such, others with their message', async () => {
    const pool = poolOf();
    await expect(pool.run({ kind: 'refuse' })).rejects.toEqual(expect.objectContaining({ code: 'invalid-image', detail: 'as asked' }));
    await expect(pool.run({ kind: 'fail' })).rejects.toThrow('as asked');
    await expect(pool.run({ kind: 'unknown' })).rejects.toThrow(/cloned/);
    expect(await pool.run({ kind: 'double', value: 4 })).toBe(8);
  });

  for (const [kind, expected] of [['exit', 'thread-lost'], ['crash', 'thread-lost'], ['memory', 'out-of-memory']] as const) {
    it(`loses one task to a thread that does "${kind}" and goes on`, async () => {
      const pool = poolOf({ resourceLimits: { maxOldGenerationSizeMb: 40 } });
      const lost = expect(pool.run({ kind })).rejects.toEqual(code(expected));
      const next = pool.run({ kind: 'double', value: 21 });
      await lost;
      expect(await next).toBe(42);
    });
  }

  it('tells of each thread that has ended, by its id', async () => {
    const ended: number[] = [];
    const pool = poolOf({ onExit: (id) => ended.push(id) });
    const first = await pool.run({ kind: 'thread' });
    await expect(pool.run({ kind: 'exit' })).rejects.toEqual(code('thread-lost'));
    const second = await pool.run({ kind: 'thread' });
    expect(ended).toEqual([first]);
    await pool.close();
    expect(ended).toEqual([first, second]);
  });

  it.each([false, true])('does the next task in a fresh thread after memory ran out (native: %s)', async (native) => {
    const pool = poolOf({ native });
    const before = await pool.run({ kind: 'thread' });
    expect(await pool.run({ kind: 'thread' })).toBe(before);
    const starved = expect(pool.run({ kind: 'starve' })).rejects.toEqual(code('out-of-memory'));
    const next = pool.run({ kind: 'thread' });
    await starved;
    expect(await next).not.toBe(before);
  });

  it('ends a thread that had nothing to do for a while, and starts another for the next task', async () => {
    const pool = poolOf({ idleMs: 100 });
    const before = await pool.run({ kind: 'thread' });
    expect(await pool.run({ kind: 'thread' })).toBe(before);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(await pool.run({ kind: 'thread' })).not.toBe(before);
  });

  it('never ends a thread for want of work while it works', async () => {
    const pool = poolOf({ idleMs: 20 });
    await pool.run({ kind: 'thread' });
    for (let round = 0; round < 5; round++) expect(await pool.run({ kind: 'sleep', value: 60 })).toBe('slept');
  });

  it('kills a thread whose task takes too long, however busy it is', async () => {
    const pool = poolOf();
    await pool.run({ kind: 'double', value: 1 });
    const started = performance.now();
    await expect(pool.run({ kind: 'spin' }, { timeoutMs: 200 })).rejects.toEqual(code('processing-timeout'));
    expect(performance.now() - started).toBeLessThan(2000);
    expect(await pool.run({ kind: 'double', value: 2 })).toBe(4);
  });

  it('refuses more than it can queue', async () => {
    const pool = poolOf({ maxQueue: 1 });
    const running = pool.run({ kind: 'sleep', value: 100 });
    const waiting = pool.run({ kind: 'sleep', value: 1 });
    await expect(pool.run({ kind: 'sleep', value: 1 })).rejects.toEqual(code('overloaded'));
    expect(await Promise.all([running, waiting])).toEqual(['slept', 'slept']);
  });

  it('lets go of aborted tasks, waiting or running', async () => {
    const pool = poolOf();
    const running = new AbortController();
    const waiting = new AbortController();
    const first = expect(pool.run({ kind: 'spin' }, { signal: running.signal })).rejects.toThrow('enough');
    const second = expect(pool.run({ kind: 'spin' }, { signal: waiting.signal })).rejects.toThrow('never mind');
    waiting.abort(new Error('never mind'));
    running.abort(new Error('enough'));
    await Promise.all([first, second]);
    expect(await pool.run({ kind: 'double', value: 3 })).toBe(6);
  });

  it('rejects what is left when it closes', async () => {
    const pool = poolOf();
    const tasks = [pool.run({ kind: 'spin' }), pool.run({ kind: 'double' })].map((task) => expect(task).rejects.toEqual(code('shutting-down')));
    await pool.close();
    await Promise.all(tasks);
    await expect(pool.run({ kind: 'double' })).rejects.toEqual(code('shutting-down'));
  });
});
