import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Turns } from './turns.js';

describe('turns', () => {
  it('lets so many work at once, in order, each key by itself', async () => {
    const turns = new Turns();
    const begun: number[] = [];
    let running = 0;
    let most = 0;
    await Promise.all(Array.from({ length: 10 }, (_, index) => turns.run('a', 3, async () => {
      begun.push(index);
      most = Math.max(most, ++running);
      await sleep(2);
      running -= 1;
    })));
    expect([most, begun]).toEqual([3, Array.from({ length: 10 }, (_, index) => index)]);
    let done = false;
    const long = turns.run('a', 1, () => sleep(50));
    await turns.run('b', 1, () => { done = true; return Promise.resolve(); });
    expect(done).toBe(true);
    await long;
  });

  it('goes on after a failure, and sends away whom it would let wait for too long', async () => {
    const turns = new Turns();
    await expect(turns.run('a', 1, () => Promise.reject(new Error('x')))).rejects.toThrow('x');
    let free: () => void = () => undefined;
    const first = turns.run('a', 1, () => new Promise<void>((resolve) => { free = resolve; }));
    const others = Array.from({ length: 200 }, () => turns.run('a', 1, () => Promise.resolve()));
    await expect(turns.run('a', 1, () => Promise.resolve())).rejects.toMatchObject({ code: 'too-many-requests' });
    free();
    await Promise.all([first, ...others]);
  });
});
