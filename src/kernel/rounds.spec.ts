import { describe, expect, it } from 'vitest';
import { Rounds } from './rounds.js';

/** Work that ends when it is told to. */
function manualWork(): { work: (items: readonly number[]) => Promise<string[]>; rounds: number[][]; end: (error?: Error) => Promise<void> } {
  const rounds: number[][] = [];
  const ends: ((error?: Error) => void)[] = [];
  return {
    rounds,
    work: (items) => new Promise((resolve, reject) => {
      rounds.push([...items]);
      ends.push((error) => { if (error) reject(error); else resolve(items.map(String)); });
    }),
    async end(error) {
      ends.shift()?.(error);
      await new Promise((resolve) => { setImmediate(resolve); });
    },
  };
}

describe('Rounds', () => {
  it('begins at once, and takes what comes meanwhile together', async () => {
    const { work, rounds, end } = manualWork();
    const all = new Rounds(work, { atOnce: 1, items: 10 });
    const results = [all.take([1]), all.take([2, 3]), all.take([]), all.take([4])];
    expect(rounds).toEqual([[1]]);
    await end();
    expect(rounds).toEqual([[1], [2, 3, 4]]);
    await end();
    expect(await Promise.all(results)).toEqual([['1'], ['2', '3'], [], ['4']]);
    expect(all.isIdle).toBe(true);
  });

  it('runs no more rounds at once than it may, and none with more than it may but of one caller', async () => {
    const { work, rounds, end } = manualWork();
    const all = new Rounds(work, { atOnce: 2, items: 3 });
    const results = [[1], [2], [3, 4], [5], [6, 7, 8, 9], [10]].map((items) => all.take(items));
    expect(rounds).toEqual([[1], [2]]);
    await end();
    expect(rounds.slice(2)).toEqual([[3, 4, 5]]);
    await end();
    expect(rounds.slice(3)).toEqual([[6, 7, 8, 9]]);
    await end();
    await end();
    await end();
    expect((await Promise.all(results)).flat()).toEqual(['1', '2', '3', '4', '5', '6', '7', '8', '9', '10']);
  });

  it('tells all who took part of a failure, and goes on', async () => {
    const { work, end } = manualWork();
    const all = new Rounds(work, { atOnce: 1, items: 10 });
    const settled = Promise.allSettled([all.take([1]), all.take([2]), all.take([3])]);
    await end();
    await end(new Error('disk full'));
    expect((await settled).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    const later = all.take([4]);
    await end();
    expect(await later).toEqual(['4']);
  });
});
