import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { MemoryMeter } from './memory-meter.js';

describe('the memory meter', () => {
  it('tells what a run took that was alone, though it gave it back', async () => {
    const meter = new MemoryMeter();
    const stop = meter.start();
    let block: Buffer | undefined = Buffer.alloc(96 * 2 ** 20, 1);
    await wait(120);
    block = undefined;
    expect(block).toBeUndefined();
    expect(stop()).toBeGreaterThan(60);
  });

  it('tells nothing of runs that overlapped', () => {
    const meter = new MemoryMeter();
    const [first, second] = [meter.start(), meter.start()];
    expect([first(), second()]).toEqual([undefined, undefined]);
    expect(meter.start()()).toBeGreaterThan(0);
  });
});
