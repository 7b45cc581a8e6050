import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { KeyedQueue } from './keyed-queue.js';

describe('a keyed queue', () => {
  it('runs work of one key in order, one at a time, and other keys beside it', async () => {
    const queue = new KeyedQueue();
    const log: string[] = [];
    const work = (key: string, name: string, ms: number) => queue.run(key, async () => { log.push(`${name} begins`); await sleep(ms); log.push(`${name} ends`); return name; });
    expect(await Promise.all([work('a', 'first', 30), work('a', 'second', 1), work('b', 'other', 10)])).toEqual(['first', 'second', 'other']);
    expect(log).toEqual(['first begins', 'other begins', 'other ends', 'first ends', 'second begins', 'second ends']);
  });

  it('goes on after a failure, which only its own caller sees', async () => {
    const queue = new KeyedQueue();
    const failing = queue.run('a', () => Promise.reject(new Error('no')));
    const next = queue.run('a', () => Promise.resolve('yes'));
    await expect(failing).rejects.toThrow('no');
    expect(await next).toBe('yes');
  });
});
