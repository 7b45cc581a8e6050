import { describe, expect, it } from 'vitest';
import { createLogger } from '../ops/logger.js';
import { RateLimiter } from './rate-limiter.js';
import { leaseOf, WINDOW_MS, WindowStore, type Lease, type LeaseRequest } from './window-store.js';

/** The store's arithmetic in memory, with a clock that is moved by hand. */
class MemoryWindows extends WindowStore {
  asked = 0;
  isAway = false;
  private readonly windows = new Map<string, { granted: number; endsAt: number }>();

  constructor(private readonly clock: { ms: number }) {
    super();
  }

  override async lease(key: string, request: LeaseRequest): Promise<Lease> {
    this.asked += 1;
    await Promise.resolve();
    if (this.isAway) throw new Error('away');
    const known = this.windows.get(key);
    const window = known && known.endsAt > this.clock.ms ? known : { granted: 0, endsAt: this.clock.ms + WINDOW_MS };
    const leased = leaseOf(request.limit - window.granted, request);
    window.granted += leased;
    this.windows.set(key, window);
    return { leased, remaining: request.limit - window.granted, resetMs: window.endsAt - this.clock.ms };
  }

  override async prune(): Promise<void> { /* nothing to remove */ }
}

function bench(): { clock: { ms: number }; store: MemoryWindows; reports: boolean[]; limiter: () => RateLimiter } {
  const clock = { ms: 1_000 };
  const store = new MemoryWindows(clock);
  const reports: boolean[] = [];
  return { clock, store, reports, limiter: () => new RateLimiter(store, createLogger('silent'), { away: (isAway) => { reports.push(isAway); } }, () => clock.ms) };
}

async function admitted(limiter: RateLimiter, count: number, limit: number): Promise<number> {
  const verdicts = await Promise.all(Array.from({ length: count }, () => limiter.take('k', limit)));
  return verdicts.filter((verdict) => verdict.admitted).length;
}

describe('the rate limiter', () => {
  it.each([1, 2, 7, 50, 100, 1_000, 60_000])('admits exactly %i alone', async (limit) => {
    expect(await admitted(bench().limiter(), limit + 100, limit)).toBe(limit);
  });

  it.each([50, 100, 1_000, 60_000])('admits of %i nearly all when three others took some once', async (limit) => {
    const { limiter } = bench();
    const others = [limiter(), limiter(), limiter()];
    let sum = 0;
    for (const other of others) sum += await admitted(other, 1, limit);
    sum += await admitted(limiter(), limit + 100, limit);
    expect(sum).toBeLessThanOrEqual(limit);
    expect(sum).toBeGreaterThanOrEqual(limit * 0.95);
  });

  it('starts anew when the window that began with the first request is over', async () => {
    const { clock, limiter } = bench();
    const one = limiter();
    expect(await admitted(one, 5, 3)).toBe(3);
    clock.ms += WINDOW_MS - 1;
    expect(await admitted(one, 5, 3)).toBe(0);
    expect((await one.take('k', 3)).resetSeconds).toBe(1);
    clock.ms += 1;
    expect(await admitted(one, 5, 3)).toBe(3);
  });

  it('asks the store no more for who is refused', async () => {
    const { store, limiter } = bench();
    const one = limiter();
    await admitted(one, 10, 3);
    const { asked } = store;
    expect(await admitted(one, 1_000, 3)).toBe(0);
    expect(store.asked).toBe(asked);
  });

  it('takes a request out of the count again, but not of another window', async () => {
    const { clock, limiter } = bench();
    const one = limiter();
    const first = await one.take('k', 1);
    expect(await admitted(one, 2, 1)).toBe(0);
    first.giveBack();
    expect(await admitted(one, 2, 1)).toBe(1);
    clock.ms += WINDOW_MS;
    expect(await admitted(one, 1, 1)).toBe(1);
    first.giveBack();
    expect(await admitted(one, 1, 1)).toBe(0);
  });

  it('counts on its own while the store is away, and says so once', async () => {
    const { clock, store, reports, limiter } = bench();
    const one = limiter();
    store.isAway = true;
    expect(await admitted(one, 150, 100)).toBe(100);
    expect(await admitted(limiter(), 150, 100)).toBe(100);
    expect(store.asked).toBe(2);
    clock.ms += WINDOW_MS;
    expect(await admitted(one, 150, 100)).toBe(100);
    store.isAway = false;
    clock.ms += WINDOW_MS;
    expect(await admitted(one, 150, 100)).toBe(100);
    expect(reports).toEqual([true, true, false]);
  });

  it('goes on in the middle of a window when the store goes away, with one limit more at most', async () => {
    const { store, limiter } = bench();
    const one = limiter();
    expect(await admitted(one, 60, 100)).toBe(60);
    store.isAway = true;
    const rest = await admitted(one, 500, 100);
    expect(rest).toBeGreaterThanOrEqual(40);
    expect(rest).toBeLessThanOrEqual(140);
  });
});
