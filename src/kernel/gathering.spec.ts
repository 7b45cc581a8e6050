import { describe, expect, it } from 'vitest';
import { Gathering, settledWithin } from './gathering.js';

describe('a gathering', () => {
  /** Writes end when they are told to. */
  function slow(patienceMs = 60_000): { gathering: Gathering<number>; writes: (readonly number[])[]; end: ((error?: Error) => void)[] } {
    const writes: (readonly number[])[] = [];
    const end: ((error?: Error) => void)[] = [];
    const gathering = new Gathering<number>((items) => {
      writes.push(items);
      return new Promise((resolve, reject) => { end.push((error) => { if (error) reject(error); else resolve(); }); });
    }, patienceMs);
    return { gathering, writes, end };
  }
  const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

  it('writes at once, and together what comes meanwhile', async () => {
    const { gathering, writes, end } = slow();
    const first = gathering.add(1);
    await turn();
    const rest = [gathering.add(2), gathering.add(3)];
    await turn();
    expect(writes).toEqual([[1]]);
    end[0]?.();
    await first;
    await turn();
    expect(writes).toEqual([[1], [2, 3]]);
    end[1]?.();
    await Promise.all(rest);
  });

  it('tells those whose write failed, and nobody else', async () => {
    const { gathering, writes, end } = slow();
    const first = gathering.add(1);
    await turn();
    const second = gathering.add(2);
    end[0]?.(new Error('away'));
    await expect(first).rejects.toThrow('away');
    await turn();
    end[1]?.();
    await expect(second).resolves.toBeUndefined();
    expect(writes).toEqual([[1], [2]]);
  });

  it('does not wait for a write that hangs', async () => {
    const { gathering, writes } = slow(20);
    void gathering.add(1);
    await turn();
    void gathering.add(2);
    await new Promise((resolve) => { setTimeout(resolve, 60); });
    expect(writes).toEqual([[1], [2]]);
  });

  it('waits for what settles in time, whatever becomes of it', async () => {
    await settledWithin(Promise.reject(new Error('no')), 1_000);
    await settledWithin(new Promise(() => undefined), 5);
  });
});
