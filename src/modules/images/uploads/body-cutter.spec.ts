import { describe, expect, it } from 'vitest';
import { BodyCutter } from './body-cutter.js';

async function* chunks(sizes: readonly number[], end?: Error, clock?: { now: number }): AsyncGenerator<Uint8Array> {
  for (const size of sizes) {
    if (clock) clock.now += 1_000;
    yield new Uint8Array(size);
    await Promise.resolve();
  }
  if (end) throw end;
}

async function sizes(cutter: BodyCutter): Promise<number[]> {
  const out: number[] = [];
  do {
    let bytes = 0;
    for await (const chunk of cutter.piece()) bytes += chunk.byteLength;
    out.push(bytes);
  } while (!cutter.ended);
  return out;
}

describe('BodyCutter', () => {
  it('gives pieces of at least so many bytes, and the rest', async () => {
    const cutter = new BodyCutter(chunks([4, 4, 4, 4, 4, 1]), 100, { bytes: 8, milliseconds: Infinity });
    expect(await sizes(cutter)).toEqual([8, 8, 5]);
    expect(cutter.broken).toBeUndefined();
  });

  it('cuts what comes slowly by the clock', async () => {
    const clock = { now: 0 };
    expect(await sizes(new BodyCutter(chunks([1, 1, 1, 1, 1], undefined, clock), 100, { bytes: 8, milliseconds: 2_000 }, () => clock.now))).toEqual([2, 2, 1]);
  });

  it('gives what came before the body broke off, and says why it did', async () => {
    const broke = new Error('reset');
    const cutter = new BodyCutter(chunks([4, 4, 3], broke), 100, { bytes: 8, milliseconds: Infinity });
    expect(await sizes(cutter)).toEqual([8, 3]);
    expect(cutter.broken).toBe(broke);
  });

  it('gives everything as one piece when it is not to be cut', async () => {
    expect(await sizes(new BodyCutter(chunks([4, 4, 4]), 12))).toEqual([12]);
  });

  it('refuses a byte more than there is room for', async () => {
    await expect(sizes(new BodyCutter(chunks([4, 4, 4]), 11))).rejects.toMatchObject({ code: 'payload-too-large' });
    expect(await sizes(new BodyCutter(chunks([]), 0))).toEqual([0]);
  });
});
