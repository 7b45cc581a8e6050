import { describe, expect, it } from 'vitest';
import { coalesced, preparedAhead } from './read-ahead.js';

interface Probe {
  log: string[];
  prepare: (item: number) => Promise<{ item: number; close: () => Promise<void> }>;
}

function probe(failing?: number): Probe {
  const log: string[] = [];
  return {
    log,
    prepare: async (item) => {
      log.push(`prepare ${String(item)}`);
      await Promise.resolve();
      if (item === failing) throw new Error(`no ${String(item)}`);
      return { item, close: async () => { await Promise.resolve(); log.push(`close ${String(item)}`); } };
    },
  };
}

// eslint-disable-next-line @typescript-eslint/require-await -- what is read ahead comes from a database
async function* items(...all: number[]): AsyncGenerator<number> {
  yield* all;
}

describe('Preparing ahead', () => {
  it('keeps the order and as many under way as the budget holds', async () => {
    const { log, prepare } = probe();
    for await (const { item } of preparedAhead(items(1, 2, 3, 4, 5), prepare, { budget: 2, weigh: () => 1 })) log.push(`use ${String(item)}`);
    expect(log.filter((entry) => entry.startsWith('use'))).toEqual(['use 1', 'use 2', 'use 3', 'use 4', 'use 5']);
    expect(log.indexOf('prepare 2')).toBeLessThan(log.indexOf('use 1'));
    expect(log.indexOf('prepare 4')).toBeGreaterThan(log.indexOf('use 1'));
  });

  it('prepares what is too heavy alone', async () => {
    const { log, prepare } = probe();
    for await (const { item } of preparedAhead(items(1, 2, 3), prepare, { budget: 2, weigh: () => 10 })) log.push(`use ${String(item)}`);
    expect(log).toEqual(['prepare 1', 'use 1', 'prepare 2', 'use 2', 'prepare 3', 'use 3']);
  });

  it('closes what was prepared and not used', async () => {
    const { log, prepare } = probe();
    for await (const { item } of preparedAhead(items(1, 2, 3, 4), prepare, { budget: 3, weigh: () => 1 })) if (item === 1) break;
    expect(log.filter((entry) => entry.startsWith('close'))).toEqual(['close 2', 'close 3']);
  });

  it('fails in the turn of what failed', async () => {
    const { log, prepare } = probe(2);
    const used: number[] = [];
    await expect((async () => { for await (const { item } of preparedAhead(items(1, 2, 3), prepare, { budget: 3, weigh: () => 1 })) used.push(item); })()).rejects.toThrow('no 2');
    expect(used).toEqual([1]);
    expect(log).toContain('close 3');
  });
});

describe('Small pieces', () => {
  it('are put together until they are worth a write', async () => {
    // eslint-disable-next-line @typescript-eslint/require-await -- as above
    async function* source(): AsyncGenerator<Uint8Array[]> {
      for (const length of [1, 2, 3, 10, 1]) yield [new Uint8Array(length)];
    }
    const written: number[][] = [];
    for await (const chunks of coalesced(source(), 5)) written.push(chunks.map(({ length }) => length));
    expect(written).toEqual([[1, 2, 3], [10], [1]]);
  });
});
